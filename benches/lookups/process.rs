//! Processes: starting them on a core, what they cost, and what they hold.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

pub(crate) const SERVER_CORE: usize = 0;
pub(crate) const GENERATOR_CORE: usize = 1;

/// `/proc` counts CPU time in these; the same on every Linux that anybody runs.
const TICK: Duration = Duration::from_millis(10);

/// A busy machine takes its time over starting a JVM.
const START_MAX: Duration = Duration::from_secs(60);

/// A server process; killed when dropped.
pub(crate) struct Process {
    child: Child,
}

/// What a process holds, in KiB. The parts of `resident` that `anonymous` leaves are pages of files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) anonymous: u64,
}

impl Process {
    /// Starts a program. With a core, on that one alone.
    pub(crate) fn start(command: &Command, core: Option<usize>) -> std::io::Result<(Self, ChildStdout)> {
        let mut started = match core {
            Some(core) => {
                let mut pinned = Command::new("taskset");
                pinned.arg("--cpu-list").arg(core.to_string()).arg(command.get_program()).args(command.get_args());
                pinned
            }
            None => {
                let mut free = Command::new(command.get_program());
                free.args(command.get_args());
                free
            }
        };
        for (name, value) in command.get_envs() {
            started.env(name, value.unwrap_or_default());
        }
        if let Some(dir) = command.get_current_dir() {
            started.current_dir(dir);
        }
        let mut child = started.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().expect("stdout is a pipe");
        Ok((Self { child }, output))
    }

    /// As [`cpu_of`].
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(self.child.id())
    }

    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the server is running");
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Memory { resident: kib("VmRSS:"), anonymous: kib("RssAnon:") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of a process so far, of all threads, in user and kernel.
pub(crate) fn cpu_of(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("the process is running");
    // The name before the parenthesis may hold anything; utime and stime are the 12th and 13th after it.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok());
    TICK * ticks.sum::<u32>()
}

/// Waits for the line that says where a server listens, and keeps reading, so that the server never waits for a reader.
pub(crate) fn await_boot(output: ChildStdout) -> Result<SocketAddr, String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains("boot success") {
                let _ = sender.send(line);
            }
        }
    });
    let line = receiver.recv_timeout(START_MAX).map_err(|_| "it ended, or did not start in time".to_owned())?;
    let address = line.rsplit([' ', ',']).find_map(|word| word.parse().ok());
    address.ok_or_else(|| format!("no address in {line:?}"))
}

/// Keeps this process on one core from now on.
pub(crate) fn stay_on(core: usize) {
    let me = std::process::id().to_string();
    let moved = Command::new("taskset")
        .args(["--cpu-list", "--all-tasks", "--pid", &core.to_string(), &me])
        .stdout(Stdio::null())
        .status();
    if !moved.is_ok_and(|status| status.success()) {
        println!("NOT PINNED: this machine has no `taskset`, or no core {core}");
    }
}
