//! Frames in, replies out.

use proptest::prelude::{ProptestConfig, any, prop, prop_assert_eq, proptest};

use super::*;

#[test]
fn pipelined_frames_cost_one_read_and_their_replies_one_write() {
    let toy = Toy::start(config());
    let mut peer = toy.connect();
    let frames: Vec<u8> = (0..16).flat_map(|number| frame(number, b'e', b"payload")).collect();

    for _ in 0..10 {
        peer.send(&frames);
        let mut replies = vec![0; frames.len()];
        peer.0.read_exact(&mut replies).unwrap();
        assert_eq!(replies, frames);
    }

    let usage = toy.stop();
    assert_eq!((usage.reads, usage.writes, usage.frames), (10, 10, 160));
}

#[test]
fn a_connection_that_asks_for_much_at_once_does_not_keep_the_others_waiting() {
    const LARGE: u32 = 400_000;
    const COUNT: u32 = 40;
    let toy = Toy::start(NetConfig { workers: NonZeroUsize::MIN, ..config() });
    let (mut greedy, mut modest) = (toy.connect(), toy.connect());
    let large: Vec<u8> = (0..COUNT).flat_map(|number| frame(number, b'k', &LARGE.to_be_bytes())).collect();
    let small: Vec<u8> = (0..1000).flat_map(|number| frame(number, b'e', b"")).collect();

    for (frames, count) in [(large, COUNT), (small, 1000)] {
        let turns = || toy.connections.turns().counts.iter().sum::<u64>();
        let before = turns();
        greedy.send(&frames);
        modest.ping();
        assert_eq!(greedy.receive_numbers(count as usize), (0..count).collect::<Vec<_>>());
        // The sweeps' and the other connection's are among them, and change nothing of what is meant.
        assert!(turns() - before > u64::from(count) / 64, "{} turns for {count} frames", turns() - before);
    }
    toy.stop();
}

#[test]
fn a_frame_may_arrive_byte_by_byte() {
    let toy = Toy::start(config());
    let mut peer = toy.connect();
    let bytes = [frame(1, b'e', b"first"), frame(2, b'e', b"second")].concat();

    for byte in &bytes {
        peer.send(&[*byte]);
    }

    assert_eq!(peer.receive_numbers(2), [1, 2]);
    toy.stop();
}

#[test]
fn a_frame_may_begin_behind_another_and_end_much_later() {
    let toy = Toy::start(config());
    let mut peer = toy.connect();
    let large = frame(2, b'e', &vec![7; 3_000_000]);

    peer.send(&[&frame(1, b'e', b"")[..], &large[..100]].concat());
    assert_eq!(peer.receive_numbers(1), [1]);
    assert!(toy.connections.usage().partial_bytes < 100_000, "a claim of 3 MB is not yet 3 MB");
    let mut writer = Peer(peer.0.try_clone().unwrap());
    let rest = [&large[100..], &frame(3, b'e', b"")].concat();
    let writing = std::thread::spawn(move || writer.send(&rest));

    assert_eq!(peer.receive(), large);
    assert_eq!(peer.receive_numbers(1), [3]);
    writing.join().unwrap();
    eventually("an idle connection holds no buffer", || toy.connections.usage().partial_bytes == 0);
    toy.stop();
}

#[test]
fn a_body_that_others_share_follows_its_head_in_order() {
    let toy = Toy::start(config());
    let mut peer = toy.connect();
    let sizes = [10u32, 5_000_000, 0, 70_000];
    let mut frames: Vec<u8> = Vec::new();
    for (number, size) in (0..).zip(sizes) {
        frames.extend(frame(number, b'b', &size.to_be_bytes()));
        frames.extend(frame(100 + number, b'e', b""));
    }

    peer.send(&frames);

    for (number, size) in (0..).zip(sizes) {
        let reply = peer.receive();
        assert_eq!((super::number(&reply), reply.len()), (number, 13 + size as usize));
        assert_eq!(peer.receive_numbers(1), [100 + number]);
    }
    toy.stop();
}

#[test]
fn a_later_answer_comes_when_its_future_ends_and_holds_up_nobody() {
    let toy = Toy::start(config());
    let mut peer = toy.connect();

    peer.send(&[frame(1, b'F', b""), frame(2, b'e', b"")].concat());
    assert_eq!(peer.receive_numbers(1), [2]);
    peer.ping();
    assert_eq!(toy.connections.usage().delayed_replies, 1);
    toy.later.add_permits(1);

    assert_eq!(peer.receive_numbers(1), [1]);
    toy.stop();
}

#[test]
fn with_too_many_later_answers_under_way_reading_pauses() {
    let toy = Toy::start(NetConfig { delayed_replies_max: 2, ..config() });
    let mut peer = toy.connect();

    peer.send(&(1..=3).flat_map(|number| frame(number, b'F', b"")).collect::<Vec<_>>());
    peer.send(&frame(4, b'e', b""));
    toy.journal.wait_for(2, Event::Called);
    eventually("two are under way", || toy.connections.usage().delayed_replies == 2);
    assert_eq!(toy.connections.usage().frames, 2);
    toy.later.add_permits(1);
    assert_eq!(peer.receive_numbers(1), [1]);
    toy.journal.wait_for(3, Event::Called);
    toy.later.add_permits(2);

    let mut rest = peer.receive_numbers(3);
    rest.sort_unstable();
    assert_eq!(rest, [2, 3, 4]);
    toy.stop();
}

#[test]
fn a_reply_can_be_sent_long_after_its_job_by_another_thread() {
    let toy = Toy::start(config());
    let mut peer = toy.connect();

    peer.send(&[frame(1, b's', b""), frame(2, b's', b""), frame(3, b'l', b"")].concat());
    assert_eq!(peer.receive_numbers(1), [3]);
    let mut kept = std::mem::take(&mut *lock(&toy.journal.kept));
    let second = kept.pop().unwrap();
    drop(kept);
    std::thread::spawn(move || second.send(frame(2, b's', b"late").into())).join().unwrap();

    assert_eq!(peer.receive(), frame(2, b's', b"late"));
    toy.stop();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Tight limits everywhere, so that every kind of pause meets every kind of frame.
    #[test]
    fn however_frames_are_cut_and_mixed_each_is_answered_once(
        frames in prop::collection::vec((prop::sample::select(&b"ekblFK"[..]), 0u32..40_000), 1..200),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let toy = Toy::start(NetConfig {
            unsent_bytes_max: 20_000,
            unsent_bytes_total_max: 30_000,
            delayed_replies_max: 3,
            lane_bytes_max: 900,
            lane_bytes_total_max: NonZeroUsize::new(1200).unwrap(),
            ..config()
        });
        toy.later.add_permits(frames.len());
        let bytes: Vec<u8> = (0..)
            .zip(&frames)
            .flat_map(|(number, (what, size))| frame(number, *what, &size.to_be_bytes()))
            .collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();

        let mut peer = toy.connect();
        let mut writer = Peer(peer.0.try_clone().unwrap());
        let writing =
            std::thread::spawn(move || cuts.windows(2).for_each(|cut| writer.send(&bytes[cut[0]..cut[1]])));
        let mut answered = peer.receive_numbers(frames.len());
        writing.join().unwrap();

        // The lane answers in its own order; among themselves its answers keep theirs, and so do the worker's.
        let of = |kinds: &[u8]| {
            let is = |number: &&u32| kinds.contains(&frames[**number as usize].0);
            answered.iter().filter(is).copied().collect::<Vec<_>>()
        };
        let (lane, worker) = (of(b"lK"), of(b"ekb"));
        prop_assert_eq!(lane.is_sorted(), true);
        prop_assert_eq!(worker.is_sorted(), true);
        answered.sort_unstable();
        prop_assert_eq!(answered, (0..frames.len() as u32).collect::<Vec<_>>());
        drop(peer);
        toy.stop();
    }
}
