//! How connections and servers end.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::*;

#[test]
fn an_undecodable_frame_closes_without_a_reply_but_those_before_it_are_answered() {
    let toy = Toy::start(config());
    let mut peer = toy.connect();

    peer.send(&[frame(1, b'e', b""), frame(2, b'x', b""), frame(3, b'e', b"")].concat());

    assert_eq!(peer.receive_to_end(), frame(1, b'e', b""));
    toy.stop();
}

#[test]
fn a_frame_too_short_to_hold_a_header_closes() {
    let toy = Toy::start(config());
    let mut peer = toy.connect();

    peer.send(&3u32.to_be_bytes());

    peer.assert_closed();
    toy.stop();
}

#[test]
fn a_silent_connection_is_closed_and_the_lane_hears_of_it() {
    let toy = Toy::start_with_idle_timeout(config(), || Duration::from_millis(40));
    let mut silent = toy.connect();

    let start = Instant::now();
    silent.assert_closed();

    assert!(start.elapsed() >= Duration::from_millis(40));
    toy.journal.wait(|events| matches!(events, [Event::Closed(_)]));
    toy.stop();
}

#[test]
fn each_connection_has_the_idle_timeout_of_the_moment_it_opened() {
    let seconds = Arc::new(AtomicU64::new(0));
    let toy = {
        let seconds = Arc::clone(&seconds);
        let config = NetConfig { workers: NonZeroUsize::MIN, ..config() };
        Toy::start_with_idle_timeout(config, move || Duration::from_secs(seconds.load(Relaxed)))
    };
    let mut patient = toy.connect();
    patient.ping();

    seconds.store(1, Relaxed);
    let mut impatient = toy.connect();
    let start = Instant::now();
    impatient.assert_closed();

    assert!(start.elapsed() >= Duration::from_secs(1));
    patient.ping();
    seconds.store(0, Relaxed);
    toy.connect().ping();
    toy.stop();
}

#[test]
fn a_connection_that_talks_is_not_idle() {
    let idle_timeout = Duration::from_millis(800);
    let config = NetConfig { workers: NonZeroUsize::MIN, ..config() };
    let toy = Toy::start_with_idle_timeout(config, move || idle_timeout);
    let (mut talking, mut silent) = (toy.connect(), toy.connect());
    silent.0.set_nonblocking(true).unwrap();

    // Until the silent one has been closed beside it, and for as long again.
    let mut closed = None;
    while closed.is_none_or(|at: Instant| at.elapsed() < idle_timeout) {
        talking.ping();
        if closed.is_none() && matches!(silent.0.read(&mut [0]), Ok(0)) {
            closed = Some(Instant::now());
        }
    }

    talking.ping();
    toy.stop();
}

#[test]
fn a_connection_can_be_closed_by_its_id() {
    let toy = Toy::start(config());
    let (mut peer, mut other) = (toy.connect(), toy.connect());
    peer.send(&frame(1, b'h', b""));
    peer.receive();
    let connection = lock(&toy.journal.handles).pop().unwrap();
    assert_eq!(connection.peer(), peer.0.local_addr().unwrap());

    toy.connections.close(connection.id());

    peer.assert_closed();
    assert!(!connection.is_open());
    toy.journal.wait(|events| events.contains(&Event::Closed(connection.id())));
    toy.connections.close(connection.id());
    other.ping();
    toy.stop();
}

#[test]
fn a_panic_of_the_service_closes_its_connection_alone_and_takes_half_a_reply_back() {
    let toy = Toy::start(NetConfig { workers: NonZeroUsize::MIN, ..config() });
    let (mut peer, mut other) = (toy.connect(), toy.connect());

    peer.send(&[frame(1, b'e', b""), frame(2, b'p', b"")].concat());

    assert_eq!(peer.receive_to_end(), frame(1, b'e', b""));
    other.ping();
    toy.stop();
}

#[test]
fn a_panic_of_a_future_closes_its_connection() {
    let toy = Toy::start(config());
    let mut peer = toy.connect();

    peer.send(&frame(1, b'f', b""));

    peer.assert_closed();
    toy.stop();
}

#[test]
fn what_is_under_way_for_a_peer_that_left_is_given_back() {
    let toy = Toy::start(config());
    let mut peer = toy.connect();

    peer.send(&[frame(1, b'F', b""), frame(2, b's', b""), frame(3, b'e', b"")].concat());
    assert_eq!(peer.receive_numbers(1), [3]);
    toy.journal.wait_for(2, Event::Ended);
    drop(peer);
    eventually("it is closed", || toy.connections.count() == 0);
    lock(&toy.journal.kept).drain(..).for_each(|sink| sink.send(frame(2, b's', b"").into()));

    toy.stop();
}

#[test]
fn a_stopping_server_gives_the_answers_it_owes_and_takes_no_more_questions() {
    let mut toy = Toy::start(config());
    let (mut peer, mut idle) = (toy.connect(), toy.connect());
    idle.ping();
    peer.send(&[frame(1, b'W', b""), frame(2, b'F', b""), frame(3, b'e', b"")].concat());
    assert_eq!(peer.receive_numbers(1), [3]);
    toy.journal.wait_for(1, Event::Began);
    let address = toy.server.as_ref().unwrap().local_addr();

    let server = toy.server.take().unwrap();
    let stopping = std::thread::spawn(move || server.stop());
    idle.assert_closed();
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    toy.gate.open(1);
    assert_eq!(peer.receive_numbers(1), [1]);
    toy.later.add_permits(1);

    assert_eq!(peer.receive_numbers(1), [2]);
    peer.assert_closed();
    stopping.join().unwrap();
    let closed = lock(&toy.journal.events).iter().filter(|event| matches!(event, Event::Closed(_))).count();
    assert_eq!(closed, 2);
    assert_eq!(toy.connections.usage().delayed_replies, 0);
}

#[test]
fn a_large_reply_still_leaves_when_the_server_stops() {
    let mut toy = Toy::start(config());
    let mut peer = toy.connect();
    let size = 30_000_000u32;
    peer.send(&frame(1, b'k', &size.to_be_bytes()));
    eventually("it waits", || toy.connections.usage().unsent_bytes > 0);

    let server = toy.server.take().unwrap();
    let stopping = std::thread::spawn(move || server.stop());

    assert_eq!(peer.receive().len(), size as usize + 13);
    peer.assert_closed();
    stopping.join().unwrap();
}

#[test]
fn a_peer_that_does_not_read_does_not_keep_the_server_from_stopping() {
    let toy = Toy::start(NetConfig { stop_timeout: Duration::from_millis(50), ..config() });
    let mut peer = toy.connect();
    peer.send(&frame(1, b'k', &30_000_000u32.to_be_bytes()));
    eventually("it waits", || toy.connections.usage().unsent_bytes > 0);

    toy.stop();
}

#[test]
fn a_job_that_does_not_end_does_not_keep_the_server_from_stopping() {
    let mut toy = Toy::start(NetConfig { stop_timeout: Duration::from_millis(50), ..config() });
    let mut peer = toy.connect();
    peer.send(&frame(1, b'W', b""));
    let id = toy.journal.wait_for(1, Event::Began);

    toy.server.take().unwrap().stop();

    peer.assert_closed();
    // Had the server waited for it, it would have lost its patience by now.
    toy.gate.open(1);
    assert_eq!(toy.journal.wait_for(1, Event::Ended), id);
}

#[test]
fn a_call_that_does_not_return_to_its_worker_does_not_keep_the_server_from_stopping() {
    let mut toy = Toy::start(NetConfig { stop_timeout: Duration::from_millis(50), ..config() });
    let mut peer = toy.connect();
    peer.send(&frame(1, b'g', b""));
    let id = toy.journal.wait_for(1, Event::Called);

    toy.server.take().unwrap().stop();

    toy.gate.open(1);
    assert_eq!(toy.journal.wait_for(1, Event::Ended), id);
    peer.assert_closed();
}

#[test]
fn a_dropped_server_ends_its_threads_without_waiting() {
    let mut toy = Toy::start(config());
    let mut peer = toy.connect();
    peer.send(&frame(1, b'F', b""));
    toy.journal.wait_for(1, Event::Called);

    drop(toy.server.take());

    peer.assert_closed();
    assert_eq!(toy.connections.count(), 0);
}

#[test]
fn a_service_that_cannot_be_made_is_an_error_of_serve() {
    let lane = || ToyLane { journal: Arc::default(), gate: Arc::default() };
    let service = || -> ToyService { panic!("a toy service cannot be made") };

    assert!(Listener::bind(config()).unwrap().serve(|| Duration::ZERO, service, lane).is_err());
}
