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

#[test]
fn beyond_what_may_wait_jobs_of_guests_are_run_to_be_refused() {
    // Two threads: one job runs, so many wait, and the one beyond those is run at once.
    let toy = Toy::start(NetConfig { lane_threads: NonZeroUsize::new(2).unwrap(), ..config() });
    let mut peers: Vec<_> = (0..66).map(|_| toy.connect()).collect();
    for (number, peer) in (0..).zip(&mut peers) {
        peer.send(&frame(number, b'G', b""));
        peer.ping_behind();
    }

    let began = |events: &[Event]| events.iter().filter(|event| matches!(event, Event::Began(..))).count();
    let events = toy.journal.wait(|events| began(events) == 2);
    assert!(events.iter().any(|event| matches!(event, Event::Began(_, 65))));
    toy.gate.open(66);
    for (number, peer) in (0..).zip(&mut peers) {
        assert_eq!(peer.receive_numbers(1), [number]);
    }
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
