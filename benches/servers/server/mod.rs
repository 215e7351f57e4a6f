//! The servers that are compared, and how each is started.

mod cpu;
pub(crate) mod floor;
mod java;
pub(crate) mod process;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

pub(crate) use cpu::CpuTime;
pub(crate) use floor::Canned;
pub(crate) use process::{Cores, Process};

/// Which server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Fingerpost,
    Java,
    Floor,
    /// One of the command line: a shell command with `{port}` in it, and `{home}` for a directory of its own.
    Other {
        name: String,
        command: String,
    },
}

/// A server that answers.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    /// Where its files are.
    pub(crate) home: PathBuf,
}

impl Kind {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Fingerpost => "fingerpost",
            Self::Java => "java",
            Self::Floor => "floor",
            Self::Other { name, .. } => name,
        }
    }
}

impl Server {
    pub(crate) fn name(&self) -> &str {
        self.kind.name()
    }

    /// Whether it is a name server. The floor is not: it answers everything alike.
    pub(crate) fn knows_routes(&self) -> bool {
        self.kind != Kind::Floor
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        self.process.memory().resident / 1024.0
    }
}

/// Where servers are started, and which can be.
pub(crate) struct Yard {
    /// On the disk of the target directory, because that of temporary files may be no disk.
    home: TempDir,
    kinds: Vec<Kind>,
    jars: PathBuf,
}

impl Yard {
    /// Fingerpost, Java, the floor, and `others`. What cannot be had is named, and left out.
    pub(crate) fn new(others: &[Kind]) -> Self {
        let home = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the target directory is writable");
        let mut kinds = vec![Kind::Fingerpost];
        let jars = java::jars().inspect_err(|reason| println!("SKIPPED java: {reason}")).ok();
        kinds.extend(jars.is_some().then_some(Kind::Java));
        kinds.push(Kind::Floor);
        kinds.extend_from_slice(others);
        Self { home, kinds, jars: jars.unwrap_or_default() }
    }

    /// Those that are not ours.
    pub(crate) fn strangers(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.iter().filter(|kind| !matches!(kind, Kind::Fingerpost | Kind::Floor))
    }

    /// A directory that is there.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        let directory = self.home.path().join(name);
        fs::create_dir_all(&directory).expect("the target directory is writable");
        directory
    }

    /// Starts every server, with new files under `group`.
    pub(crate) fn start_all(&self, group: &str, cores: Cores, canned: Canned) -> Vec<Server> {
        let start = |kind| match self.start(kind, group, cores, canned) {
            Ok(server) => Some(server),
            Err(reason) => {
                println!("SKIPPED {} of {group}: {reason}", kind.name());
                None
            }
        };
        self.kinds.iter().filter_map(start).collect()
    }

    /// The same but for the floor.
    pub(crate) fn start_name_servers(&self, group: &str) -> Vec<Server> {
        let mut servers = self.start_all(group, Cores::Server, Canned::Nothing);
        servers.retain(Server::knows_routes);
        servers
    }

    pub(crate) fn start(&self, kind: &Kind, group: &str, cores: Cores, canned: Canned) -> Result<Server, String> {
        let home = self.directory(&format!("{group}/{}", kind.name()));
        let port = free_port().map_err(in_words)?;
        let command = match kind {
            Kind::Fingerpost => fingerpost(&home, cores, NO_MORE),
            Kind::Java => java::command(&home, &self.jars, port)?,
            Kind::Floor => {
                let mut command = Command::new(std::env::current_exe().map_err(in_words)?);
                command.arg(floor::ARGUMENT).arg(canned.argument());
                command
            }
            Kind::Other { command, .. } => shell(command, &home, port),
        };
        launch(kind, &command, cores, home, port)
    }

    /// Fingerpost, and where its metrics are.
    pub(crate) fn start_observed(&self, group: &str) -> Result<(Server, SocketAddr), String> {
        let home = self.directory(&format!("{group}/{}", Kind::Fingerpost.name()));
        let metrics = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().map_err(in_words)?));
        let command = fingerpost(&home, Cores::Server, ("[]", &format!("[admin]\nhttp-listen = \"{metrics}\"\n")));
        Ok((launch(&Kind::Fingerpost, &command, Cores::Server, home, 0)?, metrics))
    }
}

impl Yard {
    /// Fingerpost, with `more` in its `[plugins]`, and the directory that it takes plugins from.
    pub(crate) fn start_with_plugins(&self, group: &str, more: &str) -> Result<(Server, PathBuf), String> {
        let plugins = self.directory(&format!("{group}/plugins"));
        let home = self.directory(&format!("{group}/{}", Kind::Fingerpost.name()));
        let command = fingerpost(&home, Cores::Server, (&format!("[{plugins:?}]\n{more}"), ""));
        Ok((launch(&Kind::Fingerpost, &command, Cores::Server, home, 0)?, plugins))
    }
}

fn in_words(error: std::io::Error) -> String {
    error.to_string()
}

/// `port` is where a server listens that does not say it.
fn launch(kind: &Kind, command: &Command, cores: Cores, home: PathBuf, port: u16) -> Result<Server, String> {
    let (mut process, output) = Process::start(command, cores).map_err(in_words)?;
    let address = match kind {
        Kind::Other { .. } => {
            // Nobody knows what it says when it listens; what it says is not read.
            drop(output);
            await_listener(&mut process, port)?
        }
        _ => address_in(&process::await_line(output, "boot success")?)?,
    };
    Ok(Server { kind: kind.clone(), address, process, home })
}

/// No plugins directories, and nothing else.
const NO_MORE: (&str, &str) = ("[]", "");

/// The binary of this build, with one worker for its one core or one for each. Its compiled plugins are at home. `dirs`
/// are its plugins directories, and `more` is more of its configuration.
fn fingerpost(home: &Path, cores: Cores, (dirs, more): (&str, &str)) -> Command {
    let file = home.join("namesrv.toml");
    // Zero is one for each core.
    let threads = if cores == Cores::Server { 1 } else { 0 };
    let text = format!(
        "[net]\nbind-address = \"127.0.0.1\"\nlisten-port = 0\nworkers = {threads}\nlane-threads = {threads}\n\
         connections-max = 21000\n\
         [kv]\npath = \"{}\"\n[plugins]\ndirs = {dirs}\ncache-dir = \"{}\"\n[log]\nfilter = \"error\"\n{more}",
        home.join("kvConfig.json").display(),
        home.join("cache").display()
    );
    fs::write(&file, text).expect("the temporary directory is writable");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fingerpost"));
    command.arg("-c").arg(file).env("HOME", home).env("ROCKETMQ_HOME", home).current_dir(home);
    command
}

fn shell(command: &str, home: &Path, port: u16) -> Command {
    let command = command.replace("{port}", &port.to_string()).replace("{home}", &home.display().to_string());
    let mut shell = Command::new("sh");
    // The process that is measured must be the server's own.
    shell.arg("-c").arg(format!("exec {command} >/dev/null")).current_dir(home);
    shell
}

/// For servers that do not take port 0.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn address_in(line: &str) -> Result<SocketAddr, String> {
    let address: Option<SocketAddr> = line.rsplit([' ', ',']).find_map(|word| word.parse().ok());
    let port = address.ok_or_else(|| format!("no address in {line:?}"))?.port();
    Ok((Ipv4Addr::LOCALHOST, port).into())
}

fn await_listener(process: &mut Process, port: u16) -> Result<SocketAddr, String> {
    const PAUSE: Duration = Duration::from_millis(20);
    let address = (Ipv4Addr::LOCALHOST, port).into();
    for _ in 0..process::START_MAX.as_millis() / PAUSE.as_millis() {
        if TcpStream::connect(address).is_ok() {
            return Ok(address);
        }
        if process.has_ended() {
            return Err("it ended".to_owned());
        }
        process::let_rest(PAUSE);
    }
    Err("it did not listen in time".to_owned())
}
