//! A name server on a workbench: one plugin's file in it, what it finds set up by hand, and no socket.
//!
//! It is the server that others ask over the network, with its files in a directory that goes with it: what a plugin
//! may and may not do there, it may and may not do here. Time stands still until somebody moves it, but for the
//! deadlines of plugins, which are the machine's. Nobody outside is told anything, and nobody is asked but by a plugin
//! that is granted it; and no request waits for a change, because nobody else makes one.

mod clock;
mod home;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use self::clock::HandClock;
use crate::config::{ByteSize, Config, Loaded, Overlay, Place, Settings};
use crate::inline::Desk;
use crate::kv::{Completion, KvStore, WriteError};
use crate::net::{CloseReason, Connection, Service};
use crate::parts::Parts;
use crate::plugin::{Catalogue, Core, Fuel, Gauge, PluginState, PluginStatus, Shown, stock_name_of};
use crate::remoting::{Command, FrameError};
use crate::route::{Millis, RegisterError, Registration, Tables, TopicTable};
use crate::server::BindError;

pub(crate) use self::home::TemporaryHome;

/// What is to be tried, and on what.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    /// The name of its file, by which the operator speaks of it; none tries the embedded plugins alone.
    pub(crate) plugin: Option<(&'a str, &'a [u8])>,
    /// Where compiled components are kept from one workbench to the next.
    pub(crate) cache_dir: &'a Path,
    /// When it is.
    pub(crate) now: Millis,
    pub(crate) fuel: Fuel,
}

/// The server.
pub(crate) struct Workbench {
    // In the order in which they go: the directory last.
    desk: Desk,
    connections: BTreeMap<SocketAddr, Connection>,
    parts: Parts,
    clock: Arc<HandClock>,
    file: Option<PathBuf>,
    /// The embedded plugin that it is.
    is_stock: Option<&'static str>,
    _home: TemporaryHome,
}

/// Why there is no workbench.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkbenchError {
    #[error("the directory for temporary files cannot be used: {0}")]
    Home(#[from] io::Error),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Kv(#[from] crate::kv::OpenError),
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A reply came.
    Reply(Command),
    /// Nobody wanted one.
    Silence,
    /// The server would have closed the connection.
    Closed(CloseReason),
    /// What came is no frame, which is a fault of the server.
    Garbled(FrameError),
}

impl Workbench {
    /// Sets one up as `config` says, but for what would reach outside.
    ///
    /// # Errors
    /// When the machine refuses files or threads, or the configuration names plugins that are not there.
    pub(crate) fn new(plan: Plan<'_>, mut config: Config) -> Result<Self, WorkbenchError> {
        let home = TemporaryHome::new()?;
        let dir = home.path().join("plugins");
        fs::create_dir(&dir)?;
        let file = plan.plugin.map(|(name, _)| dir.join(name));
        if let (Some(file), Some((_, bytes))) = (&file, plan.plugin) {
            fs::write(file, bytes)?;
        }
        let is_stock = plan.plugin.and_then(|(_, bytes)| stock_name_of(bytes));
        config.kv.path = home.path().join("kvConfig.json");
        config.plugins.dirs = vec![dir];
        config.plugins.allow_shared_dirs = true;
        // Whether it is signed is told by a check.
        config.plugins.signed_by = Vec::new();
        // How large it may be is told by a check.
        let size = plan.plugin.map_or(0, |(_, bytes)| bytes.len() as u64);
        config.plugins.component_size_max = config.plugins.component_size_max.max(ByteSize::new(size));
        config.plugins.cache_dir = Place::At(plan.cache_dir.to_owned());
        config.plugins.state_dir = Place::None;
        // What is tried stays in use whatever it does.
        config.plugins.rollback_failures = 0;
        config.plugins.failures_max = 0;
        config.plugins.failures_per_second_max = 0;
        // Each request is to reach its plugin.
        config.memo.size = ByteSize::new(0);
        // Upstreams would be asked over the network.
        config.cluster_test.name_servers = Vec::new();
        let mut overlay = Overlay::default();
        overlay.path = Some(home.path().join("overlay.properties"));
        let loaded = Loaded { config, overlay, extras: Default::default(), notices: Vec::new() };
        let settings = Settings::new(&loaded);
        let clock = Arc::new(HandClock::at(plan.now));
        let kv = KvStore::open(loaded.config.kv.clone())?;
        let parts = Parts::new(loaded.config, settings, clock.clone(), kv, plan.fuel)?;
        parts.core.notifier.close();
        let desk = Desk::new(&parts)?;
        Ok(Self { desk, connections: BTreeMap::new(), parts, clock, file, is_stock, _home: home })
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.parts.core
    }

    /// What the server made of the file; none without one.
    pub(crate) fn status(&self) -> Option<PluginStatus> {
        let statuses = self.parts.board.statuses(&self.catalogue(), self.parts.core.clock.monotonic());
        statuses.iter().find(|status| status.file == self.file).filter(|_| self.file.is_some()).cloned()
    }

    /// Everything that is in use.
    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        self.parts.generations.current()
    }

    /// The name of the plugin that is tried; the error is why it is not used.
    pub(crate) fn subject(&self) -> Result<String, String> {
        // The same bytes as an embedded one: then it is that one.
        if let Some(name) = self.is_stock {
            let is_used = self.catalogue().plugins().iter().any(|plugin| *plugin.name == *name);
            return if is_used { Ok(name.to_owned()) } else { Err(format!("it is {name}, which is switched off")) };
        }
        let status = self.status().unwrap_or_default();
        match (status.state, status.name) {
            (PluginState::Active, Some(name)) => Ok(name),
            _ => Err(status.reason.unwrap_or_else(|| "it is not there".to_owned())),
        }
    }

    /// What the plugin's instances have used so far.
    pub(crate) fn gauge(&self, name: &str) -> Gauge {
        let runners = [&self.desk.worker.runner, &self.desk.lane.runner];
        runners.iter().filter_map(|runner| runner.gauge(name)).fold(Gauge::default(), |sum, one| Gauge {
            fuel: Some(sum.fuel.unwrap_or_default() + one.fuel.unwrap_or_default()),
            host_calls: sum.host_calls + one.host_calls,
            memory: sum.memory.max(one.memory),
        })
    }

    /// Whether the plugin that answers this code promises to be pure.
    pub(crate) fn promises_pure(&self, code: i32) -> bool {
        self.catalogue().target(code).is_some_and(|target| target.entry.pure)
    }

    /// Registers a broker, as its own registration would.
    pub(crate) fn register(
        &mut self,
        registration: Registration,
        topics: TopicTable,
        from: SocketAddr,
    ) -> Result<(), RegisterError> {
        let id = self.connection(from).id();
        let core = &self.parts.core;
        let connection = core.registrants.of(id);
        core.routes.register(registration, topics, &connection, core.clock.now()).map(drop)
    }

    /// Writes into the KV store, and waits for the disk.
    pub(crate) fn put(&self, namespace: &str, key: &str, value: &str) -> Result<(), WriteError> {
        let (told, outcome) = std::sync::mpsc::channel();
        let done = Completion::new(move |outcome| drop(told.send(outcome)));
        self.parts.core.kv.put(namespace, key, Some(value), done)?;
        outcome.recv().unwrap_or(Err(WriteError::Closed))
    }

    /// Asks over the connection from an address, which is made if there is none.
    pub(crate) fn ask(&mut self, frame: Bytes, from: SocketAddr) -> Outcome {
        let connection = self.connection(from);
        let mut out = BytesMut::new();
        match self.desk.answer(frame, &connection, &mut out) {
            Err(reason) => {
                self.close(from);
                Outcome::Closed(reason)
            }
            Ok(()) if out.is_empty() => Outcome::Silence,
            Ok(()) => Command::decode(out.freeze()).map_or_else(Outcome::Garbled, Outcome::Reply),
        }
    }

    /// The same, for whoever measures: what comes back is appended to `out`.
    pub(crate) fn ask_again(&mut self, frame: &Bytes, from: SocketAddr, out: &mut BytesMut) -> Result<(), CloseReason> {
        let connection = self.connection(from);
        self.desk.answer(frame.clone(), &connection, out)
    }

    /// What a client is shown of a topic: its broker groups as the policies leave them, or nothing when the topic has
    /// no route. The error is a policy's failure.
    pub(crate) fn show(
        &mut self,
        topic: &str,
        command: Command,
        from: SocketAddr,
    ) -> Result<Option<Vec<Value>>, String> {
        let connection = self.connection(from);
        self.desk.worker.look_around();
        let Some(route) = self.tables().route(topic) else { return Ok(None) };
        let view = self.desk.worker.runner.show(command, &connection, route)?;
        Ok(Some(view.groups().map(|shown| group(&shown)).collect()))
    }

    /// Closes the connection from an address: what it registered is forgotten.
    pub(crate) fn close(&mut self, from: SocketAddr) {
        if let Some(connection) = self.connections.remove(&from) {
            self.desk.closed(&connection);
        }
    }

    /// Time goes on, and brokers that were silent for too long are forgotten, with their connections.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        let core = &self.parts.core;
        for broker in core.routes.expire(core.clock.now()) {
            let theirs = self.connections.extract_if(.., |_, connection| connection.id() == broker.connection);
            theirs.for_each(|(_, connection)| self.desk.closed(&connection));
        }
    }

    /// The route tables as they are.
    pub(crate) fn tables(&self) -> Arc<Tables> {
        self.parts.core.routes.tables()
    }

    /// The KV store as it is.
    pub(crate) fn kv(&self) -> Arc<crate::kv::Table> {
        self.parts.core.kv.snapshot()
    }

    fn connection(&mut self, from: SocketAddr) -> Connection {
        self.connections.entry(from).or_insert_with(|| Connection::without_socket(from)).clone()
    }
}

/// One group of a route as it is shown.
fn group(shown: &Shown<'_>) -> Value {
    let addresses = shown.addresses.iter().map(|(id, address)| (id.to_string(), Value::from(&**address))).collect();
    let mut group = json!({
        "name": &*shown.group.broker_name,
        "cluster": &*shown.group.cluster,
        "zone": shown.group.zone_name.as_deref(),
        "addresses": Value::Object(addresses),
    });
    if let Some(queue) = shown.queue {
        group["perm"] = queue.perm.into();
        group["read"] = queue.read_queue_nums.into();
        group["write"] = queue.write_queue_nums.into();
    }
    group
}
