//! A worker: one thread, one event loop, one service, and the connections that live there.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::config::NetConfig;
use super::connection::Driver;
use super::lane::{Lane, LaneControl};
use super::link::{Connection, Link, Signal};
use super::log_limit::LogLimit;
use super::memory::{self, MemoryPeer};
use super::service::{CloseReason, Service};
use super::stream::{Accepted, READ_MAX, Stream};
use super::threads::Threads;
use super::tls::{Scratch, Terms};
use super::usage::{Load, Slot, Totals, Traffic, Turns, Usage, WorkerUsage};
use crate::route::ConnectionId;

/// The connections of a server, for whoever must close or count them.
#[derive(Clone, Debug)]
pub struct Connections {
    workers: Arc<[WorkerHandle]>,
    lane: Arc<dyn LaneControl>,
    totals: Arc<Totals>,
    connections_max: usize,
}

impl Connections {
    pub(super) fn new(
        workers: impl Iterator<Item = WorkerHandle>,
        lane: Arc<dyn LaneControl>,
        totals: Arc<Totals>,
        connections_max: usize,
    ) -> Self {
        Self { workers: workers.collect(), lane, totals, connections_max }
    }

    /// Lets every worker and every thread of the lane look around between two requests, those that have nothing to do
    /// as well. Returns at once.
    pub fn look_around(&self) {
        self.workers.iter().for_each(|worker| worker.send(Command::LookAround));
        self.lane.look_around();
    }

    /// Closes a connection, if it is still there. Returns at once; the lane hears of it as of any close.
    pub fn close(&self, id: ConnectionId) {
        // Which worker has it is not worth a table: closing a connection from here is rare, and workers are few.
        for worker in self.workers.iter() {
            worker.send(Command::Close(id));
        }
    }

    /// Connections that are open, or whose close the lane has yet to handle.
    pub fn count(&self) -> usize {
        self.totals.connections.load(Relaxed)
    }

    /// Open connections of each worker.
    pub fn per_worker(&self) -> Vec<usize> {
        self.workers.iter().map(WorkerHandle::connections).collect()
    }

    /// A connection from `peer` without a socket, which holds `capacity` bytes in each direction. None when there are
    /// too many connections.
    pub fn connect_in_memory(&self, peer: SocketAddr, capacity: usize) -> Option<MemoryPeer> {
        let slot = Slot::take(&self.totals, self.connections_max)?;
        let (stream, other_end) = memory::pair(capacity);
        WorkerHandle::least_loaded(&self.workers)?.open(Accepted::Memory(stream), peer, slot);
        Some(other_end)
    }

    /// What is held, and what was done so far.
    pub fn usage(&self) -> Usage {
        self.totals.usage()
    }

    /// What each worker did so far.
    pub fn usage_per_worker(&self) -> Vec<WorkerUsage> {
        self.totals.traffic.iter().map(Traffic::usage).collect()
    }

    /// Workers that have not heard for ten seconds that time goes by.
    pub fn stuck_workers(&self) -> usize {
        self.workers.iter().filter(|worker| worker.is_stuck()).count()
    }

    /// How many connections ended so far, by reason.
    pub fn closed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.totals.closed()
    }

    /// How long the turns of the workers took.
    pub fn turns(&self) -> Turns {
        self.totals.turns()
    }
}

/// What a worker can be told.
#[derive(Debug)]
pub(super) enum Command {
    Open {
        stream: Accepted,
        peer: SocketAddr,
        slot: Slot,
        load: Load,
    },
    Close(ConnectionId),
    /// Something may have changed that counts from the next request on.
    LookAround,
    /// Time goes by. So often it has, and is set to zero when the worker hears of it.
    Sweep(Arc<AtomicU32>),
    /// Answer what is owed until then, and end.
    Stop(Instant),
}

/// The way to a worker.
#[derive(Clone, Debug)]
pub(super) struct WorkerHandle {
    commands: UnboundedSender<Command>,
    load: Arc<AtomicUsize>,
    sweeps_due: Arc<AtomicU32>,
}

impl WorkerHandle {
    /// The way to a worker that does not exist yet, and what it will receive.
    pub(super) fn new() -> (Self, UnboundedReceiver<Command>) {
        let (commands, received) = unbounded_channel();
        (Self { commands, load: Arc::default(), sweeps_due: Arc::default() }, received)
    }

    /// Where the next connection goes.
    pub(super) fn least_loaded(workers: &[Self]) -> Option<&Self> {
        workers.iter().min_by_key(|worker| worker.connections())
    }

    /// Open connections, those on their way to it included.
    pub(super) fn connections(&self) -> usize {
        self.load.load(Relaxed)
    }

    pub(super) fn open(&self, stream: Accepted, peer: SocketAddr, slot: Slot) {
        self.send(Command::Open { stream, peer, slot, load: Load::add(&self.load) });
    }

    /// To be called at every [`SWEEP_PERIOD`]. A worker that was held up hears of it once, however late: it must not
    /// take its own delay for the silence of its peers.
    pub(super) fn sweep(&self) {
        if self.sweeps_due.fetch_add(1, AcqRel) == 0 {
            self.send(Command::Sweep(Arc::clone(&self.sweeps_due)));
        }
    }

    fn is_stuck(&self) -> bool {
        self.sweeps_due.load(Relaxed) >= STUCK_SWEEPS
    }

    fn send(&self, command: Command) {
        // A worker that has ended has no connection to close, and drops those that come too late.
        let _ = self.commands.send(command);
    }
}

/// What the workers of a server share.
pub(super) struct Shared<J> {
    pub(super) config: NetConfig,
    /// For the connection that opens now.
    pub(super) idle_timeout: Box<dyn Fn() -> Duration + Send + Sync>,
    pub(super) totals: Arc<Totals>,
    pub(super) lane: Arc<Lane<J>>,
    pub(super) faults: LogLimit,
    pub(super) tls: Arc<Terms>,
}

/// What the connections of one worker share.
pub(super) struct Worker<S: Service> {
    pub(super) shared: Arc<Shared<S::Job>>,
    pub(super) service: RefCell<S>,
    /// Where every connection reads to. Nobody keeps it over an `await`.
    pub(super) read_buffer: RefCell<BytesMut>,
    /// Where the replies of a batch are gathered. The same holds.
    pub(super) out: RefCell<BytesMut>,
    pub(super) tls_scratch: Rc<Scratch>,
    index: usize,
    /// Counts sweeps: the only clock that connections look at.
    tick: Cell<u32>,
    links: RefCell<BTreeMap<ConnectionId, Watched>>,
}

/// A connection, and the sweeps that it may be silent for; none is any number.
struct Watched {
    link: Arc<Link>,
    idle_ticks: Option<u32>,
}

impl<S: Service> Worker<S> {
    pub(super) fn new(shared: Arc<Shared<S::Job>>, index: usize, service: S) -> Self {
        Self {
            shared,
            service: RefCell::new(service),
            read_buffer: RefCell::new(BytesMut::with_capacity(READ_MAX)),
            out: RefCell::default(),
            tls_scratch: Rc::default(),
            index,
            tick: Cell::new(0),
            links: RefCell::default(),
        }
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.shared.totals.traffic[self.index]
    }

    pub(super) fn tick(&self) -> u32 {
        self.tick.get()
    }

    /// A connection has ended. Without a reason its task was aborted or panicked.
    pub(super) fn forget(&self, connection: &Connection, reason: Option<&CloseReason>) {
        let (id, peer) = (connection.id(), connection.peer);
        self.links.borrow_mut().remove(&id);
        self.shared.totals.count_closed(reason);
        match reason {
            Some(reason) if reason.is_fault() => {
                if let Some(suppressed) = self.shared.faults.admit(Instant::now().into_std()) {
                    warn!(connection = id.0, %peer, suppressed, "connection closed: {reason}");
                }
            }
            Some(reason) => debug!(connection = id.0, %peer, "connection closed: {reason}"),
            None => error!(connection = id.0, %peer, "connection closed by a fault of the server"),
        }
    }

    /// Obeys until told to stop; then until every connection has ended.
    async fn run(self: Rc<Self>, mut commands: UnboundedReceiver<Command>) {
        let mut tasks = JoinSet::new();
        let deadline = loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Open { stream, peer, slot, load }) => {
                        if let Some((_, connection)) = self.open(stream, peer, (slot, load)) {
                            tasks.spawn_local(connection);
                        }
                    }
                    Some(Command::Close(id)) => self.close(id),
                    Some(Command::LookAround) => self.look_around(),
                    Some(Command::Sweep(due)) => {
                        due.store(0, Release);
                        let mut swept = self.begin_sweep();
                        while let Some(last) = self.sweep_behind(swept) {
                            swept = Some(last);
                            self.traffic().turns.end();
                            tokio::task::yield_now().await;
                        }
                    }
                    Some(Command::Stop(deadline)) => break deadline,
                    None => break Instant::now(),
                },
                // Only to forget it: whatever a task leaves behind, it has put in order itself.
                Some(_) = tasks.join_next() => {}
            }
            self.traffic().turns.end();
        };
        // What is still on its way here is dropped, and its slots with it.
        drop(commands);
        self.signal_all(&Signal::Drain);
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout_at(deadline, all_ended).await.is_err() {
            self.signal_all(&Signal::Close(CloseReason::Stopping));
            while tasks.join_next().await.is_some() {}
        }
    }

    /// A new connection, as a task that ends with it; none if it is lost already.
    pub(super) fn open(
        self: &Rc<Self>,
        stream: Accepted,
        peer: SocketAddr,
        (slot, load): (Slot, Load),
    ) -> Option<(ConnectionId, impl Future<Output = ()> + use<S>)> {
        let stream = match Stream::new(stream) {
            Ok(stream) => stream,
            Err(error) => {
                warn!(%peer, "connection lost before it was served: {error}");
                return None;
            }
        };
        let link = Link::new(Instant::now().into_std(), &self.shared.config, &self.shared.totals);
        link.active.store(self.tick.get(), Relaxed);
        debug!(connection = link.id.0, %peer, "connection opened");
        let idle_ticks = ticks((self.shared.idle_timeout)());
        self.links.borrow_mut().insert(link.id, Watched { link: Arc::clone(&link), idle_ticks });
        let connection = Connection { link, peer };
        Some((connection.id(), Driver::new(Rc::clone(self), stream, connection, (slot, load))))
    }

    pub(super) fn close(&self, id: ConnectionId) {
        if let Some(Watched { link, .. }) = self.links.borrow().get(&id) {
            link.signal(Signal::Close(CloseReason::Requested));
        }
    }

    /// No request is under way, because none waits for anything while it is handled.
    pub(super) fn look_around(&self) {
        if self.with_service(S::look_around).is_err() {
            error!("a worker panicked between two requests");
        }
    }

    /// Lets the service do something; a panic is reason to close whatever connection it did it for.
    pub(super) fn with_service(&self, act: impl FnOnce(&mut S)) -> Result<(), CloseReason> {
        catch_unwind(AssertUnwindSafe(|| act(&mut self.service.borrow_mut()))).map_err(|_| CloseReason::Panicked)
    }

    fn signal_all(&self, signal: &Signal) {
        self.links.borrow().values().for_each(|watched| watched.link.signal(signal.clone()));
    }

    /// Closes the connections that said and heard nothing for more sweeps than they may.
    #[cfg(feature = "server")]
    pub(super) fn sweep(&self) {
        let mut swept = self.begin_sweep();
        while let Some(last) = self.sweep_behind(swept) {
            swept = Some(last);
        }
    }

    /// One tick has gone by; nobody is swept yet.
    fn begin_sweep(&self) -> Option<ConnectionId> {
        self.tick.set(self.tick.get().wrapping_add(1));
        None
    }

    /// Sweeps some connections behind this one: a look at each of tens of thousands would hold everybody up. Returns
    /// the last one, if there may be more.
    fn sweep_behind(&self, swept: Option<ConnectionId>) -> Option<ConnectionId> {
        let now = self.tick.get();
        let opening_ticks = ticks(self.shared.config.opening_timeout);
        let links = self.links.borrow();
        let behind = (swept.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let mut last = None;
        for (id, Watched { link, idle_ticks }) in links.range(behind).take(SWEEP_MAX) {
            last = Some(*id);
            let silent_for = now.wrapping_sub(link.active.load(Relaxed));
            if idle_ticks.is_some_and(|idle_ticks| silent_for > idle_ticks) {
                link.signal(Signal::Close(CloseReason::Idle));
            }
            if link.opening_for(now).zip(opening_ticks).is_some_and(|(opening_for, ticks)| opening_for > ticks) {
                link.signal(Signal::Close(CloseReason::Opening));
            }
        }
        last
    }
}

/// Zero is never.
fn ticks(timeout: Duration) -> Option<u32> {
    let ticks = timeout.as_nanos().div_ceil(SWEEP_PERIOD.as_nanos());
    (ticks > 0).then(|| u32::try_from(ticks).unwrap_or(u32::MAX))
}

/// The threads of the workers. Dropping it stops them at once.
pub(super) struct WorkerThreads {
    handles: Vec<WorkerHandle>,
    threads: Threads,
}

impl WorkerThreads {
    /// Starts one thread for each worker, and waits until all have made their service.
    pub(super) fn start<S: Service>(
        shared: &Arc<Shared<S::Job>>,
        factory: impl Fn() -> S + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let count = shared.config.workers.get();
        let factory = Arc::new(factory);
        let mut started = Self { handles: Vec::with_capacity(count), threads: Threads::default() };
        let (ready, all_ready) = std::sync::mpsc::channel();
        for index in 0..count {
            let totals = Arc::clone(&shared.totals);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .on_thread_unpark(move || totals.traffic[index].turns.wake_up())
                .build()?;
            let (handle, received) = WorkerHandle::new();
            let (shared, factory, ready) = (Arc::clone(shared), Arc::clone(&factory), ready.clone());
            started.threads.spawn(format!("worker-{index}"), move || {
                LocalSet::new().block_on(&runtime, async move {
                    let worker = Rc::new(Worker::new(shared, index, factory()));
                    // Nobody listens any more if another thread could not start.
                    let _ = ready.send(());
                    drop(ready);
                    worker.run(received).await;
                });
            })?;
            started.handles.push(handle);
        }
        drop(ready);
        if all_ready.iter().count() < count {
            return Err(io::Error::other("a worker could not make its service"));
        }
        Ok(started)
    }

    pub(super) fn handles(&self) -> impl Iterator<Item = WorkerHandle> {
        self.handles.iter().cloned()
    }

    /// Lets them answer what they owe until `deadline`, and joins those that are not inside a call that does not end.
    pub(super) fn stop(&mut self, deadline: Instant) {
        self.handles.iter().for_each(|handle| handle.send(Command::Stop(deadline)));
        self.threads.join(deadline);
    }
}

impl Drop for WorkerThreads {
    fn drop(&mut self) {
        self.stop(Instant::now());
    }
}

/// The one clock of connections. Its ticks measure every silence, to within two of them and never too short. It is not
/// a timer of the workers, because whoever waits with a timer pays for it at every wait.
pub(super) const SWEEP_PERIOD: Duration = Duration::from_millis(250);

/// A worker that is held up for so many of them is stuck.
const STUCK_SWEEPS: u32 = 40;

/// Connections that are looked at in one turn.
const SWEEP_MAX: usize = 512;
