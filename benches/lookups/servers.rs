//! The servers that are compared, and the brokers they are told of.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::cluster::{self, BROKERS};
use crate::floor;
use crate::process::{Process, SERVER_CORE, await_boot};

/// Which server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Fingerpost,
    Java,
    Floor,
}

/// A server that answers.
pub(crate) struct Running {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Fingerpost, Self::Java, Self::Floor];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fingerpost => "fingerpost",
            Self::Java => "java",
            Self::Floor => "floor",
        }
    }
}

/// Starts a server on its core, with files of its own under `home`.
pub(crate) fn start(kind: Kind, home: &Path) -> Result<Running, String> {
    let home = home.join(kind.name());
    fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    let command = match kind {
        Kind::Fingerpost => fingerpost(&home, &home.join("cache")),
        Kind::Java => java(&home)?,
        Kind::Floor => {
            let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
            command.arg(floor::ARGUMENT);
            command
        }
    };
    let (process, output) = Process::start(&command, Some(SERVER_CORE)).map_err(|error| error.to_string())?;
    let address = await_boot(output)?;
    Ok(Running { kind, address: (std::net::Ipv4Addr::LOCALHOST, address.port()).into(), process })
}

/// The binary of this build, with one worker for its one core, and the plugin cache at `cache`.
pub(crate) fn fingerpost(home: &Path, cache: &Path) -> Command {
    let file = home.join("namesrv.toml");
    let text = format!(
        "[net]\nbind-address = \"127.0.0.1\"\nlisten-port = 0\nworkers = 1\nlane-threads = 1\n\
         [kv]\npath = \"{}\"\n[plugins]\ndirs = []\ncache-dir = \"{}\"\n[log]\nfilter = \"warn\"\n",
        home.join("kvConfig.json").display(),
        cache.display()
    );
    fs::write(&file, text).expect("the temporary directory is writable");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fingerpost"));
    command.arg("-c").arg(file).env("HOME", home).env("ROCKETMQ_HOME", home).current_dir(home);
    command
}

/// The official NameServer, with the flags of its own `runserver.sh`.
fn java(home: &Path) -> Result<Command, String> {
    const FLAGS: [&str; 10] = [
        "-server",
        "-Xms4g",
        "-Xmx4g",
        "-XX:MetaspaceSize=128m",
        "-XX:MaxMetaspaceSize=320m",
        "-XX:+UseG1GC",
        "-XX:G1HeapRegionSize=16m",
        "-XX:G1ReservePercent=25",
        "-XX:InitiatingHeapOccupancyPercent=30",
        "-XX:SoftRefLRUPolicyMSPerMB=0",
    ];
    let jars = jars()?;
    // Java does not take port 0.
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(|e| e.to_string())?.port();
    let file = home.join("namesrv.properties");
    let text = format!(
        "listenPort={port}\nbindAddress=127.0.0.1\nrocketmqHome={0}\nkvConfigPath={0}/kvConfig.json\n\
         configStorePath={0}/stored.properties\n",
        home.display()
    );
    fs::write(&file, text).map_err(|error| error.to_string())?;
    let mut command = Command::new("java");
    command
        .args(FLAGS)
        .args(["-XX:-OmitStackTraceInFastThrow", "-XX:-UseLargePages"])
        .arg(format!("-Duser.home={}", home.display()))
        .arg("-Drmq.logback.configurationFile=rmq.namesrv.logback.xml")
        .arg("-cp")
        .arg(format!("{}/*", jars.display()))
        .args(["org.apache.rocketmq.namesrv.NamesrvStartup", "-c"])
        .arg(file)
        .env("ROCKETMQ_HOME", home)
        .current_dir(home);
    Ok(command)
}

/// The jars of the interop suite, which knows where to get them.
fn jars() -> Result<PathBuf, String> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let jars = match std::env::var_os("FINGERPOST_INTEROP_CACHE") {
        Some(cache) => PathBuf::from(cache),
        None => project.join("target/interop/lib"),
    };
    let script = r#"set -eu; . "$here/prepare.sh"; mkdir -p "$(dirname "$lib")"; fetch_jars"#;
    let fetched =
        Command::new("bash").args(["-c", script]).env("here", project.join("tests/interop")).env("lib", &jars).status();
    match fetched {
        Ok(status) if status.success() => Ok(jars),
        _ => Err(format!("no RocketMQ jars in {}, and they could not be fetched", jars.display())),
    }
}

/// The brokers' connections to one server. Closed, the server forgets the brokers.
pub(crate) struct Brokers {
    connections: Vec<TcpStream>,
}

impl Brokers {
    pub(crate) fn register(address: SocketAddr) -> Self {
        let connect = |_| TcpStream::connect(address).expect("the server accepts");
        let mut brokers = Self { connections: (0..BROKERS).map(connect).collect() };
        brokers.hold();
        brokers
    }

    /// Registers all of them again, so that the server neither forgets them nor closes their connections.
    pub(crate) fn hold(&mut self) {
        for (broker, connection) in self.connections.iter_mut().enumerate() {
            connection.write_all(&cluster::registration(broker)).expect("the server reads");
            let mut length = [0; 4];
            connection.read_exact(&mut length).expect("an answer");
            let mut answer = vec![0; u32::from_be_bytes(length) as usize];
            connection.read_exact(&mut answer).expect("a whole answer");
            assert!(answer[4..].starts_with(b"{\"code\":0,"), "refused: {}", String::from_utf8_lossy(&answer));
        }
    }
}
