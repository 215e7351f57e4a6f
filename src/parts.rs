//! What a server is made of, but for the sockets: tables, plugins, settings, the makers of workers and lane threads.
//!
//! A server that listens puts its sockets around them, a simulation and a workbench do without.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::Clock;
use crate::config::{Config, Settings};
use crate::dispatch::{Gate, Lane, Worker};
use crate::kv::KvStore;
use crate::memo::{self, Memo};
use crate::net::{LogLimit, tls};
use crate::notify::Notifier;
use crate::plugin::{Board, Changes, Core, Fuel, Generations, Registrants, Reloader, Runner, RunnerTerms};
use crate::portions::{body_limits, strangers, threads, upstreams};
use crate::readiness::ReadinessCell;
use crate::recording::Recorder;
use crate::route::RouteTable;
use crate::server::BindError;
use crate::upstream::Upstreams;

/// Lines about refused requests in a second.
const REFUSAL_LINES_MAX: u32 = 10;

/// The parts of one server. Nobody is answered yet.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) core: Arc<Core>,
    pub(crate) generations: Arc<Generations>,
    pub(crate) plugins: Arc<Mutex<Reloader>>,
    pub(crate) board: Arc<Board>,
    pub(crate) readiness: Arc<ReadinessCell>,
    pub(crate) memo_tally: Arc<memo::Tally>,
    pub(crate) recorder: Arc<Recorder>,
}

impl Parts {
    /// Loads the plugins, around an open KV store.
    pub(crate) fn new(
        config: Config,
        settings: Settings,
        clock: Arc<dyn Clock>,
        kv: KvStore,
        fuel: Fuel,
    ) -> Result<Self, BindError> {
        let settings = Arc::new(settings);
        let outgoing_tls = tls::Client::new(&config.tls)?;
        let core = Arc::new(Core {
            routes: Arc::new(RouteTable::new()),
            registrants: Registrants::default(),
            changes: Changes::default(),
            notifier: Notifier::start(Arc::clone(&settings), config.net.serialize_type, outgoing_tls.clone())?,
            kv: Arc::new(kv),
            settings,
            started: clock.now(),
            body_limits: body_limits(&config),
            kept: Default::default(),
            custom: Default::default(),
            waiting: Default::default(),
            upstreams: Upstreams::start(upstreams(&config), strangers(&config), outgoing_tls)?,
            clock,
        });
        let plugins = Reloader::start(config.plugins.clone(), config.policies.clone(), &core, fuel)?;
        let (generations, board) = (Arc::clone(plugins.generations()), Arc::clone(plugins.board()));
        let readiness = Arc::new(ReadinessCell::new(Arc::clone(&core)));
        let (plugins, memo_tally, recorder) = (Arc::new(Mutex::new(plugins)), Arc::default(), Arc::default());
        Ok(Self { config, core, generations, plugins, board, readiness, memo_tally, recorder })
    }

    /// Replies that workers remember, if the operator wants that.
    fn memo_factory(&self) -> impl Fn() -> Option<Memo> + Send + Sync + 'static {
        let bytes_max = self.config.memo.size.as_usize() / threads(self.config.net.workers).get();
        let shared = Arc::new(memo::Shared::new(bytes_max));
        let tally = Arc::clone(&self.memo_tally);
        move || (bytes_max > 0).then(|| Memo::new(Arc::clone(&shared), tally.add()))
    }

    pub(crate) fn worker_factory(&self) -> impl Fn() -> Worker + Send + Sync + 'static {
        let gate = Arc::new(Gate {
            core: Arc::clone(&self.core),
            admin_from: self.config.admin.admin_from.clone(),
            serialize_type: self.config.net.serialize_type,
            readiness: Arc::clone(&self.readiness),
            refusals: LogLimit::new(REFUSAL_LINES_MAX, Duration::from_secs(1)),
            recorder: Arc::clone(&self.recorder),
        });
        let (generations, terms) = (Arc::clone(&self.generations), self.runner_terms(false));
        let memo = self.memo_factory();
        move || {
            let (follower, catalogue) = generations.follow();
            let runner = Runner::new(Arc::clone(&catalogue), Arc::clone(&gate.core), terms);
            Worker { gate: Arc::clone(&gate), catalogue, follower, runner, memo: memo() }
        }
    }

    pub(crate) fn lane_factory(&self) -> impl Fn() -> Lane + Send + Sync + 'static {
        let (generations, core) = (Arc::clone(&self.generations), Arc::clone(&self.core));
        let terms = self.runner_terms(true);
        let recorder = Arc::clone(&self.recorder);
        move || {
            let (follower, catalogue) = generations.follow();
            let runner = Runner::new(Arc::clone(&catalogue), Arc::clone(&core), terms);
            Lane { core: Arc::clone(&core), catalogue, follower, runner, recorder: Arc::clone(&recorder) }
        }
    }

    fn runner_terms(&self, may_write: bool) -> RunnerTerms {
        RunnerTerms { serialize_type: self.config.net.serialize_type, may_write }
    }
}
