//! A storm: every connection drops, and then ten brokers and 900 clients come back at once.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use fingerpost::clock::{Clock, SystemClock};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{Bench, turns};
use crate::brokers::Connection;
use crate::common::cluster::{self, Cluster, FIRST_VERSION, QUEUES, Registration, Sender};
use crate::common::quantile;
use crate::load::lookups::lookup;
use crate::load::wire::{Answer, frame_length};
use crate::report::{Bound, Figure, Mark, Part, Report, Section, Values};
use crate::server::{Canned, Cores, Server, process};

/// All brokers serve the same topics.
const CLUSTER: Cluster = Cluster { brokers: 10, topics: 1000, shared: true };
const CLIENTS: usize = 900;
const OVER_MAX: Duration = Duration::from_secs(30);

const ALL: Figure = Figure::new("all_done_millis", "all done ms", 1);
const FIRST: Figure = Figure::new("first_client_millis", "first client ms", 1);
const BROKER: Figure = Figure::new("broker_p50_millis", "broker p50 ms", 1);
const CLIENT: Figure = Figure::new("client_p99_millis", "client p99 ms", 1);
const RETRIES: Figure = Figure::new("retries", "retries", 0);
const CPU: Figure = Figure::new("cpu_millis", "server CPU ms", 0);

const CASE: &str = "10 brokers x 1,000 topics, 900 clients";

pub(crate) fn run(bench: &Bench, report: &mut Report) {
    let title = "Storm: everything drops, then brokers and clients come back at once";
    let mut section = Section::new("storm", title, &[ALL, FIRST, BROKER, CLIENT, RETRIES, CPU]);
    section.notes.push("A client that is told \"no such topic\" asks again at once.".to_owned());
    let servers = bench.yard.start_all(section.name, Cores::Server, Canned::Route(CLUSTER));
    let requests = requests();
    // They come for the first time, which does not count.
    let come = |server: &Server| {
        let mut storm = Storm::begin(server.address, &requests);
        let values = storm.pass(server);
        (storm, values)
    };
    let mut there: Vec<_> = servers.iter().map(|server| come(server).0).collect();
    for round in 0..bench.plan.rounds {
        for at in turns(round, servers.len()) {
            let server = &servers[at];
            there[at].drop_all();
            await_forgotten(server);
            let cpu = server.process.cpu();
            let (storm, mut values) = come(server);
            values.push((CPU, server.process.cpu().since(&cpu).as_secs_f64() * 1e3));
            section.add(CASE, server.name(), round, values);
            there[at] = storm;
        }
    }
    let found = section.records.ratios(CASE, ("fingerpost", "java"), ALL);
    report.find(Mark::Storm, Part::new(found, Bound::AtMost(0.5), 2, "x Java's time"));
    report.add(section);
}

/// Until the last broker is gone, so that nobody is answered from before the storm.
fn await_forgotten(server: &Server) {
    let mut connection = Connection::open(server.address);
    let request = lookup(Sender::NEW, &cluster::topic_name(0), 1);
    while server.knows_routes() {
        connection.send(&request).expect("the server reads");
        if connection.receive().expect("an answer").code == 17 {
            break;
        }
        process::let_rest(Duration::from_millis(5));
    }
    process::let_rest(Duration::from_millis(200));
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// It registers.
    Broker,
    /// It looks a topic up.
    Client,
}

/// What everybody asks, in the order in which they come: each broker before its tenth of the clients.
fn requests() -> Vec<(Kind, Vec<u8>)> {
    let mut requests = Vec::new();
    for broker in 0..CLUSTER.brokers {
        requests.push((Kind::Broker, Registration::new(&CLUSTER, broker, QUEUES).frame(FIRST_VERSION)));
        requests.extend((0..CLIENTS / CLUSTER.brokers).map(|client| {
            let topic = (broker * CLIENTS + client) % CLUSTER.topics;
            (Kind::Client, lookup(Sender::NEW, &cluster::topic_name(topic), 1).to_vec())
        }));
    }
    requests
}

/// Everybody who comes.
struct Storm<'a> {
    clock: SystemClock,
    poll: Poll,
    peers: Vec<Peer<'a>>,
    retries: usize,
}

struct Peer<'a> {
    stream: TcpStream,
    kind: Kind,
    request: &'a [u8],
    written: usize,
    input: Vec<u8>,
    /// When it had its answer.
    done: Option<Duration>,
}

impl<'a> Storm<'a> {
    /// All connect at once.
    fn begin(address: SocketAddr, requests: &'a [(Kind, Vec<u8>)]) -> Self {
        let clock = SystemClock::default();
        let poll = Poll::new().expect("the system polls");
        let peer = |(at, (kind, request)): (usize, &'a (Kind, Vec<u8>))| {
            let mut stream = TcpStream::connect(address).expect("a connection can be begun");
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(at), both).expect("the system polls this socket");
            Peer { stream, kind: *kind, request, written: 0, input: Vec::new(), done: None }
        };
        let peers = requests.iter().enumerate().map(peer).collect();
        Self { clock, poll, peers, retries: 0 }
    }

    /// Until everybody has an answer.
    fn pass(&mut self, server: &Server) -> Values {
        let mut events = Events::with_capacity(1024);
        let mut waiting = self.peers.len();
        while waiting > 0 {
            assert!(self.clock.monotonic() < OVER_MAX, "{}: {waiting} still wait", server.name());
            self.poll.poll(&mut events, Some(Duration::from_millis(100))).expect("the system polls");
            for event in &events {
                let peer = &mut self.peers[event.token().0];
                if peer.done.is_some() {
                    continue;
                }
                match peer.is_done(&mut self.retries) {
                    Ok(false) => {}
                    Ok(true) => {
                        peer.done = Some(self.clock.monotonic());
                        waiting -= 1;
                    }
                    Err(error) => panic!("{} dropped a connection: {error}", server.name()),
                }
            }
        }
        let done = |kind: Kind| {
            let of_kind = self.peers.iter().filter(move |peer| peer.kind == kind);
            of_kind.filter_map(|peer| Some(peer.done?.as_secs_f64() * 1e3)).collect::<Vec<_>>()
        };
        let (mut brokers, mut clients) = (done(Kind::Broker), done(Kind::Client));
        let last = brokers.iter().chain(&clients).copied().fold(0.0, f64::max);
        vec![
            (ALL, last),
            (FIRST, quantile(&mut clients, 0.0)),
            (BROKER, quantile(&mut brokers, 0.5)),
            (CLIENT, quantile(&mut clients, 0.99)),
            (RETRIES, self.retries as f64),
        ]
    }

    fn drop_all(&mut self) {
        self.peers.clear();
    }
}

impl Peer<'_> {
    /// Goes on as far as it can.
    fn is_done(&mut self, retries: &mut usize) -> io::Result<bool> {
        let Some(()) = unless_it_must_wait(self.write())? else { return Ok(false) };
        while let Some(()) = unless_it_must_wait(self.read())? {
            if frame_length(&self.input).is_none_or(|length| self.input.len() < length) {
                continue;
            }
            let answer = Answer::read(&self.input, &mut 0).expect("an answer has a header");
            if answer.code == 0 {
                let names_brokers = String::from_utf8_lossy(answer.body).contains(&cluster::broker_name(0)[..12]);
                assert!(self.kind == Kind::Broker || names_brokers, "a route without brokers");
                return Ok(true);
            }
            assert!(
                answer.code == 17 && self.kind == Kind::Client,
                "refused: {}",
                String::from_utf8_lossy(answer.header)
            );
            *retries += 1;
            (self.written, self.input) = (0, Vec::new());
            let Some(()) = unless_it_must_wait(self.write())? else { return Ok(false) };
        }
        Ok(false)
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.request.len() {
            self.written += self.stream.write(&self.request[self.written..])?;
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<()> {
        let mut bytes = [0; 16 * 1024];
        let read = self.stream.read(&mut bytes)?;
        self.input.extend_from_slice(&bytes[..read]);
        if read == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// None until the socket is ready.
fn unless_it_must_wait(outcome: io::Result<()>) -> io::Result<Option<()>> {
    match outcome {
        Ok(()) => Ok(Some(())),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => Ok(None),
        Err(error) => Err(error),
    }
}
