//! Requests that wait until a topic's route changes (`reply.when-changed`), and are then handled once more.
//!
//! No thread waits for any of them: one looks at all of them when the tables were published or somebody's time is up,
//! and hands each that has waited long enough back to its connection.
//!
//! # Invariants
//!
//! * Who waits has a [`Seat`], and there are only so many: in all, and on each connection.
//! * A change is never missed: a request is looked at after it has sat down, against what is published then.
//! * A request waits once, so it is handled twice at most.
//! * Nobody waits on a connection that has closed, or for a server that stops.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;

use super::core::Core;
use crate::net::{Occasion, ReplySink};
use crate::route::{ConnectionId, Name, Tables};

/// So many may wait on one connection. What waits counts as a delayed reply, of which a connection has a thousand.
const SEATS_OF_CONNECTION: usize = 512;

/// The longest wait: a connection on which nothing happens is closed after two minutes.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Publications so close together are looked at together.
const REST: Duration = Duration::from_millis(5);

/// While nobody waits, nobody looks.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Everybody who waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    /// Something is to be looked at.
    call: Condvar,
    /// How many there are, for those who publish.
    count: AtomicUsize,
    seats_max: AtomicUsize,
    /// Somebody looks; without that, waiting would never end.
    is_watched: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    /// Seats that are taken, by the connection.
    seats: HashMap<ConnectionId, usize>,
    taken: usize,
    waiters: Vec<Waiter>,
    /// Those that were handed back when nobody was free to answer them: they are handed back again.
    put_off: Vec<(Bytes, Occasion, ReplySink)>,
    must_look: bool,
    /// The thread that looks is to end.
    is_over: bool,
}

#[derive(Debug)]
struct Waiter {
    wish: Wish,
    frame: Bytes,
    sink: ReplySink,
}

/// What a request waits for.
#[derive(Debug)]
pub(crate) struct Wish {
    seat: Seat,
    topic: Name,
    seen: u64,
    /// On the monotonic clock.
    until: Duration,
}

/// The right to wait, given back on drop.
#[derive(Debug)]
struct Seat {
    shared: Arc<Shared>,
    connection: ConnectionId,
}

/// Why somebody cannot wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NoSeat {
    #[error("{SEATS_OF_CONNECTION} requests of this connection wait already")]
    OnConnection,
    #[error("{0} requests wait already, as many as `plugins.waiting-max` allows")]
    InAll(usize),
    #[error("the server does not let requests wait now")]
    Nobody,
}

impl Waiting {
    /// So many may wait from now on.
    pub(crate) fn set_max(&self, seats: usize) {
        self.0.seats_max.store(seats, Ordering::Relaxed);
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// A seat for a request that waits until the route of `topic` is not the one of version `seen`.
    pub(crate) fn reserve(
        &self,
        connection: ConnectionId,
        topic: Name,
        seen: u64,
        (now, timeout): (Duration, Duration),
    ) -> Result<Wish, NoSeat> {
        let shared = Arc::clone(&self.0);
        if !shared.is_watched.load(Ordering::SeqCst) {
            return Err(NoSeat::Nobody);
        }
        let seats_max = shared.seats_max.load(Ordering::Relaxed);
        let mut inner = shared.lock();
        if inner.taken >= seats_max {
            return Err(NoSeat::InAll(seats_max));
        }
        let of_connection = inner.seats.entry(connection).or_default();
        if *of_connection >= SEATS_OF_CONNECTION {
            return Err(NoSeat::OnConnection);
        }
        *of_connection += 1;
        inner.taken += 1;
        drop(inner);
        let seat = Seat { shared, connection };
        Ok(Wish { seat, topic, seen, until: now + timeout.min(WAIT_MAX) })
    }

    /// Lets a request wait; `frame` is handled again when its wish has come true, or its time is up.
    pub(crate) fn wait(&self, wish: Wish, frame: Bytes, sink: ReplySink) {
        let mut inner = self.0.lock();
        inner.waiters.push(Waiter { wish, frame, sink });
        self.0.count.store(inner.waiters.len(), Ordering::SeqCst);
        inner.must_look = true;
        self.0.call.notify_one();
        drop(inner);
        if !self.0.is_watched.load(Ordering::SeqCst) {
            // Whoever had a seat before the server stopped, and sat down after it.
            self.stop();
        }
    }

    /// A request that has waited, and that nobody is free to answer, is handed back once more in a moment; not when the
    /// server has stopped.
    pub(crate) fn put_off(&self, frame: Bytes, occasion: Occasion, sink: ReplySink) -> Result<(), ReplySink> {
        let mut inner = self.0.lock();
        if inner.is_over {
            return Err(sink);
        }
        inner.put_off.push((frame, occasion, sink));
        inner.must_look = true;
        self.0.call.notify_one();
        Ok(())
    }

    /// The tables were published.
    pub(crate) fn published(&self) {
        // Whoever sits down after this load is looked at against these tables, or newer ones.
        if self.0.count.load(Ordering::SeqCst) > 0 {
            self.0.lock().must_look = true;
            self.0.call.notify_one();
        }
    }

    /// A connection has closed: whoever waited on it is forgotten.
    pub(crate) fn forget(&self, connection: ConnectionId) {
        if self.count() > 0 {
            let gone = self.take(|waiter| {
                let is_its = waiter.wish.seat.connection == connection;
                is_its.then_some(Occasion::Stopping)
            });
            drop(gone);
        }
    }

    /// Everybody is told that the server stops, and nobody waits from now on.
    pub(crate) fn stop(&self) {
        self.0.is_watched.store(false, Ordering::SeqCst);
        wake(self.take(|_| Some(Occasion::Stopping)));
    }

    /// Hands back whose wish has come true or whose time is up; returns when the next one's is.
    fn look(&self, tables: &Tables, now: Duration) -> Option<Duration> {
        let is_over = !self.0.is_watched.load(Ordering::SeqCst);
        let mut next = None::<Duration>;
        let ready = self.take(|Waiter { wish, .. }| {
            if tables.route_version(&wish.topic).unwrap_or(0) != wish.seen {
                return Some(Occasion::Happened);
            }
            if is_over {
                return Some(Occasion::Stopping);
            }
            if wish.until <= now {
                return Some(Occasion::TimedOut);
            }
            next = Some(next.map_or(wish.until, |next| next.min(wish.until)));
            None
        });
        wake(ready);
        let put_off = std::mem::take(&mut self.0.lock().put_off);
        put_off.into_iter().for_each(|(frame, occasion, sink)| sink.again(frame, occasion));
        next
    }

    fn take(&self, mut of: impl FnMut(&Waiter) -> Option<Occasion>) -> Vec<(Waiter, Occasion)> {
        let mut inner = self.0.lock();
        let mut taken = Vec::new();
        let mut at = 0;
        while let Some(waiter) = inner.waiters.get(at) {
            match of(waiter) {
                Some(occasion) => taken.push((inner.waiters.swap_remove(at), occasion)),
                None => at += 1,
            }
        }
        inner.waiters.shrink_to(2 * taken.len().max(64));
        self.0.count.store(inner.waiters.len(), Ordering::SeqCst);
        taken
    }
}

/// Without the lock: a seat that is given up takes it.
fn wake(ready: Vec<(Waiter, Occasion)>) {
    for (Waiter { wish, frame, sink }, occasion) in ready {
        drop(wish);
        sink.again(frame, occasion);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panics leaves the lists whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        inner.taken -= 1;
        if let Some(taken) = inner.seats.get_mut(&self.connection) {
            *taken -= 1;
            if *taken == 0 {
                inner.seats.remove(&self.connection);
            }
        }
    }
}

/// The thread that looks. Dropping it sends everybody back, and ends it.
pub(crate) struct Watcher {
    waiting: Waiting,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// From now on requests may wait.
    pub(crate) fn start(core: Arc<Core>) -> std::io::Result<Self> {
        let waiting = core.waiting.clone();
        waiting.0.lock().is_over = false;
        let told = waiting.clone();
        core.routes.tell(move || told.published());
        waiting.0.is_watched.store(true, Ordering::SeqCst);
        let thread = std::thread::Builder::new().name("waiting".to_owned()).spawn(move || watch(&core))?;
        Ok(Self { waiting, thread: Some(thread) })
    }
}

fn watch(core: &Core) {
    let Waiting(shared) = &core.waiting;
    let mut next = NEVER;
    loop {
        let inner = shared.lock();
        let wait = |wait: Duration, inner| {
            shared.call.wait_timeout_while(inner, wait, |inner: &mut Inner| !inner.must_look && !inner.is_over)
        };
        let (mut inner, _) = wait(next, inner).unwrap_or_else(PoisonError::into_inner);
        if inner.is_over {
            return;
        }
        inner.must_look = false;
        drop(inner);
        let (tables, now) = (core.routes.tables(), core.clock.monotonic());
        let until = core.waiting.look(&tables, now);
        drop(tables);
        // Not before the others had a rest: what is published meanwhile is looked at together.
        let inner = shared.lock();
        let rest = shared.call.wait_timeout_while(inner, REST, |inner| !inner.is_over);
        drop(rest.unwrap_or_else(PoisonError::into_inner));
        next = until.map_or(NEVER, |until| until.saturating_sub(now));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.waiting.stop();
        self.waiting.0.lock().is_over = true;
        self.waiting.0.call.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Connection;
    use crate::route::RouteTable;

    const SECOND: Duration = Duration::from_secs(1);

    /// As if a thread looked, which the tests do themselves.
    fn waiting(seats: usize) -> Waiting {
        let waiting = Waiting::default();
        waiting.set_max(seats);
        waiting.0.is_watched.store(true, Ordering::SeqCst);
        waiting
    }

    fn connection() -> Connection {
        Connection::without_socket(([127, 0, 0, 1], 1).into())
    }

    fn wish(waiting: &Waiting, connection: &Connection, now: Duration, timeout: Duration) -> Result<Wish, NoSeat> {
        waiting.reserve(connection.id(), "T".into(), 0, (now, timeout))
    }

    fn sit_down(waiting: &Waiting, connection: &Connection, now: Duration, timeout: Duration) {
        let wish = wish(waiting, connection, now, timeout).unwrap();
        waiting.wait(wish, Bytes::from_static(b"frame"), connection.reply_sink());
    }

    fn seats_taken(waiting: &Waiting) -> (usize, usize) {
        let inner = waiting.0.lock();
        (inner.taken, inner.seats.len())
    }

    #[test]
    fn who_waits_is_looked_at_when_the_next_ones_time_is_up_and_gives_the_seat_back() {
        let (waiting, connection, tables) = (waiting(10), connection(), RouteTable::new().tables());
        sit_down(&waiting, &connection, 10 * SECOND, 5 * SECOND);
        sit_down(&waiting, &connection, 10 * SECOND, 3600 * SECOND);

        assert_eq!(waiting.look(&tables, 12 * SECOND), Some(15 * SECOND));
        assert_eq!((waiting.count(), seats_taken(&waiting)), (2, (2, 1)));
        assert_eq!(waiting.look(&tables, 15 * SECOND), Some(10 * SECOND + WAIT_MAX), "nobody waits for an hour");
        assert_eq!((waiting.count(), seats_taken(&waiting)), (1, (1, 1)));
        assert_eq!(waiting.look(&tables, 70 * SECOND), None);
        assert_eq!((waiting.count(), seats_taken(&waiting)), (0, (0, 0)));
    }

    #[test]
    fn seats_are_few_in_all_and_on_each_connection() {
        let (one, other) = (connection(), connection());
        let waiting = waiting(SEATS_OF_CONNECTION + 1);
        let wish = |connection: &Connection| wish(&waiting, connection, SECOND, SECOND);

        let mut taken: Vec<_> = (0..SEATS_OF_CONNECTION).map(|_| wish(&one).unwrap()).collect();
        assert_eq!(wish(&one).unwrap_err(), NoSeat::OnConnection);
        taken.push(wish(&other).unwrap());
        assert_eq!(wish(&other).unwrap_err(), NoSeat::InAll(SEATS_OF_CONNECTION + 1));
        taken.remove(0);
        assert!(wish(&one).is_ok(), "one that was given up is free");
        drop(taken);
        assert_eq!(seats_taken(&waiting), (0, 0));
    }

    #[test]
    fn whoever_closes_or_stops_leaves_nobody_behind() {
        let (waiting, one, other) = (waiting(10), connection(), connection());
        sit_down(&waiting, &one, SECOND, SECOND);
        sit_down(&waiting, &other, SECOND, SECOND);
        let late = wish(&waiting, &other, SECOND, SECOND).unwrap();

        waiting.forget(one.id());
        assert_eq!((waiting.count(), seats_taken(&waiting)), (1, (2, 1)));
        waiting.stop();
        assert_eq!(waiting.count(), 0);
        waiting.wait(late, Bytes::new(), other.reply_sink());
        assert_eq!((waiting.count(), seats_taken(&waiting)), (0, (0, 0)), "it had a seat before");
        assert_eq!(wish(&waiting, &other, SECOND, SECOND).unwrap_err(), NoSeat::Nobody);
    }

    #[test]
    fn what_nobody_is_free_to_answer_is_handed_back_at_the_next_look_until_all_is_over() {
        let (waiting, connection) = (waiting(10), connection());
        let put_off = || waiting.put_off(Bytes::new(), Occasion::Happened, connection.reply_sink());

        assert!(put_off().is_ok());
        assert!(waiting.0.lock().must_look);
        waiting.look(&RouteTable::new().tables(), SECOND);
        assert!(waiting.0.lock().put_off.is_empty());
        waiting.0.lock().is_over = true;
        assert!(put_off().is_err());
    }
}
