//! What there is to tell about plugins, for those who ask while the server runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::manifest::Kind;
use super::registry::{Catalogue, Origin, Plugin};
use super::tally::Count;

/// A plugin, or a file that wants to be one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PluginStatus {
    /// What it calls itself; none when nobody could ask it.
    pub name: Option<String>,
    /// The version that it gives itself.
    pub version: Option<String>,
    /// Where it stands.
    pub state: PluginState,
    /// The generation that it came with; none when it is not in use.
    pub generation: Option<u64>,
    /// The file; none for what came with the binary.
    pub file: Option<PathBuf>,
    /// Whether it is a native library, which nothing holds.
    pub native: bool,
    /// The digest of what is in use.
    pub sha256: Option<String>,
    /// The request codes that it answers now.
    pub codes: Vec<i32>,
    /// Its place in the chain of policies, from 1.
    pub policy: Option<usize>,
    /// What it wants to do and may not.
    pub denied: Vec<String>,
    /// What it may do.
    pub granted: Vec<String>,
    /// The line of the configuration that would let it do all that it wants; none if it may already.
    pub to_grant: Option<String>,
    /// Why the file, or its newest content, is not in use.
    pub reason: Option<String>,
    /// The digest of what the file holds, where that is not what is in use.
    pub on_disk: Option<String>,
    /// The digests of what was in use of the file before, the latest first: what a rollback goes back to.
    pub earlier: Vec<String>,
    /// What is wrong with it although it is in use: it may be taken out for a while.
    pub trouble: Option<String>,
}

/// Where a plugin stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum PluginState {
    /// Its file may not be whole yet.
    #[default]
    Arriving,
    /// In use.
    Active,
    /// In use, but not what its file holds now: that is rejected, or the file is gone.
    LastGood,
    /// In use, but not what its file held last: that failed, or the operator wants what was in use before.
    RolledBack,
    /// Not in use, because the operator switched it off.
    Disabled,
    /// Good, and not in use: switched off, or there under another name already.
    Unused,
    /// Not in use, because something is wrong with it.
    Rejected,
    /// Requests that began with it are being finished.
    Draining,
}

impl PluginState {
    /// All there are.
    pub(crate) const ALL: [Self; 8] = [
        Self::Arriving,
        Self::Active,
        Self::LastGood,
        Self::RolledBack,
        Self::Disabled,
        Self::Unused,
        Self::Rejected,
        Self::Draining,
    ];

    /// As lists show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arriving => "arriving",
            Self::Active => "active",
            Self::LastGood => "last-good",
            Self::RolledBack => "rolled-back",
            Self::Disabled => "disabled",
            Self::Unused => "unused",
            Self::Rejected => "rejected",
            Self::Draining => "draining",
        }
    }
}

/// Where it is written what became of the last look, for any thread to read.
#[derive(Default)]
pub(crate) struct Board {
    statuses: ArcSwap<Vec<PluginStatus>>,
    /// What is wrong with all of them together.
    complaints: ArcSwap<Vec<String>>,
    /// Reloads that led to a new generation.
    pub(crate) reloaded: Count,
    /// Those that did not, so that the old one stayed.
    pub(crate) failed: Count,
    pub(crate) rolled_back_by_operator: Count,
    pub(crate) rolled_back_by_failures: Count,
}

impl Board {
    pub(super) fn show(&self, statuses: Vec<PluginStatus>, complaints: Vec<String>) {
        self.statuses.store(Arc::new(statuses));
        self.complaints.store(Arc::new(complaints));
    }

    /// Why there is no newer generation, or why what operators say is not remembered.
    pub(crate) fn complaints(&self) -> Arc<Vec<String>> {
        self.complaints.load_full()
    }

    /// Plugins that are used with an earlier content than their files hold, as the operator or their failures want it.
    pub(crate) fn rolled_back(&self) -> usize {
        self.statuses.load().iter().filter(|status| status.state == PluginState::RolledBack).count()
    }

    /// What the last look saw, and what has become of that since.
    pub(crate) fn statuses(&self, catalogue: &Catalogue, now: Duration) -> Vec<PluginStatus> {
        let mut statuses = self.statuses.load().to_vec();
        for status in &mut statuses {
            status.trouble = catalogue.plugins().iter().find(|one| status.is_of(one)).and_then(|one| one.trouble(now));
        }
        statuses
    }

    /// How many plugins and files there are in a state.
    pub(crate) fn count(&self, state: PluginState) -> usize {
        self.statuses.load().iter().filter(|status| status.state == state).count()
    }

    /// Files that are not used because something is wrong with them.
    pub(crate) fn rejected(&self) -> usize {
        self.statuses.load().iter().filter(|status| status.reason.is_some() && status.is_wrong()).count()
    }
}

impl PluginStatus {
    fn is_wrong(&self) -> bool {
        matches!(self.state, PluginState::Rejected | PluginState::LastGood)
    }

    fn is_of(&self, plugin: &Plugin) -> bool {
        let file = match &plugin.origin {
            Origin::Embedded => None,
            Origin::File(path) => Some(path),
        };
        self.generation == Some(plugin.since)
            && self.file.as_ref() == file
            && self.name.as_deref() == Some(&plugin.name)
    }

    /// What a plugin that is in use is, as part of a catalogue.
    pub(super) fn of(plugin: &Arc<Plugin>, catalogue: &Catalogue) -> Self {
        let index = catalogue.plugins().iter().position(|known| Arc::ptr_eq(known, plugin));
        let codes = catalogue.codes().filter(|(_, target)| Some(target.plugin) == index).map(|(code, _)| code);
        let mut codes: Vec<_> = codes.collect();
        codes.sort_unstable();
        let place = catalogue.chain().iter().position(|slot| Some(slot.plugin) == index);
        let idle = match plugin.manifest.kind {
            Kind::Policy if place.is_none() => Some("`policies.chain` does not name it, or another has its name"),
            Kind::Processor if codes.is_empty() => Some("other plugins answer all of its request codes"),
            _ => None,
        };
        Self {
            name: Some(plugin.manifest.name.clone()),
            version: Some(plugin.manifest.version.clone()),
            state: if idle.is_some() { PluginState::Unused } else { PluginState::Active },
            generation: Some(plugin.since),
            file: match &plugin.origin {
                Origin::Embedded => None,
                Origin::File(path) => Some(path.clone()),
            },
            native: plugin.prepared.is_native(),
            sha256: Some(plugin.component.sha256()),
            codes,
            policy: place.map(|place| place + 1),
            denied: plugin.denied().map(ToString::to_string).collect(),
            granted: plugin.grants.iter().map(ToString::to_string).collect(),
            to_grant: plugin.line_to_grant_all(),
            reason: idle.map(str::to_owned),
            on_disk: None,
            earlier: Vec::new(),
            trouble: None,
        }
    }
}
