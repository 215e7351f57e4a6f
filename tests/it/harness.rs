//! A name server of our own in this process, and a client that speaks to it in frames.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use fingerpost::clock::{Clock, SystemClock};
use fingerpost::config::{Config, Environment, Loaded, Overlay, Place, Settings};
use fingerpost::readiness::Readiness;
use fingerpost::remoting::{Command, Fields, RequestCode, SerializeType};
use fingerpost::server::{BindError, MemoUsage, NameServer, Reloaded, Running};
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, ClientConfig, ClientConnection};

/// Nothing a test waits for takes this long; it is there so that a failure ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server with files of its own.
pub(crate) struct Server {
    running: Option<Running>,
    address: SocketAddr,
    pub(crate) clock: Arc<TestClock>,
    home: tempfile::TempDir,
}

/// The machine's clock, plus what a test adds.
#[derive(Default)]
pub(crate) struct TestClock {
    system: SystemClock,
    ahead_ms: AtomicU64,
    stands_still: AtomicBool,
}

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    /// From now on nothing takes any time, as far as the server can see, but what a test adds; nothing that it does by
    /// interval happens.
    pub(crate) fn stand_still(&self) {
        self.stands_still.store(true, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> u64 {
        self.system.now() + self.ahead_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        let system = if self.stands_still.load(Ordering::SeqCst) { Duration::ZERO } else { self.system.monotonic() };
        system + Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(|_, _| {})
    }

    /// Starts a server whose configuration `edit` has changed; it is given the server's own directory as well.
    pub(crate) fn start_with(edit: impl FnOnce(&mut Config, &Path)) -> Self {
        Self::try_start_with(edit).expect("the server binds")
    }

    /// The same, for a server that may have reasons not to start.
    pub(crate) fn try_start_with(edit: impl FnOnce(&mut Config, &Path)) -> Result<Self, BindError> {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut config = Config::default();
        make_private(&mut config, home.path());
        edit(&mut config, home.path());
        let mut overlay = Overlay::default();
        overlay.path = Some(overlay_path(home.path()));
        Self::run(Loaded { config, overlay, extras: Default::default(), notices: Vec::new() }, home)
    }

    /// Starts a server on the files that another one left, which it reads as the program does.
    pub(crate) fn start_again(home: tempfile::TempDir) -> Self {
        let file = home.path().join("namesrv.toml");
        let text = format!("[settings]\noverlay-path = {:?}\n", overlay_path(home.path()));
        std::fs::write(&file, text).expect("the temporary directory is writable");
        let mut loaded = fingerpost::config::load(Some(&file), &Environment::default()).expect("the files are valid");
        make_private(&mut loaded.config, home.path());
        Self::run(loaded, home).expect("the server binds")
    }

    /// Starts a server with this configuration in the directory of another one that has ended.
    pub(crate) fn start_in(home: tempfile::TempDir, edit: impl FnOnce(&mut Config, &Path)) -> Self {
        let mut config = Config::default();
        make_private(&mut config, home.path());
        edit(&mut config, home.path());
        let overlay = Overlay::default();
        Self::run(Loaded { config, overlay, extras: Default::default(), notices: Vec::new() }, home)
            .expect("the server binds")
    }

    /// Starts a server that goes on reading its configuration file, `namesrv.toml` in its home.
    pub(crate) fn start_following(write: impl FnOnce(&Path) -> String, edit: impl FnOnce(&mut Config)) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("namesrv.toml");
        std::fs::write(&file, write(home.path())).expect("the temporary directory is writable");
        let mut loaded = fingerpost::config::load(Some(&file), &Environment::default()).expect("the file is valid");
        let plugins = loaded.config.plugins.clone();
        make_private(&mut loaded.config, home.path());
        loaded.config.plugins = plugins;
        edit(&mut loaded.config);
        Self::run_following(loaded, home, Some(&file)).expect("the server binds")
    }

    /// Starts a server on a Java properties file in the directory that becomes its own.
    pub(crate) fn start_on_properties(home: tempfile::TempDir, file: &Path, edit: impl FnOnce(&mut Config)) -> Self {
        let mut loaded = fingerpost::config::load(Some(file), &Environment::default()).expect("the file is valid");
        make_private(&mut loaded.config, home.path());
        edit(&mut loaded.config);
        loaded.overlay.path = Some(overlay_path(home.path()));
        Self::run(loaded, home).expect("the server binds")
    }

    fn run(loaded: Loaded, home: tempfile::TempDir) -> Result<Self, BindError> {
        Self::run_following(loaded, home, None)
    }

    fn run_following(loaded: Loaded, home: tempfile::TempDir, file: Option<&Path>) -> Result<Self, BindError> {
        let clock = Arc::new(TestClock::default());
        let settings = Settings::new(&loaded);
        let server = NameServer::bind(loaded.config, settings, clock.clone())?;
        if let Some(file) = file {
            server.follow_configuration(file, Environment::default());
        }
        let running = server.serve().expect("the server serves");
        let address = running.local_addr();
        Ok(Self { running: Some(running), address, clock, home })
    }

    /// Stops the server; its files stay for [`Server::start_again`].
    pub(crate) fn stop_and_keep_files(mut self) -> tempfile::TempDir {
        self.stop();
        self.home
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers over HTTP.
    pub(crate) fn http(&self) -> SocketAddr {
        self.running.as_ref().and_then(Running::http_addr).expect("it was told to")
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Runs one scan, as of the test's clock.
    pub(crate) fn scan(&self) -> usize {
        self.running.as_ref().expect("it runs").scan()
    }

    pub(crate) fn ask_address_server(&self) {
        self.running.as_ref().expect("it runs").ask_address_server();
    }

    pub(crate) fn send_away(&self) -> Option<Duration> {
        self.running.as_ref().expect("it runs").send_away()
    }

    pub(crate) fn readiness(&self) -> Readiness {
        self.running.as_ref().expect("it runs").readiness()
    }

    pub(crate) fn memo(&self) -> MemoUsage {
        self.running.as_ref().expect("it runs").memo()
    }

    /// Lets the server read its plugins directories.
    pub(crate) fn reload(&self) -> Reloaded {
        self.running().reload_plugins()
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    /// Waits until so many connections are left, and whatever came with the close of the others has been done.
    #[track_caller]
    pub(crate) fn wait_for_connections(&self, count: usize) {
        let clock = SystemClock::default();
        while self.running.as_ref().expect("it runs").connections() != count {
            assert!(clock.monotonic() < PATIENCE, "there were not {count} connections within {PATIENCE:?}");
            std::thread::yield_now();
        }
    }

    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

/// What keeps a test's server apart from everybody else's.
pub(crate) fn make_private(config: &mut Config, home: &Path) {
    config.net.bind_address = [127, 0, 0, 1].into();
    config.net.listen_port = 0;
    config.net.workers = 2;
    // Tests scan when they have moved the clock, and not while they are about to.
    config.liveness.first_scan_after = Duration::from_secs(24 * 60 * 60);
    config.kv.path = home.join("kvConfig.json");
    config.plugins.dirs = vec![home.join("plugins")];
    config.plugins.cache_dir = Place::At(shared_cache());
    // Whoever tests what is remembered says where.
    config.plugins.state_dir = Place::None;
    config.admin.control_socket = Place::None;
    // Tests look when they have changed something.
    config.plugins.reload_interval = Duration::ZERO;
}

fn overlay_path(home: &Path) -> PathBuf {
    home.join("overlay.properties")
}

/// The beginning of a configuration file for [`Server::start_following`], after which more of `[plugins]` may follow.
pub(crate) fn plugins_section(home: &Path) -> String {
    let (dir, cache) = (home.join("plugins"), shared_cache());
    format!("[plugins]\ndirs = [{dir:?}]\ncache-dir = {cache:?}\nstate-dir = \"none\"\nreload-interval = \"0s\"\n")
}

/// Compiled plugins are shared by all tests of a build, so that each is compiled once.
fn shared_cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache")
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    opaque: i32,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_nodelay(true).expect("nodelay can be set");
        Self { stream, tls: None, opaque: 0 }
    }

    /// Connects and shakes hands; fails as the client's side of it does.
    pub(crate) fn over_tls(address: SocketAddr, config: &Arc<ClientConfig>) -> std::io::Result<Self> {
        Self::connect(address).begin_tls(config)
    }

    /// Shakes hands after whatever was sent before.
    pub(crate) fn begin_tls(mut self, config: &Arc<ClientConfig>) -> std::io::Result<Self> {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut tls = ClientConnection::new(Arc::clone(config), name).map_err(std::io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut self.stream)?;
        }
        self.tls = Some(Box::new(tls));
        Ok(self)
    }

    /// What was agreed on.
    pub(crate) fn cipher_suite(&self) -> Option<CipherSuite> {
        self.tls.as_ref()?.negotiated_cipher_suite().map(|suite| suite.suite())
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.tls {
            None => self.stream.write_all(bytes),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.stream).write_all(bytes),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        match &mut self.tls {
            None => self.stream.read_exact(bytes),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.stream).read_exact(bytes),
        }
    }

    /// Sends a request and waits for its reply.
    pub(crate) fn ask(&mut self, request: Ask) -> Command {
        let opaque = self.send(&request);
        let reply = self.receive().expect("a reply, not the end of the connection");
        assert_eq!(reply.opaque, opaque, "the reply to another request");
        reply
    }

    /// Sends without waiting; returns the opaque.
    pub(crate) fn send(&mut self, request: &Ask) -> i32 {
        self.opaque += 1;
        let frame = request.frame(self.opaque);
        self.send_bytes(&frame);
        self.opaque
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.write(bytes).expect("the server reads");
    }

    /// Waits for the replies to all of these, which may come in any order, and returns them in the order asked.
    pub(crate) fn receive_all(&mut self, opaques: &[i32]) -> Vec<Command> {
        let mut replies: Vec<Option<Command>> = vec![None; opaques.len()];
        for _ in opaques {
            let reply = self.receive().expect("a reply, not the end of the connection");
            let at = opaques.iter().position(|opaque| *opaque == reply.opaque).expect("a reply to one of these");
            assert!(replies[at].replace(reply).is_none(), "a second reply to {}", opaques[at]);
        }
        replies.into_iter().flatten().collect()
    }

    /// The next frame, or none when the server closed the connection.
    pub(crate) fn receive(&mut self) -> Option<Command> {
        self.receive_frame().map(|frame| Command::decode(frame).expect("the server writes valid frames"))
    }

    /// The same, not decoded yet.
    pub(crate) fn receive_frame(&mut self) -> Option<Bytes> {
        self.try_receive_frame().unwrap_or_else(|error| panic!("no reply: {error}"))
    }

    /// The next frame, of a server that may have reasons to refuse this client.
    pub(crate) fn try_receive(&mut self) -> std::io::Result<Option<Command>> {
        Ok(self.try_receive_frame()?.map(|frame| Command::decode(frame).expect("the server writes valid frames")))
    }

    fn try_receive_frame(&mut self) -> std::io::Result<Option<Bytes>> {
        let mut length = [0; 4];
        match self.read(&mut length) {
            Ok(()) => {}
            Err(error) if is_end(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
        let size = u32::from_be_bytes(length) as usize;
        let mut frame = BytesMut::with_capacity(4 + size);
        frame.extend_from_slice(&length);
        frame.resize(4 + size, 0);
        self.read(&mut frame[4..]).expect("a whole frame");
        Ok(Some(frame.freeze()))
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

fn is_end(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset)
}

/// A request in the making.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    code: i32,
    version: i32,
    flag: i32,
    fields: Vec<(String, String)>,
    body: Bytes,
    serialize_type: SerializeType,
}

impl Ask {
    pub(crate) fn new(code: i32) -> Self {
        Self {
            code,
            version: 513,
            flag: 0,
            fields: Vec::new(),
            body: Bytes::new(),
            serialize_type: SerializeType::Json,
        }
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    pub(crate) fn oneway(self) -> Self {
        self.flag(2)
    }

    pub(crate) fn flag(mut self, flag: i32) -> Self {
        self.flag = flag;
        self
    }

    pub(crate) fn binary(mut self) -> Self {
        self.serialize_type = SerializeType::Rocketmq;
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The bytes on the wire.
    pub(crate) fn frame(&self, opaque: i32) -> Bytes {
        let mut frame = BytesMut::new();
        let fields: Fields =
            self.fields.iter().map(|(n, v)| (ByteString::from(n.as_str()), ByteString::from(v.as_str()))).collect();
        let command = Command {
            version: self.version,
            flag: self.flag,
            fields: Some(fields).filter(|fields| !fields.is_empty()),
            body: self.body.clone(),
            ..Command::request(RequestCode(self.code), opaque)
        };
        command.encode(self.serialize_type, &mut frame).expect("a request that fits its frame");
        frame.freeze()
    }
}

impl Client {
    /// Asks again and again until the answer is yes. What is waited for is on its way already; a failure ends it.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) {
        let clock = SystemClock::default();
        while !is_so(self) {
            assert!(clock.monotonic() < PATIENCE, "it did not happen in {PATIENCE:?}");
            std::thread::yield_now();
        }
    }
}
