//! Readers that look while writers write.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn readers_see_whole_registrations_while_writers_write() {
    let scene = Scene::new();
    let topics = ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"];
    let done = AtomicBool::new(false);

    let looks = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(|| read(&scene.routes, &topics, &done))).collect();
        let writers: Vec<_> = ["a", "b"]
            .into_iter()
            .enumerate()
            .map(|(at, name)| {
                let (scene, topics) = (&scene, &topics);
                scope.spawn(move || write(scene, name, at as u64 + 10, topics))
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Release);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum::<usize>()
    });

    assert!(looks > 0);
    assert_eq!(scene.tables().counts(), Counts::default());
}

/// Registers and leaves, again and again, each time with another permission on all topics.
fn write(scene: &Scene, name: &str, id: u64, topics: &[&str]) {
    for round in 0..200 {
        let connection = connection(id * 1000 + round);
        let perm = (round % 8) as i32;
        scene.register_on(&connection, broker(name, 0, name).topics(topics).perm(perm).counter(round as i64)).unwrap();
        assert!(scene.routes.heartbeat(C, name, scene.now));
        scene.register_on(&connection, broker(name, 0, name).topics(topics).perm(perm).counter(-1)).unwrap();
        assert_eq!(scene.routes.disconnect(&connection).len(), 1);
    }
}

fn read(routes: &RouteTable, topics: &[&str], done: &AtomicBool) -> usize {
    let (mut looks, mut seen) = (0, 0);
    loop {
        let last = done.load(Ordering::Acquire);
        let tables = routes.tables();
        check(&tables);
        assert!(tables.generation() >= seen, "time does not run back");
        seen = tables.generation();
        for name in ["a", "b"] {
            let perms: Vec<_> = topics.iter().map(|topic| Some(tables.topic(topic)?.queue(name)?.perm)).collect();
            assert!(perms.windows(2).all(|pair| pair[0] == pair[1]), "{name} is seen by half: {perms:?}");
        }
        looks += 1;
        if last {
            return looks;
        }
    }
}

#[test]
fn tables_that_readers_let_go_of_are_freed_by_the_next_writer() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    let held = scene.tables();
    let weak = Arc::downgrade(&held);
    scene.register(broker("b", 0, "b0")).unwrap();

    drop(held);
    assert!(weak.upgrade().is_some());
    scene.routes.expire(scene.now);

    assert!(weak.upgrade().is_none());
}
