//! The load: one thread that keeps a number of requests in flight on each of a number of connections.
//!
//! It must cost less than any server it measures. Requests are made once and only get new numbers; of every answer the
//! code and the opaque are checked, and the body as [`Work`] says. A wrong answer ends the benchmark: there is no rate
//! to report.

mod client;
pub(crate) mod lookups;
pub(crate) mod requests;
pub(crate) mod wire;

use std::fmt;
use std::time::Duration;

use fingerpost::clock::{Clock, SystemClock};
use mio::{Events, Interest, Poll, Token};

use crate::report::{Figure, Values};
use crate::server::{CpuTime, Server};
use client::Client;
use wire::Answer;

pub(crate) const RATE: Figure = Figure::new("per_second", "per second", 0);
pub(crate) const CPU: Figure = Figure::new("cpu_micros", "CPU µs each", 2);
pub(crate) const P50: Figure = Figure::new("p50_micros", "p50 µs", 0);
pub(crate) const P99: Figure = Figure::new("p99_micros", "p99 µs", 0);
pub(crate) const GENERATOR: Figure = Figure::new("generator_micros", "generator CPU µs each", 2);

/// How many connections, and how many requests in flight on each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Shape {
    pub(crate) connections: usize,
    pub(crate) depth: usize,
}

impl Shape {
    pub(crate) const fn new(connections: usize, depth: usize) -> Self {
        Self { connections, depth }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "C={} D={}", self.connections, self.depth)
    }
}

/// What is asked, and what must be answered.
pub(crate) trait Work {
    /// Appends the next request of a slot. A slot is one of the requests in flight, counted over all connections.
    fn ask(&mut self, slot: usize, opaque: u32, output: &mut Vec<u8>);

    /// Panics unless this answers what the slot asked last.
    fn check(&mut self, slot: usize, answer: &Answer<'_>);
}

/// What one server did under a load.
pub(crate) struct Measured {
    pub(crate) answers: usize,
    pub(crate) took: Duration,
    /// User and kernel time of the server.
    pub(crate) cpu: Duration,
    /// What the generator itself spent, which must stay below what the server did.
    pub(crate) own: Duration,
    /// From each request to its answer.
    nanos: Vec<u32>,
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        self.answers as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.answers as f64
    }

    pub(crate) fn values(&mut self) -> Values {
        let answers = self.answers as f64;
        vec![
            (RATE, self.per_second()),
            (CPU, self.cpu_micros()),
            (P50, self.quantile_micros(0.5)),
            (P99, self.quantile_micros(0.99)),
            (GENERATOR, self.own.as_secs_f64() * 1e6 / answers),
        ]
    }

    pub(crate) fn quantile_micros(&mut self, share: f64) -> f64 {
        let at = ((self.nanos.len() - 1) as f64 * share).round() as usize;
        f64::from(*self.nanos.select_nth_unstable(at).1) / 1e3
    }
}

/// Keeps a server busy for `warm_up`, which does not count, and then for `lasting`.
pub(crate) fn measure(
    server: &Server,
    shape: Shape,
    work: &mut impl Work,
    warm_up: Duration,
    lasting: Duration,
) -> Measured {
    let mut load = Load::start(server, shape, work);
    load.keep_going_for(warm_up, work);
    load.nanos.clear();
    let (began, cpu, own) = (load.clock.monotonic(), server.process.cpu(), CpuTime::of_myself());
    load.keep_going_for(lasting, work);
    let took = load.clock.monotonic() - began;
    let (cpu, own) = (server.process.cpu().since(&cpu), CpuTime::of_myself().since(&own));
    assert!(!load.nanos.is_empty(), "{shape}: {} did not answer once in {took:?}", server.name());
    Measured { answers: load.nanos.len(), took, cpu, own, nanos: load.nanos }
}

/// Asks until so many answers came.
pub(crate) fn exchange(server: &Server, shape: Shape, work: &mut impl Work, answers: usize) {
    let mut load = Load::start(server, shape, work);
    while load.nanos.len() < answers {
        load.turn(work);
    }
}

struct Load {
    clock: SystemClock,
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    /// What a connection is read into, in turn, so that it stays in the caches.
    scratch: Box<[u8]>,
    nanos: Vec<u32>,
}

impl Load {
    fn start(server: &Server, shape: Shape, work: &mut impl Work) -> Self {
        let poll = Poll::new().expect("the system polls");
        let clock = SystemClock::default();
        let mut connect = |at: usize| {
            let mut client = Client::connect(server.address, at * shape.depth, shape.depth);
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut client.stream, Token(at), both).expect("the system polls this socket");
            client.ask_all(work, clock.monotonic());
            client
        };
        let clients = (0..shape.connections).map(&mut connect).collect();
        let scratch = vec![0; client::INPUT_SIZE].into();
        Self { clock, events: Events::with_capacity(1024), clients, scratch, nanos: Vec::new(), poll }
    }

    fn keep_going_for(&mut self, lasting: Duration, work: &mut impl Work) {
        let end = self.clock.monotonic() + lasting;
        while self.clock.monotonic() < end {
            self.turn(work);
        }
    }

    fn turn(&mut self, work: &mut impl Work) {
        self.poll.poll(&mut self.events, Some(Duration::from_millis(100))).expect("the system polls");
        for event in &self.events {
            let client = &mut self.clients[event.token().0];
            if event.is_readable() {
                client.read(&mut self.scratch, work, &self.clock, &mut self.nanos);
            }
            client.write();
        }
    }
}
