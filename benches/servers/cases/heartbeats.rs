//! Heartbeats of brokers that the server knows.

use super::{Bench, turns};
use crate::brokers::Brokers;
use crate::common::cluster::THOUSAND;
use crate::load::requests::Heartbeats;
use crate::load::{self, CPU, GENERATOR, P50, P99, RATE, Shape};
use crate::report::{Report, Section};
use crate::server::{Canned, Cores, Server};

const SHAPE: Shape = Shape::new(16, 4);

pub(crate) fn run(bench: &Bench, report: &mut Report) {
    let title = "Heartbeats of 4 brokers, as requests that are answered";
    let mut section = Section::new("heartbeats", title, &[RATE, CPU, P50, P99, GENERATOR]);
    let servers = bench.yard.start_all(section.name, Cores::Server, Canned::Nothing);
    let register = |server: &Server| server.knows_routes().then(|| Brokers::register(server.address, &THOUSAND));
    let _brokers: Vec<_> = servers.iter().map(register).collect();
    for server in &servers {
        load::measure(server, SHAPE, &mut Heartbeats::new(), bench.plan.ramp, bench.plan.warm_up / 2);
    }
    for round in 0..bench.plan.few_rounds {
        for at in turns(round, servers.len()) {
            let mut run = load::measure(&servers[at], SHAPE, &mut Heartbeats::new(), bench.plan.ramp, bench.plan.run);
            section.add(&SHAPE.to_string(), servers[at].name(), round, run.values());
        }
    }
    report.add(section);
}
