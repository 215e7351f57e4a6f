//! The next version of the tables while one writer makes it.
//!
//! A [`Draft`] starts as a copy of the published tables, which costs a dozen pointers, and copies what it touches. The
//! rules of the verbs live in their own files; here are the steps they are made of, each of which leaves alone what it
//! would not change, so that an equal value keeps its `Arc` and its version. Dropping a draft undoes everything.
//!
//! # Invariants, once `settle` has run
//!
//! * Every group has an address, and every address of a group has exactly one live entry; every live entry is a member
//!   of its group. So nothing lives for ever as a ghost: whatever is in a route can expire.
//! * Every topic has an entry, every entry's group exists, entries ascend by broker name.
//! * Cluster sets name existing groups only, and each group stands at least in the set of its own cluster.
//! * Filter servers belong to live brokers; mappings belong to existing groups.
//! * The stamp of a group is the generation in which any topic entry of it last changed; no topic and no group has a
//!   later version than `routes`.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashSet;

use super::live::{Live, Member, MemberRef};
use super::tables::{FilterServers, Group, Mappings, Stamp, Tables, Topic};
use super::types::{Millis, Name, Queue, TopicMapping};

/// The write bit of a permission. Java: `PermName.PERM_WRITE`.
pub(super) const WRITE: i32 = 1 << 1;

/// Tables that are not published yet.
pub(super) struct Draft {
    /// What readers would see. Change it through the methods only.
    pub(super) tables: Tables,
    changed: bool,
    beat: Option<(Arc<Live>, Millis)>,
    /// A live entry and the one that takes its place.
    succession: Option<(Arc<Live>, Arc<Live>)>,
    /// Groups that lost their last member, and groups that allow an acting master and have no master left.
    gone: HashSet<Name>,
    headless: HashSet<Name>,
    /// The group that was stamped last.
    stamped: Option<Name>,
}

/// What becomes of one queue entry.
pub(super) enum Edit {
    Keep,
    Perm(i32),
    Drop,
}

impl Draft {
    pub(super) fn of(base: &Tables) -> Self {
        let mut tables = base.clone();
        tables.generation += 1;
        Self {
            tables,
            changed: false,
            beat: None,
            succession: None,
            gone: HashSet::new(),
            headless: HashSet::new(),
            stamped: None,
        }
    }

    /// What to publish; none when nothing changed. The caller holds the write lock and has made sure that the draft's
    /// base is still what is published, so that the broker which beats here cannot have expired in between.
    pub(super) fn finish(self) -> Option<Tables> {
        debug_assert!(self.gone.is_empty() && self.headless.is_empty(), "a verb ends by settling");
        if let Some((live, now)) = self.beat {
            live.beat(now);
        }
        if let Some((old, new)) = self.succession {
            // The broker may have beaten after this draft was begun; that must not make it look older than it is.
            new.beat_with(&old);
        }
        self.changed.then_some(self.tables)
    }

    // === groups and clusters ===

    /// Stores a group; its `version` is set here.
    pub(super) fn put_group(&mut self, mut group: Group) {
        if let Some(old) = self.tables.groups.get(&*group.broker_name) {
            group.version = old.version;
            if group == **old {
                return;
            }
        }
        group.version = self.change_routes();
        self.tables.groups.insert(Arc::new(group));
    }

    pub(super) fn list_in_cluster(&mut self, cluster: &Name, broker_name: &Name) {
        if self.tables.cluster(cluster).is_some_and(|names| names.contains(broker_name)) {
            return;
        }
        self.change();
        let clusters = Arc::make_mut(&mut self.tables.clusters);
        clusters.entry(Name::clone(cluster)).or_default().insert(Name::clone(broker_name));
    }

    /// Takes an address out of its group, with its live entry. The topics follow in [`Draft::settle`], so that a
    /// thousand departures cost one pass over them.
    pub(super) fn remove_member(&mut self, broker_name: &str, address: &str) -> Option<(i64, Arc<Live>)> {
        let group = Arc::clone(self.tables.group(broker_name)?);
        let at = group.addresses.iter().position(|(_, member)| **member == *address)?;
        let live = Arc::clone(self.tables.live_member(broker_name, address)?);
        self.remove_live(live.cluster(), live.address());

        let mut rest = Group::clone(&group);
        let (broker_id, _) = rest.addresses.remove(at);
        if rest.addresses.is_empty() {
            self.gone.insert(Name::clone(&group.broker_name));
            self.remove_group(broker_name);
        } else {
            if rest.enable_acting_master && rest.is_without_master() {
                self.headless.insert(Name::clone(&group.broker_name));
            }
            self.put_group(rest);
        }
        Some((broker_id, live))
    }

    /// Lets the topics follow the groups: entries of groups that went are dropped; those of a group that lost its
    /// master are made read-only until a master is back.
    // Java: RouteInfoManager.cleanTopicByUnRegisterRequests.
    pub(super) fn settle(&mut self) {
        let gone = std::mem::take(&mut self.gone);
        let headless = std::mem::take(&mut self.headless);
        if gone.is_empty() && headless.is_empty() {
            return;
        }
        self.edit_queues(|_, queue| {
            if gone.contains(&queue.broker_name) {
                Edit::Drop
            } else if headless.contains(&queue.broker_name) {
                Edit::Perm(queue.perm & !WRITE)
            } else {
                Edit::Keep
            }
        });
        let names_gone = |found: &Mappings| found.by_broker.keys().any(|name| gone.contains(name));
        let topics: Vec<Name> = self
            .tables
            .mappings
            .iter()
            .filter(|found| names_gone(found))
            .map(|found| Name::clone(&found.topic))
            .collect();
        for topic in topics {
            self.remove_mappings(&topic, |name| gone.contains(name));
        }
    }

    fn remove_group(&mut self, broker_name: &str) {
        self.change_routes();
        self.tables.groups.remove(broker_name);
        self.tables.stamps.remove(broker_name);
        self.stamped = None;
        let clusters = Arc::make_mut(&mut self.tables.clusters);
        clusters.retain(|_, names| {
            names.remove(broker_name);
            !names.is_empty()
        });
    }

    // === topics ===

    /// Stores one queue entry.
    pub(super) fn put_queue(&mut self, topic: &Name, queue: Queue) {
        let broker_name = Name::clone(&queue.broker_name);
        let version = self.tables.generation;
        let mut is_new = false;
        let is_changed = self.tables.topics.update(&**topic, |old| {
            let Some(old) = old else {
                is_new = true;
                return Some(Topic { name: Name::clone(topic), queues: queue.into(), version });
            };
            let at = old.find(&queue.broker_name);
            if at.is_ok_and(|at| old.queues[at] == queue) {
                return None;
            }
            // Ten brokers send ten copies of the name; the first is kept.
            Some(Topic { name: Name::clone(&old.name), queues: old.queues.with(at, queue), version })
        });
        if is_new {
            self.tables.topic_names = version;
        }
        if is_changed {
            self.stamp(&broker_name);
            self.change_routes();
        }
    }

    /// Applies `edit` to every entry of every topic; a topic that is left without entries goes.
    pub(super) fn edit_queues(&mut self, mut edit: impl FnMut(&Topic, &Queue) -> Edit) {
        let edited = self.tables.topics.iter().filter_map(|topic| {
            let queues = edited(topic, &mut edit)?;
            Some((Arc::clone(topic), queues))
        });
        for (topic, queues) in edited.collect::<Vec<_>>() {
            self.replace_queues(&topic, queues);
        }
    }

    /// The same for one topic.
    pub(super) fn edit_queues_of(&mut self, topic: &str, mut edit: impl FnMut(&Topic, &Queue) -> Edit) {
        let Some(topic) = self.tables.topic(topic).cloned() else { return };
        if let Some(queues) = edited(&topic, &mut edit) {
            self.replace_queues(&topic, queues);
        }
    }

    fn replace_queues(&mut self, topic: &Topic, queues: Vec<Queue>) {
        let differs = |queue: &&Queue| !queues.contains(queue);
        topic.queues.iter().filter(differs).for_each(|queue| self.stamp(&queue.broker_name));
        if queues.is_empty() {
            self.tables.topic_names = self.change_routes();
            self.tables.topics.remove(&*topic.name);
            self.tables.mappings.remove(&*topic.name);
            return;
        }
        let kept = |name: &Name| queues.binary_search_by(|queue| queue.broker_name.cmp(name)).is_ok();
        self.remove_mappings(&topic.name, |name| topic.find(name).is_ok() && !kept(name));
        self.put_topic(Name::clone(&topic.name), queues);
    }

    fn put_topic(&mut self, name: Name, queues: Vec<Queue>) {
        let version = self.change_routes();
        self.tables.topics.insert(Arc::new(Topic { name, queues: queues.into(), version }));
    }

    /// Notes that a topic entry of a group changes: whoever changes one says so here.
    fn stamp(&mut self, broker_name: &Name) {
        let generation = self.tables.generation;
        // One registration is thousands of entries of one group.
        if self.stamped.as_ref().is_some_and(|last| Arc::ptr_eq(last, broker_name)) {
            return;
        }
        // A group that goes takes its stamp along, and those who contributed to it are gone before.
        let Some(group) = self.tables.group(broker_name) else { return };
        self.stamped = Some(Name::clone(broker_name));
        if self.tables.stamp(broker_name) != Some(generation) {
            let broker_name = Name::clone(&group.broker_name);
            self.tables.stamps.insert(Arc::new(Stamp { broker_name, generation }));
        }
    }

    /// Gives a topic a new version because something beside its entries changed.
    fn touch_topic(&mut self, name: &str) {
        let Some(topic) = self.tables.topic(name) else { return };
        if topic.version < self.tables.generation {
            let (name, queues) = (Name::clone(&topic.name), topic.queues.to_vec());
            self.put_topic(name, queues);
        }
    }

    // === static-topic mappings ===

    pub(super) fn put_mapping(&mut self, topic: &Name, broker_name: &Name, mapping: &TopicMapping) {
        let old = self.tables.mappings.get(&**topic).map(|found| Arc::clone(&found.by_broker));
        let mut by_broker = old.unwrap_or_default();
        if by_broker.get(broker_name) == Some(mapping) {
            return;
        }
        Arc::make_mut(&mut by_broker).insert(Name::clone(broker_name), mapping.clone());
        self.replace_mappings(topic, by_broker);
    }

    /// Removes the mappings of one topic, whatever it still has of entries.
    pub(super) fn forget_mappings(&mut self, topic: &str) {
        self.remove_mappings(topic, |_| true);
    }

    fn remove_mappings(&mut self, topic: &str, goes: impl Fn(&Name) -> bool) {
        let Some(found) = self.tables.mappings.get(topic) else { return };
        if !found.by_broker.keys().any(&goes) {
            return;
        }
        let (topic, mut by_broker) = (Name::clone(&found.topic), Arc::clone(&found.by_broker));
        Arc::make_mut(&mut by_broker).retain(|name, _| !goes(name));
        self.replace_mappings(&topic, by_broker);
    }

    fn replace_mappings(&mut self, topic: &Name, by_broker: Arc<BTreeMap<Name, TopicMapping>>) {
        self.change();
        if by_broker.is_empty() {
            self.tables.mappings.remove(&**topic);
        } else {
            self.tables.mappings.insert(Arc::new(Mappings { topic: Name::clone(topic), by_broker }));
        }
        self.touch_topic(topic);
    }

    // === brokers ===

    /// Stores a live entry whose `generation` is set here, or, when only its time would differ, lets the one that is
    /// there beat once the draft is finished: a registration that says nothing new publishes nothing.
    pub(super) fn put_live(&mut self, mut live: Live, now: Millis) {
        let old = self.tables.live.get(&live.member).cloned();
        match old.as_ref().filter(|old| old.says_the_same(&live)) {
            // What is published anyway may as well remember what was applied now.
            Some(old) if self.changed => live.generation = old.generation,
            Some(old) => {
                self.beat = Some((Arc::clone(old), now));
                return;
            }
            None => live.generation = self.change(),
        }
        let new = Arc::new(live);
        self.succession = old.map(|old| (old, Arc::clone(&new)));
        self.tables.live.insert(new);
    }

    /// Removes a live entry and its filter servers, but not the address from its group.
    pub(super) fn remove_live(&mut self, cluster: &str, address: &str) {
        let member = MemberRef { cluster, address };
        let Some(live) = self.tables.live.remove(&member) else { return };
        self.change();
        if self.tables.filter_servers.remove(&member).is_some() {
            self.touch_group(&live.broker_name);
        }
    }

    /// Replaces the filter servers of a broker; an empty list removes them.
    pub(super) fn set_filter_servers(&mut self, member: &Member, broker_name: &Name, servers: &[Name]) {
        let old = self.tables.filter_servers.get(member);
        let same = old.map_or(servers.is_empty(), |found| *found.addresses == *servers && !servers.is_empty());
        if same {
            return;
        }
        if servers.is_empty() {
            self.tables.filter_servers.remove(member);
        } else {
            let addresses = servers.into();
            let (member, broker_name) = (member.clone(), Name::clone(broker_name));
            self.tables.filter_servers.insert(Arc::new(FilterServers { member, broker_name, addresses }));
        }
        self.touch_group(broker_name);
    }

    /// Gives a group a new version: a route shows filter servers beside it.
    fn touch_group(&mut self, broker_name: &str) {
        let version = self.change_routes();
        if let Some(group) = self.tables.group(broker_name) {
            let group = Group { version, ..Group::clone(group) };
            self.tables.groups.insert(Arc::new(group));
        }
    }

    /// Notes that a topic or a group changes, so that a route may be another; the version of what changed.
    fn change_routes(&mut self) -> u64 {
        self.tables.routes = self.change();
        self.tables.routes
    }

    /// Notes that there is something to publish; the version of what changed.
    fn change(&mut self) -> u64 {
        self.changed = true;
        self.tables.generation
    }
}

// What the sweep repairs: each makes whole what it is given, and leaves alone what is.
impl Draft {
    /// Takes out the members that are not alive and those whose id another has, and lists the group in its cluster.
    pub(super) fn mend_group(&mut self, group: &Group) {
        let mut mended = group.clone();
        mended.addresses.retain(|(_, address)| self.tables.live_member(&group.broker_name, address).is_some());
        mended.addresses.sort_by_key(|(id, _)| *id);
        mended.addresses.dedup_by_key(|(id, _)| *id);
        let mut seen = HashSet::new();
        mended.addresses.retain(|(_, address)| seen.insert(Name::clone(address)));
        let dropped = group.addresses.iter().map(|(_, address)| address).filter(|address| !seen.contains(*address));
        for address in dropped {
            if let Some(live) = self.tables.live_member(&group.broker_name, address).cloned() {
                self.remove_live(live.cluster(), address);
            }
        }
        if mended.addresses.is_empty() {
            self.gone.insert(Name::clone(&group.broker_name));
            return self.remove_group(&group.broker_name);
        }
        if mended.enable_acting_master && mended.is_without_master() && !group.is_without_master() {
            self.headless.insert(Name::clone(&group.broker_name));
        }
        self.list_in_cluster(&group.cluster, &group.broker_name);
        self.put_group(mended);
    }

    /// Takes the names of missing groups out of a cluster, and the cluster with the last one.
    pub(super) fn mend_cluster(&mut self, name: &str) {
        self.change();
        let groups = &self.tables.groups;
        let clusters = Arc::make_mut(&mut self.tables.clusters);
        if let Some(names) = clusters.get_mut(name) {
            names.retain(|name| groups.get(&**name).is_some());
            if names.is_empty() {
                clusters.remove(name);
            }
        }
    }

    /// Takes the entries of missing groups out of a topic, puts the others in order, and drops a topic without any.
    pub(super) fn mend_topic(&mut self, topic: &Topic) {
        let mut queues = topic.queues.to_vec();
        queues.retain(|queue| self.tables.group(&queue.broker_name).is_some());
        queues.sort_by(|one, next| one.broker_name.cmp(&next.broker_name));
        queues.dedup_by(|next, one| next.broker_name == one.broker_name);
        self.replace_queues(topic, queues);
    }

    /// Takes the mappings of missing groups away from a topic.
    pub(super) fn mend_mappings(&mut self, topic: &Name) {
        let Some(found) = self.tables.mappings.get(&**topic) else { return };
        let mut by_broker = BTreeMap::clone(&found.by_broker);
        by_broker.retain(|name, _| self.tables.group(name).is_some());
        self.replace_mappings(topic, Arc::new(by_broker));
    }
}

/// The entries of a topic after `edit`; none when it changed nothing.
fn edited(topic: &Topic, edit: &mut impl FnMut(&Topic, &Queue) -> Edit) -> Option<Vec<Queue>> {
    let mut queues: Option<Vec<Queue>> = None;
    for (at, queue) in topic.queues.iter().enumerate() {
        let edit = edit(topic, queue);
        let same = match edit {
            Edit::Keep => true,
            Edit::Perm(perm) => perm == queue.perm,
            Edit::Drop => false,
        };
        if same && queues.is_none() {
            continue;
        }
        let queues = queues.get_or_insert_with(|| topic.queues[..at].to_vec());
        match edit {
            Edit::Keep => queues.push(queue.clone()),
            Edit::Perm(perm) => queues.push(Queue { perm, ..queue.clone() }),
            Edit::Drop => {}
        }
    }
    queues
}
