//! Instructions of a remembered lookup, from the frame to its reply, counted by valgrind.
//!
//! A test runs this very program under callgrind, which counts inside of one function alone. So neither the start
//! counts nor another thread, nor what else the machine does.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fingerpost::clock::Clock;
use fingerpost::inline::Inline;
use fingerpost::remoting::SerializeType;
use fingerpost::route::Millis;

use super::{Host, TOPICS, lookups, tools, turn};

/// It took 1,172 when this was written, and 1,452 with hardly any optimisation. A number here that has to grow is a
/// decision: what for?
const INSTRUCTIONS_MAX: u64 = 1500;

const ROUNDS: usize = 10;

#[test]
fn a_remembered_lookup_takes_few_instructions() {
    let _turn = turn();
    if !tools::work(&["valgrind", "--tool=none", "true"]) {
        return;
    }

    // Compiles the plugins for the processor that valgrind pretends to be; this is the tool that is quick at it.
    under_valgrind(&["--tool=none"]);
    let report =
        under_valgrind(&["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*::counted_lookups*"]);

    let instructions = collected(&report) / (ROUNDS * TOPICS) as u64;
    println!("{instructions} instructions for each lookup");
    // With fewer, something else was counted.
    assert!(instructions > 100, "{instructions}: {report}");
    assert!(instructions <= INSTRUCTIONS_MAX, "{instructions}, more than {INSTRUCTIONS_MAX}");
}

/// What valgrind reports of a run of the lookups below.
fn under_valgrind(options: &[&str]) -> String {
    let program = std::env::current_exe().expect("it runs");
    let mut command = Command::new("valgrind");
    command.args(options).arg(program).args(["--ignored", "--exact", "instructions::lookups_to_be_counted"]);
    let output = command.output().expect("there is a valgrind");
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}{report}", String::from_utf8_lossy(&output.stdout));
    report
}

/// The number behind `Collected :`.
fn collected(report: &str) -> u64 {
    let number = report.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    number.unwrap_or_else(|| panic!("nothing was counted: {report}"))
}

#[test]
#[ignore = "the test above runs it, under valgrind"]
fn lookups_to_be_counted() {
    let mut host = Host::start_at(Arc::new(StandingClock), |_| {});
    let frames = lookups(SerializeType::Json, &[]);
    host.warm_up(&frames);
    let hits = host.server.memo().hits;
    let mut out = BytesMut::with_capacity(64 * 1024);

    counted_lookups(&mut host.client, &frames, &mut out);

    assert_eq!(host.server.memo().hits - hits, (ROUNDS * TOPICS) as u64);
}

/// Known to valgrind by its name.
#[inline(never)]
fn counted_lookups(client: &mut Inline, frames: &[Bytes], out: &mut BytesMut) {
    for frame in frames.iter().cycle().take(ROUNDS * frames.len()) {
        out.clear();
        client.answer(frame.clone(), out).expect("a valid frame");
    }
}

/// Does not go on, so that no plugin misses its deadline, however slow this is.
struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Millis {
        1
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn runs_by_itself(&self) -> bool {
        false
    }
}
