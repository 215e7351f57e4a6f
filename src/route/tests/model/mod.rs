//! Random sequences of everything that can happen, compared with a model that is too simple to be wrong: maps of
//! strings, changed in place, in the order in which the rules are written down.

mod differences;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

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
    mappings: BTreeMap<String, BTreeMap<String, TopicMapping>>,
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

/// What the one who registers is told, and what is told to others.
#[derive(Clone, Debug, Default, PartialEq)]
struct Welcome {
    newcomer: bool,
    /// The address of the master; its HA address follows from it.
    master: Option<String>,
    min_id_change: Option<ModelGroup>,
}

/// A broker that went: its key, its name and id, and where it had registered last.
type Gone = (Key, String, i64, u64);

impl ModelGroup {
    fn of(group: &Group) -> Self {
        Self {
            cluster: group.cluster.to_string(),
            zone: group.zone_name.as_ref().map(|zone| zone.to_string()),
            acting: group.enable_acting_master,
            members: group.addresses.iter().map(|(id, address)| (*id, address.to_string())).collect(),
        }
    }
}

impl ModelLive {
    fn is_silent(&self, now: u64) -> bool {
        i128::from(self.last) + i128::from(self.timeout) < i128::from(now)
    }
}

impl Welcome {
    fn of(registered: &Registered) -> Self {
        let master = registered.master_address.as_ref().map(|address| address.to_string());
        let ha_address = registered.ha_address.as_ref().map(|address| address.to_string());
        assert_eq!(ha_address, master.as_ref().map(|address| format!("{address}-ha")));
        let min_id_change = registered.min_id_change.as_deref().map(ModelGroup::of);
        Self { newcomer: registered.newcomer, master, min_id_change }
    }
}

impl Model {
    fn of(tables: &Tables) -> Self {
        let text = |name: &Name| name.to_string();
        let mut model = Self::default();
        for group in tables.groups() {
            model.groups.insert(text(&group.broker_name), ModelGroup::of(group));
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
            let by_broker = found.by_broker.iter().map(|(name, mapping)| (text(name), mapping.clone())).collect();
            model.mappings.insert(text(&found.topic), by_broker);
        }
        for found in tables.filter_servers.iter() {
            let key = (text(&found.member.cluster), text(&found.member.address));
            model.filter_servers.insert(key, found.addresses.iter().map(text).collect());
        }
        model
    }

    /// None when the registration is refused.
    fn register(&mut self, broker: &Broker, connection: u64, now: u64) -> Option<Welcome> {
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
            return Some(Welcome::default());
        }
        if previous.is_none() && table.topics.len() == 1 {
            return None;
        }
        let newcomer = !self.live.contains_key(&here);
        let old_min = old.as_ref().map_or(0, |group| *group.members.keys().next().expect("a group has members"));

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
        // The entry that is left is this broker's own.
        let last = self.live.get(&here).map_or(now, |live| live.last.max(now));
        let live = ModelLive { name: name.clone(), version: table.data_version, connection, last, timeout };
        self.live.insert(here.clone(), live);
        match &table.filter_servers {
            Some(servers) if servers.is_empty() => drop(self.filter_servers.remove(&here)),
            Some(servers) => {
                self.filter_servers.insert(here, servers.iter().map(|server| server.to_string()).collect());
            }
            None => {}
        }
        let group = &self.groups[&name];
        let master = group.members.get(&0).filter(|_| !master);
        let master = master.filter(|master| self.live.contains_key(&(asked.cluster.to_string(), (*master).clone())));
        let min_id_change = (asked.broker_id < old_min).then(|| group.clone());
        Some(Welcome { newcomer, master: master.cloned(), min_id_change })
    }

    fn apply_topics(&mut self, broker: &Broker, name: &str, changed: bool, read_only: bool) {
        let table = &broker.table;
        if broker.registration.delete_missing_topics && table.mappings.is_empty() {
            let key = |topic: &TopicConfig| topic.key.as_ref().unwrap_or(&topic.name).to_string();
            let named: BTreeSet<String> = table.topics.iter().map(key).collect();
            let missing: Vec<String> = self.topics.keys().filter(|topic| !named.contains(*topic)).cloned().collect();
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
                self.mappings.entry(topic.to_string()).or_default().insert(of.to_owned(), mapping.clone());
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
        self.mappings.values_mut().for_each(|names| names.retain(|name, _| groups.contains_key(name)));
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

    fn remove_where(&mut self, goes: impl Fn(&Key, &ModelLive) -> bool) -> BTreeSet<Gone> {
        let keys: Vec<Key> =
            self.live.iter().filter(|(key, live)| goes(key, live)).map(|(key, _)| key.clone()).collect();
        let gone = keys.into_iter().filter_map(|key| self.depart(&self.live[&key].name.clone(), &key.1)).collect();
        self.drop_entries_of_missing_groups();
        gone
    }

    /// Removes a member and says who that was; none when there is no such member.
    fn depart(&mut self, name: &str, address: &str) -> Option<Gone> {
        let (id, _) = self.groups.get(name)?.members.iter().find(|(_, member)| *member == address)?;
        let id = *id;
        let (key, live) = self.live.iter().find(|(key, live)| key.1 == address && live.name == name)?;
        let gone = (key.clone(), name.to_owned(), id, live.connection);
        self.remove(name, address);
        Some(gone)
    }

    fn min_ids(&self) -> BTreeMap<String, i64> {
        let smallest = |group: &ModelGroup| *group.members.keys().next().expect("a group has members");
        self.groups.iter().map(|(name, group)| (name.clone(), smallest(group))).collect()
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
