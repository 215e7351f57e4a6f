//! Starting: from exec to the first answer, without compiled plugins on the disk and with them, and what an idle server
//! holds.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fingerpost::clock::{Clock, SystemClock};

use crate::common::cluster;
use crate::process::{Memory, Process, SERVER_CORE, await_boot};
use crate::servers;

/// What the starts of a server were like; times in milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starts {
    /// Every plugin is compiled: on one core, and on all.
    pub(crate) cold_one_core: Vec<f64>,
    pub(crate) cold: Vec<f64>,
    /// Compiled plugins are read: on one core, and on all.
    pub(crate) cached_one_core: Vec<f64>,
    pub(crate) cached: Vec<f64>,
    /// With all stock plugins and no topic, a moment after the first answer, in MiB: as after a start with the cache.
    pub(crate) resident: Vec<f64>,
    /// Without the pages that are a file's.
    pub(crate) anonymous: Vec<f64>,
    /// After a start that compiled.
    pub(crate) resident_cold: Vec<f64>,
}

pub(crate) fn measure(home: &Path, times: usize) -> Starts {
    let mut starts = Starts::default();
    for time in 0..times {
        let home = home.join(format!("start-{time}"));
        std::fs::create_dir_all(&home).expect("the temporary directory is writable");
        let first = |cache: &str, core| first_answer(&servers::fingerpost(&home, &home.join(cache)), core);
        let (took, memory) = first("cache", None);
        starts.cold.push(took);
        starts.resident_cold.push(memory.resident as f64 / 1024.0);
        let (took, memory) = first("cache", None);
        starts.cached.push(took);
        starts.resident.push(memory.resident as f64 / 1024.0);
        starts.anonymous.push(memory.anonymous as f64 / 1024.0);
        starts.cached_one_core.push(first("cache", Some(SERVER_CORE)).0);
        starts.cold_one_core.push(first("other-cache", Some(SERVER_CORE)).0);
    }
    starts
}

#[allow(clippy::disallowed_methods, reason = "what a server holds when idle shows only after it was idle")]
fn first_answer(server: &Command, core: Option<usize>) -> (f64, Memory) {
    let clock = SystemClock::default();
    let (process, output) = Process::start(server, core).expect("the server starts");
    let address = await_boot(output).expect("the server says where it listens");
    let mut connection = TcpStream::connect(address).expect("the server accepts");
    connection.write_all(&cluster::lookup(105, 0, &[], 1)).expect("the server reads");
    connection.read_exact(&mut [0; 4]).expect("an answer");
    let took = clock.monotonic();
    std::thread::sleep(Duration::from_millis(300));
    (took.as_secs_f64() * 1e3, process.memory())
}
