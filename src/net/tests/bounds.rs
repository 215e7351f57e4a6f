//! What waits is bounded, and nothing of it is lost.

use super::*;

const KIB: usize = 1024;

#[test]
fn a_peer_that_does_not_read_is_not_read_and_then_gets_everything() {
    let toy = Toy::start(config());
    let (mut peer, mut other) = (toy.connect(), toy.connect());
    let (count, size) = (2000, 64 * KIB);
    let mut writer = Peer(peer.0.try_clone().unwrap());
    let writing = std::thread::spawn(move || {
        for number in 0..count {
            writer.send(&frame(number, b'k', &(size as u32).to_be_bytes()));
        }
    });

    eventually("replies wait", || toy.connections.usage().unsent_bytes >= 256 * KIB);
    for _ in 0..1000 {
        other.ping();
        let unsent = toy.connections.usage().unsent_bytes;
        assert!(unsent <= 256 * KIB + size + 13, "{unsent} bytes wait");
    }
    let called = toy.connections.usage().frames as usize - 1000;
    assert!(called < count as usize / 2, "{called} of {count} frames were handled for nobody");

    assert_eq!(peer.receive_numbers(count as usize), (0..count).collect::<Vec<_>>());
    writing.join().unwrap();
    toy.stop();
}

#[test]
fn a_peer_that_was_not_read_is_read_again_when_so_few_bytes_are_left() {
    let (max, resume) = (200 * KIB, 10 * KIB);
    let config =
        NetConfig { unsent_bytes_max: max, unsent_bytes_resume: resume, send_buffer_size: 8 * KIB, ..config() };
    let toy = Toy::start(config);
    let peer = toy.connections.connect_in_memory("192.0.2.7:1".parse().unwrap(), 100_000).unwrap();
    let size = 30_000u32;
    let frames: Vec<u8> = (0..100).flat_map(|number| frame(number, b'k', &size.to_be_bytes())).collect();
    assert_eq!(peer.send(&frames).unwrap(), frames.len());
    eventually("replies wait", || toy.connections.usage().unsent_bytes >= max);
    let handled = toy.connections.usage().frames;

    // It takes what is in the pipe, so that as much of what waits can follow, until it may be read again.
    while toy.connections.usage().frames == handled {
        let waiting = toy.connections.usage().unsent_bytes;
        peer.receive(1000);
        eventually("it moves on", || {
            let usage = toy.connections.usage();
            usage.unsent_bytes != waiting || usage.frames != handled
        });
        assert!(toy.connections.usage().frames == handled || waiting <= resume + 1000, "{waiting} bytes still waited");
    }
    drop(peer);
    toy.stop();
}

#[test]
fn when_too_much_waits_for_all_peers_those_that_read_are_still_served() {
    let limit = 512 * KIB;
    let toy = Toy::start(NetConfig { unsent_bytes_total_max: limit, ..config() });
    let size = 64 * KIB;
    let mut slow: Vec<Peer> = (0..8).map(|_| toy.connect()).collect();
    // Each wants more than the kernel takes.
    let count = 500;
    let frames: Vec<u8> = (0..count).flat_map(|number| frame(number, b'k', &(size as u32).to_be_bytes())).collect();
    slow.iter_mut().for_each(|peer| peer.send(&frames));
    eventually("replies wait", || toy.connections.usage().unsent_bytes >= limit);

    let mut reading = toy.connect();
    for _ in 0..100 {
        reading.send(&frame(0, b'k', &1000u32.to_be_bytes()));
        reading.receive();
        let unsent = toy.connections.usage().unsent_bytes;
        assert!(unsent <= limit + 9 * (size + 13), "{unsent} bytes wait");
    }

    for peer in &mut slow {
        assert_eq!(peer.receive_numbers(count as usize), (0..count).collect::<Vec<_>>());
    }
    toy.stop();
}

#[test]
fn a_huge_claim_is_refused_at_its_length_and_holds_nothing() {
    let toy = Toy::start(config());
    let mut peer = toy.connect();

    peer.send(&frame(1, b'e', b""));
    peer.receive();
    peer.send(&(16u32 * 1024 * 1024 - 3).to_be_bytes());

    peer.assert_closed();
    assert_eq!(toy.connections.usage().partial_bytes, 0);
    toy.stop();
}

#[test]
fn an_allowed_claim_holds_only_what_has_arrived() {
    let toy = Toy::start(config());
    let mut peer = toy.connect();

    peer.send(&(16u32 * 1024 * 1024 - 4).to_be_bytes());
    peer.send(&[0; 1000]);
    eventually("it has arrived", || toy.connections.usage().partial_bytes > 0);

    assert!(toy.connections.usage().partial_bytes <= 8 * KIB);
    drop(peer);
    toy.stop();
}

#[test]
fn partial_frames_that_exceed_their_memory_close_their_connection_and_spare_small_ones() {
    let toy = Toy::start(NetConfig { partial_bytes_total_max: 100 * KIB, ..config() });
    let (mut large, mut small) = (toy.connect(), toy.connect());

    large.send(&1_000_000u32.to_be_bytes());
    small.send(&frame(1, b'e', b"small")[..7]);
    // The server closes in the middle of it.
    let _ = large.0.write_all(&vec![0; 900_000]);
    large.assert_closed();

    small.send(&frame(1, b'e', b"small")[7..]);
    assert_eq!(small.receive_numbers(1), [1]);
    toy.stop();
}

#[test]
fn a_full_lane_pauses_reading_and_drops_nothing() {
    let toy = Toy::start(NetConfig { lane_bytes_total_max: NonZeroUsize::new(1000).unwrap(), ..config() });
    let (mut peer, mut other) = (toy.connect(), toy.connect());
    let count = 40;

    peer.send(&(0..count).flat_map(|number| frame(number, b'W', &[0; 287])).collect::<Vec<_>>());
    // Three fit, the fourth waits for room.
    toy.journal.wait_for(3, Event::Called);
    peer.send(&frame(100, b'e', b""));
    other.ping();
    assert_eq!(toy.connections.usage().lane_bytes, 900);
    assert_eq!(toy.connections.usage().frames, 5);
    toy.gate.open(count as usize);

    let mut numbers = peer.receive_numbers(count as usize + 1);
    numbers.retain(|number| *number != 100);
    assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    toy.stop();
}

#[test]
fn a_connection_with_too_many_bytes_in_the_lane_leaves_room_for_others() {
    let toy = Toy::start(NetConfig { lane_bytes_max: 1000, ..config() });
    let (mut greedy, mut other) = (toy.connect(), toy.connect());

    greedy.send(&(0..100).flat_map(|number| frame(number, b'W', &[0; 487])).collect::<Vec<_>>());
    toy.journal.wait_for(1, Event::Called);
    other.send(&frame(200, b'l', b""));
    assert_eq!(other.receive_numbers(1), [200]);
    // The other one's job is given back a moment after its reply has left.
    eventually("two of the greedy one are in the lane", || toy.connections.usage().lane_bytes == 1000);
    toy.gate.open(100);

    assert_eq!(greedy.receive_numbers(100), (0..100).collect::<Vec<_>>());
    toy.stop();
}

#[test]
fn a_job_larger_than_the_lane_goes_through_alone() {
    let toy = Toy::start(NetConfig { lane_bytes_total_max: NonZeroUsize::new(1000).unwrap(), ..config() });
    let (mut peer, mut other) = (toy.connect(), toy.connect());

    other.send(&frame(1, b'W', b""));
    toy.journal.wait_for(1, Event::Began);
    peer.send(&frame(2, b'l', &[0; 50_000]));
    toy.journal.wait_for(2, Event::Called);
    toy.gate.open(1);

    assert_eq!(other.receive_numbers(1), [1]);
    assert_eq!(peer.receive_numbers(1), [2]);
    toy.stop();
}

#[test]
fn jobs_of_a_peer_that_does_not_read_wait_without_a_thread() {
    let toy = Toy::start(NetConfig { lane_threads: NonZeroUsize::MIN, ..config() });
    let (mut slow, mut other) = (toy.connect(), toy.connect());
    // Left alone, the kernel of some machines takes all of it.
    socket2::SockRef::from(&slow.0).set_recv_buffer_size(64 * KIB).unwrap();
    let (count, size) = (30, 1_000_000u32);

    slow.send(&(0..count).flat_map(|number| frame(number, b'K', &size.to_be_bytes())).collect::<Vec<_>>());
    eventually("a reply waits", || toy.connections.usage().unsent_bytes >= 256 * KIB);
    for number in 100..110 {
        other.send(&frame(number, b'l', b""));
        assert_eq!(other.receive_numbers(1), [number]);
        assert!(toy.connections.usage().unsent_bytes <= 256 * KIB + size as usize + 13);
    }
    // The kernel cannot have taken 30 MB.
    eventually("a reply waits still", || toy.connections.usage().unsent_bytes > 0);

    assert_eq!(slow.receive_numbers(count as usize), (0..count).collect::<Vec<_>>());
    toy.stop();
}

#[test]
fn a_connection_too_many_is_reset_at_once() {
    let toy = Toy::start(NetConfig { connections_max: 2, ..config() });
    let (mut first, mut second) = (toy.connect(), toy.connect());
    first.ping();
    second.ping();

    let refused = toy.connect().0.read(&mut [0]).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionReset);
    second.ping();
    drop(first);
    toy.journal.wait(|events| events.iter().any(|event| matches!(event, Event::Closed(_))));
    eventually("its place is free", || toy.connections.count() == 1);

    toy.connect().ping();
    assert_eq!(toy.stop().refused, 1);
}

#[test]
fn connections_spread_evenly_over_the_workers() {
    let toy = Toy::start(NetConfig { workers: NonZeroUsize::new(3).unwrap(), ..config() });
    let mut peers: Vec<Peer> = (0..30).map(|_| toy.connect()).collect();
    peers.iter_mut().for_each(Peer::ping);
    assert_eq!(toy.connections.per_worker(), [10, 10, 10]);

    peers.drain(..15);
    eventually("the closed ones are gone", || toy.connections.count() == 15);
    peers.extend((0..15).map(|_| toy.connect()));
    peers.iter_mut().for_each(Peer::ping);

    assert_eq!(toy.connections.per_worker(), [10, 10, 10]);
    toy.stop();
}
