//! Which plugins there are, which request code belongs to whom, and the policy chain.
//!
//! A [`Catalogue`] is one generation: made by [`assembly`](super::assembly), never changed, and replaced as a whole. A
//! plugin whose bytes and rights stay the same is the same [`Plugin`] in the next one, with its instances.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hashbrown::HashMap;

use super::assembly::file_name;
use super::check::Check;
use super::core::Core;
use super::custom::Custom;
use super::examine::Examined;
use super::glance::Glance;
use super::group_marks::GroupMark;
use super::kept::Kept;
use super::manifest::{CodeEntry, Kind, Manifest, Run};
use super::pace::Pace;
use super::tally::Tallies;
use super::wasm::{Engine, InstanceParts, LogBudget, Prepared, SharedMemory};
use crate::config::{Grant, PolicyFailure};
use crate::notify::Form;

/// Every plugin in use, and what they may use up.
pub(crate) struct Catalogue {
    /// Counts the generations, from 1.
    pub(super) number: u64,
    pub(super) plugins: Vec<Arc<Plugin>>,
    pub(super) codes: HashMap<i32, Target>,
    pub(super) chain: Vec<PolicySlot>,
    pub(super) notices: Vec<Form>,
    pub(super) terms: Terms,
    pub(super) tallies: Arc<Tallies>,
    pub(super) _engine: Arc<Engine>,
}

/// What the operator lets every plugin use up in one call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Terms {
    pub(crate) worker_deadline: Duration,
    pub(crate) lane_deadline: Duration,
    pub(crate) reply_size_max: usize,
}

/// One plugin in use.
pub(crate) struct Plugin {
    pub(super) component: Arc<Examined>,
    /// Without what it has no right to say.
    pub(crate) manifest: Manifest,
    pub(crate) origin: Origin,
    pub(crate) prepared: Prepared,
    /// What it is allowed, which may be less than what it wants.
    pub(crate) grants: Arc<[Grant]>,
    /// Settings of its own, from the operator.
    pub(super) settings: Arc<BTreeMap<String, String>>,
    pub(crate) name: Arc<str>,
    /// Where its calls are counted.
    pub(crate) place: Option<usize>,
    /// The generation that it came with.
    pub(super) since: u64,
    pub(super) memory_max: usize,
    memory: Arc<SharedMemory>,
    log: Arc<LogBudget>,
    marks: Arc<[GroupMark]>,
    pub(super) kept: Arc<Kept>,
    pub(crate) custom: Arc<Custom>,
    pace: Pace,
    /// It promised to be pure, and is not.
    broke_its_promise: AtomicBool,
}

/// What the operator gives to a plugin, by where its bytes come from.
#[derive(Clone, Debug, Default)]
pub(super) struct Rights {
    pub(super) grants: Vec<Grant>,
    pub(super) settings: BTreeMap<String, String>,
}

/// Where a plugin's bytes come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// The binary itself.
    Embedded,
    /// A file of a plugins directory.
    File(PathBuf),
}

/// Who answers a code, and how.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Index into the catalogue's plugins.
    pub(crate) plugin: usize,
    /// Where requests of the code are counted.
    pub(crate) place: Option<usize>,
    pub(crate) entry: CodeEntry,
    /// What is looked at first; none when the plugin does not glance.
    pub(crate) glance: Option<Arc<Glance>>,
    /// Whether the plugin came with the binary.
    pub(crate) is_embedded: bool,
}

/// One place in the policy chain.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PolicySlot {
    pub(crate) plugin: usize,
    pub(crate) condition: Check,
    /// What its manifest promises.
    pub(crate) pure: bool,
    pub(crate) on_failure: PolicyFailure,
}

impl Catalogue {
    /// Which generation it is.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Who answers a request code.
    pub(crate) fn target(&self, code: i32) -> Option<&Target> {
        self.codes.get(&code)
    }

    /// The request codes that are answered.
    pub(crate) fn codes(&self) -> impl Iterator<Item = (i32, &Target)> {
        self.codes.iter().map(|(code, target)| (*code, target))
    }

    /// What all threads counted, in this generation and the others.
    pub(crate) fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// The plugins in use.
    pub(crate) fn plugins(&self) -> &[Arc<Plugin>] {
        &self.plugins
    }

    /// The policies, in the operator's order.
    pub(crate) fn chain(&self) -> &[PolicySlot] {
        &self.chain
    }

    /// What brokers are told.
    pub(crate) fn notices(&self) -> &[Form] {
        &self.notices
    }

    /// What a call may use up.
    pub(crate) fn terms(&self) -> Terms {
        self.terms
    }

    /// Whether somebody who has this one would notice nothing of the other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let same = |(one, other): (&Arc<Plugin>, &Arc<Plugin>)| Arc::ptr_eq(one, other);
        self.plugins.len() == other.plugins.len()
            && self.plugins.iter().zip(&other.plugins).all(same)
            && self.chain == other.chain
            && self.terms == other.terms
    }
}

impl Plugin {
    /// For a component from `origin` that is granted this, in the generation `since`.
    pub(super) fn new(
        component: &Arc<Examined>,
        origin: Origin,
        rights: Rights,
        memory_max: usize,
        (since, tallies): (u64, &Tallies),
        (kept, custom): (Arc<Kept>, Arc<Custom>),
    ) -> Self {
        let component = Arc::clone(component);
        let mut manifest = component.manifest.clone();
        let Rights { grants, settings } = rights;
        if !grants.contains(&Grant::RoutesWrite) {
            // Whoever does not change the tables has nothing to say about their changes.
            manifest.notices.clear();
        }
        let name = Arc::from(manifest.name.as_str());
        Self {
            prepared: component.prepared.clone(),
            component,
            origin,
            grants: grants.into(),
            settings: Arc::new(settings),
            place: tallies.place_of_plugin(&name),
            since,
            memory_max,
            memory: Arc::new(SharedMemory::new(memory_max)),
            log: Arc::default(),
            marks: manifest.policy.marks.as_slice().into(),
            kept,
            custom,
            pace: Pace::default(),
            broke_its_promise: AtomicBool::new(false),
            manifest,
            name,
        }
    }

    /// Whether a code that asks for a worker may have one. A plugin that is not embedded has to show that it is fast;
    /// one that imports WASI may block, and never may.
    pub(crate) fn may_run_on_worker(&self) -> bool {
        self.origin == Origin::Embedded || (!self.prepared.imports_wasi && self.pace.is_fast())
    }

    /// Whether somebody has to [`note`](Self::note_call) how long its calls take. For an embedded plugin nobody has,
    /// nor for a policy, which runs where the route is written.
    pub(crate) fn is_timed(&self) -> bool {
        self.origin != Origin::Embedded && self.manifest.kind == Kind::Processor
    }

    /// Notes how long a call took.
    pub(crate) fn note_call(&self, took: Duration) {
        self.pace.note(took);
    }

    /// Whether its replies may be remembered, as far as is known.
    pub(crate) fn is_trusted(&self) -> bool {
        !self.broke_its_promise.load(Relaxed)
    }

    /// Its replies are not remembered any more.
    pub(crate) fn distrust(&self) {
        self.broke_its_promise.store(true, Relaxed);
    }

    /// What all that it keeps takes up.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept.bytes()
    }

    /// What it wants and has not got.
    pub(super) fn denied(&self) -> impl Iterator<Item = &Grant> {
        let is_denied = move |wanted: &&Grant| !self.grants.iter().any(|grant| grant.covers(wanted));
        self.manifest.grants.iter().filter(is_denied)
    }

    /// The line of the configuration that would let it do all that it wants; none if it may already.
    pub(super) fn line_to_grant_all(&self) -> Option<String> {
        let Origin::File(path) = &self.origin else { return None };
        self.denied().next()?;
        let all: Vec<_> =
            self.grants.iter().chain(self.denied()).map(|grant| format!("{:?}", grant.to_string())).collect();
        let file = file_name(path);
        Some(format!("plugins.files.{file:?}.grants = [{}]", all.join(", ")))
    }

    /// What an instance of it is made with.
    pub(crate) fn parts(&self, core: &Arc<Core>) -> InstanceParts {
        InstanceParts {
            core: Arc::clone(core),
            name: Arc::clone(&self.name),
            grants: Arc::clone(&self.grants),
            settings: Arc::clone(&self.settings),
            memory: Arc::clone(&self.memory),
            log: Arc::clone(&self.log),
            marks: Arc::clone(&self.marks),
            kept: Arc::clone(&self.kept),
            generation: self.since,
            custom: Arc::clone(&self.custom),
        }
    }
}

impl Origin {
    /// The name of the file, if there is one.
    pub(super) fn file_name(&self) -> Option<String> {
        match self {
            Self::Embedded => None,
            Self::File(path) => Some(super::assembly::file_name(path)),
        }
    }
}

impl Target {
    /// Whether the code asks to be answered on the worker.
    pub(crate) fn wants_worker(&self) -> bool {
        self.entry.run == Run::Worker
    }
}
