//! The consistency watch: looks for what must never be in the tables, and takes it out.
//!
//! Every verb leaves the tables whole, so a sweep finds nothing, unless there is a fault in the verbs. Then a broker
//! that nobody can remove or a route to nowhere would stay until the next restart; here it is found, counted, told, and
//! repaired. What is broken is forgotten rather than made up: a broker that is wrongly forgotten registers again.
//!
//! A sweep looks at a published version, without the lock, and takes the lock only for what it found there and finds
//! again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::draft::Draft;
use super::live::{Live, Member};
use super::tables::{FilterServers, Group, Mappings, Tables, Topic};
use super::types::Name;

/// What may be wrong. The text is for the log.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
pub enum Damage {
    /// The live entry is listed under its cluster by no group.
    #[error("a live broker whose cluster does not name its group")]
    LiveNotListed,
    /// No group has it, so no expiry could ever take it out.
    #[error("a live broker that is in no group")]
    LiveWithoutMember,
    /// Another live entry stands for the same member.
    #[error("a member with two live entries")]
    LiveTwice,
    /// A broker name without brokers.
    #[error("a group without an address")]
    GroupWithoutAddress,
    /// The cluster of the group does not name it.
    #[error("a group that its cluster does not name")]
    GroupNotListed,
    /// An address that can never expire.
    #[error("an address without a live broker")]
    MemberWithoutLive,
    /// Two members with one id or address, or ids that do not ascend.
    #[error("members that do not ascend by id")]
    MembersOutOfOrder,
    /// A cluster without groups.
    #[error("a cluster without groups")]
    ClusterEmpty,
    /// The group went, its name did not.
    #[error("a cluster that names a missing group")]
    ClusterNamesNoGroup,
    /// A topic that nobody serves.
    #[error("a topic without entries")]
    TopicWithoutEntry,
    /// The group went, its entry did not.
    #[error("a topic entry of a missing group")]
    EntryWithoutGroup,
    /// Two entries of one group, or names that do not ascend.
    #[error("topic entries that do not ascend by broker name")]
    EntriesOutOfOrder,
    /// A topic whose mappings are none.
    #[error("an empty set of mappings")]
    MappingsEmpty,
    /// The group went, its mapping did not.
    #[error("a mapping of a missing group")]
    MappingWithoutGroup,
    /// A broker whose filter servers are none.
    #[error("an empty list of filter servers")]
    FilterServersEmpty,
    /// The broker went, its filter servers did not.
    #[error("filter servers of a missing broker")]
    FilterServersWithoutBroker,
}

/// One thing that was broken, and is not any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Repair {
    /// What was wrong.
    pub damage: Damage,
    /// With what: a name, or an address and its cluster.
    pub subject: String,
}

/// What a route table remembers of its sweeps.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The newest generation that was found whole; it stays whole, because it never changes.
    whole: AtomicU64,
    repairs: [AtomicU64; Damage::ALL.len()],
}

/// Where there is damage, unless a writer has repaired it since.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Live(Member),
    Group(Name),
    Cluster(Name),
    Topic(Name),
    Mappings(Name),
    FilterServers(Member),
}

impl Damage {
    /// Every kind, in the order of the repairs: brokers first, because what is left of them decides the rest.
    pub const ALL: [Self; 16] = [
        Self::LiveNotListed,
        Self::LiveWithoutMember,
        Self::LiveTwice,
        Self::GroupWithoutAddress,
        Self::GroupNotListed,
        Self::MemberWithoutLive,
        Self::MembersOutOfOrder,
        Self::ClusterEmpty,
        Self::ClusterNamesNoGroup,
        Self::TopicWithoutEntry,
        Self::EntryWithoutGroup,
        Self::EntriesOutOfOrder,
        Self::MappingsEmpty,
        Self::MappingWithoutGroup,
        Self::FilterServersEmpty,
        Self::FilterServersWithoutBroker,
    ];
}

impl Watch {
    /// Whether this version still has to be looked at.
    pub(super) fn is_new(&self, tables: &Tables) -> bool {
        self.whole.load(Relaxed) < tables.generation()
    }

    pub(super) fn found_whole(&self, tables: &Tables) {
        self.whole.fetch_max(tables.generation(), Relaxed);
    }

    pub(super) fn note(&self, repairs: &[Repair]) {
        for repair in repairs {
            self.repairs[repair.damage as usize].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn repairs(&self) -> BTreeMap<Damage, u64> {
        Damage::ALL.into_iter().zip(&self.repairs).map(|(damage, count)| (damage, count.load(Relaxed))).collect()
    }
}

/// What is damaged, at most so much that the repairs hold the lock for a moment only; the next sweep finds the rest.
pub(super) fn find(tables: &Tables) -> Vec<Place> {
    let mut names = KnownNames::default();
    let live = tables.live.iter().filter_map(|live| place(of_live(tables, live), || Place::Live(live.member.clone())));
    let groups = tables.groups.iter();
    let groups =
        groups.filter_map(|group| place(of_group(tables, group), || Place::Group(Name::clone(&group.broker_name))));
    let clusters = tables.clusters.keys();
    let clusters = clusters.filter_map(|name| place(of_cluster(tables, name), || Place::Cluster(Name::clone(name))));
    let topics = tables
        .topics
        .iter()
        .filter_map(|topic| place(of_topic(tables, topic, &mut names), || Place::Topic(Name::clone(&topic.name))));
    let mappings = tables
        .mappings
        .iter()
        .filter_map(|found| place(of_mappings(tables, found), || Place::Mappings(Name::clone(&found.topic))));
    let servers = tables
        .filter_servers
        .iter()
        .filter_map(|found| place(of_filter_servers(tables, found), || Place::FilterServers(found.member.clone())));
    live.chain(groups).chain(clusters).chain(topics).chain(mappings).chain(servers).take(REPAIRS_MAX).collect()
}

/// Repairs what is still damaged.
pub(super) fn repair(draft: &mut Draft, places: &[Place]) -> Vec<Repair> {
    let repairs = places.iter().filter_map(|place| place.repair(draft)).collect();
    draft.settle();
    repairs
}

fn place(damage: Option<Damage>, place: impl FnOnce() -> Place) -> Option<Place> {
    damage.map(|_| place())
}

impl Place {
    fn repair(&self, draft: &mut Draft) -> Option<Repair> {
        let tables = &draft.tables;
        let damage = match self {
            Self::Live(member) => {
                let live = Arc::clone(tables.live.get(member)?);
                let damage = of_live(tables, &live)?;
                match damage {
                    Damage::LiveNotListed => draft.list_in_cluster(&member.cluster, &live.broker_name),
                    _ => draft.remove_live(&member.cluster, &member.address),
                }
                damage
            }
            Self::Group(name) => {
                let group = Arc::clone(tables.group(name)?);
                let damage = of_group(tables, &group)?;
                draft.mend_group(&group);
                damage
            }
            Self::Cluster(name) => {
                let damage = of_cluster(tables, name)?;
                draft.mend_cluster(name);
                damage
            }
            Self::Topic(name) => {
                let topic = Arc::clone(tables.topic(name)?);
                let damage = of_topic(tables, &topic, &mut KnownNames::default())?;
                draft.mend_topic(&topic);
                damage
            }
            Self::Mappings(topic) => {
                let damage = of_mappings(tables, tables.mappings.get(&**topic)?)?;
                draft.mend_mappings(topic);
                damage
            }
            Self::FilterServers(member) => {
                let found = Arc::clone(tables.filter_servers.get(member)?);
                let damage = of_filter_servers(tables, &found)?;
                draft.set_filter_servers(member, &found.broker_name, &[]);
                damage
            }
        };
        Some(Repair { damage, subject: self.to_string() })
    }
}

fn of_live(tables: &Tables, live: &Arc<Live>) -> Option<Damage> {
    let group = tables.group(&live.broker_name);
    if !group.is_some_and(|group| group.addresses.iter().any(|(_, address)| address == live.address())) {
        return Some(Damage::LiveWithoutMember);
    }
    if !tables.cluster(live.cluster()).is_some_and(|names| names.contains(&live.broker_name)) {
        return Some(Damage::LiveNotListed);
    }
    let other = tables.live_member(&live.broker_name, live.address());
    other.is_some_and(|other| !Arc::ptr_eq(other, live)).then_some(Damage::LiveTwice)
}

fn of_group(tables: &Tables, group: &Group) -> Option<Damage> {
    if group.addresses.is_empty() {
        return Some(Damage::GroupWithoutAddress);
    }
    if !tables.cluster(&group.cluster).is_some_and(|names| names.contains(&group.broker_name)) {
        return Some(Damage::GroupNotListed);
    }
    if group.addresses.iter().any(|(_, address)| tables.live_member(&group.broker_name, address).is_none()) {
        return Some(Damage::MemberWithoutLive);
    }
    let ascends = group.addresses.is_sorted_by(|one, next| one.0 < next.0);
    let distinct: HashSet<&Name> = group.addresses.iter().map(|(_, address)| address).collect();
    (!ascends || distinct.len() < group.addresses.len()).then_some(Damage::MembersOutOfOrder)
}

fn of_cluster(tables: &Tables, name: &str) -> Option<Damage> {
    let names = tables.cluster(name)?;
    if names.is_empty() {
        return Some(Damage::ClusterEmpty);
    }
    names.iter().any(|name| tables.group(name).is_none()).then_some(Damage::ClusterNamesNoGroup)
}

fn of_topic<'a>(tables: &'a Tables, topic: &Topic, known: &mut KnownNames<'a>) -> Option<Damage> {
    if topic.queues.is_empty() {
        return Some(Damage::TopicWithoutEntry);
    }
    let mut entries = topic.queues.iter().enumerate();
    if !entries.all(|(at, queue)| known.has_group(tables, at, &queue.broker_name)) {
        return Some(Damage::EntryWithoutGroup);
    }
    let ascends = topic.queues.is_sorted_by(|one, next| one.broker_name < next.broker_name);
    (!ascends).then_some(Damage::EntriesOutOfOrder)
}

fn of_mappings(tables: &Tables, found: &Mappings) -> Option<Damage> {
    if found.by_broker.is_empty() {
        return Some(Damage::MappingsEmpty);
    }
    found.by_broker.keys().any(|name| tables.group(name).is_none()).then_some(Damage::MappingWithoutGroup)
}

fn of_filter_servers(tables: &Tables, found: &FilterServers) -> Option<Damage> {
    if found.addresses.is_empty() {
        return Some(Damage::FilterServersEmpty);
    }
    let live = tables.live.get(&found.member);
    let is_its_own = live.is_some_and(|live| live.broker_name == found.broker_name);
    (!is_its_own).then_some(Damage::FilterServersWithoutBroker)
}

/// The broker names of the topic before, which has the same ones at the same places more often than not: a million
/// entries need no million lookups.
#[derive(Default)]
struct KnownNames<'a>(Vec<Option<&'a Name>>);

impl<'a> KnownNames<'a> {
    fn has_group(&mut self, tables: &'a Tables, at: usize, broker_name: &Name) -> bool {
        if let Some(Some(known)) = self.0.get(at)
            && Arc::ptr_eq(known, broker_name)
        {
            return true;
        }
        let group = tables.group(broker_name);
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        self.0[at] = group.map(|group| &group.broker_name);
        group.is_some()
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Live(member) | Self::FilterServers(member) => write!(f, "{} of {}", member.address, member.cluster),
            Self::Group(name) | Self::Cluster(name) | Self::Topic(name) | Self::Mappings(name) => f.write_str(name),
        }
    }
}

/// Repairs of one sweep.
const REPAIRS_MAX: usize = 10_000;
