//! The floor of durable writes: threads that each wait until a small file with their change is on the disk, and one
//! more that writes it, once for all that wait. No sockets, no table, no encoding.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use fingerpost::clock::{Clock, SystemClock};

use crate::common::quantile;
use crate::load::{P50, P99, RATE};
use crate::report::{Figure, Values};
use crate::server::{Cores, Process, process};

/// What makes this program the floor: a directory, the size of the file, how many writers, and how many milliseconds.
pub(crate) const ARGUMENT: &str = "--write-floor";

/// What the line begins with that has the figures.
const FOUND: &str = "written ";

const FIGURES: [Figure; 3] = [RATE, P50, P99];

/// Lets it run in a process of its own, on the core of the servers.
pub(super) fn measure(directory: &Path, size: u64, writers: usize, lasting: Duration) -> Values {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.arg(ARGUMENT).arg(directory);
    command.args([size.to_string(), writers.to_string(), lasting.as_millis().to_string()]);
    let (_process, output) = Process::start(&command, Cores::Server).expect("this program starts");
    let line = process::await_line(output, FOUND).expect("the floor writes");
    let numbers = line.trim_start_matches(FOUND).split(' ').map(|number| number.parse().expect("a number"));
    FIGURES.into_iter().zip(numbers).collect()
}

pub(crate) fn serve(arguments: &[String]) -> ExitCode {
    let number = |at: usize| arguments[at].parse::<u64>().expect("the floor is started by this benchmark");
    let floor = Floor { content: vec![b'x'; number(1) as usize], ..Floor::default() };
    match floor.run(Path::new(&arguments[0]), number(2), Duration::from_millis(number(3))) {
        Ok(figures) => {
            println!("{FOUND}{}", figures.map(|figure| figure.to_string()).join(" "));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Floor {
    content: Vec<u8>,
    state: Mutex<State>,
    /// Somebody waits for the disk.
    asked: Condvar,
    /// Something is on the disk.
    written: Condvar,
}

/// Changes are numbered as they come.
#[derive(Default)]
struct State {
    asked: u64,
    written: u64,
    is_over: bool,
}

impl Floor {
    fn run(&self, directory: &Path, writers: u64, lasting: Duration) -> io::Result<[f64; FIGURES.len()]> {
        let clock = SystemClock::default();
        let mut micros = Vec::new();
        let written = thread::scope(|scope| {
            let disk = scope.spawn(|| self.write(directory));
            let writers: Vec<_> = (0..writers).map(|_| scope.spawn(|| self.ask(&clock, lasting))).collect();
            for writer in writers {
                micros.extend(writer.join().unwrap_or_default());
            }
            self.state().is_over = true;
            self.asked.notify_one();
            disk.join().unwrap_or_else(|_| Err(io::Error::other("the writing thread panicked")))
        });
        written?;
        let per_second = micros.len() as f64 / clock.monotonic().as_secs_f64();
        Ok([per_second, quantile(&mut micros, 0.5), quantile(&mut micros, 0.99)])
    }

    /// One writer: how long each of its changes took, in microseconds.
    fn ask(&self, clock: &SystemClock, lasting: Duration) -> Vec<f64> {
        let mut micros = Vec::new();
        while clock.monotonic() < lasting {
            let began = clock.monotonic();
            let mut state = self.state();
            state.asked += 1;
            let mine = state.asked;
            self.asked.notify_one();
            while state.written < mine && !state.is_over {
                state = self.written.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.is_over {
                break;
            }
            drop(state);
            micros.push((clock.monotonic() - began).as_secs_f64() * 1e6);
        }
        micros
    }

    fn write(&self, directory: &Path) -> io::Result<()> {
        let outcome = self.write_until_over(directory);
        // Nobody waits for a disk that fails.
        self.state().is_over = true;
        self.written.notify_all();
        outcome
    }

    fn write_until_over(&self, directory: &Path) -> io::Result<()> {
        let (temporary, place) = (directory.join("floor.tmp"), directory.join("floor"));
        loop {
            let mut state = self.state();
            while state.asked == state.written && !state.is_over {
                state = self.asked.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.is_over {
                return Ok(());
            }
            let taken = state.asked;
            drop(state);
            let mut file = File::create(&temporary)?;
            file.write_all(&self.content)?;
            file.sync_all()?;
            fs::rename(&temporary, &place)?;
            File::open(directory)?.sync_all()?;
            self.state().written = taken;
            self.written.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
