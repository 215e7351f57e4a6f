//! The write lane: a few threads that run the jobs of each connection in order, one at a time.
//!
//! Connections take turns: whoever had one goes to the back. A job whose connection has too many unsent replies waits,
//! without a thread, until they have left or the connection has closed. The close of a connection is the last thing
//! that is run for it, and only then is its place among the connections free again.
//!
//! Jobs of guests may have to wait for one another ([`Guests`]), and are run to be refused if they may not or it was in
//! vain.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::{error, warn};

use super::config::NetConfig;
use super::guests::{Guests, Turned};
use super::link::{Link, ReplySink, Signal};
use super::lock;
use super::service::{CloseReason, LaneJob, LaneService};
use super::threads::Threads;
use super::usage::Slot;
use crate::route::ConnectionId;

/// What workers and lane threads share.
pub(super) struct Lane<J> {
    state: Mutex<State<J>>,
    work: Condvar,
    /// One permit for each byte that may wait.
    bytes: Arc<Semaphore>,
    bytes_max: usize,
}

struct State<J> {
    /// The connections that have something to run, and only those.
    queues: HashMap<ConnectionId, Queue<J>>,
    /// Those whose turn it is, in that order.
    ready: VecDeque<ConnectionId>,
    /// Those whose next job is a guest's and waits for one to end.
    guests: Guests,
    /// How often its threads were asked to look around.
    looks: u64,
    /// The lane stops when nothing is left, or then.
    stop: Option<Instant>,
}

struct Queue<J> {
    link: Arc<Link>,
    jobs: VecDeque<(J, Ticket)>,
    turn: Turn,
    closed: Option<Slot>,
    /// How many jobs of guests had ended when one of its own was refused.
    in_vain: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    /// It stands in `ready`.
    Ready,
    /// A thread runs its job.
    Running { guest: bool },
    /// It waits until its unsent replies have left.
    Blocked,
    /// It stands in `guests`.
    Waiting,
}

/// What a lane thread does next.
pub(super) enum Work<J> {
    Job(ConnectionId, Arc<Link>, J, Ticket),
    Close(ConnectionId, Slot),
}

/// What a lane thread does when it is free.
enum Next<J> {
    Work(Work<J>),
    LookAround,
}

/// The room a job takes up, given back on drop.
pub(super) struct Ticket {
    link: Arc<Link>,
    weight: usize,
    _bytes: OwnedSemaphorePermit,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.link.sub_lane_bytes(self.weight);
    }
}

impl<J: LaneJob> Lane<J> {
    pub(super) fn new(config: &NetConfig) -> Arc<Self> {
        // The semaphore hands out at most u32::MAX at once.
        let bytes_max = config.lane_bytes_total_max.get().min(u32::MAX as usize);
        let (queues, ready, looks, stop) = Default::default();
        let guests = Guests::new(config.lane_threads.get(), bytes_max, config.guest_patience);
        Arc::new(Self {
            state: Mutex::new(State { queues, ready, guests, looks, stop }),
            work: Condvar::new(),
            bytes: Arc::new(Semaphore::new(bytes_max)),
            bytes_max,
        })
    }

    /// How many bytes a job counts for. At least some, because the queue costs memory too; at most all, so that a job
    /// of any size goes through, if alone.
    pub(super) fn weigh(&self, job: &J) -> usize {
        job.weight().max(JOB_WEIGHT_MIN).min(self.bytes_max)
    }

    /// Room for `weight` bytes, if there is some now and nobody waits for it.
    pub(super) fn try_reserve(&self, link: &Arc<Link>, weight: usize) -> Option<Ticket> {
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(permits(weight)).ok()?;
        Some(Ticket::new(link, weight, bytes))
    }

    /// Room for `weight` bytes, first come, first served.
    pub(super) fn reserve(
        &self,
        link: &Arc<Link>,
        weight: usize,
    ) -> impl Future<Output = Ticket> + use<J> + Send + 'static {
        let (link, bytes) = (Arc::clone(link), Arc::clone(&self.bytes));
        async move {
            let bytes = bytes.acquire_many_owned(permits(weight)).await.expect("the semaphore is never closed");
            Ticket::new(&link, weight, bytes)
        }
    }

    /// Adds a job behind those of its connection.
    pub(super) fn push(&self, job: J, ticket: Ticket) {
        let link = Arc::clone(&ticket.link);
        self.enqueue(&link, |queue| queue.jobs.push_back((job, ticket)));
    }

    /// Adds the close of a connection behind its jobs.
    pub(super) fn close(&self, link: &Arc<Link>, slot: Slot) {
        self.enqueue(link, |queue| queue.closed = Some(slot));
        // Its replies go nowhere any more, so its jobs need not wait for them.
        self.resume(link.id);
    }

    /// Looks again at a connection whose job had to wait; harmless for any other.
    pub(super) fn resume(&self, id: ConnectionId) {
        let mut state = lock(&self.state);
        if let Some(queue) = state.queues.get_mut(&id)
            && queue.turn == Turn::Blocked
        {
            queue.turn = Turn::Ready;
            state.ready.push_back(id);
            drop(state);
            self.work.notify_one();
        }
    }

    fn enqueue(&self, link: &Arc<Link>, add: impl FnOnce(&mut Queue<J>)) {
        let mut state = lock(&self.state);
        let State { queues, ready, guests, .. } = &mut *state;
        match queues.entry(link.id) {
            Entry::Occupied(mut queue) => {
                let queue = queue.get_mut();
                add(queue);
                let waits = queue.turn == Turn::Waiting;
                // It does not wait while more and more comes behind it.
                if !waits || guests.may_hold(link.lane_bytes()) {
                    return;
                }
                guests.forget(link.id);
                (queue.turn, queue.in_vain) = (Turn::Ready, Some(guests.ended()));
            }
            Entry::Vacant(vacant) => {
                let (link, jobs, closed, in_vain) = (Arc::clone(link), VecDeque::new(), None, None);
                add(vacant.insert(Queue { link, jobs, turn: Turn::Ready, closed, in_vain }));
            }
        }
        ready.push_back(link.id);
        drop(state);
        self.work.notify_one();
    }

    /// The next thing to run; waits for one. None when the lane stops. `looks` is how often the thread looked around.
    fn take(&self, looks: &mut u64) -> Option<Next<J>> {
        let mut state = lock(&self.state);
        loop {
            if state.looks != *looks {
                *looks = state.looks;
                return Some(Next::LookAround);
            }
            if let Some(work) = state.next() {
                return Some(Next::Work(work));
            }
            if state.stop.is_some() && state.queues.is_empty() {
                return None;
            }
            let now = Instant::now();
            if state.stop.is_some_and(|deadline| deadline <= now) {
                self.abandon(state);
                return None;
            }
            let until = [state.stop, state.guests.until()].into_iter().flatten().min();
            state = match until {
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(now);
                    self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// The next thing to run, if there is one; nobody waits.
    #[cfg(feature = "server")]
    pub(super) fn try_take(&self) -> Option<Work<J>> {
        lock(&self.state).next()
    }

    /// Whether [`Lane::try_take`] has something to look at.
    #[cfg(feature = "server")]
    pub(super) fn is_ready(&self) -> bool {
        let state = lock(&self.state);
        !state.ready.is_empty() || state.guests.has_next()
    }

    /// A job has run: whoever has more to run goes to the back.
    pub(super) fn finish(&self, id: ConnectionId) {
        let mut state = lock(&self.state);
        // Not there when the lane gave up waiting in between.
        let Some(queue) = state.queues.get_mut(&id) else { return };
        let was_guest = queue.turn == Turn::Running { guest: true };
        if queue.jobs.is_empty() && queue.closed.is_none() {
            state.queues.remove(&id);
        } else {
            queue.turn = Turn::Ready;
            state.ready.push_back(id);
        }
        if was_guest {
            state.guests.ends();
        }
        // This thread goes on with whoever waited for a guest to end.
        let leaves_others = was_guest && state.guests.is_waited_for() && !state.ready.is_empty();
        let is_over = state.stop.is_some() && state.queues.is_empty();
        drop(state);
        if is_over {
            self.work.notify_all();
        } else if leaves_others {
            self.work.notify_one();
        }
    }

    fn abandon(&self, mut state: MutexGuard<'_, State<J>>) {
        let queues = std::mem::take(&mut state.queues);
        state.ready.clear();
        state.guests.clear();
        drop(state);
        if !queues.is_empty() {
            warn!(connections = queues.len(), "stopping without having run all jobs of the write lane");
        }
        self.work.notify_all();
    }

    fn run(&self, service: &mut impl LaneService<Job = J>) {
        let mut looks = 0;
        while let Some(next) = self.take(&mut looks) {
            match next {
                Next::Work(work) => {
                    let id = work.connection();
                    self.perform(work, service);
                    self.finish(id);
                }
                Next::LookAround => {
                    if catch_unwind(AssertUnwindSafe(|| service.look_around())).is_err() {
                        error!("a lane thread panicked between two jobs");
                    }
                }
            }
        }
    }

    /// Runs what was taken. Its connection gets nothing else until [`Lane::finish`].
    pub(super) fn perform(&self, work: Work<J>, service: &mut impl LaneService<Job = J>) {
        match work {
            Work::Job(_, link, job, ticket) => {
                let reply = ReplySink::new(&link);
                if catch_unwind(AssertUnwindSafe(|| service.run(job, reply))).is_err() {
                    link.signal(Signal::Close(CloseReason::Panicked));
                }
                drop(ticket);
            }
            Work::Close(id, slot) => {
                if catch_unwind(AssertUnwindSafe(|| service.connection_closed(id))).is_err() {
                    error!(connection = id.0, "the close of a connection caused a panic");
                }
                drop(slot);
            }
        }
    }
}

impl<J> Work<J> {
    pub(super) fn connection(&self) -> ConnectionId {
        match self {
            Self::Job(id, ..) | Self::Close(id, _) => *id,
        }
    }

    #[cfg(feature = "server")]
    pub(super) fn is_close(&self) -> bool {
        matches!(self, Self::Close(..))
    }
}

impl<J: LaneJob> State<J> {
    fn next(&mut self) -> Option<Work<J>> {
        loop {
            let (id, turned) = match self.guests.next() {
                Some((id, turned)) => (id, Some(turned)),
                None => (self.ready.pop_front()?, None),
            };
            let queue = self.queues.get_mut(&id).expect("whoever is ready or waits has a queue");
            if queue.jobs.is_empty() {
                let slot = queue.closed.take().expect("a queue without a job is there for its close");
                queue.turn = Turn::Running { guest: false };
                return Some(Work::Close(id, slot));
            }
            if queue.closed.is_none() && !queue.link.has_room_or_call() {
                queue.turn = Turn::Blocked;
                continue;
            }
            let is_guests = queue.jobs.front().is_some_and(|(job, _)| job.is_guest());
            let now = Some(self.guests.ended());
            let may_run = match turned {
                Some(turned) => turned == Turned::Free,
                None if !is_guests || self.guests.is_free() => true,
                None if queue.in_vain != now && self.guests.may_wait(queue.link.lane_bytes()) => {
                    queue.turn = Turn::Waiting;
                    self.guests.wait(id);
                    continue;
                }
                None => false,
            };
            let (mut job, ticket) = queue.jobs.pop_front().expect("it was not empty");
            queue.turn = Turn::Running { guest: is_guests && may_run };
            if !may_run {
                queue.in_vain = now;
                job.refuse();
            } else if is_guests {
                self.guests.begins();
            }
            return Some(Work::Job(id, Arc::clone(&queue.link), job, ticket));
        }
    }
}

impl Ticket {
    fn new(link: &Arc<Link>, weight: usize, bytes: OwnedSemaphorePermit) -> Self {
        link.add_lane_bytes(weight);
        Self { link: Arc::clone(link), weight, _bytes: bytes }
    }
}

fn permits(weight: usize) -> u32 {
    u32::try_from(weight).expect("a weight is at most what the semaphore holds")
}

/// The threads of a lane. Dropping it stops them at once.
pub(super) struct LaneThreads {
    lane: Arc<dyn LaneControl>,
    threads: Threads,
}

impl LaneThreads {
    /// Starts the threads, each with a service of its own, and waits until all have theirs.
    pub(super) fn start<L: LaneService>(
        lane: &Arc<Lane<L::Job>>,
        threads: usize,
        factory: impl Fn() -> L + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let factory = Arc::new(factory);
        let mut started = Self { lane: Arc::clone(lane) as Arc<dyn LaneControl>, threads: Threads::default() };
        let (ready, all_ready) = std::sync::mpsc::channel();
        for index in 0..threads {
            let (lane, factory, ready) = (Arc::clone(lane), Arc::clone(&factory), ready.clone());
            started.threads.spawn(format!("lane-{index}"), move || {
                let mut service = factory();
                // Nobody listens any more if another thread could not start.
                let _ = ready.send(());
                drop(ready);
                lane.run(&mut service);
            })?;
        }
        drop(ready);
        if all_ready.iter().count() < threads {
            return Err(io::Error::other("a lane thread could not make its service"));
        }
        Ok(started)
    }

    /// Runs what is queued until `deadline`, forgets the rest, and joins the threads but those whose job does not end.
    pub(super) fn stop(&mut self, deadline: Instant) {
        self.lane.stop(deadline);
        self.threads.join(deadline);
    }
}

impl Drop for LaneThreads {
    fn drop(&mut self) {
        self.stop(Instant::now());
    }
}

/// A lane of whatever jobs, as far as its threads go.
pub(super) trait LaneControl: fmt::Debug + Send + Sync {
    /// Runs what is queued until then, and ends.
    fn stop(&self, deadline: Instant);

    /// Lets every thread look around when it is free.
    fn look_around(&self);
}

impl<J> fmt::Debug for Lane<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

impl<J: LaneJob> LaneControl for Lane<J> {
    fn stop(&self, deadline: Instant) {
        lock(&self.state).stop.get_or_insert(deadline);
        self.work.notify_all();
    }

    fn look_around(&self) {
        lock(&self.state).looks += 1;
        self.work.notify_all();
    }
}

/// What a job costs beside its bytes, roughly.
const JOB_WEIGHT_MIN: usize = 256;
