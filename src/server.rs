//! Where the parts meet: bind everything, then serve.
//!
//! ```text
//! config ─▶ bind: settings · kv · tables · upstreams · TLS · plugins · listener  (fails loudly, nobody is answered)
//!           serve: workers · write lane · scan · reload                          (threads that a guard stops)
//!           stop: listener closed · connections · lane drained · kv flushed
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::address_server::AddressServer;
use crate::admin::{Admin, Sources};
use crate::body::Limits;
use crate::by_hand::{ByHand, Fault};
use crate::clock::Clock;
use crate::config::{BindAddress, Config, Settings};
use crate::dispatch::{Gate, GuestSlots, Lane, Worker};
use crate::inline::Inline;
use crate::kv::KvStore;
use crate::memo::{self, Memo};
use crate::net::tls::{self, TlsError};
use crate::net::{Connections, Listener, LogLimit, NetConfig, Server};
use crate::notify::Notifier;
use crate::plugin::{Catalogue, CatalogueError, Changes, Core, Registrants, Runner, RunnerLimits};
use crate::readiness::{Readiness, ReadinessCell};
use crate::route::{Damage, RouteTable};
use crate::scan::{Scan, scan};
use crate::upstream::{UpstreamConfig, Upstreams};

pub use crate::memo::MemoUsage;

/// Why the server cannot start. Nothing was served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The KV store: damaged, locked by another server, not writable.
    #[error(transparent)]
    Kv(#[from] crate::kv::OpenError),
    /// The plugins.
    #[error(transparent)]
    Plugins(#[from] CatalogueError),
    /// Nobody knows the name to listen on.
    #[error("`net.bind-address` (Java: bindAddress) is {name}, and nobody knows that name: {source}")]
    Resolve {
        /// What was asked for.
        name: BindAddress,
        /// Why not.
        source: std::io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Certificates, keys or roots cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The machine refuses a thread or a runtime.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

/// A name server that holds its address and its files, but answers nobody yet.
pub struct NameServer {
    config: Config,
    core: Arc<Core>,
    catalogue: Arc<Catalogue>,
    listener: Listener,
    readiness: Arc<ReadinessCell>,
    certificates: Option<tls::Watch>,
    memo_tally: Arc<memo::Tally>,
}

/// A name server that answers, until stopped.
pub struct Running {
    address: SocketAddr,
    core: Arc<Core>,
    readiness: Arc<ReadinessCell>,
    memo_tally: Arc<memo::Tally>,
    connections: Connections,
    serving: Option<Server>,
    scan: Option<Scan>,
    address_server: Option<AddressServer>,
    reload: Option<tls::Reload>,
    admin: Option<Admin>,
}

/// Lines about refused requests in a second.
const REFUSAL_LINES_MAX: u32 = 10;

impl NameServer {
    /// Opens the files, loads the plugins and takes the address. Nobody is answered yet.
    ///
    /// # Errors
    /// When any of that cannot be had; the text names the file, plugin or address.
    pub fn bind(config: Config, settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, BindError> {
        let kv = KvStore::open(config.kv.clone())?;
        Self::assemble(config, settings, clock, kv)
    }

    /// The same server without a thread, for a caller who says what runs next; with a `fault`, if that is what the
    /// caller looks for. Its address is taken, and nobody listens there.
    ///
    /// # Errors
    /// As [`NameServer::bind`].
    pub fn by_hand(
        config: Config,
        settings: Settings,
        clock: Arc<dyn Clock>,
        fault: Option<Fault>,
    ) -> Result<ByHand, BindError> {
        let (kv, disk) = KvStore::open_by_hand(&config.kv)?;
        let server = Self::assemble(config, settings, clock, kv)?;
        let net = net_config(&server.config, server.local_addr()?);
        let workers = std::iter::repeat_with(server.worker_factory()).take(net.workers.get()).collect();
        let lanes = std::iter::repeat_with(server.lane_factory()).take(net.lane_threads.get()).collect();
        Ok(ByHand::new(net, server.core, disk, workers, lanes, fault))
    }

    fn assemble(config: Config, settings: Settings, clock: Arc<dyn Clock>, kv: KvStore) -> Result<Self, BindError> {
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
            upstreams: Upstreams::start(upstreams(&config), outgoing_tls)?,
            clock,
        });
        let (terms, certificates) = tls::Terms::new(&config.tls)?;
        let catalogue = Arc::new(Catalogue::load(&config.plugins, &config.policies, &core)?);
        core.notifier.use_forms(catalogue.notices().to_vec());
        report(&catalogue);
        let (name, port) = (&config.net.bind_address, config.net.listen_port);
        let address = name.resolve(port).map_err(|source| BindError::Resolve { name: name.clone(), source })?;
        let listener =
            Listener::bind(net_config(&config, address)).map_err(|source| BindError::Listen { address, source })?;
        core.settings.listening_on(listener.local_addr()?.port());
        let readiness = Arc::new(ReadinessCell::new(Arc::clone(&core)));
        let listener = listener.with_tls(terms);
        Ok(Self { config, core, catalogue, listener, readiness, certificates, memo_tally: Arc::default() })
    }

    /// Where it listens; with port 0, the port that was free.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Begins to answer.
    ///
    /// # Errors
    /// When the machine refuses a thread.
    pub fn serve(self) -> std::io::Result<Running> {
        let worker = self.worker_factory();
        let lane = self.lane_factory();
        let Self { config, core, catalogue, listener, readiness, certificates, memo_tally } = self;
        let settings = Arc::clone(&core.settings);
        let serving = listener.serve(move || settings.switches().idle_timeout, worker, lane)?;
        let scan = Scan::start(Arc::clone(&core), serving.connections(), &config)?;
        let address_server = AddressServer::start(&core, &config.cluster_test)?;
        let interval = config.tls.reload_interval;
        let certificates = certificates.filter(|_| !interval.is_zero());
        let reload = certificates.map(|files| tls::Reload::start(files, interval)).transpose()?;
        let sources = Sources {
            core: Arc::clone(&core),
            catalogue,
            readiness: Arc::clone(&readiness),
            connections: serving.connections(),
            memo: Arc::clone(&memo_tally),
        };
        let admin = config.admin.http_listen.address().map(|address| Admin::start(address, sources)).transpose()?;
        Ok(Running {
            address: serving.local_addr(),
            admin,
            core,
            readiness,
            memo_tally,
            connections: serving.connections(),
            serving: Some(serving),
            scan: Some(scan),
            address_server,
            reload,
        })
    }

    /// A client of this server on the caller's own thread, with plugin instances of its own. It needs no [`serve`]: no
    /// socket, no worker and no scan takes part.
    ///
    /// [`serve`]: Self::serve
    ///
    /// # Errors
    /// When the machine refuses what waiting for a reply takes.
    pub fn inline(&self) -> std::io::Result<Inline> {
        Inline::new(self.worker_factory()(), self.lane_factory()())
    }

    /// What workers and inline clients remember, and how often that was of use.
    pub fn memo(&self) -> MemoUsage {
        self.memo_tally.usage()
    }

    /// How often a plugin was entered so far; none if there is none of that name.
    pub fn plugin_calls(&self, name: &str) -> Option<u64> {
        let at = self.catalogue.plugins().iter().position(|plugin| *plugin.name == *name)?;
        Some(self.catalogue.tallies().sum(|tally| tally.calls(at)))
    }

    /// Replies that workers remember, if the operator wants that.
    fn memo_factory(&self) -> impl Fn() -> Option<Memo> + Send + Sync + 'static {
        let bytes_max = self.config.memo.size.as_usize() / threads(self.config.net.workers).get();
        let shared = Arc::new(memo::Shared::new(self.catalogue.plugins().len(), bytes_max));
        let tally = Arc::clone(&self.memo_tally);
        move || (bytes_max > 0).then(|| Memo::new(Arc::clone(&shared), tally.add()))
    }

    fn worker_factory(&self) -> impl Fn() -> Worker + Send + Sync + 'static {
        let gate = Arc::new(Gate {
            catalogue: Arc::clone(&self.catalogue),
            core: Arc::clone(&self.core),
            admin_from: self.config.admin.admin_from.clone(),
            serialize_type: self.config.net.serialize_type,
            readiness: Arc::clone(&self.readiness),
            refusals: LogLimit::new(REFUSAL_LINES_MAX, Duration::from_secs(1)),
        });
        let limits = self.runner_limits(self.config.plugins.worker_deadline, false);
        let memo = self.memo_factory();
        move || Worker {
            runner: Runner::new(Arc::clone(&gate.catalogue), Arc::clone(&gate.core), limits),
            memo: memo(),
            gate: Arc::clone(&gate),
        }
    }

    fn lane_factory(&self) -> impl Fn() -> Lane + Send + Sync + 'static {
        let (catalogue, core) = (Arc::clone(&self.catalogue), Arc::clone(&self.core));
        let limits = self.runner_limits(self.config.plugins.lane_deadline, true);
        let guests = Arc::new(GuestSlots::new(lane_threads(&self.config).get()));
        move || Lane {
            core: Arc::clone(&core),
            runner: Runner::new(Arc::clone(&catalogue), Arc::clone(&core), limits),
            guests: Arc::clone(&guests),
        }
    }

    fn runner_limits(&self, deadline: Duration, may_write: bool) -> RunnerLimits {
        RunnerLimits {
            deadline,
            reply_size_max: self.config.plugins.reply_size_max.as_usize(),
            serialize_type: self.config.net.serialize_type,
            may_write,
        }
    }
}

impl Running {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics can be read over HTTP, if anywhere.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(Admin::address)
    }

    /// Forgets the brokers that have been silent for longer than they said, as of the clock's now, and closes their
    /// connections; says how many. Then looks for what is broken in the tables, and repairs it. The scan thread does
    /// this by itself at every interval.
    pub fn scan(&self) -> usize {
        scan(&self.core, &self.connections)
    }

    /// Asks the address server, if there is one, which name servers are to be asked from now on; waits for the answer.
    /// A thread does this by itself every two minutes.
    pub fn ask_address_server(&self) {
        if let Some(address_server) = &self.address_server {
            address_server.ask();
        }
    }

    /// Whether it makes sense to send clients here.
    pub fn readiness(&self) -> Readiness {
        self.readiness.get()
    }

    /// Connections that are open, or whose close has not been dealt with yet.
    pub fn connections(&self) -> usize {
        self.connections.count()
    }

    /// What workers remember, and how often that was of use.
    pub fn memo(&self) -> MemoUsage {
        self.memo_tally.usage()
    }

    /// Prepares the end, where the operator wants it gentle: from now on every request of a client that understands it
    /// is answered by sending it away; the others are served, and everybody may connect. Says for how long to leave it
    /// so before [`stop`](Self::stop); none when there is nothing to prepare.
    // Java: NettyRemotingServer.shutdown.
    pub fn send_away(&self) -> Option<Duration> {
        let switches = self.core.settings.switches();
        if !switches.shutdown_gracefully {
            return None;
        }
        self.core.notifier.close();
        self.readiness.send_away();
        Some(switches.shutdown_wait_time)
    }

    /// How many broken things of each kind the scan found in the route tables and repaired: none, unless this server
    /// has a fault.
    pub fn repairs(&self) -> BTreeMap<Damage, u64> {
        self.core.routes.repairs()
    }

    /// Stops listening, finishes what was asked, closes every connection, and flushes the KV store.
    pub fn stop(mut self) {
        self.stop_parts();
    }

    fn stop_parts(&mut self) {
        self.readiness.stop();
        self.core.notifier.close();
        drop((self.scan.take(), self.reload.take()));
        drop(self.address_server.take());
        if let Some(serving) = self.serving.take() {
            serving.stop();
            self.core.kv.close();
        }
        // Last, so that whoever watches sees it stop.
        drop(self.admin.take());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop_parts();
    }
}

fn body_limits(config: &Config) -> Limits {
    Limits {
        inflated_max: config.route.registration_inflated_size_max.get(),
        entries_max: config.route.registration_topics_max.into(),
        ..Limits::default()
    }
}

/// Zero in the configuration means one per core.
fn threads(configured: u16) -> NonZeroUsize {
    let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    NonZeroUsize::new(configured.into()).unwrap_or_else(cores)
}

/// At least two: one is always left for the embedded plugins.
fn lane_threads(config: &Config) -> NonZeroUsize {
    threads(config.net.lane_threads).max(NonZeroUsize::MIN.saturating_add(1))
}

fn frame_size_max(config: &Config) -> u32 {
    u32::try_from(config.net.frame_size_max.get()).unwrap_or(u32::MAX)
}

fn net_config(config: &Config, address: SocketAddr) -> NetConfig {
    let net = &config.net;
    NetConfig {
        address,
        backlog: net.backlog,
        workers: threads(net.workers),
        lane_threads: lane_threads(config),
        connections_max: net.connections_max as usize,
        frame_size_max: frame_size_max(config),
        send_buffer_size: net.send_buffer_size.as_usize(),
        receive_buffer_size: net.receive_buffer_size.as_usize(),
        proxies: net.proxy_protocol_from.clone(),
        proxies_must_introduce: net.proxy_protocol_required,
        opening_timeout: net.opening_timeout,
        stop_timeout: net.stop_timeout,
        unsent_bytes_max: net.reply_bytes_waiting_max.as_usize(),
        unsent_bytes_resume: net.reply_bytes_waiting_resume.as_usize(),
        unsent_bytes_total_max: net.outgoing_bytes_max.as_usize(),
        // Whatever may come whole may come in parts, in a buffer that has doubled.
        partial_bytes_total_max: NetConfig::default().partial_bytes_total_max.max(2 * frame_size_max(config) as usize),
        lane_bytes_max: net.lane_bytes_per_connection_max.as_usize(),
        lane_bytes_total_max: NonZeroUsize::new(net.lane_bytes_max.as_usize()).unwrap_or(NonZeroUsize::MIN),
        ..NetConfig::default()
    }
}

fn upstreams(config: &Config) -> Vec<UpstreamConfig> {
    let cluster_test = &config.cluster_test;
    if !cluster_test.enabled || (cluster_test.name_servers.is_empty() && !cluster_test.asks_address_server()) {
        return Vec::new();
    }
    vec![UpstreamConfig {
        name: cluster_test.product_env_name.clone(),
        addresses: cluster_test.name_servers.iter().map(ToString::to_string).collect(),
        timeout: cluster_test.timeout,
        frame_size_max: frame_size_max(config),
    }]
}

fn report(catalogue: &Catalogue) {
    let names: Vec<_> = catalogue.plugins().iter().map(|plugin| &*plugin.name).collect();
    tracing::info!("plugins in use: {}", names.join(", "));
    for rejected in catalogue.rejected() {
        // The reason may quote the plugin, which must not be able to write lines of its own into the log.
        let reason = rejected.reason.to_string();
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        tracing::error!(path = %rejected.path.display(), "plugin rejected: {reason}");
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;
    use crate::clock::SystemClock;
    use crate::config::{Loaded, Overlay, Place};

    /// A server of its own on a free port of the loopback, with the embedded plugins and its files in `home`.
    pub(crate) fn bound_in(home: &Path) -> NameServer {
        bound_with(home, |_| {})
    }

    /// The same, with a configuration that `edit` has changed.
    pub(crate) fn bound_with(home: &Path, edit: impl FnOnce(&mut Config)) -> NameServer {
        let mut config = Config::default();
        config.net.bind_address = [127, 0, 0, 1].into();
        config.net.listen_port = 0;
        config.kv.path = home.join("kvConfig.json");
        config.plugins.dirs = Vec::new();
        config.plugins.cache_dir = Place::None;
        edit(&mut config);
        let loaded = Loaded { config, overlay: Overlay::default(), extras: Default::default(), notices: Vec::new() };
        let settings = Settings::new(&loaded);
        NameServer::bind(loaded.config, settings, Arc::new(SystemClock::default())).unwrap()
    }

    #[test]
    fn a_scan_repairs_what_is_broken_in_the_tables() {
        let home = tempfile::tempdir().unwrap();
        let running = bound_in(home.path()).serve().unwrap();
        running.core.routes.damage(crate::route::tests::damage::ghost_topic);
        assert_eq!(running.core.routes.tables().counts().topics, 1);

        running.scan();

        assert_eq!(running.core.routes.tables().counts().topics, 0);
        assert_eq!(running.repairs()[&Damage::TopicWithoutEntry], 1);
    }
}
