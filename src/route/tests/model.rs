//! Random sequences of everything that can happen, compared with a model that is too simple to be wrong: maps of
//! strings, changed in place, in the order in which the rules are written down.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::{option, prop_oneof, proptest, sample};

use super::*;

type Key = (String, String);

/// Everything a reader can see, as plain values.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    groups: BTreeMap<String, ModelGroup>,
    live: BTreeMap<Key, ModelLive>,
    clusters: BTreeMap<String, BTreeSet<String>>,
    /// Topic, broker name, (write queues, permission).
    topics: BTreeMap<String, BTreeMap<String, (i32, i32)>>,
    mappings: BTreeMap<String, BTreeSet<String>>,
    filter_servers: BTreeMap<Key, Vec<String>>,
}

#[derive(Clone, Debug, PartialEq)]
struct ModelGroup {
    cluster: String,
    zone: Option<String>,
    acting: bool,
    members: BTreeMap<i64, String>,
}

#[derive(Clone, Debug, PartialEq)]
struct ModelLive {
    name: String,
    version: DataVersion,
    connection: u64,
    last: u64,
    timeout: i64,
}

impl Model {
    fn of(tables: &Tables) -> Self {
        let text = |name: &Name| name.to_string();
        let mut model = Self::default();
        for group in tables.groups() {
            let members = group.addresses.iter().map(|(id, address)| (*id, text(address))).collect();
            let (cluster, zone) = (text(&group.cluster), group.zone_name.as_ref().map(text));
            let group_of_model = ModelGroup { cluster, zone, acting: group.enable_acting_master, members };
            model.groups.insert(text(&group.broker_name), group_of_model);
        }
        for live in tables.live_brokers() {
            let value = ModelLive {
                name: text(&live.broker_name),
                version: live.data_version,
                connection: live.connection.0,
                last: live.last_update(),
                timeout: live.timeout_ms,
            };
            model.live.insert((text(live.cluster()), text(live.address())), value);
        }
        for (cluster, names) in tables.clusters() {
            model.clusters.insert(text(cluster), names.iter().map(text).collect());
        }
        for topic in tables.topics().iter() {
            let entry = |queue: &Queue| (text(&queue.broker_name), (queue.write_queue_nums, queue.perm));
            model.topics.insert(text(&topic.name), topic.queues.iter().map(entry).collect());
        }
        for found in tables.mappings.iter() {
            model.mappings.insert(text(&found.topic), found.by_broker.keys().map(text).collect());
        }
        for found in tables.filter_servers.iter() {
            let key = (text(&found.member.cluster), text(&found.member.address));
            model.filter_servers.insert(key, found.addresses.iter().map(text).collect());
        }
        model
    }

    /// False when the registration is refused.
    fn register(&mut self, broker: &Broker, connection: u64, now: u64) -> bool {
        let asked = &broker.registration;
        let table = &broker.table;
        let (cluster, name, address) =
            (asked.cluster.to_string(), asked.broker_name.to_string(), asked.address.to_string());
        let here = (cluster.clone(), address.clone());
        let old = self.groups.get(&name).cloned();
        let previous = old.as_ref().and_then(|group| group.members.get(&asked.broker_id).cloned());

        let holder = previous.as_ref().filter(|previous| **previous != address);
        let holder = holder.and_then(|holder| self.live.get(&(cluster.clone(), holder.clone())));
        let newer = table.data_version.state_version;
        if holder.is_some_and(|live| live.name == name && live.version.state_version > newer) {
            self.remove(&name, &address);
            if let Some(live) = self.live.get(&here).cloned() {
                self.remove(&live.name, &address);
            }
            self.drop_entries_of_missing_groups();
            return true;
        }
        if previous.is_none() && table.topics.len() == 1 {
            return false;
        }

        // One address, one group; one broker, one cluster; one id, one address.
        if let Some(live) = self.live.get(&here).filter(|live| live.name != name).cloned() {
            self.remove(&live.name, &address);
        }
        for key in [Some(&address), previous.as_ref()].into_iter().flatten() {
            let stale = |at: &Key, live: &ModelLive| at.1 == *key && live.name == name && *at != here;
            let stale: Vec<Key> =
                self.live.iter().filter(|(at, live)| stale(at, live)).map(|(at, _)| at.clone()).collect();
            stale.iter().for_each(|at| self.forget(at));
        }

        let mut members = old.as_ref().map(|group| group.members.clone()).unwrap_or_default();
        members.retain(|_, member| *member != address);
        members.insert(asked.broker_id, address.clone());
        let is_smallest = members.keys().next() == Some(&asked.broker_id);
        let acting = asked.enable_acting_master == Some(true);
        let zone = asked.zone_name.as_ref().map(|zone| zone.to_string());
        let home = old.map_or(cluster.clone(), |group| group.cluster);
        self.groups.insert(name.clone(), ModelGroup { cluster: home, zone, acting, members });
        self.clusters.entry(cluster).or_default().insert(name.clone());
        self.drop_entries_of_missing_groups();

        let master = asked.broker_id == 0;
        if master || (asked.enable_acting_master.is_some() && is_smallest) {
            let known = self.live.get(&here).is_some_and(|live| live.version == table.data_version);
            self.apply_topics(broker, &name, previous.is_none() || !known, !master && acting);
        }

        let timeout = asked.heartbeat_timeout.unwrap_or(120_000);
        let mut last = now;
        if let Some(live) = self.live.get(&here) {
            last = last.max(if live.connection == connection { live.last } else { 0 });
        }
        let live = ModelLive { name, version: table.data_version, connection, last, timeout };
        self.live.insert(here.clone(), live);
        match &table.filter_servers {
            Some(servers) if servers.is_empty() => drop(self.filter_servers.remove(&here)),
            Some(servers) => {
                self.filter_servers.insert(here, servers.iter().map(|server| server.to_string()).collect());
            }
            None => {}
        }
        true
    }

    fn apply_topics(&mut self, broker: &Broker, name: &str, changed: bool, read_only: bool) {
        let table = &broker.table;
        if broker.registration.delete_missing_topics && table.mappings.is_empty() {
            let named: BTreeSet<&str> = table.topics.iter().map(|topic| &*topic.name).collect();
            let missing: Vec<String> =
                self.topics.keys().filter(|topic| !named.contains(topic.as_str())).cloned().collect();
            missing.iter().for_each(|topic| self.drop_entry(topic, name));
        }
        for topic in &table.topics {
            let entries = self.topics.entry(topic.name.to_string()).or_default();
            if changed || !entries.contains_key(name) {
                let perm = if read_only { topic.perm & !2 } else { topic.perm };
                entries.insert(name.to_owned(), (topic.write_queue_nums, perm));
            }
        }
        for (topic, mapping) in table.mappings.iter().filter(|_| changed) {
            let of = mapping.broker_name.as_ref().map_or(name, |name| name);
            if self.groups.contains_key(of) {
                self.mappings.entry(topic.to_string()).or_default().insert(of.to_owned());
            }
        }
    }

    /// Takes a member out of its group; what follows from it is for `drop_entries_of_missing_groups`.
    fn remove(&mut self, name: &str, address: &str) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let before = group.members.len();
        group.members.retain(|_, member| member != address);
        if group.members.len() == before {
            return;
        }
        let masterless = group.acting && group.members.keys().next().is_some_and(|id| *id > 0);
        if group.members.is_empty() {
            self.groups.remove(name);
            self.clusters.values_mut().for_each(|names| names.retain(|other| other != name));
            self.clusters.retain(|_, names| !names.is_empty());
        }
        if masterless {
            self.topics.values_mut().filter_map(|entries| entries.get_mut(name)).for_each(|entry| entry.1 &= !2);
        }
        let keys: Vec<Key> = self
            .live
            .iter()
            .filter(|(key, live)| key.1 == address && live.name == name)
            .map(|(key, _)| key.clone())
            .collect();
        keys.iter().for_each(|key| self.forget(key));
    }

    fn forget(&mut self, key: &Key) {
        self.live.remove(key);
        self.filter_servers.remove(key);
    }

    fn drop_entries_of_missing_groups(&mut self) {
        let pairs = self.topics.iter().flat_map(|(topic, entries)| entries.keys().map(move |name| (topic, name)));
        let orphans: Vec<Key> = pairs
            .filter(|(_, name)| !self.groups.contains_key(*name))
            .map(|(topic, name)| (topic.clone(), name.clone()))
            .collect();
        orphans.iter().for_each(|(topic, name)| self.drop_entry(topic, name));
        let groups = &self.groups;
        self.mappings.values_mut().for_each(|names| names.retain(|name| groups.contains_key(name)));
        self.mappings.retain(|_, names| !names.is_empty());
    }

    fn drop_entry(&mut self, topic: &str, name: &str) {
        let Some(entries) = self.topics.get_mut(topic) else { return };
        if entries.remove(name).is_none() {
            return;
        }
        let last = entries.is_empty();
        if last {
            self.topics.remove(topic);
            self.mappings.remove(topic);
        } else if let Some(names) = self.mappings.get_mut(topic) {
            names.remove(name);
            self.mappings.retain(|_, names| !names.is_empty());
        }
    }

    fn remove_where(&mut self, goes: impl Fn(&ModelLive) -> bool) -> BTreeSet<Key> {
        let keys: Vec<(Key, String)> = self
            .live
            .iter()
            .filter(|(_, live)| goes(live))
            .map(|(key, live)| (key.clone(), live.name.clone()))
            .collect();
        keys.iter().for_each(|((_, address), name)| self.remove(name, address));
        self.drop_entries_of_missing_groups();
        keys.into_iter().map(|(key, _)| key).collect()
    }

    fn delete_topic(&mut self, topic: &str, cluster: Option<&str>) {
        let names = match cluster {
            None => self.groups.keys().cloned().collect(),
            Some(cluster) => self.clusters.get(cluster).cloned().unwrap_or_default(),
        };
        names.iter().for_each(|name| self.drop_entry(topic, name));
        if cluster.is_none() {
            self.mappings.remove(topic);
        }
    }

    fn put_topic(&mut self, topic: &str, queues: &[Queue]) {
        let known = queues.iter().take_while(|queue| self.groups.contains_key(&*queue.broker_name)).count();
        if known == 0 || (known < queues.len() && !self.topics.contains_key(topic)) {
            return;
        }
        let entries = self.topics.entry(topic.to_owned()).or_default();
        for queue in &queues[..known] {
            entries.insert(queue.broker_name.to_string(), (queue.write_queue_nums, queue.perm));
        }
    }

    /// All that the route of a topic shows.
    fn route(&self, topic: &str) -> impl PartialEq {
        let entries = self.topics.get(topic).cloned();
        let named = |name: &String| entries.as_ref().is_some_and(|entries| entries.contains_key(name));
        let groups: Vec<_> = self.groups.iter().filter(|(name, _)| named(name)).collect();
        let servers = |name: &String, group: &ModelGroup| -> Vec<_> {
            let keys = group.members.values().map(|address| (group.cluster.clone(), address.clone()));
            let own = keys.filter(|key| self.live.get(key).is_some_and(|live| live.name == *name));
            own.filter_map(|key| self.filter_servers.get_key_value(&key)).collect()
        };
        let servers: Vec<_> = groups.iter().map(|(name, group)| servers(name, group)).collect();
        format!("{entries:?} {groups:?} {servers:?} {:?}", self.mappings.get(topic))
    }
}

/// What can happen.
#[derive(Clone, Debug)]
enum Step {
    Register { broker: Box<RandomBroker>, connection: usize },
    Unregister { cluster: usize, name: usize, address: usize },
    Disconnect { connection: usize },
    Wait { milliseconds: u64 },
    Expire,
    Heartbeat { cluster: usize, address: usize },
    ChangePermissions { name: usize, keep: i32, set: i32 },
    DeleteTopic { topic: usize, cluster: Option<usize> },
    PutTopic { topic: usize, names: Vec<(usize, i32)> },
}

#[derive(Clone, Debug)]
struct RandomBroker {
    who: (usize, usize, i64, usize),
    acting: Option<bool>,
    zone: Option<bool>,
    timeout: Option<i64>,
    delete_missing: bool,
    version: (i64, i64),
    topics: Vec<(usize, i32)>,
    mappings: Vec<(usize, usize)>,
    filter_servers: Option<usize>,
}

const CLUSTERS: [&str; 2] = ["c0", "c1"];
const NAMES: [&str; 4] = ["n0", "n1", "n2", "nobody"];
const ADDRESSES: [&str; 5] = ["x0", "x1", "x2", "x3", "x4"];
const TOPICS: [&str; 4] = ["t0", "t1", "t2", "t3"];

impl RandomBroker {
    fn broker(&self) -> Broker {
        let (cluster, name, id, address) = self.who;
        let mut broker = broker(NAMES[name], id, ADDRESSES[address]).cluster(CLUSTERS[cluster]);
        broker.registration.enable_acting_master = self.acting;
        broker.registration.zone_name = self.zone.map(|zone| zone.to_string().into());
        broker.registration.heartbeat_timeout = self.timeout;
        broker.registration.delete_missing_topics = self.delete_missing;
        let distinct: BTreeMap<usize, i32> = self.topics.iter().copied().collect();
        broker.table.topics = distinct.into_iter().map(|(at, perm)| topic(TOPICS[at], perm)).collect();
        broker.table.filter_servers = self.filter_servers.map(|count| vec!["f".into(); count]);
        broker = broker.state_version(self.version.0).counter(self.version.1);
        self.mappings.iter().fold(broker, |broker, (topic, name)| broker.mapping(TOPICS[*topic], NAMES[*name]))
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(
        prop_oneof![
            10 => (brokers(), 0..3usize).prop_map(|(broker, connection)| {
                Step::Register { broker: Box::new(broker), connection }
            }),
            2 => (0..2usize, 0..4usize, 0..5usize)
                .prop_map(|(cluster, name, address)| Step::Unregister { cluster, name, address }),
            1 => any::<usize>().prop_map(|connection| Step::Disconnect { connection }),
            2 => (0..90_000u64).prop_map(|milliseconds| Step::Wait { milliseconds }),
            1 => Just(Step::Expire),
            2 => (0..2usize, 0..5usize).prop_map(|(cluster, address)| Step::Heartbeat { cluster, address }),
            1 => (0..4usize, 0..8, 0..8).prop_map(|(name, keep, set)| Step::ChangePermissions { name, keep, set }),
            1 => (0..4usize, option::of(0..2usize))
                .prop_map(|(topic, cluster)| Step::DeleteTopic { topic, cluster }),
            1 => (0..4usize, vec((0..4usize, 0..8), 0..4))
                .prop_map(|(topic, names)| Step::PutTopic { topic, names }),
        ],
        1..60,
    )
}

fn brokers() -> impl Strategy<Value = RandomBroker> {
    let who = (prop_oneof![4 => Just(0usize), 1 => Just(1)], 0..3usize, 0..3i64, 0..5usize);
    let timeout = option::of(sample::select(vec![0, -5, 30_000, i64::MAX]));
    let mappings = prop_oneof![2 => Just(Vec::new()), 1 => vec((0..4usize, 0..4usize), 0..3)];
    let flags = (option::of(any::<bool>()), option::weighted(0.2, any::<bool>()), any::<bool>());
    let table = ((0..2i64, 0..3i64), vec((0..4usize, 0..8), 0..4), mappings, option::weighted(0.3, 0..2usize));
    (who, flags, timeout, table).prop_map(|(who, (acting, zone, delete_missing), timeout, table)| {
        let (version, topics, mappings, filter_servers) = table;
        RandomBroker { who, acting, zone, timeout, delete_missing, version, topics, mappings, filter_servers }
    })
}

/// The tables and the model, side by side.
struct Both {
    routes: RouteTable,
    model: Model,
    /// All there ever were; the last three are open.
    connections: Vec<Connection>,
    now: u64,
}

impl Both {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Register { broker, connection } => {
                let connection = &self.connections[self.connections.len() - 3 + connection];
                let Broker { registration, table } = broker.broker();
                let before = self.routes.tables();
                let taken = self.routes.register(registration, table, connection, self.now).is_ok();
                assert_eq!(taken, self.model.register(&broker.broker(), connection.id().0, self.now));
                assert!(taken || Arc::ptr_eq(&before, &self.routes.tables()), "a refusal publishes nothing");
            }
            Step::Unregister { cluster, name, address } => {
                let (cluster, name, address) = (CLUSTERS[*cluster], NAMES[*name], ADDRESSES[*address]);
                let (cluster, broker_name, on) = (cluster.into(), name.into(), address.into());
                self.routes.unregister(&Departure { cluster, broker_name, broker_id: 0, address: on });
                self.model.remove(name, address);
                self.model.drop_entries_of_missing_groups();
            }
            Step::Disconnect { connection } => {
                let connection = &self.connections[connection % self.connections.len()];
                let open = connection.is_open();
                let removed = self.routes.disconnect(connection);
                assert!(open || removed.is_empty());
                let id = connection.id().0;
                let gone = self.model.remove_where(|live| live.connection == id);
                assert_eq!(keys(&removed), gone);
                self.replace(id);
            }
            Step::Wait { milliseconds } => self.now += milliseconds,
            Step::Expire => {
                let now = i128::from(self.now);
                let gone = self.model.remove_where(|live| i128::from(live.last) + i128::from(live.timeout) < now);
                assert_eq!(keys(&self.routes.expire(self.now)), gone);
            }
            Step::Heartbeat { cluster, address } => {
                let (cluster, address) = (CLUSTERS[*cluster], ADDRESSES[*address]);
                let live = self.model.live.get_mut(&(cluster.to_owned(), address.to_owned()));
                assert_eq!(self.routes.heartbeat(cluster, address, self.now), live.is_some());
                live.into_iter().for_each(|live| live.last = self.now);
            }
            Step::ChangePermissions { name, keep, set } => {
                let count = self.routes.change_permissions(NAMES[*name], *keep, *set);
                let entries = self.model.topics.values_mut().filter_map(|entries| entries.get_mut(NAMES[*name]));
                assert_eq!(count, entries.map(|entry| entry.1 = (entry.1 & keep) | set).count());
            }
            Step::DeleteTopic { topic, cluster } => {
                let cluster = cluster.map(|cluster| CLUSTERS[cluster]);
                self.routes.delete_topic(TOPICS[*topic], cluster);
                self.model.delete_topic(TOPICS[*topic], cluster);
            }
            Step::PutTopic { topic, names } => {
                let queues: Vec<_> = names.iter().map(|(name, perm)| queue(NAMES[*name], *perm)).collect();
                self.routes.put_topic(TOPICS[*topic], queues.clone());
                self.model.put_topic(TOPICS[*topic], &queues);
            }
        }
    }

    /// Opens a connection in the place of one that closed, if that was among the last three.
    fn replace(&mut self, closed: u64) {
        let tail = self.connections.len() - 3;
        if let Some(at) = self.connections[tail..].iter().position(|one| one.id().0 == closed) {
            let next = connection(self.connections.len() as u64);
            let one = self.connections.remove(tail + at);
            self.connections.insert(tail, one);
            self.connections.push(next);
        }
    }
}

fn keys(removed: &[Removed]) -> BTreeSet<Key> {
    removed.iter().map(|one| (one.cluster.to_string(), one.address.to_string())).collect()
}

/// What did not change keeps its `Arc`; what did has another version.
fn check_versions(before: &Tables, after: &Tables) {
    let (old, new) = (Model::of(before), Model::of(after));
    for name in TOPICS {
        let (Some(was), Some(is)) = (before.topic(name), after.topic(name)) else { continue };
        if old.topics.get(name) == new.topics.get(name) && old.mappings.get(name) == new.mappings.get(name) {
            assert!(Arc::ptr_eq(was, is), "{name} did not change");
        } else {
            assert!(is.version > was.version, "{name} changed");
        }
        let (Some(was), Some(is)) = (before.route(name), after.route(name)) else { continue };
        let same = old.route(name) == new.route(name);
        assert!(same || is.version() > was.version(), "the route of {name} changed");
    }
    if !old.topics.keys().eq(new.topics.keys()) {
        assert!(after.topic_names_version() > before.topic_names_version());
    }
}

proptest! {
    #[test]
    fn the_tables_do_what_the_model_does(steps in steps()) {
        let connections = (0..3).map(connection).collect();
        let mut both = Both { routes: RouteTable::new(), model: Model::default(), connections, now: 1_000_000 };
        for step in &steps {
            let before = both.routes.tables();
            both.step(step);

            let after = both.routes.tables();
            check(&after);
            assert_eq!(Model::of(&after), both.model, "after {step:?}");
            check_versions(&before, &after);
        }
    }
}
