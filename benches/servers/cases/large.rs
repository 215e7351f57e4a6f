//! 200,000 topics on ten brokers, each looked up by clients of both JSON styles before anything is measured.

use super::{Bench, DEEP, says, turns};
use crate::brokers::Brokers;
use crate::common::cluster::{Cluster, Sender, THOUSAND};
use crate::load::lookups::{Draw, Lookups};
use crate::load::{self, CPU, GENERATOR, P50, P99, RATE};
use crate::report::{Bound, Figure, Mark, Part, Report, Section};
use crate::server::{Canned, Cores, Kind, Server};

const LARGE: Cluster = Cluster { brokers: 10, topics: 20_000, shared: false };
const BOTH: [Sender; 2] = [Sender::NEW, Sender::OLD];
/// How often every topic is looked up in each style.
const SWEEPS: usize = 3;

const RESIDENT: Figure = Figure::new("resident_mib", "RSS MiB", 0);

const BOTH_STYLES: &str = "both JSON styles";
const REFERENCE: &str = "1,000 topics instead, both JSON styles";

/// Its name, and who asks.
type Case = (&'static str, &'static [Sender]);

/// A server, the cluster that it knows, and what asks it.
struct Subject {
    /// Before the server, which must not end first.
    _brokers: Option<Brokers>,
    server: Server,
    cluster: Cluster,
    cases: &'static [Case],
}

pub(crate) fn run(bench: &Bench, report: &mut Report) {
    const CASES: [Case; 3] = [(BOTH_STYLES, &BOTH), ("quoted keys", &[Sender::NEW]), ("bare keys", &[Sender::OLD])];
    let title = format!(
        "{DEEP} lookups of 200,000 topics on 1 of 10 brokers each (bodies of 0.3 kB), all in turn looked up before"
    );
    let mut section = Section::new("large", title, &[RATE, CPU, P50, P99, GENERATOR, RESIDENT]);

    let servers = bench.yard.start_all(section.name, Cores::Server, Canned::Route(LARGE));
    let subject = |server, cluster, cases| Subject::prepared(bench, server, cluster, cases);
    let mut subjects: Vec<_> = servers.into_iter().map(|server| subject(server, LARGE, &CASES)).collect();
    // What the rate is compared with: the same server with fewer topics.
    match bench.yard.start(&Kind::Fingerpost, "large-reference", Cores::Server, Canned::Nothing) {
        Ok(server) => subjects.push(subject(server, THOUSAND, &[(REFERENCE, &BOTH)])),
        Err(reason) => println!("SKIPPED {REFERENCE}: {reason}"),
    }
    for round in 0..bench.plan.few_rounds {
        for case in 0..CASES.len() {
            for at in turns(round, subjects.len()) {
                let subject = &subjects[at];
                let Some((name, senders)) = subject.cases.get(case) else { continue };
                let mut work = subject.lookups(senders, Draw::uniform(&subject.cluster), bench.random(round));
                let mut run = load::measure(&subject.server, DEEP, &mut work, bench.plan.ramp, bench.plan.run);
                let mut values = run.values();
                values.push((RESIDENT, subject.server.resident_mib()));
                section.add(name, subject.server.name(), round, values);
            }
        }
    }

    let values = |case, figure| section.records.values(case, "fingerpost", figure);
    let rates = values(BOTH_STYLES, RATE).into_iter().zip(values(REFERENCE, RATE));
    let share = rates.map(|(large, reference)| large / reference * 100.0).collect();
    report.find_either(
        Mark::Large,
        vec![
            Part::new(share, Bound::AtLeast(80.0), 0, "% of the 1,000-topic rate"),
            Part::new(values(BOTH_STYLES, CPU), Bound::AtMost(2.0), 2, "µs"),
        ],
    );
    report.find(Mark::Large, Part::new(values(BOTH_STYLES, RESIDENT), Bound::AtMost(450.0), 0, "MiB"));
    report.add(section);
}

impl Subject {
    /// Every topic is looked up.
    fn prepared(bench: &Bench, server: Server, cluster: Cluster, cases: &'static [Case]) -> Self {
        let brokers = server.knows_routes().then(|| Brokers::register(server.address, &cluster));
        let subject = Self { _brokers: brokers, server, cluster, cases };
        if subject.server.knows_routes() {
            for sender in BOTH {
                let mut sweep = subject.lookups(&[sender], Draw::each(&cluster), bench.random(0));
                load::exchange(&subject.server, DEEP, &mut sweep, SWEEPS * cluster.topic_count());
            }
        }
        let mut work = subject.lookups(&BOTH, Draw::uniform(&cluster), bench.random(0));
        load::measure(&subject.server, DEEP, &mut work, bench.plan.ramp, bench.plan.run);
        subject
    }

    fn lookups(&self, senders: &[Sender], draw: Draw, random: fastrand::Rng) -> Lookups {
        Lookups::new(self.cluster, senders, draw, says(&self.server), random)
    }
}
