//! Where the parts meet: bind everything, then serve.
//!
//! ```text
//! config ─▶ bind: settings · kv · tables · upstreams · TLS · plugins · listener  (fails loudly, nobody is answered)
//!           serve: workers · write lane · scan · reload                          (threads that a guard stops)
//!           stop: listener closed · connections · lane drained · kv flushed
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::address_server::AddressServer;
use crate::admin::{Admin, Sources};
use crate::by_hand::{ByHand, Fault};
use crate::clock::Clock;
use crate::config::{BindAddress, Config, Environment, Settings};
use crate::control::{Control, Served};
use crate::inline::Inline;
use crate::kv::KvStore;
use crate::memo;
use crate::net::tls::{self, TlsError};
use crate::net::{Connections, Listener, Server};
use crate::parts::Parts;
use crate::plugin::{Board, CatalogueError, Core, Fuel, Generations, Reloader, Watch, Watcher};
use crate::portions::net_config;
use crate::readiness::{Readiness, ReadinessCell};
use crate::route::Damage;
use crate::scan::{Scan, scan};

pub use crate::memo::MemoUsage;
pub use crate::plugin::{Done, Order, OrderError, PluginState, PluginStatus, Reloaded};

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
    parts: Parts,
    listener: Listener,
    certificates: Option<tls::Watch>,
}

/// A name server that answers, until stopped.
pub struct Running {
    address: SocketAddr,
    core: Arc<Core>,
    readiness: Arc<ReadinessCell>,
    memo_tally: Arc<memo::Tally>,
    generations: Arc<Generations>,
    plugins: Arc<Mutex<Reloader>>,
    board: Arc<Board>,
    plugins_watch: Option<Watch>,
    connections: Connections,
    serving: Option<Server>,
    scan: Option<Scan>,
    waiting: Option<Watcher>,
    address_server: Option<AddressServer>,
    reload: Option<tls::Reload>,
    admin: Option<Admin>,
    control: Option<Control>,
}

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
        let address = server.local_addr()?;
        let parts = server.parts;
        let net = net_config(&parts.config, address);
        let workers = std::iter::repeat_with(parts.worker_factory()).take(net.workers.get()).collect();
        let lanes = std::iter::repeat_with(parts.lane_factory()).take(net.lane_threads.get()).collect();
        Ok(ByHand::new(net, (parts.core, disk, parts.plugins), workers, lanes, fault))
    }

    fn assemble(config: Config, settings: Settings, clock: Arc<dyn Clock>, kv: KvStore) -> Result<Self, BindError> {
        let (terms, certificates) = tls::Terms::new(&config.tls)?;
        let parts = Parts::new(config, settings, clock, kv, Fuel::Free)?;
        let (name, port) = (&parts.config.net.bind_address, parts.config.net.listen_port);
        let address = name.resolve(port).map_err(|source| BindError::Resolve { name: name.clone(), source })?;
        let listener = Listener::bind(net_config(&parts.config, address))
            .map_err(|source| BindError::Listen { address, source })?;
        parts.core.settings.listening_on(listener.local_addr()?.port());
        Ok(Self { parts, listener: listener.with_tls(terms), certificates })
    }

    /// From now on, what this configuration file says about plugins and policies counts as soon as it says so.
    pub fn follow_configuration(&self, path: &Path, environment: Environment) {
        lock(&self.parts.plugins).follow(path.to_owned(), environment);
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
        let Self { parts, listener, certificates } = self;
        let (worker, lane) = (parts.worker_factory(), parts.lane_factory());
        let Parts { config, core, generations, plugins, board, readiness, memo_tally, recorder } = parts;
        let settings = Arc::clone(&core.settings);
        let serving = listener.serve(move || settings.switches().idle_timeout, worker, lane)?;
        let scan = Scan::start(Arc::clone(&core), serving.connections(), &config)?;
        let waiting = Watcher::start(Arc::clone(&core))?;
        let address_server = AddressServer::start(&core, &config.cluster_test)?;
        let interval = config.tls.reload_interval;
        let certificates = certificates.filter(|_| !interval.is_zero());
        let reload = certificates.map(|files| tls::Reload::start(files, interval)).transpose()?;
        let sources = Sources {
            core: Arc::clone(&core),
            generations: Arc::clone(&generations),
            board: Arc::clone(&board),
            readiness: Arc::clone(&readiness),
            connections: serving.connections(),
            memo: Arc::clone(&memo_tally),
        };
        let (interval, connections) = (config.plugins.reload_interval, serving.connections());
        let watch = || Watch::start(Arc::clone(&plugins), interval, move || connections.look_around());
        let plugins_watch = (!interval.is_zero()).then(watch).transpose()?;
        let served = Served {
            reloader: Arc::clone(&plugins),
            generations: Arc::clone(&generations),
            board: Arc::clone(&board),
            core: Arc::clone(&core),
            connections: serving.connections(),
            recorder,
        };
        let control = config.admin.control_socket.path().map(|path| Control::start(path, served)).transpose()?;
        let admin = config.admin.http_listen.address().map(|address| Admin::start(address, sources)).transpose()?;
        Ok(Running {
            address: serving.local_addr(),
            admin,
            control: control.flatten(),
            core,
            readiness,
            memo_tally,
            generations,
            plugins,
            board,
            plugins_watch,
            connections: serving.connections(),
            serving: Some(serving),
            scan: Some(scan),
            waiting: Some(waiting),
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
        Inline::new(&self.parts)
    }

    /// What workers and inline clients remember, and how often that was of use.
    pub fn memo(&self) -> MemoUsage {
        self.parts.memo_tally.usage()
    }

    /// How often a plugin was entered so far; none if there is none of that name.
    pub fn plugin_calls(&self, name: &str) -> Option<u64> {
        let catalogue = self.parts.generations.current();
        let plugin = catalogue.plugins().iter().find(|plugin| *plugin.name == *name)?;
        Some(catalogue.tallies().sum(|tally| plugin.place.map_or(0, |place| tally.calls(place))))
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

    /// Reads the plugins directories now, without waiting for files to settle. What is asked from then on is answered
    /// by the plugins that are there.
    pub fn reload_plugins(&self) -> Reloaded {
        self.after_reload(lock(&self.plugins).read_again())
    }

    /// Looks at the plugins directories, as a thread does by itself at every `plugins.reload-interval`: what two looks
    /// have seen the same counts from then on.
    pub fn look_for_plugins(&self) -> Reloaded {
        self.after_reload(lock(&self.plugins).look())
    }

    /// Does what an operator orders, as `fingerpost plugin` asks for it over the control socket.
    ///
    /// # Errors
    /// When it cannot be done; everything is as it was.
    pub fn order(&self, order: &Order) -> Result<Done, OrderError> {
        let done = lock(&self.plugins).obey(order)?;
        self.after_reload(done.reloaded);
        Ok(done)
    }

    /// Where orders arrive, if they do.
    pub fn control_socket(&self) -> Option<&Path> {
        self.control.as_ref().map(Control::path)
    }

    fn after_reload(&self, reloaded: Reloaded) -> Reloaded {
        if let Reloaded::Generation(_) = reloaded {
            self.connections.look_around();
        }
        reloaded
    }

    /// Every plugin and every file that wants to be one, as of the last look.
    pub fn plugins(&self) -> Vec<PluginStatus> {
        self.board.statuses(&self.generations.current(), self.core.clock.monotonic())
    }

    /// Requests that wait until a route changes.
    pub fn requests_waiting(&self) -> usize {
        self.core.waiting.count()
    }

    /// The newest generation of the plugins that every thread has changed over to.
    pub fn plugin_generation(&self) -> u64 {
        self.generations.active()
    }

    /// How many earlier generations are still in use by requests that began with them.
    pub fn plugin_generations_draining(&self) -> usize {
        self.generations.draining().len()
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
        self.core.waiting.stop();
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
        self.core.waiting.stop();
        drop((self.scan.take(), self.reload.take()));
        drop(self.address_server.take());
        if let Some(serving) = self.serving.take() {
            serving.stop();
            self.core.kv.close();
        }
        drop(self.waiting.take());
        // After what has a bound: they may be compiling, or wait for a directory.
        drop((self.control.take(), self.plugins_watch.take()));
        // Last, so that whoever watches sees it stop.
        drop(self.admin.take());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop_parts();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panics while it looks at plugins has published nothing, and the next look begins anew.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
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

    /// What it is made of.
    pub(crate) fn parts(server: &NameServer) -> &Parts {
        &server.parts
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
