//! The tables at one moment: plain maps that never change, and the lookups over them.
//!
//! Every value that a reader can see carries the generation in which it last changed, so the version of anything that
//! is put together from several of them is the largest of theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::live::{Live, Member, MemberRef};
use super::queues::Queues;
use super::sharded::{Keyed, Sharded};
use super::types::{ConnectionId, Imprint, Name, Queue, TopicMapping};

/// All tables as of one publication. Cloning it is a dozen pointers.
#[derive(Clone, Debug)]
pub struct Tables {
    pub(super) generation: u64,
    /// The generation in which a topic or a group last came, changed or went.
    pub(super) routes: u64,
    /// The generation in which a topic last came or went.
    pub(super) topic_names: u64,
    pub(super) topics: Sharded<Topic>,
    pub(super) groups: Sharded<Group>,
    pub(super) clusters: Arc<BTreeMap<Name, BTreeSet<Name>>>,
    pub(super) live: Sharded<Live>,
    pub(super) filter_servers: Sharded<FilterServers>,
    pub(super) mappings: Sharded<Mappings>,
    pub(super) stamps: Sharded<Stamp>,
}

/// Which brokers serve a topic.
#[derive(Debug, Eq, PartialEq)]
pub struct Topic {
    /// Its name.
    pub name: Name,
    /// One entry per broker name, ascending; never empty.
    pub queues: Queues,
    /// The generation in which it, or a mapping of it, last changed.
    pub version: u64,
}

/// The brokers that share one name. Java: `BrokerData`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    /// Unique over all clusters.
    pub broker_name: Name,
    /// The cluster its first member named. Members may name others later; that does not move the group.
    pub cluster: Name,
    /// What the last registration of any member said.
    pub zone_name: Option<Name>,
    /// What the last registration of any member said; an old broker says false.
    pub enable_acting_master: bool,
    /// Ascending by broker id; never empty. 0 is the master.
    pub addresses: Vec<(i64, Name)>,
    /// The generation in which it, or a filter server of it, last changed.
    pub version: u64,
}

/// What a client needs to reach one topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// The topic with its queue entries.
    pub topic: Arc<Topic>,
    /// The group of each entry, ascending by broker name.
    pub groups: Vec<Arc<Group>>,
    /// Filter servers by broker address, in the order of the groups and ids; only brokers that have some.
    pub filter_servers: Vec<(Name, Arc<[Name]>)>,
    /// Static-topic mappings by broker name.
    pub mappings: Option<Arc<BTreeMap<Name, TopicMapping>>>,
}

/// How much the tables hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Topics.
    pub topics: usize,
    /// Broker names.
    pub groups: usize,
    /// Brokers that are alive.
    pub brokers: usize,
    /// Cluster names.
    pub clusters: usize,
}

/// The filter servers of one broker; never none.
#[derive(Debug)]
pub(super) struct FilterServers {
    pub(super) member: Member,
    /// The group of the broker: in a group that is listed elsewhere, another broker may have the same address.
    pub(super) broker_name: Name,
    pub(super) addresses: Arc<[Name]>,
}

/// The static-topic mappings of one topic by broker name; never none.
#[derive(Debug)]
pub(super) struct Mappings {
    pub(super) topic: Name,
    pub(super) by_broker: Arc<BTreeMap<Name, TopicMapping>>,
}

/// When any topic entry of a group last changed, whoever did it. No reader sees it: it decides whether what a broker
/// said is still what the topics hold.
#[derive(Debug)]
pub(super) struct Stamp {
    pub(super) broker_name: Name,
    pub(super) generation: u64,
}

impl Tables {
    /// Nothing at all, as the server finds it: nothing is kept over a restart.
    pub(super) fn new() -> Self {
        Self {
            generation: 0,
            routes: 0,
            topic_names: 0,
            topics: Sharded::new(1024),
            groups: Sharded::new(32),
            clusters: Arc::default(),
            live: Sharded::new(32),
            filter_servers: Sharded::new(1),
            mappings: Sharded::new(64),
            stamps: Sharded::new(32),
        }
    }

    /// Which publication this is: grows by one with each.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The generation in which any topic or group last came, changed or went: while it stays, so do all routes.
    pub fn routes_version(&self) -> u64 {
        self.routes
    }

    /// The generation in which a topic last came or went: the version of "there is no such topic".
    pub fn topic_names_version(&self) -> u64 {
        self.topic_names
    }

    /// The entries of a topic.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// The route of a topic: its entries and their groups as they are, without anyone acting as master.
    // Java: RouteInfoManager.pickupTopicRouteData, up to where it looks at `supportActingMaster`.
    pub fn route(&self, topic: &str) -> Option<Route> {
        let topic = self.topics.get(topic)?;
        let mut groups = Vec::with_capacity(topic.queues.len());
        groups.extend(topic.queues.iter().filter_map(|queue| self.groups.get(&*queue.broker_name)).cloned());
        if groups.is_empty() {
            return None;
        }
        let mappings = match self.mappings.is_empty() {
            true => None,
            false => self.mappings.get(&*topic.name).map(|found| Arc::clone(&found.by_broker)),
        };
        let filter_servers = self.filter_servers_of(&groups);
        Some(Route { topic: Arc::clone(topic), groups, filter_servers, mappings })
    }

    /// The version of a topic's route, as [`Route::version`] of what [`Tables::route`] finds.
    pub fn route_version(&self, topic: &str) -> Option<u64> {
        let topic = self.topics.get(topic)?;
        let groups = topic.queues.iter().filter_map(|queue| self.groups.get(&*queue.broker_name));
        let newest = groups.map(|group| group.version).max()?;
        Some(newest.max(topic.version))
    }

    /// Every topic, ascending by name: sorted once per change.
    pub fn topics(&self) -> Arc<[Arc<Topic>]> {
        Arc::clone(self.topics.sorted())
    }

    /// The group of a broker name.
    pub fn group(&self, broker_name: &str) -> Option<&Arc<Group>> {
        self.groups.get(broker_name)
    }

    /// Every group, ascending by broker name.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.sorted().iter()
    }

    /// Every cluster with its broker names, both ascending.
    pub fn clusters(&self) -> impl Iterator<Item = (&Name, &BTreeSet<Name>)> {
        self.clusters.iter()
    }

    /// The broker names that registered with a cluster.
    pub fn cluster(&self, name: &str) -> Option<&BTreeSet<Name>> {
        self.clusters.get(name)
    }

    /// A broker that is alive, by what it registered as.
    pub fn live(&self, cluster: &str, address: &str) -> Option<&Arc<Live>> {
        self.live.get(&MemberRef { cluster, address })
    }

    /// Every broker that is alive, ascending by cluster and address.
    pub fn live_brokers(&self) -> impl Iterator<Item = &Arc<Live>> {
        self.live.sorted().iter()
    }

    /// What the tables are known again by that came over a connection from the brokers that live now.
    pub fn imprints(&self, connection: ConnectionId) -> impl Iterator<Item = &Imprint> {
        let here = self.live.iter().filter(move |live| live.connection == connection);
        here.filter_map(|live| live.applied.as_ref().map(|applied| &applied.imprint))
    }

    /// How much there is.
    pub fn counts(&self) -> Counts {
        Counts {
            topics: self.topics.len(),
            groups: self.groups.len(),
            brokers: self.live.len(),
            clusters: self.clusters.len(),
        }
    }

    /// When the topic entries of a group last changed; none when it has never had any.
    pub(super) fn stamp(&self, broker_name: &str) -> Option<u64> {
        self.stamps.get(broker_name).map(|stamp| stamp.generation)
    }

    /// The live entry of a group's member, whichever cluster it registered with.
    pub(super) fn live_member(&self, broker_name: &str, address: &str) -> Option<&Arc<Live>> {
        let of_cluster = |cluster: &str| self.live(cluster, address).filter(|live| *live.broker_name == *broker_name);
        let home = &self.groups.get(broker_name)?.cluster;
        of_cluster(home).or_else(|| {
            // Only a group that is listed under several clusters gets here.
            let others = self.clusters.iter().filter(|(_, names)| names.contains(broker_name));
            others.filter_map(|(cluster, _)| of_cluster(cluster)).next()
        })
    }

    fn filter_servers_of(&self, groups: &[Arc<Group>]) -> Vec<(Name, Arc<[Name]>)> {
        if self.filter_servers.is_empty() {
            return Vec::new();
        }
        let members = groups.iter().flat_map(|group| group.addresses.iter().map(move |(_, address)| (group, address)));
        members
            .filter_map(|(group, address)| {
                let found = self.filter_servers.get(&MemberRef { cluster: &group.cluster, address })?;
                (found.broker_name == group.broker_name).then_some(())?;
                Some((Name::clone(address), Arc::clone(&found.addresses)))
            })
            .collect()
    }
}

impl Route {
    /// Changes whenever anything in the route does: every part carries the generation of its last change, and a part
    /// that goes changes the one that named it.
    pub fn version(&self) -> u64 {
        self.groups.iter().map(|group| group.version).fold(self.topic.version, u64::max)
    }
}

impl Topic {
    /// The entry of one broker name.
    pub fn queue(&self, broker_name: &str) -> Option<&Queue> {
        self.find(broker_name).ok().map(|at| &self.queues[at])
    }

    /// Where the entry of a broker name stands, or would.
    pub(super) fn find(&self, broker_name: &str) -> Result<usize, usize> {
        self.queues.binary_search_by(|queue| (*queue.broker_name).cmp(broker_name))
    }
}

impl Group {
    /// The address of one broker id.
    pub fn address(&self, broker_id: i64) -> Option<&Name> {
        let at = self.addresses.binary_search_by_key(&broker_id, |(id, _)| *id).ok()?;
        Some(&self.addresses[at].1)
    }

    /// The smallest broker id and its address.
    pub fn min_id(&self) -> Option<&(i64, Name)> {
        self.addresses.first()
    }

    /// Whether all its members are slaves. Java: `RouteInfoManager.isNoMasterExists`, which asks for the smallest id.
    pub fn is_without_master(&self) -> bool {
        self.min_id().is_none_or(|(id, _)| *id > 0)
    }
}

impl Keyed for Topic {
    type Key = str;

    fn key(&self) -> &str {
        &self.name
    }
}

impl Keyed for Group {
    type Key = str;

    fn key(&self) -> &str {
        &self.broker_name
    }
}

impl Keyed for FilterServers {
    type Key = Member;

    fn key(&self) -> &Member {
        &self.member
    }
}

impl Keyed for Stamp {
    type Key = str;

    fn key(&self) -> &str {
        &self.broker_name
    }
}

impl Keyed for Mappings {
    type Key = str;

    fn key(&self) -> &str {
        &self.topic
    }
}
