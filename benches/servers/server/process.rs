//! Processes: starting them on a core, and what they hold.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::cpu::{self, CpuTime};

/// A busy machine takes its time over starting a JVM.
pub(super) const START_MAX: Duration = Duration::from_secs(60);

/// Where a process may run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cores {
    /// On the core of the servers.
    Server,
    /// On the core of the load.
    Generator,
    /// On all cores.
    All,
}

/// A server process; killed when dropped.
pub(crate) struct Process {
    child: Child,
}

/// What a process holds, in KiB. The parts of `resident` that `anonymous` leaves are pages of files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: f64,
    pub(crate) anonymous: f64,
}

impl Cores {
    /// As `taskset` has it.
    fn list(self) -> String {
        match self {
            Self::Server => "0".to_owned(),
            Self::Generator => "1".to_owned(),
            // Not what this process may use: that is one core once it has moved there.
            Self::All => fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default().trim().to_owned(),
        }
    }
}

impl Process {
    /// Starts a program on its cores.
    pub(crate) fn start(command: &Command, cores: Cores) -> std::io::Result<(Self, ChildStdout)> {
        let mut placed = Command::new("taskset");
        placed.arg("--cpu-list").arg(cores.list()).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            placed.env(name, value.unwrap_or_default());
        }
        if let Some(dir) = command.get_current_dir() {
            placed.current_dir(dir);
        }
        let mut child = placed.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().expect("stdout is a pipe");
        Ok((Self { child }, output))
    }

    pub(crate) fn cpu(&self) -> CpuTime {
        CpuTime::of(self.child.id())
    }

    /// What its threads have spent whose names begin so.
    pub(crate) fn cpu_of(&self, name: &str) -> Duration {
        cpu::of_threads(self.child.id(), name)
    }

    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the server is running");
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
        };
        Memory { resident: kib("VmRSS:"), anonymous: kib("RssAnon:") }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a line that has `text` in it, and keeps reading, so that the server never waits for a reader.
pub(crate) fn await_line(output: ChildStdout, text: &'static str) -> Result<String, String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains(text) {
                let _ = sender.send(line);
            }
        }
    });
    receiver.recv_timeout(START_MAX).map_err(|_| "it ended, or did not start in time".to_owned())
}

/// Keeps this process on these cores from now on.
pub(crate) fn move_to(cores: Cores) {
    let me = std::process::id().to_string();
    let moved = Command::new("taskset")
        .args(["--cpu-list", "--all-tasks", "--pid", &cores.list(), &me])
        .stdout(Stdio::null())
        .status();
    if !moved.is_ok_and(|status| status.success()) {
        println!("NOT PINNED: this machine has no `taskset`, or no core {}", cores.list());
    }
}

/// Raises the limit of open files as far as the system allows, for this process and those that it starts. What it is.
pub(crate) fn raise_files_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).is_ok();
    let files = if raised { limit.maximum } else { limit.current };
    files.map_or(usize::MAX, |files| files as usize)
}

/// Lets a server come to rest: what it holds or gives back shows only after a while.
#[allow(clippy::disallowed_methods, reason = "nothing says when a server has come to rest")]
pub(crate) fn let_rest(lasting: Duration) {
    std::thread::sleep(lasting);
}
