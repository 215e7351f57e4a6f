//! Registrations of 20,000 topics by each of four brokers at once: the same again, the same with a new data version,
//! and with other queues for every topic.

use std::thread;
use std::time::Duration;

use fingerpost::clock::{Clock, SystemClock};

use super::{Bench, turns};
use crate::brokers::{Broker, Connection, KeepAlive};
use crate::common::cluster::{self, Cluster, FIRST_VERSION, QUEUES, Registration, Sender};
use crate::common::quantile;
use crate::load::RATE;
use crate::load::lookups::{assert_route, lookup};
use crate::report::{Bound, Figure, Mark, Part, Report, Section};
use crate::server::Server;

/// Each broker has topics of its own. A registration is a frame of 3.6 MB.
pub(super) const BROKERS: Cluster = Cluster { brokers: 4, topics: 20_000, shared: false };

const CPU: Figure = Figure::new("cpu_millis", "CPU ms each", 2);
const P50: Figure = Figure::new("p50_millis", "p50 ms", 1);
const P99: Figure = Figure::new("p99_millis", "p99 ms", 1);

/// What a registration says that the one before did not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    Nothing,
    Version,
    Queues,
}

impl Change {
    const ALL: [(Self, &str, f64); 3] = [
        (Self::Nothing, "identical", 1.5),
        (Self::Version, "new data version", 5.0),
        (Self::Queues, "all queues", 15.0),
    ];
}

pub(crate) fn run(bench: &Bench, report: &mut Report) {
    let title = "Registrations of 20,000 topics: 4 brokers at once, topics of their own, JSON with its CRC";
    let mut section = Section::new("registrations", title, &[RATE, CPU, P50, P99]);
    let servers = bench.yard.start_name_servers(section.name);
    let mut registrants: Vec<_> = servers.iter().map(Registrant::all).collect();
    let _keep_alive = Registrant::keep_alive(&registrants);
    for (server, registrants) in servers.iter().zip(&mut registrants) {
        for (change, ..) in Change::ALL {
            register_for(server, registrants, change, bench.plan.warm_up / 2);
        }
    }
    for round in 0..bench.plan.few_rounds {
        for (change, name, _) in Change::ALL {
            for at in turns(round, servers.len()) {
                let values = register_for(&servers[at], &mut registrants[at], change, bench.plan.run);
                section.add(name, servers[at].name(), round, values);
            }
        }
    }
    for (_, name, most) in Change::ALL {
        let found = section.records.values(name, "fingerpost", CPU);
        report.find(Mark::Registration, Part::new(found, Bound::AtMost(most), 2, "ms"));
    }
    report.add(section);
}

/// Lets all brokers register one time after the other.
fn register_for(
    server: &Server,
    registrants: &mut [Registrant],
    change: Change,
    lasting: Duration,
) -> Vec<(Figure, f64)> {
    let clock = SystemClock::default();
    let cpu = server.process.cpu();
    let mut millis: Vec<f64> = thread::scope(|scope| {
        let threads: Vec<_> = registrants
            .iter_mut()
            .map(|registrant| {
                scope.spawn(move || {
                    let mut millis = Vec::new();
                    while clock.monotonic() < lasting {
                        registrant.prepare(change);
                        let began = clock.monotonic();
                        registrant.send();
                        millis.push((clock.monotonic() - began).as_secs_f64() * 1e3);
                    }
                    millis
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("every registration is answered well")).collect()
    });
    let (took, cpu) = (clock.monotonic(), server.process.cpu().since(&cpu));
    registrants.iter_mut().for_each(|registrant| registrant.assert_known(server));
    let count = millis.len() as f64;
    vec![
        (RATE, count / took.as_secs_f64()),
        (CPU, cpu.as_secs_f64() * 1e3 / count),
        (P50, quantile(&mut millis, 0.5)),
        (P99, quantile(&mut millis, 0.99)),
    ]
}

/// A broker that registers again and again.
pub(super) struct Registrant {
    number: usize,
    broker: Broker,
    /// With these many queues for every topic, and with others.
    bodies: [(i32, Registration); 2],
    /// Which of them was sent last, or is to be.
    current: usize,
    version: u64,
    frame: Vec<u8>,
}

impl Registrant {
    /// All of [`BROKERS`], registered.
    pub(super) fn all(server: &Server) -> Vec<Self> {
        (0..BROKERS.brokers).map(|number| Self::register(server, number)).collect()
    }

    pub(super) fn keep_alive(registrants: &[Vec<Self>]) -> KeepAlive {
        KeepAlive::of(registrants.iter().flatten().map(|registrant| &registrant.broker))
    }

    fn register(server: &Server, number: usize) -> Self {
        let body = |queues| (queues, Registration::new(&BROKERS, number, queues));
        let broker = Broker::connect(server.address, number);
        let bodies = [QUEUES, QUEUES / 2].map(body);
        let mut registrant = Self { number, broker, bodies, current: 0, version: FIRST_VERSION, frame: Vec::new() };
        registrant.prepare(Change::Version);
        registrant.send();
        registrant
    }

    pub(super) fn prepare(&mut self, change: Change) {
        match change {
            Change::Nothing => return,
            Change::Version => {}
            Change::Queues => self.current = 1 - self.current,
        }
        self.version += 1;
        self.frame = self.bodies[self.current].1.frame(self.version);
    }

    pub(super) fn send(&mut self) {
        self.broker.register(&self.frame);
    }

    /// Fails unless what was sent last is what the server knows.
    fn assert_known(&mut self, server: &Server) {
        self.broker.assert_known(self.version);
        let topics = BROKERS.topics_of(self.number);
        for topic in [topics.start, topics.end - 1] {
            let mut connection = Connection::open(server.address);
            let answer = connection.ask(&lookup(Sender::NEW, &cluster::topic_name(topic), 1));
            assert_route(&BROKERS, topic, self.bodies[self.current].0, Sender::NEW, answer.body);
        }
    }
}
