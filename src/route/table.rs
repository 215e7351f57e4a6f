//! The one way into the tables: who may write, and how readers see it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;

use super::connection::Connection;
use super::draft::Draft;
use super::live::Live;
use super::register::{self, RegisterError};
use super::sweep::{self, Damage, Repair, Watch};
use super::tables::Tables;
use super::types::{Departure, Millis, Queue, Registered, Registration, Removed, Told};
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
    watch: Watch,
    listener: Listener,
}

/// Who hears of every publication.
#[derive(Default)]
struct Listener(OnceLock<Box<dyn Fn() + Send + Sync>>);

/// A registration, and where and when it came.
pub(super) struct Asked<'a> {
    pub(super) registration: Registration,
    pub(super) told: Told,
    pub(super) from: &'a Connection,
    pub(super) now: Millis,
}

/// What came of a registration on tables that may be old by now.
pub(super) struct Guess {
    base: Arc<Tables>,
    outcome: Result<(Draft, Registered), RegisterError>,
}

/// An expiry that has been made on tables that may be old by now, and decided by nobody yet.
pub(super) struct Expiry {
    base: Arc<Tables>,
    now: Millis,
    silent: Vec<Arc<Live>>,
    draft: Draft,
    removed: Vec<Removed>,
}

impl RouteTable {
    /// Empty tables.
    pub fn new() -> Self {
        Self {
            root: ArcSwap::from_pointee(Tables::new()),
            retired: Mutex::default(),
            watch: Watch::default(),
            listener: Listener::default(),
        }
    }

    /// Publishes tables that no verb would leave behind.
    #[cfg(test)]
    pub(crate) fn damage(&self, damage: impl FnOnce(&mut Tables)) {
        let mut tables = Tables::clone(&self.tables());
        tables.generation += 1;
        tables.routes = tables.generation;
        damage(&mut tables);
        self.root.store(Arc::new(tables));
    }

    /// Has `listener` called after each publication, by whoever published, so it must be quick. The first one stays.
    #[cfg(feature = "server")]
    pub(crate) fn tell(&self, listener: impl Fn() + Send + Sync + 'static) {
        let _ = self.listener.0.set(Box::new(listener));
    }

    /// The tables at this moment.
    pub fn tables(&self) -> Arc<Tables> {
        self.root.load_full()
    }

    /// The generation of the tables at this moment and the version of their routes, without taking hold of them.
    pub fn versions(&self) -> (u64, u64) {
        let tables = self.root.load();
        (tables.generation(), tables.routes_version())
    }

    /// Registers a broker, or applies what a registered one says anew: whole, or with an error and not at all. What is
    /// told as a difference may be [stale](RegisterError::Stale); then it is to be told whole.
    pub fn register(
        &self,
        registration: Registration,
        topics: impl Into<Told>,
        from: &Connection,
        now: Millis,
    ) -> Result<Registered, RegisterError> {
        let asked = Asked { registration, told: topics.into(), from, now };
        register::validate(&asked.registration, &asked.told.table)?;
        // A registration usually says what the one before said, and finding that out takes a lookup per topic. So it is
        // made before the lock, on the guess that nobody publishes in between; a wrong guess costs one repetition.
        let guess = self.guess(&asked);
        self.commit(&asked, guess)
    }

    /// What a valid registration would change, if nobody else changed anything before its commit.
    pub(super) fn guess(&self, asked: &Asked) -> Guess {
        let base = self.tables();
        let outcome = asked.apply(&base);
        Guess { base, outcome }
    }

    /// Publishes a registration: as guessed, or made anew when others have published since.
    pub(super) fn commit(&self, asked: &Asked, guess: Guess) -> Result<Registered, RegisterError> {
        let Guess { base, outcome } = guess;
        let retired = self.lock();
        if !asked.from.use_for_registration() {
            return Err(RegisterError::ConnectionClosed);
        }
        let is_current = Arc::ptr_eq(&base, &self.root.load());
        drop(base);
        let (draft, registered) = if is_current { outcome? } else { asked.apply(&self.root.load())? };
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
        match self.begin_expiry(now) {
            Some(expiry) => self.finish_expiry(expiry),
            None => {
                // What readers have let go of since the last writer does not have to wait for the next one.
                free(self.lock());
                Vec::new()
            }
        }
    }

    /// What an expiry would change, if nobody beats or publishes before it is finished; none if nobody is silent.
    pub(super) fn begin_expiry(&self, now: Millis) -> Option<Expiry> {
        let base = self.tables();
        let silent = remove::silent(&base, now);
        if silent.is_empty() {
            return None;
        }
        let mut draft = Draft::of(&base);
        let removed = remove::expire(&mut draft, &silent);
        Some(Expiry { base, now, silent, draft, removed })
    }

    /// Removes those that are silent still, each decided in one step that no heartbeat can fall into.
    pub(super) fn finish_expiry(&self, expiry: Expiry) -> Vec<Removed> {
        let Expiry { base, now, silent, draft, removed } = expiry;
        let retired = self.lock();
        let current = self.tables();
        let stays =
            |live: &Arc<Live>| current.live(live.cluster(), live.address()).is_some_and(|now| Arc::ptr_eq(now, live));
        let given_up: Vec<_> =
            silent.iter().filter(|live| stays(live) && live.give_up_if_silent(now)).cloned().collect();
        if Arc::ptr_eq(&base, &current) && given_up.len() == silent.len() {
            drop((base, current));
            self.publish(draft, retired);
            return removed;
        }
        drop((base, current, draft));
        self.write_locked(retired, |draft| remove::expire(draft, &given_up))
    }

    /// Looks for what must never be in the tables and repairs it; says what was repaired. Costs next to nothing while
    /// nobody publishes.
    pub fn sweep(&self) -> Vec<Repair> {
        let tables = self.tables();
        if !self.watch.is_new(&tables) {
            return Vec::new();
        }
        let places = sweep::find(&tables);
        if places.is_empty() {
            self.watch.found_whole(&tables);
            return Vec::new();
        }
        drop(tables);
        let repairs = self.write_at_once(|draft| sweep::repair(draft, &places));
        self.watch.note(&repairs);
        repairs
    }

    /// How many things of each kind were repaired so far; all zero, unless this server has a fault.
    pub fn repairs(&self) -> BTreeMap<Damage, u64> {
        self.watch.repairs()
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
        self.write_at_once(|draft| topics::delete(draft, topic, cluster));
    }

    /// Adds entries to a topic, in order, until one names a broker that is not registered. A topic that is new and
    /// names such a broker is not stored at all.
    pub fn put_topic(&self, topic: &str, queues: Vec<Queue>) {
        self.write_at_once(|draft| topics::put(draft, topic, queues));
    }

    /// A change that may be a pass over every topic. It is made before the lock, like a registration, on the guess that
    /// nobody publishes in between.
    fn write<R>(&self, change: impl Fn(&mut Draft) -> R) -> R {
        let base = self.tables();
        let mut draft = Draft::of(&base);
        let outcome = change(&mut draft);
        let retired = self.lock();
        if Arc::ptr_eq(&base, &self.root.load()) {
            drop(base);
            self.publish(draft, retired);
            return outcome;
        }
        drop((base, draft));
        self.write_locked(retired, change)
    }

    /// A change that is made so soon that nobody minds waiting for it.
    fn write_at_once<R>(&self, change: impl FnOnce(&mut Draft) -> R) -> R {
        self.write_locked(self.lock(), change)
    }

    fn write_locked<R>(&self, retired: MutexGuard<'_, Vec<Arc<Tables>>>, change: impl FnOnce(&mut Draft) -> R) -> R {
        let mut draft = Draft::of(&self.root.load());
        let outcome = change(&mut draft);
        self.publish(draft, retired);
        outcome
    }

    fn publish(&self, draft: Draft, mut retired: MutexGuard<'_, Vec<Arc<Tables>>>) {
        if let Some(tables) = draft.finish() {
            retired.push(self.root.swap(Arc::new(tables)));
            if let Some(listener) = self.listener.0.get() {
                listener();
            }
        }
        free(retired);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Tables>>> {
        // A writer that panicked has published nothing, so there is nothing to be wary of.
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets go of the lock, and then frees the tables that no reader holds any more.
fn free(mut retired: MutexGuard<'_, Vec<Arc<Tables>>>) {
    // What is no longer published gains no new holders: a count of one is ours, and final.
    let free: Vec<_> = retired.extract_if(.., |tables| Arc::strong_count(tables) == 1).collect();
    drop(retired);
    // Only now, because it may take milliseconds.
    drop(free);
}

impl Asked<'_> {
    fn apply(&self, base: &Tables) -> Result<(Draft, Registered), RegisterError> {
        let mut draft = Draft::of(base);
        let registered = register::apply(&mut draft, &self.registration, &self.told, self.from.id(), self.now)?;
        Ok((draft, registered))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.0.get().is_some()).finish()
    }
}

impl Default for RouteTable {
    fn default() -> Self {
        Self::new()
    }
}
