//! Starting: from exec to the first answer, without compiled plugins on the disk and with them.

use fingerpost::clock::{Clock, SystemClock};

use super::Bench;
use crate::brokers::Connection;
use crate::common::cluster::Sender;
use crate::load::lookups::lookup;
use crate::report::{Bound, Figure, Mark, Part, Report, Section, Values};
use crate::server::{Canned, Cores, Kind};

const FIRST_ANSWER: Figure = Figure::new("first_answer_millis", "exec to first answer, ms", 0);

const COLD: &str = "nothing cached, one core";
const CACHED: &str = "plugins cached, one core";

pub(crate) fn run(bench: &Bench, report: &mut Report) {
    let mut section = Section::new("start", "Start", &[FIRST_ANSWER]);
    for round in 0..bench.plan.rounds {
        for (cores, cold, cached) in
            [(Cores::Server, COLD, CACHED), (Cores::All, "nothing cached, all cores", "plugins cached, all cores")]
        {
            // A new directory, and the same again.
            for case in [cold, cached] {
                let took = first_answer(bench, &Kind::Fingerpost, &format!("start-{round}-{cores:?}"), cores);
                section.add(case, Kind::Fingerpost.name(), round, took.expect("this build starts"));
            }
        }
    }
    for round in 0..bench.plan.few_rounds {
        for kind in bench.yard.strangers() {
            match first_answer(bench, kind, "start", Cores::Server) {
                Ok(took) => section.add("one core", kind.name(), round, took),
                Err(reason) => println!("SKIPPED the start of {}: {reason}", kind.name()),
            }
        }
    }
    for (case, most) in [(CACHED, 15.0), (COLD, 500.0)] {
        let found = section.records.values(case, "fingerpost", FIRST_ANSWER);
        report.find(Mark::FirstAnswer, Part::new(found, Bound::AtMost(most), 0, "ms"));
    }
    report.add(section);
}

fn first_answer(bench: &Bench, kind: &Kind, group: &str, cores: Cores) -> Result<Values, String> {
    let request = lookup(Sender::NEW, "no-such-topic", 1);
    let clock = SystemClock::default();
    let server = bench.yard.start(kind, group, cores, Canned::Nothing)?;
    let mut connection = Connection::open(server.address);
    connection.send(&request).expect("the server reads");
    assert_eq!(connection.receive().expect("an answer").code, 17);
    Ok(vec![(FIRST_ANSWER, clock.monotonic().as_secs_f64() * 1e3)])
}
