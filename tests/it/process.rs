//! A server of one's own, in a process of its own, for one test: on the loopback, on a free port, with an empty home that goes when it goes.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Sender};
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
    _home: TempDir,
}

/// Compiling the components on a busy machine takes its time.
const START_MAX: Duration = Duration::from_secs(120);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Starts the server that was built beside these tests, with these properties on top of the defaults.
pub(crate) fn start(settings: &[(&str, &str)]) -> Server {
    let Some(binary) = option_env!("CARGO_BIN_EXE_fingerpost") else {
        panic!("a server needs the `server` feature: without it the tests of what a server does cannot run");
    };
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let file = home.path().join("namesrv.properties");
    std::fs::write(&file, properties(home.path(), settings)).expect("the temporary directory is writable");
    let mut child = Command::new(binary)
        .arg("-c")
        .arg(&file)
        .current_dir(home.path())
        .env("HOME", home.path())
        .env("ROCKETMQ_HOME", home.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let printed = child.stdout.take().expect("stdout is a pipe");
    let (sender, announced) = mpsc::channel();
    let reader = Some(std::thread::spawn(move || listen(printed, &sender)));
    let mut server = Server { addr: SocketAddr::from(([0, 0, 0, 0], 0)), child, reader, _home: home };
    server.addr = announced.recv_timeout(START_MAX).expect("the server says where it listens, and does not end");
    server
}

fn properties(home: &Path, settings: &[(&str, &str)]) -> String {
    let mut text =
        format!("listenPort=0\nbindAddress=127.0.0.1\nkvConfigPath={}\n", home.join("kvConfig.json").display());
    for (key, value) in settings {
        writeln!(text, "{key}={value}").expect("a string takes all that is written to it");
    }
    text
}

/// Passes on the address in the line that says the start succeeded.
fn listen(printed: ChildStdout, announced: &Sender<SocketAddr>) {
    for line in BufReader::new(printed).lines().map_while(Result::ok) {
        if line.contains("boot success") {
            let addr = line.rsplit(' ').next().and_then(|addr| addr.parse().ok());
            let _ = announced.send(addr.expect("the line ends with the address"));
        }
    }
}
