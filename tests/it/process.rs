//! A server of one's own, in a process of its own, for one test: on the loopback, on a free port, with an empty home that goes when it goes.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A running server; dropping it stops it.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    child: Child,
    _home: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
        .env("HOME", home.path())
        .env("ROCKETMQ_HOME", home.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let addr = announced(&mut child);
    Server { addr, child, _home: home }
}

fn properties(home: &std::path::Path, settings: &[(&str, &str)]) -> String {
    let mut text =
        format!("listenPort=0\nbindAddress=127.0.0.1\nkvConfigPath={}\n", home.join("kvConfig.json").display());
    for (key, value) in settings {
        writeln!(text, "{key}={value}").expect("a string takes all that is written to it");
    }
    text
}

/// The address in the line that says the start succeeded. The pipe is left open for what the server says later.
fn announced(child: &mut Child) -> SocketAddr {
    let stdout = child.stdout.as_mut().expect("stdout is a pipe");
    let said = BufReader::new(stdout)
        .lines()
        .map(|line| line.expect("the server prints text"))
        .find(|line| line.contains("boot success"))
        .expect("the server says that it started");
    let addr = said.rsplit(' ').next().expect("a split has a first part");
    addr.parse().expect("the line ends with the address")
}
