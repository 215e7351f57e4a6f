//! The longest turn of a worker, by the server's own histogram, while everything is asked of it at once.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use fingerpost::clock::{Clock, SystemClock};

use super::registrations::{BROKERS, Change, Registrant};
use super::writers::beside_writers;
use super::{Bench, DEEP, PLAIN, says};
use crate::brokers::Connection;
use crate::common::cluster::{self, Sender};
use crate::load::lookups::{Draw, Lookups, lookup};
use crate::load::requests::{Heartbeats, Puts};
use crate::load::{self, RATE};
use crate::report::{Bound, Figure, Mark, Part, Report, Section, Values};
use crate::server::{Server, process};

const TURNS: Figure = Figure::new("turns", "turns", 0);
/// A bound of the histogram, so it is at most this.
const MOST: Figure = Figure::new("p9999_micros_at_most", "p99.99 µs of CPU, at most", 0);
const LONGER: Figure = Figure::new("longer_per_million", "longer than 1 ms, of a million", 1);

const CASE: &str = "everything at once";
/// Lists of all topics, and of all brokers.
const LISTS: [i32; 2] = [206, 106];
const KEYS: usize = 100;
/// The last of [`BROKERS`] changes the queues of its topics, which are not looked up: nobody knows when it has.
const STABLE: usize = (BROKERS.brokers - 1) * BROKERS.topics;

pub(crate) fn run(bench: &Bench, report: &mut Report) {
    let title = format!(
        "{DEEP} lookups in both JSON styles beside 4 brokers that register 20,000 topics each once a second, one of \
         them with other queues, KV puts and heartbeats ({PLAIN} each), lists of all topics and brokers, and clients \
         that come, ask once and go"
    );
    let mut section = Section::new("turns", title, &[RATE, TURNS, MOST, LONGER]);
    let (server, metrics) = match bench.yard.start_observed(section.name) {
        Ok(started) => started,
        Err(reason) => return println!("SKIPPED {}: {reason}", section.name),
    };
    let mut registrants = Registrant::all(&server);
    let mut puts = Puts::new(PLAIN.connections, KEYS);
    for round in 0..bench.plan.few_rounds {
        let before = Turns::read(metrics);
        let mut values = beside_all(bench, &server, &mut registrants, &mut puts, round);
        let turns = Turns::read(metrics).since(&before);
        let most = turns.quantile_micros(0.9999);
        values.extend([(TURNS, turns.count), (MOST, most), (LONGER, turns.longer_than(0.001) / turns.count * 1e6)]);
        section.add(CASE, server.name(), round, values);
    }
    puts.assert_stored(&mut Connection::open(server.address));
    let found = section.records.values(CASE, server.name(), MOST);
    report.find(Mark::Turn, Part::new(found, Bound::AtMost(1000.0), 0, "µs or less"));
    report.add(section);
}

/// Everything at once, as long as the lookups are measured.
fn beside_all(bench: &Bench, server: &Server, registrants: &mut [Registrant], puts: &mut Puts, round: usize) -> Values {
    let clock = SystemClock::default();
    let lasting = bench.plan.ramp + bench.plan.long_run;
    thread::scope(|scope| {
        scope.spawn(|| load::measure(server, PLAIN, puts, Duration::ZERO, lasting));
        scope.spawn(|| load::measure(server, PLAIN, &mut Heartbeats::new(), Duration::ZERO, lasting));
        scope.spawn(|| {
            let mut topics = 0..STABLE;
            while clock.monotonic() < lasting {
                let request = lookup(Sender::NEW, &cluster::topic_name(topics.next().unwrap_or_default()), 1);
                Connection::open(server.address).ask(&request);
            }
        });
        scope.spawn(|| {
            let mut connection = Connection::open(server.address);
            while clock.monotonic() < lasting {
                for list in LISTS {
                    connection.ask(&Sender::NEW.request(list, &[], 1));
                }
                process::let_rest(Duration::from_millis(50));
            }
        });
        let changes = |number| if number + 1 == BROKERS.brokers { Change::Queues } else { Change::Version };
        beside_writers(bench, registrants, changes, || {
            let senders = [Sender::NEW, Sender::OLD];
            let mut work = Lookups::new(BROKERS, &senders, Draw::Uniform(STABLE), says(server), bench.random(round));
            let run = load::measure(server, DEEP, &mut work, bench.plan.ramp, bench.plan.long_run);
            vec![(RATE, run.per_second())]
        })
    })
}

/// The histogram of the turns: how many took at most so many seconds, in order.
struct Turns {
    buckets: Vec<(f64, f64)>,
    count: f64,
}

impl Turns {
    fn read(metrics: SocketAddr) -> Self {
        let page = ureq::get(format!("http://{metrics}/metrics")).call().expect("the server shows its metrics");
        let text = page.into_body().read_to_string().expect("metrics are text");
        let number = |text: &str| text.trim().parse::<f64>().expect("a number");
        let bucket = |line: &str| {
            let (bound, count) = line.strip_prefix("fingerpost_turn_seconds_bucket{le=\"")?.split_once("\"}")?;
            Some((if bound == "+Inf" { f64::INFINITY } else { number(bound) }, number(count)))
        };
        let buckets: Vec<_> = text.lines().filter_map(bucket).collect();
        let count = buckets.last().expect("the metrics have the histogram of turns").1;
        Self { buckets, count }
    }

    fn since(&self, before: &Self) -> Self {
        let both = self.buckets.iter().zip(&before.buckets);
        let buckets = both.map(|((bound, after), (_, before))| (*bound, after - before)).collect();
        Self { buckets, count: self.count - before.count }
    }

    /// The bound that such a share of all turns kept.
    fn quantile_micros(&self, share: f64) -> f64 {
        let kept = self.buckets.iter().find(|(_, count)| *count >= share * self.count);
        kept.map_or(f64::INFINITY, |(bound, _)| bound * 1e6)
    }

    fn longer_than(&self, seconds: f64) -> f64 {
        let within = self.buckets.iter().find(|(bound, _)| *bound >= seconds).map_or(0.0, |(_, count)| *count);
        self.count - within
    }
}
