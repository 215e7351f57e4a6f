//! A plugin that traps up to ten thousand times in a second: what that takes from the others, if it is never taken out,
//! if it is, and if it answers now and then, so that it never fails call after call.

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
const MIXED: &str = "four traps and an answer in turn, and the plugin is taken out";

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
    let never = start("traps-never", "failures-max = 0\nfailures-per-second-max = 0");
    let (never, once, mixed) = match (never, start("traps-once", ""), start("traps-mixed", "")) {
        (Ok(never), Ok(once), Ok(mixed)) => (never, once, mixed),
        (Err(reason), ..) | (_, Err(reason), _) | (.., Err(reason)) => {
            return println!("SKIPPED {}: {reason}", section.name);
        }
    };
    let traps: Vec<u8> = trap(CODE).repeat(BURST as usize);
    let answers_too = [trap(CODE).repeat(4), answer(CODE).to_vec()].concat().repeat(BURST as usize / 5);
    let nobody = trap(NO_CODE).repeat(BURST as usize);
    let cases =
        [(NOBODY, &never, &nobody), (NEVER, &never, &traps), (ONCE, &once, &traps), (MIXED, &mixed, &answers_too)];
    for round in 0..bench.plan.few_rounds {
        for (case, server, burst) in cases {
            // The first second of this one counts as well: until then it is in use.
            if case != MIXED {
                asked(server, burst, bench.plan.ramp);
            }
            section.add(case, server.name(), round, asked(server, burst, bench.plan.long_run));
        }
    }
    let found = |case| section.records.values(case, never.name(), SHARE);
    let over = |case| found(case).iter().zip(found(NOBODY)).map(|(share, nobody)| share - nobody).collect::<Vec<_>>();
    report.find(Mark::Traps, Part::new(over(NEVER), Bound::AtMost(0.333), 3, "of a core if never taken out"));
    report.find(Mark::Traps, Part::new(over(MIXED), Bound::AtMost(0.333), 3, "of a core if one in five is answered"));
    report.find(Mark::Traps, Part::new(over(ONCE), Bound::AtMost(0.02), 3, "of a core after"));
    report.add(section);
}

fn trap(code: i32) -> bytes::Bytes {
    Sender::NEW.request(code, &[("how", "panic")], 1)
}

fn answer(code: i32) -> bytes::Bytes {
    Sender::NEW.request(code, &[("how", "not-at-all")], 1)
}

/// Asks at the wanted rate, and no faster than the server answers.
fn asked(server: &Server, burst: &[u8], lasting: Duration) -> Values {
    let clock = SystemClock::default();
    let mut connection = Connection::open(server.address);
    let cpu = server.process.cpu();
    let (mut answers, pause) = (0, Duration::from_secs(1) * BURST / PER_SECOND);
    while clock.monotonic() < lasting {
        let due = pause * (answers / BURST);
        process::let_rest(due.saturating_sub(clock.monotonic()));
        connection.send(burst).expect("the server reads");
        for _ in 0..BURST {
            connection.receive().expect("an answer");
        }
        answers += BURST;
    }
    let (took, spent) = (clock.monotonic().as_secs_f64(), server.process.cpu().since(&cpu));
    vec![(RATE, f64::from(answers) / took), (SHARE, spent.as_secs_f64() / took)]
}
