//! What peers see of the sockets, with services that only know how to echo.
//!
//! A test frame is its length, a number, a letter that says what to do with it, and anything.

mod bounds;
mod closing;
mod lane;
mod memory;
mod opening;
mod replies;
mod tls;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::tls::Terms;
use super::*;
use crate::route::ConnectionId;

/// How long a test waits before it calls the server broken.
const PATIENCE: Duration = Duration::from_secs(30);

fn config() -> NetConfig {
    NetConfig {
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        workers: NonZeroUsize::new(2).unwrap(),
        stop_timeout: PATIENCE,
        ..NetConfig::default()
    }
}

/// A server of toy services, and what they tell.
struct Toy {
    server: Option<Server>,
    connections: Connections,
    journal: Arc<Journal>,
    /// Lane jobs `W` and calls `g` wait for a permit.
    gate: Arc<Gate>,
    /// Futures `F` wait for a permit.
    later: Arc<Semaphore>,
}

impl Toy {
    fn start(config: NetConfig) -> Self {
        Self::start_with_idle_timeout(config, || Duration::from_secs(120))
    }

    fn start_with_idle_timeout(config: NetConfig, idle_timeout: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self::start_with_tls(config, idle_timeout, Arc::new(Terms::disabled()))
    }

    fn start_with_tls(
        config: NetConfig,
        idle_timeout: impl Fn() -> Duration + Send + Sync + 'static,
        terms: Arc<Terms>,
    ) -> Self {
        let (journal, gate) = (Arc::new(Journal::default()), Arc::new(Gate::default()));
        let later = Arc::new(Semaphore::new(0));
        let listener = Listener::bind(config).unwrap().with_tls(terms);
        let service = {
            let (journal, later) = (Arc::clone(&journal), Arc::clone(&later));
            let gate = Arc::clone(&gate);
            move || ToyService { journal: Arc::clone(&journal), later: Arc::clone(&later), gate: Arc::clone(&gate) }
        };
        let lane = {
            let (journal, gate) = (Arc::clone(&journal), Arc::clone(&gate));
            move || ToyLane { journal: Arc::clone(&journal), gate: Arc::clone(&gate) }
        };
        let server = listener.serve(idle_timeout, service, lane).unwrap();
        let connections = server.connections();
        Self { server: Some(server), connections, journal, gate, later }
    }

    fn connect(&self) -> Peer {
        let stream = TcpStream::connect(self.server.as_ref().unwrap().local_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer(stream)
    }

    /// Stops, and expects that nothing is held any more.
    fn stop(mut self) -> Usage {
        self.server.take().unwrap().stop();
        let usage = self.connections.usage();
        let Usage { reads, writes, frames, refused, .. } = usage;
        assert_eq!(usage, Usage { reads, writes, frames, refused, ..Usage::default() }, "something was not given back");
        usage
    }
}

impl Drop for Toy {
    fn drop(&mut self) {
        // A failed test must not wait for jobs that wait for it.
        self.gate.open(usize::MAX / 2);
    }
}

struct Peer(TcpStream);

impl Peer {
    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut frame = length.to_vec();
        frame.resize(4 + u32::from_be_bytes(length) as usize, 0);
        self.0.read_exact(&mut frame[4..]).unwrap();
        frame
    }

    fn receive_numbers(&mut self, count: usize) -> Vec<u32> {
        (0..count).map(|_| number(&self.receive())).collect()
    }

    /// Asks something and waits, so that the connection is known to be served.
    fn ping(&mut self) {
        self.send(&frame(0, b'e', b""));
        self.receive();
    }

    /// Everything until the server closes; a reset is a close too.
    fn receive_to_end(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("{error}"),
            _ => rest,
        }
    }

    fn assert_closed(&mut self) {
        assert_eq!(self.receive_to_end(), b"");
    }
}

fn frame(number: u32, what: u8, rest: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.put_u32(9 + rest.len() as u32);
    // JSON, and a header of no bytes: all that this module looks at.
    frame.put_u32(0);
    frame.put_u32(number);
    frame.put_u8(what);
    frame.put_slice(rest);
    frame
}

fn number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(*frame[8..].first_chunk().unwrap())
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Event {
    /// A worker got this frame.
    Called(ConnectionId, u32),
    /// The lane began with it, and this many jobs of its connection were running.
    Began(ConnectionId, u32),
    Ended(ConnectionId, u32),
    Closed(ConnectionId),
}

#[derive(Default)]
struct Journal {
    events: Mutex<Vec<Event>>,
    written: Condvar,
    kept: Mutex<Vec<ReplySink>>,
    handles: Mutex<Vec<Connection>>,
}

impl Journal {
    fn write(&self, event: Event) {
        lock(&self.events).push(event);
        self.written.notify_all();
    }

    /// Waits until the events are as asked for, and returns them.
    fn wait(&self, until: impl Fn(&[Event]) -> bool) -> Vec<Event> {
        let events = lock(&self.events);
        let (events, timeout) = self.written.wait_timeout_while(events, PATIENCE, |events| !until(events)).unwrap();
        assert!(!timeout.timed_out(), "waited in vain, {events:?}");
        events.clone()
    }

    fn wait_for(&self, number: u32, event: impl Fn(ConnectionId, u32) -> Event) -> ConnectionId {
        let id = |event: &Event| match *event {
            Event::Called(id, _) | Event::Began(id, _) | Event::Ended(id, _) | Event::Closed(id) => id,
        };
        let found = |events: &[Event]| events.iter().find(|one| **one == event(id(one), number)).map(id);
        found(&self.wait(|events| found(events).is_some())).unwrap()
    }
}

/// Lets as many through as it has permits.
#[derive(Default)]
struct Gate {
    permits: Mutex<usize>,
    opened: Condvar,
}

impl Gate {
    fn open(&self, permits: usize) {
        *lock(&self.permits) += permits;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let permits = lock(&self.permits);
        let (mut permits, timeout) =
            self.opened.wait_timeout_while(permits, PATIENCE, |permits| *permits == 0).unwrap();
        assert!(!timeout.timed_out(), "the gate was never opened");
        *permits -= 1;
    }
}

struct ToyService {
    journal: Arc<Journal>,
    later: Arc<Semaphore>,
    gate: Arc<Gate>,
}

impl Service for ToyService {
    type Job = ToyJob;

    fn call(&mut self, frame: Bytes, connection: &Connection, out: &mut BytesMut) -> Step<ToyJob> {
        self.journal.write(Event::Called(connection.id(), number(&frame)));
        match frame[12] {
            b'e' => out.put_slice(&frame),
            // A reply as large as the frame says.
            b'k' => put_large(out, &frame),
            b'b' => {
                let mut whole = BytesMut::new();
                put_large(&mut whole, &frame);
                out.put_slice(&whole.split_to(13));
                return Step::Body(whole.freeze());
            }
            b'F' => {
                let later = Arc::clone(&self.later);
                return Step::Later(Box::pin(async move {
                    later.acquire().await.unwrap().forget();
                    frame
                }));
            }
            b'f' => return Step::Later(Box::pin(async { panic!("a toy future panics") })),
            b'h' => {
                lock(&self.journal.handles).push(connection.clone());
                out.put_slice(&frame);
            }
            b'g' => {
                self.gate.pass();
                self.journal.write(Event::Ended(connection.id(), number(&frame)));
            }
            b'x' => return Step::Close(CloseReason::Undecodable("toy".into())),
            b'p' => {
                out.put_slice(b"half a reply");
                panic!("a toy service panics");
            }
            _ => return Step::Lane(ToyJob { id: connection.id(), frame, is_refused: false }),
        }
        Step::Done
    }
}

fn put_large(out: &mut BytesMut, frame: &[u8]) {
    let size = u32::from_be_bytes(*frame[13..].first_chunk().unwrap());
    out.put_u32(9 + size);
    out.put_slice(&frame[4..13]);
    out.put_bytes(b'.', size as usize);
}

struct ToyJob {
    id: ConnectionId,
    frame: Bytes,
    is_refused: bool,
}

impl LaneJob for ToyJob {
    fn weight(&self) -> usize {
        self.frame.len()
    }

    fn is_guest(&self) -> bool {
        self.frame[12] == b'G'
    }

    fn refuse(&mut self) {
        self.is_refused = true;
    }
}

struct ToyLane {
    journal: Arc<Journal>,
    gate: Arc<Gate>,
}

impl LaneService for ToyLane {
    type Job = ToyJob;

    fn run(&mut self, job: ToyJob, reply: ReplySink) {
        let number = number(&job.frame);
        assert_eq!(reply.connection(), job.id);
        self.journal.write(Event::Began(job.id, number));
        match job.frame[12] {
            b'G' if job.is_refused => {}
            b'w' | b'W' | b'G' => self.gate.pass(),
            b'q' => panic!("a toy lane service panics"),
            _ => {}
        }
        self.journal.write(Event::Ended(job.id, number));
        match job.frame[12] {
            // Oneway.
            b'o' | b'w' => {}
            // Answered later, by whoever takes it.
            b's' => lock(&self.journal.kept).push(reply),
            b'K' => {
                let mut out = BytesMut::new();
                put_large(&mut out, &job.frame);
                let head = out.split_to(13).freeze();
                reply.send_parts(head, out.freeze());
            }
            _ => reply.send(job.frame),
        }
    }

    fn connection_closed(&mut self, id: ConnectionId) {
        self.journal.write(Event::Closed(id));
    }
}

/// Waits for a number to become what it must become.
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::yield_now();
    }
}

fn position(events: &[Event], event: &Event) -> usize {
    events.iter().position(|one| one == event).unwrap_or_else(|| panic!("no {event:?} in {events:?}"))
}
