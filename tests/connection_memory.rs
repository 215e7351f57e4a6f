//! What a connection that says nothing holds on the heap. A binary of its own, for everything that it allocates counts.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fingerpost::net::{Connection, LaneJob, LaneService, Listener, NetConfig, ReplySink, Server, Service, Step};
use fingerpost::route::ConnectionId;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 1000;

/// Bytes asked for; the allocator adds a few to each, and the kernel keeps its own.
const BYTES_MAX: isize = 1280;

#[test]
fn a_silent_connection_holds_little_and_no_more_after_a_request() {
    let server = serve();
    let mut first = connect(&server);
    ask(&mut first);
    let before = held();

    let mut clients: Vec<_> = std::iter::repeat_with(|| connect(&server)).take(CONNECTIONS).collect();
    while server.connections().per_worker().iter().sum::<usize>() <= CONNECTIONS {
        std::thread::yield_now();
    }
    // Behind all of them, so they are served.
    ask(&mut connect(&server));
    let silent = held() - before;
    clients.iter_mut().for_each(ask);
    let asked = held() - before;

    let vec = (clients.capacity() * size_of::<TcpStream>()) as isize;
    let [silent, asked] = [silent, asked].map(|all| (all - vec) / CONNECTIONS as isize);
    println!("a connection holds {silent} bytes, and {asked} after a request");
    assert!(silent <= BYTES_MAX, "{silent} bytes, more than {BYTES_MAX}");
    assert!(asked <= silent + 64, "{asked} bytes after a request, {silent} before it");
    drop(clients);
    server.stop();
}

fn held() -> isize {
    let stats = HEAP.stats();
    stats.bytes_allocated as isize - stats.bytes_deallocated as isize
}

fn serve() -> Server {
    let address = (Ipv4Addr::LOCALHOST, 0).into();
    let config = NetConfig { address, workers: NonZeroUsize::MIN, ..NetConfig::default() };
    let listener = Listener::bind(config).expect("a free port");
    listener.serve(|| Duration::from_secs(120), || Echo, || Nobody).expect("threads")
}

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.local_addr()).expect("the server accepts")
}

/// A frame that is JSON with a header of no bytes: all that the sockets look at.
const FRAME: [u8; 8] = [0, 0, 0, 4, 0, 0, 0, 0];

fn ask(client: &mut TcpStream) {
    client.write_all(&FRAME).expect("the server reads");
    let mut reply = [0; FRAME.len()];
    client.read_exact(&mut reply).expect("an answer");
    assert_eq!(reply, FRAME);
}

struct Echo;

impl Service for Echo {
    type Job = NoJob;

    fn call(&mut self, frame: Bytes, _: &Connection, out: &mut BytesMut) -> Step<NoJob> {
        out.extend_from_slice(&frame);
        Step::Done
    }
}

enum NoJob {}

impl LaneJob for NoJob {
    fn weight(&self) -> usize {
        match *self {}
    }
}

struct Nobody;

impl LaneService for Nobody {
    type Job = NoJob;

    fn run(&mut self, job: NoJob, _: ReplySink) {
        match job {}
    }

    fn connection_closed(&mut self, _: ConnectionId) {}
}
