//! Who waits for a write, how long, and what they hear when the store goes away.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use super::*;

/// Keeps the writer thread inside a completion until the returned end is used or dropped.
pub(super) fn hold_writer(store: &KvStore) -> Sender<()> {
    let (release, released) = mpsc::channel();
    let (send, held) = mpsc::channel();
    let wait = Completion::new(move |_| {
        send.send(()).unwrap();
        let _ = released.recv();
    });
    store.delete("held", "held", wait).unwrap();
    held.recv().unwrap();
    release
}

fn reporting() -> (Completion, Receiver<Result<(), WriteError>>) {
    let (send, outcome) = mpsc::channel();
    (Completion::new(move |result| send.send(result).unwrap()), outcome)
}

#[test]
fn a_completion_comes_after_the_value_is_in_the_file_and_can_be_read() {
    let place = place();
    let store = Arc::new(open(&place.path));
    let (send, seen) = mpsc::channel();
    let (reader, path) = (store.clone(), place.path.clone());
    let look = Completion::new(move |result| {
        result.unwrap();
        send.send((reader.get("n", "k"), fs::read_to_string(path).unwrap())).unwrap();
    });

    store.put("n", "k", Some("v"), look).unwrap();

    let (value, file) = seen.recv().unwrap();
    assert_eq!(value.as_deref(), Some("v"));
    assert_eq!(file, r#"{"configTable":{"n":{"k":"v"}}}"#);
}

#[test]
fn reads_do_not_wait_for_writes_and_see_them_only_when_they_are_on_disk() {
    let place = place();
    let store = open(&place.path);
    let release = hold_writer(&store);
    let (done, outcome) = reporting();

    store.put("n", "k", Some("v"), done).unwrap();

    assert_eq!(store.get("n", "k"), None);
    release.send(()).unwrap();
    outcome.recv().unwrap().unwrap();
    assert_eq!(store.get("n", "k").as_deref(), Some("v"));
}

#[test]
fn writes_that_wait_together_share_one_publication_in_their_order() {
    let place = place();
    let store = open(&place.path);
    let release = hold_writer(&store);
    let before = store.snapshot().version();
    let (done, outcome) = reporting();

    store.put("n", "k", Some("1"), Completion::ignore()).unwrap();
    store.delete("n", "k", Completion::ignore()).unwrap();
    store.put("n", "k", Some("3"), done).unwrap();
    release.send(()).unwrap();

    outcome.recv().unwrap().unwrap();
    assert_eq!(store.get("n", "k").as_deref(), Some("3"));
    assert_eq!(store.snapshot().version(), before + 1);
}

fn push(queue: &Queue) {
    let change = Change::Put { namespace: "n".into(), key: "k".into(), value: None };
    queue.push(change, Completion::ignore()).unwrap();
}

#[test]
fn the_disk_waits_for_those_who_came_together_the_last_time() {
    let queue = Queue::with_patience(Duration::from_secs(600));
    let is_over = AtomicBool::new(false);
    push(&queue);

    let taken = thread::scope(|scope| {
        scope.spawn(|| {
            // The other one comes when the writer has begun to wait for it.
            while queue.wanted() < 2 && !is_over.load(Relaxed) {
                thread::yield_now();
            }
            push(&queue);
        });
        let taken = queue.take(2).unwrap();
        is_over.store(true, Relaxed);
        taken.len()
    });

    assert_eq!(taken, 2);
}

#[test]
fn the_disk_waits_no_longer_for_whoever_stays_away_or_when_the_queue_closes() {
    let queue = Queue::with_patience(Duration::ZERO);
    push(&queue);
    assert_eq!(queue.take(2).unwrap().len(), 1);

    let queue = Queue::with_patience(Duration::from_secs(600));
    push(&queue);
    queue.close();
    assert_eq!(queue.take(2).unwrap().len(), 1);
}

#[test]
fn a_queue_full_of_writes_is_busy_at_once_and_takes_more_when_it_has_moved() {
    let place = place();
    let store = open(&place.path);
    let release = hold_writer(&store);
    for _ in 0..QUEUE_WRITES_MAX {
        store.put("n", "k", Some("v"), Completion::ignore()).unwrap();
    }

    assert!(matches!(put(&store, "n", "k", Some("v")), Err(WriteError::Busy)));

    release.send(()).unwrap();
    let (done, outcome) = reporting();
    // Refused ones are told at once, so this ends as soon as the writer has taken its batch.
    while store.put("n", "k2", Some("v"), Completion::ignore()).is_err() {
        std::thread::yield_now();
    }
    store.put("n", "k", Some("last"), done).unwrap();
    outcome.recv().unwrap().unwrap();
    assert_eq!(store.get("n", "k").as_deref(), Some("last"));
}

#[test]
fn a_queue_full_of_bytes_is_busy() {
    let place = place();
    let store = open(&place.path);
    let _release = hold_writer(&store);
    let value = "v".repeat(VALUE_LEN_MAX);
    let fitting = QUEUE_BYTES_MAX / (VALUE_LEN_MAX + 2);
    for _ in 0..fitting {
        store.put("n", "k", Some(&value), Completion::ignore()).unwrap();
    }

    assert!(matches!(put(&store, "n", "k", Some(&value)), Err(WriteError::Busy)));
    store.put("n", "k", Some("small"), Completion::ignore()).unwrap();
}

#[test]
fn closing_writes_what_is_queued_and_refuses_what_comes_later() {
    let place = place();
    let store = open(&place.path);
    let outcomes: Vec<_> = (0..100)
        .map(|n| {
            let (done, outcome) = reporting();
            store.put("n", &n.to_string(), Some("v"), done).unwrap();
            outcome
        })
        .collect();

    store.close();

    for outcome in outcomes {
        outcome.try_recv().unwrap().unwrap();
    }
    assert!(matches!(put(&store, "n", "late", Some("v")), Err(WriteError::Closed)));
    assert_eq!(store.namespace("n").unwrap().entries().len(), 100);
    assert_eq!(open(&place.path).namespace("n").unwrap().entries().len(), 100);
}

#[test]
fn a_completion_may_write_close_and_drop_the_last_store() {
    let place = place();
    let store = Arc::new(open(&place.path));
    let release = hold_writer(&store);
    let (done, outcome) = reporting();
    let last = store.clone();
    let finish = Completion::new(move |_| {
        last.put("n", "from-a-completion", Some("v"), done).unwrap();
        last.close();
        drop(last);
    });
    store.put("n", "k", Some("v"), finish).unwrap();
    drop(store);

    release.send(()).unwrap();

    outcome.recv().unwrap().unwrap();
}

#[test]
fn a_completion_that_panics_harms_nobody_else() {
    let place = place();
    let store = open(&place.path);
    let release = hold_writer(&store);
    store.put("n", "a", Some("v"), Completion::new(|_| panic!("injected"))).unwrap();
    let (done, outcome) = reporting();
    store.put("n", "b", Some("v"), done).unwrap();

    release.send(()).unwrap();

    outcome.recv().unwrap().unwrap();
    put(&store, "n", "c", Some("v")).unwrap();
}

#[test]
fn a_dropped_completion_is_told_that_the_store_is_closed() {
    let (done, outcome) = reporting();

    drop(done);

    assert!(matches!(outcome.try_recv().unwrap(), Err(WriteError::Closed)));
}

#[test]
fn tracked_writes_are_answered_once_when_the_last_is_done_whenever_then_comes() {
    for then_first in [true, false] {
        let writes = Writes::new();
        let tracked: Vec<_> = (0..3).map(|_| writes.track()).collect();
        let (send, outcome) = mpsc::channel();
        let mut pending = Some((writes, send));
        let mut then = || {
            if let Some((writes, send)) = pending.take() {
                writes.then(move |result| send.send(result).unwrap());
            }
        };
        if then_first {
            then();
        }
        for done in tracked {
            assert!(outcome.try_recv().is_err());
            done.complete(Ok(()));
        }
        then();

        outcome.try_recv().unwrap().unwrap();
        assert!(outcome.try_recv().is_err());
    }
}

#[test]
fn tracked_writes_are_answered_with_the_error_that_came_first() {
    let writes = Writes::new();
    let (fine, busy, dropped) = (writes.track(), writes.track(), writes.track());
    let (send, outcome) = mpsc::channel();

    busy.complete(Err(WriteError::Busy));
    writes.then(move |result| send.send(result).unwrap());
    drop(dropped);
    fine.complete(Ok(()));

    assert!(matches!(outcome.try_recv().unwrap(), Err(WriteError::Busy)));
}

#[test]
fn a_call_without_writes_is_answered_at_once() {
    let (send, outcome) = mpsc::channel();

    Writes::new().then(move |result| send.send(result).unwrap());

    outcome.try_recv().unwrap().unwrap();
}

#[test]
fn a_refused_write_is_told_to_its_caller_and_to_the_call_it_belongs_to() {
    let place = place();
    let store = open(&place.path);
    let writes = Writes::new();
    store.put("n", "k", Some("v"), writes.track()).unwrap();
    let refusal = store.put(&"n".repeat(NAME_LEN_MAX + 1), "k", None, writes.track());
    let (send, outcome) = mpsc::channel();
    writes.then(move |result| send.send(result).unwrap());

    assert!(matches!(refusal, Err(WriteError::TooLong { .. })));
    assert!(matches!(outcome.recv().unwrap(), Err(WriteError::TooLong { .. })));
    assert_eq!(store.get("n", "k").as_deref(), Some("v"));
}

#[test]
fn many_threads_lose_neither_writes_nor_callbacks() {
    let place = place();
    let store = open(&place.path);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..25 {
                    let writes = Writes::new();
                    for key in ["a", "b"] {
                        store.put(&format!("{thread}"), &format!("{key}{n}"), Some("v"), writes.track()).unwrap();
                    }
                    let (send, outcome) = mpsc::channel();
                    writes.then(move |result| send.send(result).unwrap());
                    outcome.recv().unwrap().unwrap();
                }
            });
        }
    });

    assert!(contents(&store).values().all(|entries| entries.len() == 50));
    assert_eq!(contents(&store).len(), 4);
}
