//! What the makers of a reply learned through the host while they made it.
//!
//! # Invariants
//!
//! * A version is noted from the very value that was handed out, never asked for afterwards.
//! * That something is absent is learned, too: it has no version.
//! * Settings are not noted, because all of them count for every reply.

use std::sync::Arc;

use crate::kv::KvStore;
use crate::plugin::Catalogue;
use crate::route::{Name, Route, Tables};

/// One thing that was read, with its version; none is absence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fact {
    /// The route of a topic.
    Route { topic: Name, version: Option<u64> },
    /// The broker group of a name.
    Group { broker_name: Name, version: Option<u64> },
    /// Everything in the tables, or something that has no version of its own.
    Tables { generation: u64 },
    /// A namespace of the KV store, or a key in it.
    Namespace { name: Arc<str>, version: Option<u64> },
    /// What is thought of a plugin that had a say, by its place in the catalogue.
    Repute { plugin: u32, version: u64 },
}

/// Why a reply must not be given again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unfit {
    /// Somebody asked who the peer is.
    Peer,
    /// Somebody asked for the time.
    Clock,
    /// Somebody asked for what the plugin keeps.
    State,
    /// The call changed something.
    Wrote,
    /// The reply waits for the disk or for another name server.
    Waits,
    /// A plugin failed; the next call may do better.
    Failed,
    /// A plugin had a say that does not promise to be pure.
    NoPromise,
    /// More was read than is worth checking again.
    TooMuch,
}

/// What was learned so far, in one call and in those of the policies after it.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    facts: Vec<Fact>,
    unfit: Option<Unfit>,
}

/// A reply that rests on more than this is quicker made again.
const FACTS_MAX: usize = 32;

impl Reads {
    /// Forgets everything; `unfit` says whether the reply can be remembered at all.
    pub(crate) fn begin(&mut self, unfit: Option<Unfit>) {
        self.facts.clear();
        self.unfit = unfit;
    }

    /// The reply must not be given again.
    pub(crate) fn spoil(&mut self, why: Unfit) {
        self.unfit.get_or_insert(why);
    }

    /// Notes what was read.
    pub(crate) fn note(&mut self, fact: impl FnOnce() -> Fact) {
        if self.unfit.is_some() {
            return;
        }
        let fact = fact();
        if self.facts.contains(&fact) {
            return;
        }
        if self.facts.len() == FACTS_MAX {
            return self.spoil(Unfit::TooMuch);
        }
        self.facts.push(fact);
    }

    /// What the reply rests on, unless it must not be given again.
    pub(crate) fn facts(&self) -> Result<&[Fact], Unfit> {
        match self.unfit {
            None => Ok(&self.facts),
            Some(why) => Err(why),
        }
    }
}

impl Fact {
    /// What a lookup of a topic found.
    pub(crate) fn route(topic: &str, found: Option<&Route>) -> Self {
        // The tables share their name; only that of a topic which they do not know is copied.
        let name = found.map_or_else(|| topic.into(), |route| Name::clone(&route.topic.name));
        Self::Route { topic: name, version: found.map(Route::version) }
    }

    /// Whether any publication of the tables may change it, not only one that changes a topic or a group.
    pub(crate) fn is_of_all_tables(&self) -> bool {
        matches!(self, Self::Tables { .. })
    }

    /// Whether it would be read again just so.
    pub(crate) fn holds(&self, tables: &Tables, kv: &KvStore, catalogue: &Catalogue) -> bool {
        match self {
            Self::Route { topic, version } => tables.route_version(topic) == *version,
            Self::Group { broker_name, version } => tables.group(broker_name).map(|group| group.version) == *version,
            Self::Tables { generation } => tables.generation() == *generation,
            Self::Namespace { name, version } => kv.namespace(name).map(|namespace| namespace.version()) == *version,
            Self::Repute { plugin, version } => catalogue.repute(*plugin) == Some(*version),
        }
    }
}

impl Unfit {
    /// As metrics name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Clock => "clock",
            Self::State => "state",
            Self::Wrote => "wrote",
            Self::Waits => "waits",
            Self::Failed => "failed",
            Self::NoPromise => "no-promise",
            Self::TooMuch => "too-much",
        }
    }

    /// Every reason, in the order of their numbers.
    pub(crate) const ALL: [Self; 8] =
        [Self::Peer, Self::Clock, Self::State, Self::Wrote, Self::Waits, Self::Failed, Self::NoPromise, Self::TooMuch];
}
