//! Lookups while brokers register: what they cost beside writers, against what both cost alone.

use std::thread;
use std::time::Duration;

use fingerpost::clock::{Clock, SystemClock};

use super::registrations::{BROKERS, Change, Registrant};
use super::{Bench, DEEP, PLAIN, says, turns};
use crate::common::cluster::Sender;
use crate::load::lookups::{Draw, Lookups};
use crate::load::{self, CPU, P50, P99, RATE};
use crate::report::{Bound, Figure, Mark, Part, Report, Section, Values};
use crate::server::{Server, process};

const PERIOD: Duration = Duration::from_secs(1);
/// How often every topic is looked up before.
const SWEEPS: usize = 3;

const SHARE: Figure = Figure::new("core_share", "share of its core", 3);

const QUIET: &str = "lookups alone";
const BOTH: &str = "lookups and writers";
const WRITERS: &str = "writers alone";

pub(crate) fn run(bench: &Bench, report: &mut Report) {
    let title = format!(
        "{PLAIN} lookups while 4 brokers register 20,000 topics of their own, a new data version each, once a second"
    );
    let mut section = Section::new("writers", title, &[RATE, CPU, P50, P99, SHARE]);
    let servers = bench.yard.start_name_servers(section.name);
    let mut registrants: Vec<_> = servers.iter().map(Registrant::all).collect();
    let _keep_alive = Registrant::keep_alive(&registrants);
    for server in &servers {
        load::exchange(
            server,
            DEEP,
            &mut lookups(bench, server, 0, Draw::each(&BROKERS)),
            SWEEPS * BROKERS.topic_count(),
        );
        let mut work = lookups(bench, server, 0, Draw::uniform(&BROKERS));
        load::measure(server, PLAIN, &mut work, Duration::ZERO, bench.plan.warm_up / 2);
    }
    for round in 0..bench.plan.few_rounds {
        for case in [QUIET, BOTH, WRITERS] {
            for at in turns(round, servers.len()) {
                let (server, registrants) = (&servers[at], &mut registrants[at]);
                let look_up = || looked_up(bench, server, round);
                let values = match case {
                    QUIET => look_up(),
                    BOTH => beside_writers(bench, registrants, |_| Change::Version, look_up),
                    _ => beside_writers(bench, registrants, |_| Change::Version, || rested(bench, server)),
                };
                section.add(case, server.name(), round, values);
            }
        }
    }
    judge(&section, report);
    report.add(section);
}

fn judge(section: &Section, report: &mut Report) {
    let values = |case, figure| section.records.values(case, "fingerpost", figure);
    let rounds = || 0..values(WRITERS, SHARE).len();
    let [quiet_rate, rate, quiet_cpu] = [(QUIET, RATE), (BOTH, RATE), (QUIET, CPU)].map(|(case, f)| values(case, f));
    let [share, writers] = [BOTH, WRITERS].map(|case| values(case, SHARE));
    // What the writers cost alone is theirs beside lookups, too.
    let cpu = rounds().map(|round| (share[round] - writers[round]) * 1e6 / rate[round] / quiet_cpu[round]);
    let rates = rounds().map(|round| rate[round] / (quiet_rate[round] * (1.0 - writers[round])) * 100.0);
    report.find(Mark::Writers, Part::new(cpu.collect(), Bound::AtMost(1.1), 2, "x the CPU of quiet"));
    report.find(Mark::Writers, Part::new(rates.collect(), Bound::AtLeast(80.0), 0, "% of the rate"));
}

fn lookups(bench: &Bench, server: &Server, round: usize, draw: Draw) -> Lookups {
    Lookups::new(BROKERS, &[Sender::NEW], draw, says(server), bench.random(round))
}

fn looked_up(bench: &Bench, server: &Server, round: usize) -> Values {
    let mut work = lookups(bench, server, round, Draw::uniform(&BROKERS));
    let mut run = load::measure(server, PLAIN, &mut work, bench.plan.ramp, bench.plan.long_run);
    let mut values = run.values();
    values.push((SHARE, run.cpu.as_secs_f64() / run.took.as_secs_f64()));
    values
}

/// What the server spends when nobody asks, in the time that lookups would take.
fn rested(bench: &Bench, server: &Server) -> Values {
    process::let_rest(bench.plan.ramp);
    let (clock, cpu) = (SystemClock::default(), server.process.cpu());
    process::let_rest(bench.plan.long_run);
    let took = clock.monotonic();
    vec![(SHARE, server.process.cpu().since(&cpu).as_secs_f64() / took.as_secs_f64())]
}

/// Each broker registers once a period, one after the other, as long as `measured` takes; `changes` says what is new.
pub(super) fn beside_writers(
    bench: &Bench,
    registrants: &mut [Registrant],
    changes: fn(usize) -> Change,
    measured: impl FnOnce() -> Values,
) -> Values {
    let clock = SystemClock::default();
    let lasting = bench.plan.ramp + bench.plan.long_run;
    let apart = PERIOD / registrants.len() as u32;
    thread::scope(|scope| {
        for (number, registrant) in registrants.iter_mut().enumerate() {
            scope.spawn(move || {
                // In the middle of its share of the period, so that each window of whole seconds has as many.
                let mut next = apart * number as u32 + apart / 2;
                while next < lasting {
                    registrant.prepare(changes(number));
                    process::let_rest(next.saturating_sub(clock.monotonic()));
                    registrant.send();
                    next += PERIOD;
                }
            });
        }
        measured()
    })
}
