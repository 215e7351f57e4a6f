//! A server of one's own, in a process of its own, for one test: on the loopback, on a free port, with an empty home
//! that goes when it goes.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

/// A running server; dropping it stops it.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    child: Child,
    /// Reads what the server prints, to the end, so that it never waits for a reader.
    reader: Option<JoinHandle<()>>,
    /// The lines of its standard output; closed when that is.
    lines: Receiver<String>,
    /// Those that were looked at.
    stdout: String,
    home: Option<TempDir>,
}

/// Compiling the components on a busy machine takes its time.
const START_MAX: Duration = Duration::from_secs(120);

/// A process that is to end is gone well before this.
const END_MAX: Duration = Duration::from_secs(60);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, as `kill -<name>` does.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(sent.expect("there is a `kill`").success());
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        while self.next_line(END_MAX).is_some() {}
        self.child.wait().expect("it is our child")
    }

    /// Whether it prints no more because it has ended, or does so within this time.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        self.lines.recv_timeout(time) == Err(mpsc::RecvTimeoutError::Disconnected)
    }

    /// What it has printed up to where a test has waited: the boot, or the end.
    pub(crate) fn stdout(&self) -> &str {
        &self.stdout
    }

    /// The next line of its standard output; none at the end.
    fn next_line(&mut self, patience: Duration) -> Option<&str> {
        let before = self.stdout.len();
        match self.lines.recv_timeout(patience) {
            Ok(line) => self.stdout += &(line + "\n"),
            Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the server neither goes on nor ends: {}", self.log()),
        }
        Some(self.stdout[before..].trim_end())
    }

    fn wait_for_boot(&mut self) -> SocketAddr {
        while let Some(line) = self.next_line(START_MAX) {
            if line.contains("boot success") {
                let addr = line.rsplit(' ').next().and_then(|addr| addr.parse().ok());
                return addr.expect("the line ends with the address");
            }
        }
        panic!("the server does not say where it listens: {}", self.log())
    }

    /// Stops the process without a warning; its files stay.
    pub(crate) fn kill(mut self) -> TempDir {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.home.take().expect("it is taken once")
    }

    /// The files of a server that has ended.
    pub(crate) fn into_home(self) -> TempDir {
        self.kill()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(log_path(self.home())).expect("the log is a file of ours")
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.as_ref().expect("it is taken last").path()
    }
}

/// Starts the server that was built beside these tests, with these properties on top of the defaults.
pub(crate) fn start(settings: &[(&str, &str)]) -> Server {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    start_in(home, settings)
}

/// The same, in a home that may hold files already.
pub(crate) fn start_in(home: TempDir, settings: &[(&str, &str)]) -> Server {
    serve(command_in(home.path(), settings), home)
}

/// The program, about to start in this home with these properties.
pub(crate) fn command_in(home: &Path, settings: &[(&str, &str)]) -> Command {
    let file = write_properties(home, settings);
    let mut command = program(home);
    command.arg("-c").arg(&file).env("HOME", home).env("ROCKETMQ_HOME", home);
    command
}

/// Starts the server on the loopback with this TOML, which may add to `[net]` where it begins.
pub(crate) fn start_with_toml(text: &str) -> Server {
    let (command, home) = with_toml(text);
    serve(command, home)
}

/// The same, by a shell that runs this script with the program as its arguments.
pub(crate) fn start_with_toml_through(script: &str, text: &str) -> Server {
    let (program, home) = with_toml(text);
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(program.get_program()).args(program.get_args());
    shell.current_dir(home.path()).env_clear();
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    serve(shell, home)
}

fn with_toml(text: &str) -> (Command, TempDir) {
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let own = "[net]\nbind-address = '127.0.0.1'\nlisten-port = 0\n";
    let text = format!("{own}{}", text.strip_prefix("[net]\n").unwrap_or(text));
    let file = home.path().join("namesrv.toml");
    std::fs::write(&file, text).expect("the temporary directory is writable");
    let mut command = program(home.path());
    command.arg("-c").arg(&file).env("HOME", home.path());
    (command, home)
}

/// Starts a server by this command and waits until it has booted.
pub(crate) fn serve(mut command: Command, home: TempDir) -> Server {
    let log = std::fs::File::create(log_path(home.path())).expect("the temporary directory is writable");
    let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the server starts");
    let output = child.stdout.take().expect("stdout is a pipe");
    let (sender, lines) = mpsc::channel();
    let reader = Some(std::thread::spawn(move || listen(output, &sender)));
    let addr = SocketAddr::from(([0, 0, 0, 0], 0));
    let mut server = Server { addr, child, reader, lines, stdout: String::new(), home: Some(home) };
    server.addr = server.wait_for_boot();
    server
}

/// The program, about to start in this directory, with nothing in its environment but where compiled components are
/// kept, which all tests share.
pub(crate) fn program(directory: &Path) -> Command {
    let Some(binary) = option_env!("CARGO_BIN_EXE_fingerpost") else {
        panic!("a server needs the `server` feature: without it the tests of what a server does cannot run");
    };
    let mut command = Command::new(binary);
    command.current_dir(directory).stdin(Stdio::null()).env_clear().env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// What came of a run to the end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command that is to end by itself.
pub(crate) fn run(mut command: Command) -> Ended {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let stdout = read_all(child.stdout.take().expect("stdout is a pipe"));
    let stderr = read_all(child.stderr.take().expect("stderr is a pipe"));
    let outputs = stdout.recv_timeout(START_MAX).and_then(|out| Ok((out, stderr.recv_timeout(START_MAX)?)));
    let Ok((stdout, stderr)) = outputs else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("the program does not end");
    };
    let code = child.wait().expect("it is our child").code();
    Ended { code, stdout, stderr }
}

fn read_all(mut stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        // Nobody listens any more when the test has given up.
        let _ = sender.send(text);
    });
    receiver
}

/// Writes a properties file into `home`, and says where.
pub(crate) fn write_properties(home: &Path, settings: &[(&str, &str)]) -> PathBuf {
    let file = home.join("namesrv.properties");
    std::fs::write(&file, properties(home, settings)).expect("the temporary directory is writable");
    file
}

fn log_path(home: &Path) -> PathBuf {
    home.join("stderr.log")
}

fn properties(home: &Path, settings: &[(&str, &str)]) -> String {
    let mut text =
        format!("listenPort=0\nbindAddress=127.0.0.1\nkvConfigPath={}\n", home.join("kvConfig.json").display());
    for (key, value) in settings {
        writeln!(text, "{key}={value}").expect("a string takes all that is written to it");
    }
    text
}

/// Passes on every line, whether or not anybody still wants it.
fn listen(output: ChildStdout, lines: &Sender<String>) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let _ = lines.send(line);
    }
}
