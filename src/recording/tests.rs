//! What a record keeps, and for how long.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::*;
use crate::remoting::{Command, Fields, RequestCode, SerializeType};
use crate::server::tests::{bound_in, parts};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn frame(topic: &str) -> Vec<u8> {
    let fields = Some(Fields::from_iter([("topic", topic.to_owned())]));
    let mut out = BytesMut::new();
    Command { fields, ..Command::request(RequestCode(7), 1) }.encode(SerializeType::Json, &mut out).unwrap();
    out.to_vec()
}

fn caller() -> Connection {
    Connection::without_socket(SocketAddr::from(([10, 0, 0, 1], 5)))
}

/// A recorder that began at second 10, for so many seconds and bytes.
fn recorder(time: u64, bytes: u64) -> (Arc<Recorder>, Recording) {
    let recorder = Arc::new(Recorder::default());
    recorder.begin(seconds(10), Limits { time: seconds(time), size: ByteSize::new(bytes) }).unwrap();
    (Arc::clone(&recorder), Recording { recorder, moment: Moment::default() })
}

#[test]
fn steps_have_the_time_since_the_one_before_and_closes_are_among_them() {
    let (recorder, recording) = recorder(60, 10_000);
    let (one, other) = (caller(), caller());
    recorder.asked(&frame("a"), &one, seconds(10));
    recorder.asked(&frame("b"), &one, seconds(12));
    // Whoever looked at the clock before that.
    recorder.asked(&frame("c"), &one, seconds(11));
    recorder.closed(other.id(), seconds(12));
    recorder.closed(one.id(), seconds(13));
    recorder.closed(one.id(), seconds(14));

    let (progress, text) = recording.finish(seconds(15));

    assert_eq!((progress.requests, progress.bytes, progress.is_over), (3, text.len(), false));
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("request = ")).collect();
    let step = "[[case.step]]";
    assert_eq!(lines, [step, step, "wait = \"2000ms\"", step, step, "wait = \"1000ms\"", "close = \"10.0.0.1:5\""]);
    let hex: String = frame("b").iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(text.contains(&format!("request = {{ from = \"10.0.0.1:5\", frame-hex = \"{hex}\" }}\n")), "{text}");
}

#[test]
fn after_the_first_request_that_does_not_fit_none_is_kept_and_nothing_is_done_for_it() {
    let step = "[[case.step]]\n".len() + request(caller().peer(), &frame("a")).len();
    let (recorder, recording) = recorder(60, 3 * step as u64 - 1);
    for topic in ["a", "b"] {
        recorder.asked(&frame(topic), &caller(), seconds(10));
        assert!(recorder.is_on());
    }
    recorder.asked(&frame("a rather long one"), &caller(), seconds(10));
    assert!(!recorder.is_on());
    recorder.asked(&frame("d"), &caller(), seconds(10));

    let progress = recording.progress(seconds(10));

    assert_eq!((progress.requests, progress.is_full, progress.is_over), (2, true, true));
    assert!(progress.bytes < 3 * step);
}

#[test]
fn what_is_too_large_is_not_even_looked_at() {
    let (recorder, recording) = recorder(60, 10_000);

    recorder.asked(&[0; 5001], &caller(), seconds(10));

    let progress = recording.progress(seconds(10));
    assert_eq!((progress.unclear, progress.is_full), (0, true), "it is no request, but nobody has seen that");
}

#[test]
fn when_its_time_is_over_a_record_waits_and_nothing_is_kept_or_counted() {
    let (recorder, recording) = recorder(60, 10_000);
    recorder.asked(b"no frame", &caller(), seconds(69));
    recorder.asked(&frame("a"), &caller(), seconds(69));
    assert!(recorder.is_on());
    recorder.asked(&frame("a"), &caller(), seconds(70));

    assert!(!recorder.is_on());
    let (progress, _) = recording.finish(seconds(70));
    assert_eq!((progress.requests, progress.unclear, progress.is_over), (1, 1, true));
}

#[test]
fn one_records_at_a_time_and_whoever_gives_up_leaves_nothing_behind() {
    let (recorder, recording) = recorder(60, 10_000);
    let limits = Limits { time: seconds(1), size: ByteSize::mib(1) };
    assert_eq!(recorder.begin(seconds(100), limits), Err(StartError::Busy));

    drop(recording);

    assert!(!recorder.is_on() && recorder.lock().is_none());
    recorder.begin(seconds(100), limits).unwrap();
}

#[test]
fn what_is_beyond_the_limits_is_refused_and_the_next_one_may_record() {
    let home = tempfile::tempdir().unwrap();
    let server = bound_in(home.path());
    let (core, recorder) = (&parts(&server).core, &parts(&server).recorder);
    let start = |time, size| recorder.start(core, Limits { time, size }).map(drop);
    let fits = ByteSize::mib(1);

    assert_eq!(start(Duration::ZERO, fits), Err(StartError::Time));
    assert_eq!(start(TIME_MAX + Duration::from_millis(1), fits), Err(StartError::Time));
    assert_eq!(start(TIME_MAX, ByteSize::new(BYTES_MAX.get() + 1)), Err(StartError::Size));
    assert!(matches!(start(TIME_MAX, ByteSize::new(100)), Err(StartError::NoRoom { .. })));
    assert_eq!(start(TIME_MAX, BYTES_MAX), Ok(()));
    assert!(!recorder.is_on());
}
