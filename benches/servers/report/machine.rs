//! On what it ran.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

pub(crate) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    /// Over the minute before the run: what else the machine did.
    load: String,
    date: String,
}

impl Machine {
    pub(super) fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
            line.trim_start_matches([' ', '\t', ':']).to_owned()
        };
        Self {
            processor: after(&read("/proc/cpuinfo"), "model name"),
            // All of them: this process may be pinned to one.
            cores: read("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count(),
            kernel: read("/proc/sys/kernel/osrelease").split(['-', '\n']).next().unwrap_or_default().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            date: today(),
        }
    }

    pub(super) fn sentence(&self) -> String {
        let Self { processor, cores, kernel, load, date } = self;
        format!("{date}, {cores} cores of {processor}, Linux {kernel}, load average {load} before the run")
    }

    pub(super) fn json(&self) -> Value {
        let Self { processor, cores, kernel, load, date } = self;
        json!({ "processor": processor, "cores": cores, "kernel": kernel, "load_before": load, "date": date })
    }
}

fn today() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
