//! The order of writes.

use super::*;

#[test]
fn jobs_of_a_connection_run_one_at_a_time_in_order_and_its_close_comes_last() {
    let toy = Toy::start(NetConfig { lane_threads: NonZeroUsize::new(4).unwrap(), ..config() });
    let (count, peers) = (200, 4);
    for _ in 0..peers {
        let mut peer = toy.connect();
        peer.send(&(0..count).flat_map(|number| frame(number, b'o', b"")).collect::<Vec<_>>());
    }

    let closed = |events: &[Event]| events.iter().filter(|event| matches!(event, Event::Closed(_))).count();
    let events = toy.journal.wait(|events| closed(events) == peers);

    for id in events.iter().filter_map(|event| if let Event::Closed(id) = event { Some(*id) } else { None }) {
        let of_it = events.iter().filter(|event| match event {
            Event::Began(other, _) | Event::Ended(other, _) | Event::Closed(other) => *other == id,
            Event::Called(..) => false,
        });
        let mut expected: Vec<Event> =
            (0..count).flat_map(|number| [Event::Began(id, number), Event::Ended(id, number)]).collect();
        expected.push(Event::Closed(id));
        assert!(of_it.eq(&expected));
    }
    toy.stop();
}

#[test]
fn two_connections_run_in_parallel() {
    let toy = Toy::start(config());
    let (mut first, mut second) = (toy.connect(), toy.connect());

    first.send(&frame(1, b'W', b""));
    toy.journal.wait_for(1, Event::Began);
    second.send(&frame(2, b'W', b""));
    toy.journal.wait_for(2, Event::Began);
    toy.gate.open(2);

    assert_eq!((first.receive_numbers(1), second.receive_numbers(1)), (vec![1], vec![2]));
    toy.stop();
}

#[test]
fn jobs_of_guests_wait_for_one_another_and_leave_a_thread_to_the_others() {
    let toy = Toy::start(NetConfig { lane_threads: NonZeroUsize::new(3).unwrap(), ..config() });
    let mut guests: Vec<_> = (1..=4).map(|_| toy.connect()).collect();
    for (number, guest) in (1..).zip(&mut guests) {
        guest.send(&frame(number, b'G', b""));
        guest.ping_behind();
    }
    let running = |events: &[Event]| {
        let count = |is: fn(&Event) -> bool| events.iter().filter(|event| is(event)).count();
        count(|event| matches!(event, Event::Began(_, 1..=4))) - count(|event| matches!(event, Event::Ended(_, 1..=4)))
    };
    toy.journal.wait(|events| running(events) == 2);

    let mut other = toy.connect();
    other.send(&(100..110).flat_map(|number| frame(number, b'l', b"")).collect::<Vec<_>>());
    assert_eq!(other.receive_numbers(10), (100..110).collect::<Vec<_>>());
    toy.gate.open(4);

    for (number, guest) in (1..).zip(&mut guests) {
        assert_eq!(guest.receive_numbers(1), [number]);
    }
    let events = toy.journal.wait(|_| true);
    assert!((1..=events.len()).all(|until| running(&events[..until]) <= 2), "{events:?}");
    toy.stop();
}

/// With one thread for jobs of guests, and a patience that is not used up.
fn one_guest_at_a_time() -> NetConfig {
    let guest_patience = Duration::from_secs(3600);
    NetConfig { lane_threads: NonZeroUsize::new(2).unwrap(), guest_patience, ..config() }
}

#[test]
fn beyond_what_may_wait_jobs_of_guests_are_refused_at_once() {
    let toy = Toy::start(one_guest_at_a_time());
    let mut peers: Vec<_> = (0..66).map(|_| toy.connect()).collect();
    // One is run, and 64 wait.
    for (number, peer) in (0..).zip(&mut peers[..65]) {
        peer.send(&frame(number, b'G', b""));
        peer.ping_behind();
    }

    peers[65].send(&frame(65, b'G', b""));
    assert_eq!(peers[65].receive_numbers(1), [65]);
    toy.gate.open(65);
    for (number, peer) in (0..).zip(&mut peers[..65]) {
        assert_eq!(peer.receive_numbers(1), [number]);
    }
    toy.stop();
}

#[test]
fn a_job_of_a_guest_waits_no_longer_than_it_may_although_no_other_ever_ends() {
    let toy = Toy::start(NetConfig { guest_patience: Duration::from_millis(1), ..one_guest_at_a_time() });
    let (mut stuck, mut other) = (toy.connect(), toy.connect());
    stuck.send(&frame(1, b'G', b""));
    toy.journal.wait_for(1, Event::Began);

    other.send(&[frame(2, b'G', b""), frame(3, b'G', b""), frame(4, b'l', b"")].concat());
    assert_eq!(other.receive_numbers(3), [2, 3, 4], "what stands behind it waits no longer either");

    toy.gate.open(1);
    assert_eq!(stuck.receive_numbers(1), [1]);
    toy.stop();
}

#[test]
fn a_connection_that_is_closed_waits_no_longer_than_any_other() {
    let toy = Toy::start(NetConfig { guest_patience: Duration::from_millis(1), ..one_guest_at_a_time() });
    let (mut stuck, mut leaver) = (toy.connect(), toy.connect());
    stuck.send(&frame(1, b'G', b""));
    toy.journal.wait_for(1, Event::Began);

    leaver.send(&[frame(2, b'G', b""), frame(3, b'G', b"")].concat());
    leaver.ping_behind();
    drop(leaver);
    let id = toy.journal.wait_for(3, Event::Ended);
    toy.journal.wait(|events| events.contains(&Event::Closed(id)));

    toy.gate.open(1);
    toy.stop();
}

#[test]
fn a_connection_that_sends_more_and_more_does_not_wait() {
    let toy = Toy::start(one_guest_at_a_time());
    let (mut stuck, mut hoarder) = (toy.connect(), toy.connect());
    stuck.send(&frame(1, b'G', b""));
    toy.journal.wait_for(1, Event::Began);

    let half = vec![b'.'; config().lane_bytes_total_max.get() / 2 / 64];
    hoarder.send(&frame(3, b'G', b""));
    hoarder.ping_behind();
    hoarder.send(&frame(4, b'o', &half));
    assert_eq!(hoarder.receive_numbers(1), [3]);
    toy.journal.wait_for(4, Event::Ended);

    toy.gate.open(1);
    toy.stop();
}

#[test]
fn a_connection_with_many_jobs_lets_others_have_their_turn() {
    let toy = Toy::start(NetConfig { lane_threads: NonZeroUsize::MIN, ..config() });
    let (mut busy, mut other) = (toy.connect(), toy.connect());

    busy.send(&(1..=50).flat_map(|number| frame(number, b'W', b"")).collect::<Vec<_>>());
    toy.journal.wait_for(50, Event::Called);
    other.send(&frame(100, b'l', b""));
    toy.journal.wait_for(100, Event::Called);
    // Asked again, it has certainly been handed over.
    other.ping_behind();
    toy.gate.open(50);
    let events = toy.journal.wait(|events| events.iter().any(|event| matches!(event, Event::Ended(_, 50))));

    let (busy, other) = (toy.journal.wait_for(1, Event::Began), toy.journal.wait_for(100, Event::Began));
    assert!(position(&events, &Event::Began(other, 100)) < position(&events, &Event::Began(busy, 3)));
    toy.stop();
}

#[test]
fn jobs_of_a_closed_connection_still_run_before_its_close() {
    let toy = Toy::start(NetConfig { lane_threads: NonZeroUsize::MIN, ..config() });
    let mut peer = toy.connect();

    peer.send(&[frame(0, b'h', b""), frame(1, b'W', b""), frame(2, b'l', b"")].concat());
    let id = toy.journal.wait_for(1, Event::Began);
    toy.journal.wait_for(2, Event::Called);
    let connection = lock(&toy.journal.handles).pop().unwrap();
    assert!(connection.is_open() && connection.open_flag().is_open());
    drop(peer);
    eventually("it is closed", || !connection.is_open());
    assert_eq!(toy.connections.count(), 1, "its place is taken until the lane is done with it");
    toy.gate.open(1);

    let events = toy.journal.wait(|events| events.contains(&Event::Closed(id)));
    assert!(position(&events, &Event::Ended(id, 2)) < position(&events, &Event::Closed(id)));
    toy.stop();
}

#[test]
fn a_panic_in_the_lane_closes_its_connection_alone_and_the_close_still_runs() {
    let toy = Toy::start(NetConfig { lane_threads: NonZeroUsize::MIN, ..config() });
    let (mut peer, mut other) = (toy.connect(), toy.connect());

    peer.send(&frame(1, b'q', b""));
    peer.assert_closed();
    let id = toy.journal.wait_for(1, Event::Began);
    toy.journal.wait(|events| events.contains(&Event::Closed(id)));

    other.send(&frame(2, b'l', b""));
    assert_eq!(other.receive_numbers(1), [2]);
    toy.stop();
}

impl Peer {
    /// A frame that is answered by the worker, behind everything that was sent before.
    fn ping_behind(&mut self) {
        self.send(&frame(u32::MAX, b'e', b""));
        assert_eq!(self.receive_numbers(1), [u32::MAX]);
    }
}
