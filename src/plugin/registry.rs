//! Which plugins there are, which request code belongs to whom, and the policy chain.
//!
//! A [`Catalogue`] is one generation: made by [`assembly`](super::assembly), never changed, and replaced as a whole. A
//! plugin whose bytes and rights stay the same is the same [`Plugin`] in the next one, with its instances.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use super::assembly::file_name;
use super::breaker::BreakerTerms;
use super::check::Check;
use super::code::Prepared;
use super::core::Core;
use super::custom::Custom;
use super::examine::Examined;
use super::glance::Glance;
use super::group_marks::GroupMark;
use super::kept::Kept;
use super::manifest::{CodeEntry, Kind, Manifest, Run};
use super::pace::Pace;
use super::repute::{Repute, Reputes};
use super::tally::Tallies;
use super::wasm::{Engine, InstanceParts, LogBudget, SharedMemory};
use crate::config::{Grant, Limits, PluginFile, PluginsConfig, PolicyFailure, ProcessorFailure};
use crate::notify::Form;

/// Every plugin in use, and what they may use up.
pub(crate) struct Catalogue {
    /// Counts the generations, from 1.
    pub(super) number: u64,
    pub(super) plugins: Vec<Arc<Plugin>>,
    pub(super) codes: HashMap<i32, Target>,
    pub(super) chain: Vec<PolicySlot>,
    pub(super) notices: Vec<Form>,
    /// What each plugin may use up in a call, in the order of the plugins.
    pub(super) terms: Vec<Terms>,
    pub(super) tallies: Arc<Tallies>,
    pub(super) reputes: Arc<Reputes>,
    pub(super) _engine: Arc<Engine>,
}

/// What the operator lets a plugin use up in one call, and when a failing one is taken out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Terms {
    pub(crate) worker_deadline: Duration,
    pub(crate) lane_deadline: Duration,
    pub(crate) reply_size_max: usize,
    pub(crate) host_calls_max: u32,
    pub(crate) breaker: BreakerTerms,
    /// What a failure of a processor means.
    pub(super) on_failure: ProcessorFailure,
}

/// What the operator lets the instances of a plugin hold together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Room {
    pub(super) memory_max: usize,
    pub(super) table_entries_max: usize,
    pub(super) log_lines_max: u32,
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
    pub(super) room: Room,
    pub(crate) memory: Arc<SharedMemory>,
    pub(crate) log: Arc<LogBudget>,
    marks: Arc<[GroupMark]>,
    pub(super) kept: Arc<Kept>,
    pub(crate) custom: Arc<Custom>,
    pub(super) pace: Pace,
    pub(crate) repute: Repute,
}

/// What the operator gives to a plugin, by where its bytes come from.
#[derive(Clone, Debug)]
pub(super) struct Rights {
    pub(super) grants: Vec<Grant>,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) limits: Limits,
    pub(super) on_failure: ProcessorFailure,
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
    /// Who answers if the plugin fails: who did before it took the code over, if the operator wants that.
    pub(crate) fallback: Option<Box<Target>>,
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

    /// What a call of the plugin at an index may use up.
    pub(crate) fn terms(&self, plugin: usize) -> &Terms {
        &self.terms[plugin]
    }

    /// The version of the repute of the plugin at an index; none if there is no such plugin.
    pub(crate) fn repute(&self, plugin: u32) -> Option<u64> {
        self.plugins.get(plugin as usize).map(|plugin| plugin.repute.version())
    }

    /// A number that changes whenever the repute of any plugin does.
    pub(crate) fn reputes(&self) -> u64 {
        self.reputes.version()
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
        (since, tallies, reputes): (u64, &Tallies, &Arc<Reputes>),
        (kept, custom): (Arc<Kept>, Arc<Custom>),
    ) -> Self {
        let component = Arc::clone(component);
        let mut manifest = component.manifest.clone();
        let Rights { grants, settings, limits, .. } = rights;
        let room = Room::new(limits);
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
            room,
            memory: Arc::new(SharedMemory::new(room.memory_max, room.table_entries_max)),
            log: Arc::new(LogBudget::new(room.log_lines_max)),
            marks: manifest.policy.marks.as_slice().into(),
            kept,
            custom,
            pace: Pace::default(),
            repute: Repute::new(reputes),
            manifest,
            name,
        }
    }

    /// Whether a code that asks for a worker may have one. A plugin that is not embedded has to show that it is fast;
    /// one that may block, because it imports WASI or is native, never may.
    pub(crate) fn may_run_on_worker(&self) -> bool {
        self.origin == Origin::Embedded || (!self.prepared.may_block() && self.pace.is_fast())
    }

    /// Whether somebody has to [`note`](Self::note_call) how long its calls take. For an embedded plugin nobody has,
    /// nor for a policy, which runs where the route is written.
    pub(crate) fn is_timed(&self) -> bool {
        self.origin != Origin::Embedded && self.manifest.kind == Kind::Processor
    }

    /// The generation that it came with.
    pub(crate) fn since(&self) -> u64 {
        self.since
    }

    /// Whether it came with the binary.
    pub(crate) fn is_embedded(&self) -> bool {
        self.origin == Origin::Embedded
    }

    /// Whether a call may change something that the host does not see, as native code always may.
    pub(crate) fn may_reach_out(&self) -> bool {
        self.prepared.is_native()
            || self.grants.iter().any(|grant| matches!(grant, Grant::FilesWrite(_) | Grant::Network(_)))
    }

    /// What is wrong with it, although it is in use.
    pub(super) fn trouble(&self, now: Duration) -> Option<String> {
        let out = self.repute.out(now).map(|(why, left)| {
            let left = Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
            format!("it is taken out, because too often {why}; it is tried again in {left:?}")
        });
        let impure = || "its replies are not remembered, because it is not as pure as it promises".to_owned();
        out.or_else(|| (!self.repute.is_trusted()).then(impure))
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

impl Rights {
    /// Those of an embedded plugin, which has what it wants.
    pub(super) fn of_embedded(manifest: &Manifest, plugins: &PluginsConfig) -> Self {
        let all = Limits::of_all(plugins);
        let limits = plugins.embedded.get(&manifest.name).map_or(all, |word| word.limits.or(all));
        let (settings, on_failure) = Default::default();
        Self { grants: manifest.grants.clone(), settings, limits, on_failure }
    }

    /// Those of a file, by the operator's word about it.
    pub(super) fn of_file(word: Option<&PluginFile>, plugins: &PluginsConfig) -> Self {
        let nothing = PluginFile::default();
        let word = word.unwrap_or(&nothing);
        Self {
            grants: word.grants.iter().cloned().collect(),
            settings: word.settings.clone(),
            limits: word.limits.or(Limits::of_all(plugins)),
            on_failure: word.on_failure,
        }
    }

    /// What a call may use up.
    pub(super) fn terms(&self, plugins: &PluginsConfig) -> Terms {
        Terms {
            worker_deadline: self.limits.worker_deadline,
            lane_deadline: self.limits.lane_deadline,
            reply_size_max: self.limits.reply_size_max.as_usize(),
            host_calls_max: self.limits.host_calls_max,
            breaker: BreakerTerms {
                failures_max: self.limits.failures_max,
                failures_per_second_max: self.limits.failures_per_second_max,
                retry_after: plugins.retry_after,
                retry_after_max: plugins.retry_after_max,
            },
            on_failure: self.on_failure,
        }
    }
}

impl Room {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            memory_max: limits.memory_max.as_usize(),
            table_entries_max: limits.table_entries_max as usize,
            log_lines_max: limits.log_lines_max,
        }
    }
}

impl Target {
    /// Itself, who answers if it fails, and so on.
    pub(crate) fn line(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |target| target.fallback.as_deref())
    }

    /// Whether the code asks to be answered on the worker.
    pub(crate) fn wants_worker(&self) -> bool {
        self.entry.run == Run::Worker
    }
}
