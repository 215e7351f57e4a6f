//! The one way into the tables: who may write, and how readers see it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::connection::Connection;
use super::draft::Draft;
use super::register::{self, RegisterError};
use super::tables::Tables;
use super::types::{Departure, Millis, Queue, Registered, Registration, Removed, TopicTable};
use super::{remove, topics};

/// The tables, and the right to change them.
///
/// Writers take turns; each publishes once, or not at all. Readers never wait: [`RouteTable::tables`] is what was
/// published last, and stays as it is for as long as it is held.
#[derive(Debug)]
pub struct RouteTable {
    root: ArcSwap<Tables>,
    /// The write lock, and the tables that some reader may still hold. Whoever lets go of such a table last has to
    /// free what only it holds, which may be every topic; kept here, that is always a writer.
    retired: Mutex<Vec<Arc<Tables>>>,
}

impl RouteTable {
    /// Empty tables.
    pub fn new() -> Self {
        Self { root: ArcSwap::from_pointee(Tables::new()), retired: Mutex::default() }
    }

    /// The tables at this moment.
    pub fn tables(&self) -> Arc<Tables> {
        self.root.load_full()
    }

    /// The generation of the tables at this moment, without taking hold of them.
    pub fn generation(&self) -> u64 {
        self.root.load().generation()
    }

    /// Registers a broker, or applies what a registered one says anew: whole, or with an error and not at all.
    pub fn register(
        &self,
        registration: Registration,
        topics: TopicTable,
        from: &Connection,
        now: Millis,
    ) -> Result<Registered, RegisterError> {
        register::validate(&registration, &topics)?;
        let attempt = |base: &Tables| {
            let mut draft = Draft::of(base);
            let outcome = register::apply(&mut draft, &registration, &topics, from.id(), now);
            outcome.map(|registered| (draft, registered))
        };

        // A registration usually says what the one before said, and finding that out takes a lookup per topic. So it is
        // made before the lock, on the guess that nobody publishes in between; a wrong guess costs one repetition.
        let base = self.tables();
        let guess = attempt(&base);
        let retired = self.lock();
        if !from.use_for_registration() {
            return Err(RegisterError::ConnectionClosed);
        }
        let is_current = Arc::ptr_eq(&base, &self.root.load());
        drop(base);
        let (draft, registered) = if is_current { guess? } else { attempt(&self.root.load())? };
        self.publish(draft, retired);
        Ok(registered)
    }

    /// Removes a broker that leaves. One that is not here is not an error.
    pub fn unregister(&self, departure: &Departure) -> Option<Removed> {
        self.unregister_all(std::slice::from_ref(departure)).pop()
    }

    /// Removes many at once, with one pass over the topics and one publication.
    pub fn unregister_all(&self, departures: &[Departure]) -> Vec<Removed> {
        self.write(|draft| remove::unregister(draft, departures.iter()))
    }

    /// Closes a connection and removes every broker whose last registration came over it. From here on, nothing
    /// registers over it.
    pub fn disconnect(&self, connection: &Connection) -> Vec<Removed> {
        match connection.close() {
            true => self.write(|draft| remove::disconnect(draft, connection.id())),
            false => Vec::new(),
        }
    }

    /// Removes every broker that has been silent for longer than its timeout.
    pub fn expire(&self, now: Millis) -> Vec<Removed> {
        self.write(|draft| remove::expire(draft, now))
    }

    /// Notes a sign of life; false when no such broker is registered. Takes no lock.
    pub fn heartbeat(&self, cluster: &str, address: &str, now: Millis) -> bool {
        self.root.load().live(cluster, address).is_some_and(|live| live.beat(now))
    }

    /// Sets the permission of every topic entry of a broker name to `(perm & keep) | set`; returns how many there are.
    pub fn change_permissions(&self, broker_name: &str, keep: i32, set: i32) -> usize {
        self.write(|draft| topics::change_permissions(draft, broker_name, keep, set))
    }

    /// Forgets a topic: its entries on the brokers of `cluster`, or everywhere when that is none.
    pub fn delete_topic(&self, topic: &str, cluster: Option<&str>) {
        self.write(|draft| topics::delete(draft, topic, cluster));
    }

    /// Adds entries to a topic, in order, until one names a broker that is not registered. A topic that is new and
    /// names such a broker is not stored at all.
    pub fn put_topic(&self, topic: &str, queues: Vec<Queue>) {
        self.write(|draft| topics::put(draft, topic, queues));
    }

    fn write<R>(&self, change: impl FnOnce(&mut Draft) -> R) -> R {
        let retired = self.lock();
        let mut draft = Draft::of(&self.root.load());
        let outcome = change(&mut draft);
        self.publish(draft, retired);
        outcome
    }

    fn publish(&self, draft: Draft, mut retired: MutexGuard<'_, Vec<Arc<Tables>>>) {
        if let Some(tables) = draft.finish() {
            retired.push(self.root.swap(Arc::new(tables)));
        }
        // What is no longer published gains no new holders: a count of one is ours, and final.
        let free: Vec<_> = retired.extract_if(.., |tables| Arc::strong_count(tables) == 1).collect();
        drop(retired);
        // Only now, because it may take milliseconds.
        drop(free);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Tables>>> {
        // A writer that panicked has published nothing, so there is nothing to be wary of.
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for RouteTable {
    fn default() -> Self {
        Self::new()
    }
}
