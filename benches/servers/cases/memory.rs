//! What servers hold: idle, with many topics, and for each connection.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::{Bench, DEEP};
use crate::brokers::{Brokers, Connection};
use crate::common::cluster::{self, Cluster, QUEUES, Sender, THOUSAND};
use crate::load::lookups::{Draw, Lookups, Says, assert_route, lookup};
use crate::load::{self};
use crate::report::{Bound, Figure, Mark, Part, Report, Section, Values};
use crate::server::{Canned, Cores, Kind, Server, process};

const MANY_TOPICS: Cluster = Cluster { brokers: 10, topics: 10_000, shared: false };

/// How many connections are held, where so many files may be open.
const CONNECTIONS: usize = 20_000;
/// Files of a server that are no connections; a JVM has each of its jars open.
const OTHER_FILES: usize = 400;
/// From one address of our own, so that ports do not run out.
const PER_ADDRESS: usize = 5000;

/// After which a server has given back what it gives back soon.
const REST: Duration = Duration::from_secs(1);

const RESIDENT: Figure = Figure::new("resident_mib", "RSS MiB", 1);
const ANONYMOUS: Figure = Figure::new("anonymous_mib", "of that, no pages of files", 1);
const EACH: Figure = Figure::new("bytes_per_connection", "bytes per connection", 0);
const ANSWERED: Figure = Figure::new("answered", "connections answered", 0);

const IDLE: &str = "idle, after one answer";
const TOPICS: &str = "100,000 topics (10 brokers x 10,000), before lookups";
const SILENT: &str = "connections, silent";
const HELD: &str = "connections, each answered twice";

pub(crate) fn run(bench: &Bench, report: &mut Report) {
    let wanted = CONNECTIONS.min(bench.files_max.saturating_sub(OTHER_FILES));
    let mut section = Section::new("memory", "Memory", &[RESIDENT, ANONYMOUS, EACH, ANSWERED]);
    section.notes.push(format!("{wanted} connections, to a server with 1,000 topics that has answered {DEEP}."));
    // Plugins are compiled, and then only read.
    drop(bench.yard.start(&Kind::Fingerpost, section.name, Cores::Server, Canned::Nothing));
    for round in 0..bench.plan.few_rounds {
        for server in bench.yard.start_name_servers(section.name) {
            for (case, values) in with_topics(&server) {
                section.add(case, server.name(), round, values);
            }
        }
        for server in bench.yard.start_name_servers(section.name) {
            for (case, values) in with_connections(bench, &server, wanted) {
                section.add(case, server.name(), round, values);
            }
        }
    }
    let mut find = |case, figure, bound, digits, what, open| {
        let found = section.records.values(case, "fingerpost", figure);
        report.find(Mark::Memory, Part::new(found, bound, digits, what).open_because(open));
    };
    let limited = (wanted < CONNECTIONS).then(|| format!("of {wanted}: {} files may be open here", bench.files_max));
    find(IDLE, RESIDENT, Bound::AtMost(20.0), 1, "MiB", None);
    find(TOPICS, RESIDENT, Bound::AtMost(64.0), 1, "MiB", None);
    find(SILENT, EACH, Bound::AtMost(2048.0), 0, "bytes", None);
    find(HELD, ANSWERED, Bound::AtLeast(CONNECTIONS as f64), 0, "held and answered", limited);
    report.add(section);
}

fn with_topics(server: &Server) -> [(&'static str, Values); 2] {
    let request = lookup(Sender::NEW, "no-such-topic", 1);
    let mut connection = Connection::open(server.address);
    connection.send(&request).expect("the server reads");
    assert_eq!(connection.receive().expect("an answer").code, 17);
    let idle = held(server);
    let brokers = Brokers::register(server.address, &MANY_TOPICS);
    let topics = held(server);
    drop(brokers);
    [(IDLE, idle), (TOPICS, topics)]
}

fn with_connections(bench: &Bench, server: &Server, wanted: usize) -> [(&'static str, Values); 2] {
    let _brokers = Brokers::register(server.address, &THOUSAND);
    let draw = Draw::uniform(&THOUSAND);
    let mut work = Lookups::new(THOUSAND, &[Sender::NEW], draw, Says::Routes, bench.random(0));
    load::measure(server, DEEP, &mut work, Duration::ZERO, bench.plan.run);
    process::let_rest(REST);
    let before = server.process.memory().resident;
    let each = |mut values: Values, connections: usize| {
        values.push((EACH, (server.process.memory().resident - before) * 1024.0 / connections as f64));
        values
    };

    let mut connections: Vec<_> = (0..wanted).map_while(|number| connect(server.address, number).ok()).collect();
    let silent = each(held(server), connections.len());
    // All are asked before any is read, so that all are held at once; and again, so that none was closed by its answer.
    let answered = (0..2).map(|_| answered(&mut connections)).min().unwrap_or(0);
    let mut values = each(held(server), connections.len());
    values.push((ANSWERED, answered as f64));
    [(SILENT, silent), (HELD, values)]
}

fn held(server: &Server) -> Values {
    process::let_rest(REST);
    let memory = server.process.memory();
    vec![(RESIDENT, memory.resident / 1024.0), (ANONYMOUS, memory.anonymous / 1024.0)]
}

fn connect(server: SocketAddr, number: usize) -> std::io::Result<Connection> {
    let own = Ipv4Addr::new(127, 0, 0, 2 + (number / PER_ADDRESS) as u8);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((own, 0)).into())?;
    socket.connect(&server.into())?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(Connection::over(stream))
}

/// How many give the right answer. Some servers close connections beyond a number of theirs; that is what is counted.
fn answered(connections: &mut [Connection]) -> usize {
    let request = lookup(Sender::NEW, &cluster::topic_name(0), 1);
    let asked: Vec<_> = connections.iter_mut().filter_map(|each| each.send(&request).is_ok().then_some(each)).collect();
    let check = |connection: &mut Connection| {
        let Ok(answer) = connection.receive() else { return false };
        assert_route(&THOUSAND, 0, QUEUES, Sender::NEW, answer.body);
        true
    };
    asked.into_iter().map(check).filter(|is_answered| *is_answered).count()
}
