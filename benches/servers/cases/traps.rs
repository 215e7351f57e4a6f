//! A plugin that traps ten thousand times in a second: what that takes from the others, before it is taken out and after.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fingerpost::clock::{Clock, SystemClock};

use super::Bench;
use crate::brokers::Connection;
use crate::common::cluster::Sender;
use crate::load::RATE;
use crate::report::{Bound, Figure, Mark, Part, Report, Section, Values};
use crate::server::{Server, process};

const SHARE: Figure = Figure::new("core_share", "share of its core", 3);

const NOBODY: &str = "requests that nobody answers";
const NEVER: &str = "traps, and the plugin is never taken out";
const ONCE: &str = "traps, and the plugin is taken out";

/// Of the guest, and of nobody.
const CODE: i32 = 9100;
const NO_CODE: i32 = 9999;

const PER_SECOND: u32 = 10_000;
/// So many in one write, one write after the other.
const BURST: u32 = 10;

pub(crate) fn run(bench: &Bench, report: &mut Report) {
    let title = format!("{PER_SECOND} requests a second to a plugin that traps at each");
    let mut section = Section::new("traps", title, &[RATE, SHARE]);
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/misbehaving.wasm");
    let start = |group: &str, more: &str| {
        let (server, directory) = bench.yard.start_with_plugins(group, more)?;
        fs::copy(&guest, directory.join("misbehaving.wasm")).map_err(|error| error.to_string())?;
        let mut connection = Connection::open(server.address);
        while connection.send(&trap(CODE)).is_ok() && connection.receive().is_ok_and(|answer| answer.code == 3) {
            process::let_rest(Duration::from_millis(10));
        }
        Ok::<_, String>(server)
    };
    let (never, once) = match (start("traps-never", "failures-max = 0"), start("traps-once", "")) {
        (Ok(never), Ok(once)) => (never, once),
        (Err(reason), _) | (_, Err(reason)) => return println!("SKIPPED {}: {reason}", section.name),
    };
    for round in 0..bench.plan.few_rounds {
        for (case, server, code) in [(NOBODY, &never, NO_CODE), (NEVER, &never, CODE), (ONCE, &once, CODE)] {
            asked(server, code, bench.plan.ramp);
            section.add(case, server.name(), round, asked(server, code, bench.plan.long_run));
        }
    }
    let found = |case| section.records.values(case, never.name(), SHARE);
    let over = |case| found(case).iter().zip(found(NOBODY)).map(|(share, nobody)| share - nobody).collect::<Vec<_>>();
    report.find(Mark::Traps, Part::new(over(NEVER), Bound::AtMost(0.333), 3, "of a core before"));
    report.find(Mark::Traps, Part::new(over(ONCE), Bound::AtMost(0.02), 3, "of a core after"));
    report.add(section);
}

fn trap(code: i32) -> bytes::Bytes {
    Sender::NEW.request(code, &[("how", "panic")], 1)
}

/// Asks at the wanted rate, and no faster than the server answers.
fn asked(server: &Server, code: i32, lasting: Duration) -> Values {
    let clock = SystemClock::default();
    let burst = trap(code).repeat(BURST as usize);
    let mut connection = Connection::open(server.address);
    let cpu = server.process.cpu();
    let (mut answers, pause) = (0, Duration::from_secs(1) * BURST / PER_SECOND);
    while clock.monotonic() < lasting {
        let due = pause * (answers / BURST);
        process::let_rest(due.saturating_sub(clock.monotonic()));
        connection.send(&burst).expect("the server reads");
        for _ in 0..BURST {
            connection.receive().expect("an answer");
        }
        answers += BURST;
    }
    let (took, spent) = (clock.monotonic().as_secs_f64(), server.process.cpu().since(&cpu));
    vec![(RATE, f64::from(answers) / took), (SHARE, spent.as_secs_f64() / took)]
}
