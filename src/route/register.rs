//! What a registration does to the tables. Java: `RouteInfoManager.registerBroker`.
//!
//! Everything that can refuse a registration is checked before the first change, and the changes happen in a draft, so
//! a refused registration leaves nothing behind.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;

use super::applied::{Applied, Entries};
use super::draft::{Draft, Edit, WRITE};
use super::live::{Live, Member};
use super::tables::{Group, Tables};
use super::types::{
    ConnectionId, DataVersion, Millis, Name, Queue, Registered, Registration, Told, TopicConfig, TopicTable,
};

/// Silence after which a broker that named no timeout is forgotten.
// Java: NamesrvConfig has no key for it; RouteInfoManager.DEFAULT_BROKER_CHANNEL_EXPIRED_TIME.
const DEFAULT_TIMEOUT_MS: i64 = 120_000;

/// The id of a master. Java: `MixAll.MASTER_ID`.
const MASTER: i64 = 0;

/// Why a registration changed nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RegisterError {
    /// The registration itself is wrong; sent again, it would be wrong again.
    #[error("{0}")]
    Invalid(String),

    /// A broker id that is not registered brought exactly one topic. It has to register in full first; Java takes it
    /// for a broker that was forgotten here while it announces a new topic.
    #[error("a broker that is not registered brought a single topic")]
    SingleTopic,

    /// The connection that asked has closed by now, and no later event would ever remove what it registers.
    #[error("the connection has closed")]
    ConnectionClosed,

    /// It is told as a difference from a table that the topics do not, or no longer, follow. Told whole, it may be
    /// right.
    #[error("the topic table is told against one that does not count any more")]
    Stale,
}

/// Refuses what could only be stored by half.
pub(super) fn validate(registration: &Registration, table: &TopicTable) -> Result<(), RegisterError> {
    let named = [
        ("cluster name", &registration.cluster),
        ("broker name", &registration.broker_name),
        ("broker address", &registration.address),
    ];
    if let Some((what, _)) = named.iter().find(|(_, name)| name.is_empty()) {
        return Err(RegisterError::Invalid(format!("the {what} is missing")));
    }
    if table.topics.iter().any(|topic| topic.name.is_empty()) {
        return Err(RegisterError::Invalid("a topic has no name".to_owned()));
    }
    Ok(())
}

/// Applies a valid registration to a draft.
pub(super) fn apply(
    draft: &mut Draft,
    registration: &Registration,
    told: &Told,
    from: ConnectionId,
    now: Millis,
) -> Result<Registered, RegisterError> {
    let place = Place::find(&draft.tables, registration);
    if place.is_obsolete(&draft.tables, registration, told.table.data_version) {
        // Java: it removes the live entry of the new address and reports success. The address goes from its group too,
        // which Java does for a role switch only; elsewhere it would stay in the routes for ever.
        leave(draft, registration);
        draft.settle();
        return Ok(Registered::default());
    }
    if place.previous.is_none() && told.topics() == 1 {
        return Err(RegisterError::SingleTopic);
    }

    let newcomer = draft.tables.live(&registration.cluster, &registration.address).is_none();
    let min_id_changed = registration.broker_id < place.previous_min;
    let register_first = place.previous.is_none();
    supersede(draft, registration, place.previous.as_ref());
    // Before anything is added: a topic that goes with a superseded group must not take along what comes now.
    draft.settle();
    let group = place.into_group(&draft.tables, registration);
    draft.list_in_cluster(&registration.cluster, &group.broker_name);
    draft.put_group(group.clone());

    let contribution = Contribution { registration, told, group: &group, register_first };
    let entries = contribution.apply(draft)?;
    let applied = told.imprint.as_ref().map(|imprint| Applied::new(imprint, entries));
    put_broker(draft, registration, &told.table, &group.broker_name, (from, now, applied));

    let min_id_change = draft.tables.group(&group.broker_name).filter(|_| min_id_changed).cloned();
    Ok(Registered { newcomer, min_id_change, ..master_of(&draft.tables, registration, &group) })
}

/// Where in its group a registration belongs.
struct Place {
    /// The members without the one that registers: it may come back under another id.
    others: Vec<(i64, Name)>,
    /// Who held the id until now.
    previous: Option<Name>,
    /// The smallest id until now; 0 in a new group, so that its first member changes nothing.
    previous_min: i64,
}

impl Place {
    fn find(tables: &Tables, registration: &Registration) -> Self {
        let mut others =
            tables.group(&registration.broker_name).map(|group| group.addresses.clone()).unwrap_or_default();
        let previous_min = others.first().map_or(0, |(id, _)| *id);
        let previous = others.iter().find(|(id, _)| *id == registration.broker_id).map(|(_, address)| address.clone());
        others.retain(|(id, address)| *id != registration.broker_id && *address != registration.address);
        Self { others, previous, previous_min }
    }

    /// Whether the id belongs to another address that is alive and has seen a newer term.
    fn is_obsolete(&self, tables: &Tables, registration: &Registration, version: DataVersion) -> bool {
        let other = self.previous.as_ref().filter(|previous| **previous != registration.address);
        let holder = other.and_then(|address| tables.live(&registration.cluster, address));
        holder.is_some_and(|live| {
            live.broker_name == registration.broker_name && live.data_version.state_version > version.state_version
        })
    }

    fn into_group(self, tables: &Tables, registration: &Registration) -> Group {
        let old = tables.group(&registration.broker_name);
        let mut addresses = self.others;
        let at = addresses.partition_point(|(id, _)| *id < registration.broker_id);
        addresses.insert(at, (registration.broker_id, Name::clone(&registration.address)));
        Group {
            broker_name: Name::clone(old.map_or(&registration.broker_name, |old| &old.broker_name)),
            // The first member's cluster stays the group's, whatever later ones say.
            cluster: Name::clone(old.map_or(&registration.cluster, |old| &old.cluster)),
            zone_name: registration.zone_name.clone(),
            enable_acting_master: registration.enable_acting_master == Some(true),
            addresses,
            version: 0,
        }
    }
}

/// Takes the registering address out of whatever it was a member of.
fn leave(draft: &mut Draft, registration: &Registration) {
    draft.remove_member(&registration.broker_name, &registration.address);
    let (cluster, address) = (&*registration.cluster, &*registration.address);
    if let Some(live) = draft.tables.live(cluster, address).cloned() {
        draft.remove_member(&live.broker_name, address);
    }
}

/// Removes what this registration takes the place of. Java leaves each of these behind, to expire again and again.
fn supersede(draft: &mut Draft, registration: &Registration, previous: Option<&Name>) {
    let (name, address) = (&*registration.broker_name, &*registration.address);
    // The address served another group until now: one address, one broker.
    if let Some(live) = draft.tables.live(&registration.cluster, address).cloned()
        && *live.broker_name != *name
    {
        draft.remove_member(&live.broker_name, address);
    }
    // The same broker was known under another cluster name.
    if let Some(live) = draft.tables.live_member(name, address).cloned()
        && live.cluster() != &registration.cluster
    {
        draft.remove_live(live.cluster(), address);
    }
    // Another address held the id.
    if let Some(previous) = previous.filter(|previous| ***previous != *address)
        && let Some(live) = draft.tables.live_member(name, previous).cloned()
    {
        draft.remove_live(live.cluster(), previous);
    }
}

/// What a registration says about topics.
struct Contribution<'a> {
    registration: &'a Registration,
    told: &'a Told,
    /// The group with the new member in it.
    group: &'a Group,
    /// Nobody held this id until now.
    register_first: bool,
}

impl Contribution<'_> {
    /// What the topics are afterwards, for the next table; none when this broker does not speak for its group.
    fn apply(&self, draft: &mut Draft) -> Result<Option<Entries>, RegisterError> {
        let is_master = self.registration.broker_id == MASTER;
        if !is_master && !self.is_prime_slave() {
            return Ok(None);
        }
        let changed = self.register_first || self.data_version_differs(&draft.tables);
        let keep = if !is_master && self.group.enable_acting_master { !WRITE } else { !0 };
        // Whoever deletes topics does not have static ones. Java: "Static topic is not supported currently".
        let deletes = self.registration.delete_missing_topics && !self.told.has_mappings();
        let had_none = draft.tables.stamp(&self.group.broker_name).is_none();
        let mut after = match &self.told.since {
            Some(_) => self.entries_before(&draft.tables, changed, keep, deletes).ok_or(RegisterError::Stale)?,
            None => {
                if deletes {
                    self.delete_missing(draft);
                }
                Entries { stamp: None, topics: 0, exact: changed, keep, complete: deletes || had_none }
            }
        };
        for topic in &self.told.table.topics {
            if changed || !self.has_entry(&draft.tables, &topic.name) {
                draft.put_queue(&topic.name, self.queue(topic, keep));
            }
        }
        if changed {
            self.put_mappings(draft);
        }
        after.topics = self.told.topics();
        after.stamp = draft.tables.stamp(&self.group.broker_name);
        Ok(Some(after))
    }

    /// What holds of the topics that a difference does not name, if nothing has to be done about them.
    fn entries_before(&self, tables: &Tables, changed: bool, keep: i32, deletes: bool) -> Option<Entries> {
        let since = self.told.since.as_ref()?;
        let applied = tables.live(&self.registration.cluster, &self.registration.address)?.applied.as_ref()?;
        let before = applied.untouched(self.told, tables, &self.group.broker_name)?;
        // Whoever says something new means all of it.
        if changed && (!before.exact || before.keep != keep || since.mappings_kept) {
            return None;
        }
        // Where the group has no entries but those of the table before, each topic of that table which is named again
        // has one; so those that are not named again can be counted.
        let topics = &self.told.table.topics;
        let again = || topics.iter().filter(|topic| self.has_entry(tables, &topic.name)).count();
        let complete = before.complete && before.topics == since.kept + again();
        if deletes && !complete {
            return None;
        }
        // What is named and has an entry already is not brought up to date unless the table is new.
        let exact = before.exact && (changed || topics.is_empty());
        Some(Entries { exact, complete, ..before.clone() })
    }

    /// The smallest of the slaves speaks for the group when there is no master. A broker too old to know of acting
    /// masters says nothing about them, which is not the same as saying no, and never does.
    fn is_prime_slave(&self) -> bool {
        let smallest = self.group.min_id().is_some_and(|(id, _)| *id == self.registration.broker_id);
        smallest && self.registration.enable_acting_master.is_some()
    }

    /// Equality, not order: a broker may come back with an older table.
    // Java: RouteInfoManager.isBrokerTopicConfigChanged.
    fn data_version_differs(&self, tables: &Tables) -> bool {
        let stored = tables.live(&self.registration.cluster, &self.registration.address);
        stored.is_none_or(|live| live.data_version != self.told.table.data_version)
    }

    fn has_entry(&self, tables: &Tables, topic: &str) -> bool {
        tables.topic(topic).is_some_and(|topic| topic.find(&self.group.broker_name).is_ok())
    }

    fn delete_missing(&self, draft: &mut Draft) {
        let key = |topic: &TopicConfig| Name::clone(topic.key.as_ref().unwrap_or(&topic.name));
        let named: HashSet<Name> = self.told.table.topics.iter().map(key).collect();
        draft.edit_queues(|topic, queue| {
            let missing = queue.broker_name == self.group.broker_name && !named.contains(&topic.name);
            if missing { Edit::Drop } else { Edit::Keep }
        });
    }

    fn put_mappings(&self, draft: &mut Draft) {
        for (topic, mapping) in &self.told.table.mappings {
            // Java files it under the name inside the value. One that names no group here would never go again.
            let broker_name = mapping.broker_name.as_ref().unwrap_or(&self.group.broker_name);
            if let Some(group) = draft.tables.group(broker_name) {
                let broker_name = Name::clone(&group.broker_name);
                draft.put_mapping(topic, &broker_name, mapping);
            }
        }
    }

    fn queue(&self, topic: &TopicConfig, keep: i32) -> Queue {
        Queue {
            broker_name: Name::clone(&self.group.broker_name),
            read_queue_nums: topic.read_queue_nums,
            write_queue_nums: topic.write_queue_nums,
            perm: topic.perm & keep,
            topic_sys_flag: topic.topic_sys_flag,
        }
    }
}

fn put_broker(
    draft: &mut Draft,
    registration: &Registration,
    table: &TopicTable,
    broker_name: &Name,
    (from, now, applied): (ConnectionId, Millis, Option<Applied>),
) {
    let member = Member { cluster: Name::clone(&registration.cluster), address: Name::clone(&registration.address) };
    let live = Live {
        member: member.clone(),
        broker_name: Name::clone(broker_name),
        timeout_ms: registration.heartbeat_timeout.unwrap_or(DEFAULT_TIMEOUT_MS),
        data_version: table.data_version,
        connection: from,
        generation: 0,
        ha_address: registration.ha_address.clone(),
        applied,
        last_update: AtomicU64::new(0),
    };
    live.beat(now);
    draft.put_live(live, now);
    if let Some(servers) = &table.filter_servers {
        draft.set_filter_servers(&member, broker_name, servers);
    }
}

/// A slave is told where its master is, if that is alive in the cluster the slave named.
fn master_of(tables: &Tables, registration: &Registration, group: &Group) -> Registered {
    let address = group.address(MASTER).filter(|_| registration.broker_id != MASTER);
    match address.and_then(|address| tables.live(&registration.cluster, address)) {
        Some(master) => Registered {
            master_address: Some(Name::clone(master.address())),
            ha_address: master.ha_address.clone(),
            ..Registered::default()
        },
        None => Registered::default(),
    }
}
