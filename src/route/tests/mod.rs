//! What brokers do to the tables and what readers then see: every rule of registration, departure and lookup by name, a
//! random comparison with a naive model, readers that look while writers write, and damage that the sweep repairs.

pub(crate) mod damage;
mod departures;
mod lookups;
mod model;
mod readers;
mod registrations;

use std::sync::Arc;

use super::*;

const C: &str = "cluster";

/// Tables with a hand for arranging them in one line each.
struct Scene {
    routes: RouteTable,
    /// The connection that registrations of this scene arrive on.
    connection: Connection,
    now: Millis,
}

impl Scene {
    fn new() -> Self {
        Self { routes: RouteTable::new(), connection: connection(1), now: 1_000_000 }
    }

    fn register(&self, broker: Broker) -> Result<Registered, RegisterError> {
        self.register_on(&self.connection, broker)
    }

    fn register_on(&self, connection: &Connection, broker: Broker) -> Result<Registered, RegisterError> {
        self.routes.register(broker.registration, broker.table, connection, self.now)
    }

    fn unregister(&self, cluster: &str, broker_name: &str, broker_id: i64, address: &str) -> Option<Removed> {
        let (cluster, broker_name, address) = (cluster.into(), broker_name.into(), address.into());
        self.routes.unregister(&Departure { cluster, broker_name, broker_id, address })
    }

    fn tables(&self) -> Arc<Tables> {
        self.routes.tables()
    }

    /// The addresses of a group, as `0=a 1=b`.
    fn members(&self, broker_name: &str) -> String {
        let tables = self.tables();
        let Some(group) = tables.group(broker_name) else { return String::new() };
        let members: Vec<_> = group.addresses.iter().map(|(id, address)| format!("{id}={address}")).collect();
        members.join(" ")
    }

    /// The permission of a topic on a broker name.
    fn perm(&self, topic: &str, broker_name: &str) -> Option<i32> {
        Some(self.tables().topic(topic)?.queue(broker_name)?.perm)
    }

    /// The names of all topics, joined.
    fn topics(&self) -> String {
        let names: Vec<_> = self.tables().topics().iter().map(|topic| topic.name.to_string()).collect();
        names.join(" ")
    }

    /// The clusters, as `c:a,b d:a`.
    fn clusters(&self) -> String {
        let tables = self.tables();
        let clusters = tables.clusters().map(|(cluster, names)| {
            let names: Vec<_> = names.iter().map(|name| &**name).collect();
            format!("{cluster}:{}", names.join(","))
        });
        clusters.collect::<Vec<_>>().join(" ")
    }
}

/// One registration in the making: two topics unless told otherwise.
#[derive(Clone)]
struct Broker {
    registration: Registration,
    table: TopicTable,
}

fn broker(name: &str, id: i64, address: &str) -> Broker {
    let registration = Registration {
        cluster: C.into(),
        broker_name: name.into(),
        broker_id: id,
        address: address.into(),
        ha_address: Some(format!("{address}-ha").into()),
        zone_name: None,
        enable_acting_master: None,
        heartbeat_timeout: None,
        delete_missing_topics: false,
    };
    let data_version = DataVersion { state_version: 0, timestamp: 1, counter: 1 };
    let table = TopicTable { data_version, ..TopicTable::default() };
    Broker { registration, table }.topics(&["t1", "t2"])
}

impl Broker {
    fn cluster(mut self, cluster: &str) -> Self {
        self.registration.cluster = cluster.into();
        self
    }

    fn acting(mut self, enabled: bool) -> Self {
        self.registration.enable_acting_master = Some(enabled);
        self
    }

    fn zone(mut self, zone: &str) -> Self {
        self.registration.zone_name = Some(zone.into());
        self
    }

    fn timeout(mut self, milliseconds: i64) -> Self {
        self.registration.heartbeat_timeout = Some(milliseconds);
        self
    }

    fn delete_missing(mut self) -> Self {
        self.registration.delete_missing_topics = true;
        self
    }

    fn topics(mut self, names: &[&str]) -> Self {
        self.table.topics = names.iter().map(|name| topic(name, 6)).collect();
        self
    }

    fn perm(mut self, perm: i32) -> Self {
        self.table.topics.iter_mut().for_each(|topic| topic.perm = perm);
        self
    }

    fn counter(mut self, counter: i64) -> Self {
        self.table.data_version.counter = counter;
        self
    }

    fn state_version(mut self, state_version: i64) -> Self {
        self.table.data_version.state_version = state_version;
        self
    }

    fn filter_servers(mut self, servers: &[&str]) -> Self {
        self.table.filter_servers = Some(servers.iter().map(|&server| server.into()).collect());
        self
    }

    fn mapping(mut self, topic: &str, broker_name: &str) -> Self {
        let mapping = TopicMapping { broker_name: Some(broker_name.into()), ..TopicMapping::default() };
        self.table.mappings.push((topic.into(), mapping));
        self
    }
}

fn topic(name: &str, perm: i32) -> TopicConfig {
    TopicConfig { name: name.into(), key: None, read_queue_nums: 16, write_queue_nums: 16, perm, topic_sys_flag: 0 }
}

fn queue(broker_name: &str, perm: i32) -> Queue {
    Queue { broker_name: broker_name.into(), read_queue_nums: 1, write_queue_nums: 1, perm, topic_sys_flag: 0 }
}

fn connection(id: u64) -> Connection {
    Connection::new(ConnectionId(id))
}

/// What must hold of any published tables; panics with the first thing that does not.
fn check(tables: &Tables) {
    let mut members = 0;
    for group in tables.groups() {
        assert!(!group.addresses.is_empty(), "{} has no address", group.broker_name);
        assert!(group.addresses.is_sorted_by(|a, b| a.0 < b.0), "{} is not sorted by id", group.broker_name);
        let home = tables.cluster(&group.cluster);
        assert!(home.is_some_and(|names| names.contains(&group.broker_name)), "{} is not listed", group.broker_name);
        for (_, address) in &group.addresses {
            members += 1;
            let clusters = tables.clusters().filter(|(cluster, _)| {
                tables.live(cluster, address).is_some_and(|live| live.broker_name == group.broker_name)
            });
            assert_eq!(clusters.count(), 1, "{address} of {} has one live entry", group.broker_name);
        }
        assert!(group.version <= tables.routes_version());
    }
    assert!(tables.routes_version() <= tables.generation());
    assert_eq!(tables.live_brokers().count(), members, "each live entry is a member of a group");
    for (cluster, names) in tables.clusters() {
        assert!(!names.is_empty(), "{cluster} is empty");
        assert!(names.iter().all(|name| tables.group(name).is_some()), "{cluster} names a missing group");
    }
    for topic in tables.topics().iter() {
        assert!(!topic.queues.is_empty(), "{} has no entry", topic.name);
        assert!(topic.queues.is_sorted_by(|a, b| a.broker_name < b.broker_name), "{} is not sorted", topic.name);
        assert!(
            topic.queues.iter().all(|queue| tables.group(&queue.broker_name).is_some()),
            "{}: no group",
            topic.name
        );
        assert!(topic.version <= tables.routes_version());
        let route = tables.route(&topic.name).expect("a topic has a group");
        assert_eq!(route.groups.len(), topic.queues.len());
    }
    for found in tables.mappings.iter() {
        assert!(!found.by_broker.is_empty());
        assert!(found.by_broker.keys().all(|name| tables.group(name).is_some()), "a mapping without a group");
    }
    for found in tables.filter_servers.iter() {
        let (cluster, address) = (&found.member.cluster, &found.member.address);
        assert!(!found.addresses.is_empty());
        assert!(tables.live(cluster, address).is_some(), "filter servers of a broker that is gone");
    }
}
