//! A component that is copied into a plugins directory: when it answers first, and what lookups pay meanwhile.
//!
//! The component is the largest that the tree has, and other bytes every time, so that it is compiled every time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use fingerpost::clock::{Clock, SystemClock};

use super::{Bench, DEEP};
use crate::brokers::{Brokers, Connection};
use crate::common::cluster::{Sender, THOUSAND};
use crate::common::median;
use crate::load::lookups::{Draw, Lookups};
use crate::load::{self, P99, RATE};
use crate::report::{Bound, Figure, Mark, Part, Report, Section, Values};
use crate::server::{Server, process};

const ACTIVE: Figure = Figure::new("active_millis", "copy's end to first answer, ms", 0);
const WORKER: Figure = Figure::new("worker_micros", "CPU µs of the worker, each", 2);
const RELOADS: Figure = Figure::new("reloads", "components taken into use", 0);

const ALONE: &str = "nothing else to do";
const QUIET: &str = "lookups alone";
const BOTH: &str = "lookups while components come and go";

/// What the component answers, and what a server says that has no such plugin.
const CODE: i32 = 9400;
const UNSUPPORTED: u32 = 3;

/// How often it is asked whether it is there.
const PAUSE: Duration = Duration::from_millis(1);

const TURNS: usize = 10;

pub(crate) fn run(bench: &Bench, report: &mut Report) {
    let component = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/contract-processor.wasm"));
    let component = component.expect("it is committed");
    let title = format!("A component of {} KiB is copied into the plugins directory", component.len() / 1024);
    let mut section = Section::new("reload", title, &[ACTIVE, RELOADS, RATE, P99, WORKER]);
    let (server, directory) = match bench.yard.start_with_plugins(section.name, "") {
        Ok(started) => started,
        Err(reason) => return println!("SKIPPED {}: {reason}", section.name),
    };
    let _brokers = Brokers::register(server.address, &THOUSAND);
    bench.warm_up(&server);
    let mut dropper =
        Dropper { component, file: directory.join("component.wasm"), times: 0, clock: SystemClock::default() };
    for round in 0..bench.plan.few_rounds {
        let mut took: Vec<_> = (0..TURNS).map(|_| dropper.come_and_go(&server).as_secs_f64() * 1e3).collect();
        section.add(ALONE, server.name(), round, vec![(ACTIVE, median(&mut took))]);
        section.add(QUIET, server.name(), round, looked_up(bench, &server, round));
        let is_over = AtomicBool::new(false);
        let values = thread::scope(|scope| {
            let reloads = scope.spawn(|| {
                let mut took = Vec::new();
                // At least one.
                while took.is_empty() || !is_over.load(Relaxed) {
                    took.push(dropper.come_and_go(&server).as_secs_f64() * 1e3);
                }
                took
            });
            let mut values = looked_up(bench, &server, round);
            is_over.store(true, Relaxed);
            let mut took = reloads.join().expect("it comes and goes");
            values.extend([(RELOADS, took.len() as f64), (ACTIVE, median(&mut took))]);
            values
        });
        section.add(BOTH, server.name(), round, values);
    }
    let found = |case, figure| section.records.values(case, server.name(), figure);
    report.find(Mark::Reload, Part::new(found(ALONE, ACTIVE), Bound::AtMost(400.0), 0, "ms"));
    let costs = found(BOTH, WORKER).into_iter().zip(found(QUIET, WORKER)).map(|(both, quiet)| both / quiet);
    report.find(Mark::Reload, Part::new(costs.collect(), Bound::AtMost(1.1), 2, "x the CPU of quiet lookups"));
    report.add(section);
}

/// Lookups, and what their worker spent on them: the thread that compiles is another.
fn looked_up(bench: &Bench, server: &Server, round: usize) -> Values {
    let draw = Draw::uniform(&THOUSAND);
    let mut work = Lookups::new(THOUSAND, &[Sender::NEW], draw, super::says(server), bench.random(round));
    load::measure(server, DEEP, &mut work, Duration::ZERO, bench.plan.ramp);
    let before = server.process.cpu_of("worker");
    let mut run = load::measure(server, DEEP, &mut work, Duration::ZERO, bench.plan.long_run);
    let spent = server.process.cpu_of("worker").saturating_sub(before);
    let each = spent.as_secs_f64() * 1e6 / run.answers as f64;
    vec![(RATE, run.per_second()), (P99, run.quantile_micros(0.99)), (WORKER, each)]
}

/// Puts the component into the directory, and takes it away.
struct Dropper {
    component: Vec<u8>,
    file: PathBuf,
    times: u32,
    clock: SystemClock,
}

impl Dropper {
    /// How long after the end of its copy the component answers first. When it returns, nobody answers any more.
    fn come_and_go(&mut self, server: &Server) -> Duration {
        self.times += 1;
        let mut bytes = self.component.clone();
        // A custom section, of which the name is a letter and the content a number.
        bytes.extend([0, 6, 1, b'n']);
        bytes.extend(self.times.to_be_bytes());
        let mut connection = Connection::open(server.address);
        fs::write(&self.file, bytes).expect("the directory is writable");
        let written = self.clock.monotonic();
        await_change(&mut connection, |code| code != UNSUPPORTED);
        let took = self.clock.monotonic() - written;
        fs::remove_file(&self.file).expect("it was just written");
        await_change(&mut connection, |code| code == UNSUPPORTED);
        took
    }
}

fn await_change(connection: &mut Connection, has_changed: impl Fn(u32) -> bool) {
    loop {
        connection.send(&Sender::NEW.request(CODE, &[], 1)).expect("the server reads");
        if has_changed(connection.receive().expect("an answer").code) {
            return;
        }
        process::let_rest(PAUSE);
    }
}
