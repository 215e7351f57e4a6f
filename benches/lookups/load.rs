//! The load: one thread that keeps a number of requests in flight on each of a number of connections.
//!
//! It must cost less than any server it measures. Requests are made once and only get a new opaque; of every answer the code
//! and the opaque are checked, and of each 256th the body. A wrong answer ends the benchmark: there is no rate to report.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use fingerpost::clock::{Clock, SystemClock};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::common::cluster::{self, BROKERS, QUEUES, TOPICS};
use crate::common::quantile;
use crate::servers::{Kind, Running};

/// How many connections, and how many requests in flight on each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Case {
    pub(crate) connections: usize,
    pub(crate) depth: usize,
}

/// What one server did under one load.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) kind: Kind,
    pub(crate) case: Case,
    pub(crate) lookups: usize,
    pub(crate) per_second: f64,
    /// User and kernel time of the server for each lookup.
    pub(crate) cpu_micros: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
    /// What the generator itself spent, which must stay below what the server did.
    pub(crate) own_micros: f64,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "C={} D={}", self.connections, self.depth)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_second, cpu_micros, p50_micros, p99_micros, own_micros, .. } = self;
        write!(
            f,
            "{} {:10} {per_second:8.0}/s, server {cpu_micros:.2} us, generator {own_micros:.2} us, \
             p50 {p50_micros:.0} us, p99 {p99_micros:.0} us",
            self.case,
            self.kind.name()
        )
    }
}

/// Looks topics up for `warm_up`, which does not count, and then for `lasting`.
pub(crate) fn run(server: &Running, case: Case, warm_up: Duration, lasting: Duration) -> Run {
    let mut load = Load::start(server.address, case);
    load.keep_going(warm_up);
    load.nanos.clear();
    let (began, cpu, own) = (load.clock.monotonic(), server.process.cpu(), own_cpu());
    load.keep_going(lasting);
    let took = load.clock.monotonic() - began;
    let (cpu, own) = (server.process.cpu() - cpu, own_cpu() - own);
    let lookups = load.nanos.len();
    assert!(lookups > 0, "{case}: {} did not answer once in {took:?}", server.kind.name());
    Run {
        kind: server.kind,
        case,
        lookups,
        per_second: lookups as f64 / took.as_secs_f64(),
        cpu_micros: cpu.as_secs_f64() * 1e6 / lookups as f64,
        p50_micros: quantile(&mut load.nanos, 0.5) / 1e3,
        p99_micros: quantile(&mut load.nanos, 0.99) / 1e3,
        own_micros: own.as_secs_f64() * 1e6 / lookups as f64,
    }
}

fn own_cpu() -> Duration {
    crate::process::cpu_of(std::process::id())
}

struct Load {
    clock: SystemClock,
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    requests: Requests,
    /// From each request to its answer.
    nanos: Vec<f64>,
}

impl Load {
    fn start(address: SocketAddr, case: Case) -> Self {
        let poll = Poll::new().expect("the system polls");
        let clock = SystemClock::default();
        let mut requests = Requests::new();
        let mut connect = |at: usize| {
            let mut client = Client::connect(address, at * case.depth, case.depth);
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut client.stream, Token(at), both).expect("the system polls this socket");
            for slot in 0..case.depth {
                client.ask(slot, &mut requests, clock.monotonic());
            }
            client.write();
            client
        };
        let clients = (0..case.connections).map(&mut connect).collect();
        Self { clock, events: Events::with_capacity(1024), clients, requests, nanos: Vec::new(), poll }
    }

    fn keep_going(&mut self, lasting: Duration) {
        let end = self.clock.monotonic() + lasting;
        while self.clock.monotonic() < end {
            self.poll.poll(&mut self.events, Some(Duration::from_millis(100))).expect("the system polls");
            for event in &self.events {
                let client = &mut self.clients[event.token().0];
                if event.is_readable() {
                    client.read(&mut self.requests, &self.clock, &mut self.nanos);
                }
                client.write();
            }
        }
    }
}

/// One connection.
struct Client {
    stream: TcpStream,
    slots: Vec<Slot>,
    /// The number of its first slot, over all connections.
    first_slot: usize,
    input: Box<[u8]>,
    filled: usize,
    output: Vec<u8>,
    written: usize,
    answers: usize,
}

/// One request in flight.
#[derive(Clone, Copy)]
struct Slot {
    opaque: u32,
    asked: Duration,
}

impl Client {
    fn connect(address: SocketAddr, first_slot: usize, depth: usize) -> Self {
        let stream = std::net::TcpStream::connect(address).expect("the server accepts");
        stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true)).expect("a socket can be set so");
        let slot = |number| Slot { opaque: OPAQUE_MIN + (first_slot + number) as u32 * TURNS, asked: Duration::ZERO };
        Self {
            stream: TcpStream::from_std(stream),
            slots: (0..depth).map(slot).collect(),
            first_slot,
            input: vec![0; INPUT_SIZE].into(),
            filled: 0,
            output: Vec::new(),
            written: 0,
            answers: 0,
        }
    }

    fn ask(&mut self, slot: usize, requests: &mut Requests, now: Duration) {
        let Slot { opaque, asked } = &mut self.slots[slot];
        // The turns of a slot are many enough that an answer that comes twice is noticed.
        *opaque = if (*opaque - OPAQUE_MIN) % TURNS == TURNS - 1 { *opaque + 1 - TURNS } else { *opaque + 1 };
        *asked = now;
        requests.append_next(*opaque, &mut self.output);
    }

    fn write(&mut self) {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the server closed a connection: {error}"),
            }
        }
        self.output.clear();
        self.written = 0;
    }

    /// Reads until nothing is left, and asks again for every answer.
    fn read(&mut self, requests: &mut Requests, clock: &SystemClock, nanos: &mut Vec<f64>) {
        loop {
            let room = &mut self.input[self.filled..];
            let size = room.len();
            let read = match self.stream.read(room) {
                Ok(0) => panic!("the server closed a connection"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the server closed a connection: {error}"),
            };
            self.filled += read;
            self.take_answers(requests, clock.monotonic(), nanos);
            if read < size {
                return;
            }
        }
    }

    fn take_answers(&mut self, requests: &mut Requests, now: Duration, nanos: &mut Vec<f64>) {
        let mut start = 0;
        while let Some(length) = self.input[start..self.filled].first_chunk() {
            let end = start + 4 + u32::from_be_bytes(*length) as usize;
            assert!(end - start <= INPUT_SIZE, "an answer of {} bytes", end - start);
            if end > self.filled {
                break;
            }
            let slot = self.check(start, end);
            nanos.push((now - self.slots[slot].asked).as_nanos() as f64);
            self.ask(slot, requests, now);
            start = end;
        }
        self.input.copy_within(start..self.filled, 0);
        self.filled -= start;
    }

    /// Whose answer it is.
    fn check(&mut self, start: usize, end: usize) -> usize {
        let frame = &self.input[start..end];
        let header_end = 8 + u32::from_be_bytes([0, frame[5], frame[6], frame[7]]) as usize;
        assert!(frame[8..].starts_with(b"{\"code\":0,"), "refused: {}", String::from_utf8_lossy(frame));
        let digits = &frame[find_opaque(frame).expect("an answer has an opaque")..][..10];
        let opaque = digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
        let slot = ((opaque - OPAQUE_MIN) / TURNS) as usize - self.first_slot;
        assert_eq!(self.slots[slot].opaque, opaque, "an answer to no request, or a second one");
        self.answers += 1;
        if self.answers % 256 == 1 {
            check_body(&frame[header_end..]);
        }
        slot
    }
}

fn check_body(body: &[u8]) {
    let route: serde_json::Value = serde_json::from_slice(body).expect("a body of JSON");
    let queues = route["queueDatas"].as_array().expect("queues");
    assert_eq!(route["brokerDatas"].as_array().expect("brokers").len(), BROKERS);
    assert_eq!(queues.len(), BROKERS);
    assert!(queues.iter().all(|queue| queue["readQueueNums"] == QUEUES));
}

/// Where the number after `"opaque":` begins.
pub(crate) fn find_opaque(frame: &[u8]) -> Option<usize> {
    const KEY: &[u8] = b"\"opaque\":";
    frame.windows(KEY.len()).position(|window| window == KEY).map(|at| at + KEY.len())
}

/// The request for each topic, with room for an opaque of ten digits.
struct Requests {
    frames: Vec<(Vec<u8>, usize)>,
    next: usize,
}

impl Requests {
    fn new() -> Self {
        let frame = |topic| {
            let frame = cluster::lookup(105, topic, &[], OPAQUE_MIN as i32).to_vec();
            let opaque = find_opaque(&frame).expect("a request has an opaque");
            (frame, opaque)
        };
        Self { frames: (0..TOPICS).map(frame).collect(), next: 0 }
    }

    fn append_next(&mut self, opaque: u32, output: &mut Vec<u8>) {
        // Not one after the other as the server stored them.
        self.next = (self.next + 617) % TOPICS;
        let (frame, place) = &self.frames[self.next];
        let start = output.len();
        output.extend_from_slice(frame);
        let mut rest = opaque;
        for digit in output[start + place..start + place + 10].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

/// Ten digits, so that an opaque can be replaced in place.
const OPAQUE_MIN: u32 = 1_000_000_000;
/// Opaques of each slot. 1024 slots stay below the largest opaque.
const TURNS: u32 = 1_000_000;
/// More than sixteen answers.
const INPUT_SIZE: usize = 64 * 1024;
