//! A name server without threads: whoever holds it says what runs next.
//!
//! It is the server that [`NameServer::serve`] runs, with its connections in memory, cut into steps: a turn of a
//! connection, a step of a lane thread, a write to the disk. Between two steps anything may happen, in any order that
//! threads could bring about, and in many that they hardly ever do. A simulation that chooses the steps by a seed can
//! choose the same again.
//!
//! [`NameServer::serve`]: crate::server::NameServer::serve

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dispatch::{Lane, LaneRequest, Worker};
use crate::kv::{self, HandWriter};
use crate::net::{self, HandStep, LaneService, MemoryPeer, Ran, ReplySink, Usage};
use crate::plugin::{Core, Reloaded, Reloader};
use crate::route::{ConnectionId, Tables};
use crate::scan::scan;

/// Something that can run now.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Step {
    /// A worker, a connection, or a lane thread.
    Net(HandStep),
    /// What waits for the disk is written, as one batch.
    Disk,
}

/// What a lane may be made to do wrong, so that whoever checks what it does can see that the checks notice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Now and then two jobs change places.
    SwapsJobs,
    /// Now and then the close of a connection comes before a job.
    ClosesFirst,
    /// Now and then a job gets no answer.
    ForgetsAnswers,
}

/// The server.
pub struct ByHand {
    net: net::ByHand<Worker, FaultyLane>,
    core: Arc<Core>,
    disk: HandWriter,
    plugins: Arc<Mutex<Reloader>>,
}

impl ByHand {
    pub(crate) fn new(
        config: net::NetConfig,
        (core, disk, plugins): (Arc<Core>, HandWriter, Arc<Mutex<Reloader>>),
        workers: Vec<Worker>,
        lanes: Vec<Lane>,
        fault: Option<Fault>,
    ) -> Self {
        let settings = Arc::clone(&core.settings);
        let lanes = lanes.into_iter().map(|inner| FaultyLane { inner, fault, jobs: 0, held: None });
        let net = net::ByHand::new(config, move || settings.switches().idle_timeout, workers, lanes.collect());
        Self { net, core, disk, plugins }
    }

    /// A connection from `peer` that holds `capacity` bytes in each direction. None when there are too many.
    pub fn connect(&self, peer: SocketAddr, capacity: usize) -> Option<MemoryPeer> {
        self.net.connect(peer, capacity)
    }

    /// What can run now, in a fixed order. Nothing means that everybody waits for a peer or for the clock.
    pub fn steps(&self) -> Vec<Step> {
        let disk = (self.disk.waiting() > 0).then_some(Step::Disk);
        self.net.steps().into_iter().map(Step::Net).chain(disk).collect()
    }

    /// Runs one of [`ByHand::steps`]; any other does nothing.
    pub fn run(&mut self, step: Step) -> Ran {
        match step {
            Step::Net(step) => self.net.run(step),
            Step::Disk => {
                self.disk.write();
                Ran::Nothing
            }
        }
    }

    /// What the scan does by interval on a server with threads; says how many brokers were forgotten.
    pub fn scan(&self) -> usize {
        scan(&self.core, &self.net.connections())
    }

    /// Reads the plugins directories. Each worker changes over when it is asked something, or has its step for that.
    pub fn reload_plugins(&mut self) -> Reloaded {
        let reloaded = self.reloader().read_again();
        if let Reloaded::Generation(_) = reloaded {
            self.net.look_around();
        }
        reloaded
    }

    /// The newest generation of the plugins that every thread has changed over to, and how many earlier ones are still
    /// in use.
    pub fn plugin_generations(&self) -> (u64, usize) {
        let generations = Arc::clone(self.reloader().generations());
        (generations.active(), generations.draining().len())
    }

    fn reloader(&self) -> MutexGuard<'_, Reloader> {
        // Whoever panicked while it looked at plugins has published nothing.
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One tick, of a quarter of a second, of the timer that measures the silence of connections.
    pub fn tick(&self) {
        self.net.tick();
    }

    /// What is held, and what was done so far.
    pub fn usage(&self) -> Usage {
        self.net.connections().usage()
    }

    /// Connections that registered brokers, and whose close the lane has yet to hear of.
    pub fn registrants(&self) -> usize {
        self.core.registrants.count()
    }

    /// The route tables as they are.
    pub fn tables(&self) -> Arc<Tables> {
        self.core.routes.tables()
    }

    /// The KV store as readers see it.
    pub fn kv(&self) -> Arc<kv::Table> {
        self.core.kv.snapshot()
    }
}

/// A lane thread's service that may have a fault.
struct FaultyLane {
    inner: Lane,
    fault: Option<Fault>,
    jobs: u32,
    held: Option<(LaneRequest, ReplySink)>,
}

/// A fault shows at every third job, so that the others can tell of it.
const FAULT_PERIOD: u32 = 3;

impl FaultyLane {
    fn let_go(&mut self) {
        if let Some((job, reply)) = self.held.take() {
            self.inner.run(job, reply);
        }
    }
}

impl LaneService for FaultyLane {
    type Job = LaneRequest;

    fn look_around(&mut self) {
        self.inner.look_around();
    }

    fn run(&mut self, job: LaneRequest, reply: ReplySink) {
        self.jobs += 1;
        match self.fault.filter(|_| self.jobs.is_multiple_of(FAULT_PERIOD)) {
            Some(Fault::SwapsJobs | Fault::ClosesFirst) => self.held = Some((job, reply)),
            Some(Fault::ForgetsAnswers) => {
                // The answer goes to a connection that nobody reads.
                let nobody = net::Connection::without_socket(SocketAddr::from(([127, 0, 0, 1], 0)));
                self.inner.run(job, nobody.reply_sink());
            }
            None => {
                self.inner.run(job, reply);
                if self.fault == Some(Fault::SwapsJobs) {
                    self.let_go();
                }
            }
        }
    }

    fn connection_closed(&mut self, id: ConnectionId) {
        self.inner.connection_closed(id);
        self.let_go();
    }
}
