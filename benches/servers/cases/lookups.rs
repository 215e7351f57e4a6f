//! Route lookups of 1,000 topics, each on four brokers: by connections and depth, by who asks, and for what.

use super::{Bench, DEEP, PLAIN, says, turns};
use crate::brokers::Brokers;
use crate::common::cluster::{Sender, THOUSAND};
use crate::load::lookups::{Draw, Lookups};
use crate::load::{self, CPU, GENERATOR, P50, P99, RATE, Shape};
use crate::report::{Bound, Mark, Part, Report, Section};
use crate::server::{Canned, Cores, Server, process};

struct Case {
    name: String,
    shape: Shape,
    sender: Sender,
    draw: Draw,
}

const WIDE: Shape = Shape::new(512, 1);
const ALONE: Shape = Shape::new(1, 1);

pub(crate) fn run(bench: &Bench, report: &mut Report) {
    let deep = |name: &str, sender, draw| Case { name: format!("{DEEP}, {name}"), shape: DEEP, sender, draw };
    let uniform = Draw::uniform(&THOUSAND);
    let mut cases: Vec<_> = [DEEP, PLAIN, WIDE, ALONE].map(|shape| plain(shape, &uniform)).into();
    cases.extend([
        deep("binary requests", Sender::BINARY, uniform.clone()),
        deep("clients before 4.9.4", Sender::OLD, uniform),
        deep("10 % of the topics missing", Sender::NEW, Draw::some_missing(&THOUSAND)),
        deep("zipf", Sender::NEW, Draw::zipf(&THOUSAND)),
    ]);
    let title = "Lookups of 1,000 topics on 4 brokers each (bodies of 1.1 kB)";
    let mut section = Section::new("lookups", title, &[RATE, CPU, P50, P99, GENERATOR]);
    let servers = bench.yard.start_all(section.name, Cores::Server, Canned::Route(THOUSAND));
    measure(bench, &servers, &cases, &mut section);

    let over = |shape: Shape, other, figure| section.records.ratios(&shape.to_string(), ("fingerpost", other), figure);
    let marks = [(Mark::Deep, DEEP, 12.0, 1.6), (Mark::Plain, PLAIN, 4.0, 1.25), (Mark::Wide, WIDE, 2.2, 1.25)];
    for (mark, shape, rate, cpu) in marks {
        report.find(mark, Part::new(over(shape, "java", RATE), Bound::AtLeast(rate), 2, "x Java's rate"));
        report.find(mark, Part::new(over(shape, "floor", CPU), Bound::AtMost(cpu), 2, "x the floor's CPU"));
    }
    report.find(Mark::Alone, Part::new(over(ALONE, "floor", P50), Bound::AtMost(1.15), 2, "x the floor's p50"));
    report.add(section);
}

/// Two cores, and nothing pinned: neither the servers, which have as many workers as there are cores, nor the load.
pub(crate) fn run_on_all_cores(bench: &Bench, report: &mut Report) {
    let cases = [DEEP, PLAIN].map(|shape| plain(shape, &Draw::uniform(&THOUSAND)));
    let title = "The same with nothing pinned: servers and generator share all cores";
    let mut section = Section::new("two-cores", title, &[RATE, CPU, P50, P99, GENERATOR]);
    process::move_to(Cores::All);
    let servers = bench.yard.start_all(section.name, Cores::All, Canned::Route(THOUSAND));
    measure(bench, &servers, &cases, &mut section);
    process::move_to(Cores::Generator);
    report.add(section);
}

fn plain(shape: Shape, uniform: &Draw) -> Case {
    Case { name: shape.to_string(), shape, sender: Sender::NEW, draw: uniform.clone() }
}

fn measure(bench: &Bench, servers: &[Server], cases: &[Case], section: &mut Section) {
    let register = |server: &Server| server.knows_routes().then(|| Brokers::register(server.address, &THOUSAND));
    let _brokers: Vec<_> = servers.iter().map(register).collect();
    servers.iter().for_each(|server| bench.warm_up(server));
    for round in 0..bench.plan.rounds {
        for case in cases {
            for at in turns(round, servers.len()) {
                let server = &servers[at];
                let draw = case.draw.clone();
                let mut work = Lookups::new(THOUSAND, &[case.sender], draw, says(server), bench.random(round));
                let mut run = load::measure(server, case.shape, &mut work, bench.plan.ramp, bench.plan.run);
                section.add(&case.name, server.name(), round, run.values());
            }
        }
    }
}
