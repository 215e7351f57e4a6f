//! The workers and the write lane without their threads: whoever holds them says what runs next.
//!
//! What runs is what runs on threads: the driver of each connection, the lane's queues, the services. Only the loops
//! around them are here, cut into the smallest steps between which others may act: one turn of one connection, one
//! command to a worker, and taking, running and finishing a job as three steps of a lane thread.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::LocalSet;

use super::config::NetConfig;
use super::lane::{Lane, LaneControl, Work};
use super::listener::faults;
use super::memory::MemoryPeer;
use super::service::{LaneService, Service};
use super::tls::Terms;
use super::usage::Totals;
use super::worker::{Command, Connections, Shared, Worker, WorkerHandle};
use crate::route::ConnectionId;

/// Something that can run now.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Step {
    /// A worker obeys the next command that it was sent.
    Command {
        /// Which worker.
        worker: usize,
    },
    /// A connection has its turn: the connections are counted from 0 as they were opened.
    Turn {
        /// Which connection.
        connection: usize,
    },
    /// Replies that are made by futures are looked at.
    Laters,
    /// A lane thread does what comes next: it takes a job, runs it, or is finished with it.
    Lane {
        /// Which thread.
        thread: usize,
    },
}

/// What came of a step, as far as it matters to the connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ran {
    /// A connection handled so many frames.
    Frames {
        /// Which connection.
        connection: usize,
        /// How many.
        count: u64,
    },
    /// The lane ran a job of a connection.
    Job {
        /// Which connection.
        connection: usize,
    },
    /// The lane heard that a connection has closed.
    Close {
        /// Which connection.
        connection: usize,
    },
    /// A worker took a connection over.
    Opened {
        /// Which connection.
        connection: usize,
        /// From whom.
        peer: SocketAddr,
    },
    /// Nothing that anybody could see from outside.
    Nothing,
}

/// A server without threads.
pub(crate) struct ByHand<S: Service, L: LaneService<Job = S::Job>> {
    workers: Vec<HandWorker<S>>,
    lane: Arc<Lane<S::Job>>,
    threads: Vec<LaneThread<L>>,
    /// Those that have ended are gone.
    tasks: BTreeMap<usize, Task>,
    /// Every connection there was, in the order in which they were opened.
    connections: Vec<ConnectionId>,
    handle: Connections,
    laters: LocalSet,
    laters_awake: Arc<Awake>,
}

struct HandWorker<S: Service> {
    worker: Rc<Worker<S>>,
    commands: UnboundedReceiver<Command>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    awake: Arc<Awake>,
}

struct LaneThread<L: LaneService> {
    service: L,
    state: LaneState<L::Job>,
    /// It was asked to look around, and was not free.
    must_look: bool,
}

enum LaneState<J> {
    Free,
    Took(Work<J>),
    Ran(ConnectionId),
}

/// Whether somebody asked for another turn.
#[derive(Debug)]
struct Awake(AtomicBool);

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Release);
    }
}

impl<S: Service, L: LaneService<Job = S::Job>> ByHand<S, L> {
    /// A server with one worker for each of `services`, and one lane thread for each of `lane_services`.
    pub(crate) fn new(
        config: NetConfig,
        idle_timeout: impl Fn() -> Duration + Send + Sync + 'static,
        services: Vec<S>,
        lane_services: Vec<L>,
    ) -> Self {
        let totals = Arc::new(Totals::new(services.len()));
        // Whoever is impatient looks at a clock that nobody moves by hand.
        let lane = Lane::new(&NetConfig { guest_patience: Duration::from_secs(3600), ..config.clone() });
        let lane_control = Arc::clone(&lane) as Arc<dyn LaneControl>;
        let connections_max = config.connections_max;
        let shared = Arc::new(Shared {
            config,
            idle_timeout: Box::new(idle_timeout),
            totals: Arc::clone(&totals),
            lane: Arc::clone(&lane),
            faults: faults(),
            tls: Arc::new(Terms::disabled()),
        });
        let (handles, received): (Vec<_>, Vec<_>) = services.iter().map(|_| WorkerHandle::new()).unzip();
        let workers = services.into_iter().zip(received).enumerate().map(|(index, (service, commands))| HandWorker {
            worker: Rc::new(Worker::new(Arc::clone(&shared), index, service)),
            commands,
        });
        let threads =
            lane_services.into_iter().map(|service| LaneThread { service, state: LaneState::Free, must_look: false });
        Self {
            workers: workers.collect(),
            threads: threads.collect(),
            tasks: BTreeMap::new(),
            connections: Vec::new(),
            handle: Connections::new(handles.into_iter(), lane_control, totals, connections_max),
            lane,
            laters: LocalSet::new(),
            laters_awake: Arc::new(Awake(AtomicBool::new(false))),
        }
    }

    /// The connections, as others see them.
    pub(crate) fn connections(&self) -> Connections {
        self.handle.clone()
    }

    /// A connection in memory, of which its worker learns by a command. None when there are too many.
    pub(crate) fn connect(&self, peer: SocketAddr, capacity: usize) -> Option<MemoryPeer> {
        self.handle.connect_in_memory(peer, capacity)
    }

    /// What can run now, in a fixed order. Nothing means that everybody waits for a peer, the disk or the clock.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let commanded = |(_, worker): &(usize, &HandWorker<S>)| !worker.commands.is_empty();
        let commands = self.workers.iter().enumerate().filter(commanded);
        let commands = commands.map(|(worker, _)| Step::Command { worker });
        let turns = self.tasks.iter().filter(|(_, task)| task.awake.0.load(Acquire));
        let turns = turns.map(|(connection, _)| Step::Turn { connection: *connection });
        let laters = self.laters_awake.0.load(Acquire).then_some(Step::Laters);
        let has_work = self.lane.is_ready();
        let busy = |thread: &LaneThread<L>| has_work || !matches!(thread.state, LaneState::Free);
        let lane = self.threads.iter().enumerate().filter(|(_, thread)| busy(thread));
        commands.chain(turns).chain(laters).chain(lane.map(|(thread, _)| Step::Lane { thread })).collect()
    }

    /// Runs one of [`ByHand::steps`]; any other does nothing.
    pub(crate) fn run(&mut self, step: Step) -> Ran {
        match step {
            Step::Command { worker } => self.command(worker),
            Step::Turn { connection } => self.turn(connection),
            Step::Laters => self.poll_laters(),
            Step::Lane { thread } => self.lane(thread),
        }
    }

    /// Every worker will look around by a command of its own, and a lane thread when it is free.
    pub(crate) fn look_around(&mut self) {
        self.handle.look_around();
        for LaneThread { service, state, must_look } in &mut self.threads {
            *must_look = !matches!(state, LaneState::Free);
            if !*must_look {
                service.look_around();
            }
        }
    }

    /// One tick of the timer that measures silence.
    pub(crate) fn tick(&self) {
        self.workers.iter().for_each(|worker| worker.worker.sweep());
    }

    fn command(&mut self, at: usize) -> Ran {
        let HandWorker { worker, commands } = &mut self.workers[at];
        match commands.try_recv() {
            Ok(Command::Open { stream, peer, slot, load }) => {
                let Some((id, task)) = worker.open(stream, peer, (slot, load)) else { return Ran::Nothing };
                let connection = self.connections.len();
                let awake = Arc::new(Awake(AtomicBool::new(true)));
                self.tasks.insert(connection, Task { future: Box::pin(task), awake });
                self.connections.push(id);
                return Ran::Opened { connection, peer };
            }
            Ok(Command::Close(id)) => worker.close(id),
            Ok(Command::LookAround) => worker.look_around(),
            // Time goes by with `tick`, and nobody stops it: it is dropped.
            Ok(Command::Sweep(_) | Command::Stop(_)) | Err(_) => {}
        }
        Ran::Nothing
    }

    fn turn(&mut self, connection: usize) -> Ran {
        let before = self.handle.usage().frames;
        let Some(task) = self.tasks.get_mut(&connection) else { return Ran::Nothing };
        task.awake.0.store(false, Release);
        let waker = Waker::from(Arc::clone(&task.awake));
        // Where the futures go that make replies later.
        let _laters = self.laters.enter();
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.tasks.remove(&connection);
        }
        match self.handle.usage().frames - before {
            0 => Ran::Nothing,
            count => Ran::Frames { connection, count },
        }
    }

    fn poll_laters(&mut self) -> Ran {
        self.laters_awake.0.swap(false, AcqRel);
        let waker = Waker::from(Arc::clone(&self.laters_awake));
        let _ = Pin::new(&mut self.laters).poll(&mut Context::from_waker(&waker));
        Ran::Nothing
    }

    fn lane(&mut self, at: usize) -> Ran {
        let Some(LaneThread { service, state, must_look }) = self.threads.get_mut(at) else { return Ran::Nothing };
        match std::mem::replace(state, LaneState::Free) {
            LaneState::Free => {
                if let Some(work) = self.lane.try_take() {
                    *state = LaneState::Took(work);
                }
                Ran::Nothing
            }
            LaneState::Took(work) => {
                let (id, is_close) = (work.connection(), work.is_close());
                self.lane.perform(work, service);
                *state = LaneState::Ran(id);
                let connection = self.connections.iter().position(|one| *one == id);
                match connection {
                    Some(connection) if is_close => Ran::Close { connection },
                    Some(connection) => Ran::Job { connection },
                    None => Ran::Nothing,
                }
            }
            LaneState::Ran(id) => {
                self.lane.finish(id);
                if std::mem::take(must_look) {
                    service.look_around();
                }
                Ran::Nothing
            }
        }
    }
}
