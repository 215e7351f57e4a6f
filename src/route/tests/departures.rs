//! How brokers go, and what does not make them go.

use super::*;

#[test]
fn a_broker_that_leaves_takes_its_topics_group_and_cluster_with_it() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0").filter_servers(&["f"]).mapping("t1", "a")).unwrap();
    scene.register(broker("b", 0, "b0").topics(&["t2", "t3"]).cluster("other")).unwrap();

    let removed = scene.unregister(C, "a", 0, "a0").unwrap();

    assert_eq!((&*removed.broker_name, &*removed.address, removed.broker_id), ("a", "a0", 0));
    assert_eq!((removed.reason, removed.connection), (Removal::Unregistered, ConnectionId(1)));
    assert_eq!(removed.min_id_change, None);
    assert_eq!(scene.topics(), "t2 t3");
    assert_eq!(scene.clusters(), "other:b");
    assert_eq!(scene.perm("t2", "a"), None);
    check(&scene.tables());
}

#[test]
fn leaving_goes_by_address_whatever_id_and_cluster_the_request_names() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    scene.register(broker("b", 0, "b0")).unwrap();

    scene.unregister("wrong", "a", 7, "a0");

    assert_eq!(scene.clusters(), "cluster:b");
    check(&scene.tables());
}

#[test]
fn a_stranger_that_leaves_publishes_nothing() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    let before = scene.tables();

    assert_eq!(scene.unregister(C, "a", 0, "other"), None);
    assert_eq!(scene.unregister(C, "other", 0, "a0"), None);

    assert!(Arc::ptr_eq(&before, &scene.tables()));
}

#[test]
fn the_name_goes_from_every_cluster_when_the_group_does() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    scene.register(broker("a", 1, "a1").cluster("other")).unwrap();

    scene.unregister("other", "a", 1, "a1");
    assert_eq!(scene.clusters(), "cluster:a other:a");
    scene.unregister(C, "a", 0, "a0");
    assert_eq!(scene.clusters(), "");
    check(&scene.tables());
}

#[test]
fn a_group_that_allows_an_acting_master_becomes_read_only_without_its_master() {
    let scene = Scene::new();
    for name in ["a", "b"] {
        scene.register(broker(name, 0, &format!("{name}0")).acting(name == "a").perm(7)).unwrap();
        scene.register(broker(name, 1, &format!("{name}1")).acting(name == "a").perm(7)).unwrap();
    }

    scene.unregister(C, "a", 0, "a0");
    scene.unregister(C, "b", 0, "b0");

    assert_eq!((scene.perm("t1", "a"), scene.perm("t1", "b")), (Some(5), Some(7)));
    check(&scene.tables());
}

#[test]
fn a_master_that_comes_back_is_writable_again() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0").acting(true)).unwrap();
    scene.register(broker("a", 1, "a1").acting(true)).unwrap();
    scene.unregister(C, "a", 0, "a0");

    scene.register(broker("a", 0, "a0").acting(true)).unwrap();

    assert_eq!(scene.perm("t1", "a"), Some(6));
}

#[test]
fn losing_the_smallest_id_is_reported_with_what_is_left() {
    let scene = Scene::new();
    for id in 0..4 {
        scene.register(broker("a", id, &format!("a{id}"))).unwrap();
    }
    let leave = |id: i64| Departure {
        cluster: C.into(),
        broker_name: "a".into(),
        broker_id: id,
        address: format!("a{id}").into(),
    };

    assert_eq!(scene.routes.unregister(&leave(3)).unwrap().min_id_change, None);
    let removed = scene.routes.unregister_all(&[leave(0), leave(1)]);

    let left: Vec<_> = removed.iter().map(|one| one.min_id_change.as_ref().unwrap().addresses.clone()).collect();
    assert_eq!(left, [[(2, "a2".into())], [(2, "a2".into())]]);
    assert_eq!(scene.routes.unregister(&leave(2)).unwrap().min_id_change, None);
}

#[test]
fn a_batch_publishes_once() {
    let scene = Scene::new();
    let names: Vec<String> = (0..20).map(|number| format!("b{number}")).collect();
    names.iter().for_each(|name| drop(scene.register(broker(name, 0, name))));
    let before = scene.tables().generation();
    let leave = |name: &String| Departure {
        cluster: C.into(),
        broker_name: name.as_str().into(),
        broker_id: 0,
        address: name.as_str().into(),
    };

    let removed = scene.routes.unregister_all(&names.iter().map(leave).collect::<Vec<_>>());

    assert_eq!(removed.len(), 20);
    assert_eq!(scene.tables().generation(), before + 1);
    assert_eq!(scene.tables().counts(), Counts::default());
}

#[test]
fn every_broker_of_a_closed_connection_goes() {
    let scene = Scene::new();
    let other = connection(2);
    scene.register(broker("a", 0, "a0")).unwrap();
    scene.register(broker("b", 0, "b0").cluster("other")).unwrap();
    scene.register_on(&other, broker("c", 0, "c0")).unwrap();

    let removed = scene.routes.disconnect(&scene.connection);

    let names: Vec<_> = removed.iter().map(|one| (&*one.broker_name, one.reason)).collect();
    assert_eq!(names, [("a", Removal::Disconnected), ("b", Removal::Disconnected)]);
    assert_eq!(scene.clusters(), "cluster:c");
    check(&scene.tables());
}

#[test]
fn a_late_disconnect_does_not_evict_a_broker_that_came_back() {
    let scene = Scene::new();
    let new = connection(2);
    scene.register(broker("a", 0, "a0")).unwrap();
    scene.register_on(&new, broker("a", 0, "a0")).unwrap();

    assert!(scene.routes.disconnect(&scene.connection).is_empty());

    assert_eq!(scene.members("a"), "0=a0");
}

#[test]
fn a_heartbeat_does_not_bind_the_broker_to_another_connection() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();

    assert!(scene.routes.heartbeat(C, "a0", scene.now + 1));

    assert_eq!(scene.routes.disconnect(&scene.connection).len(), 1);
}

#[test]
fn nothing_registers_over_a_connection_that_has_closed() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    assert!(scene.connection.is_open());
    scene.routes.disconnect(&scene.connection);

    assert_eq!(scene.register(broker("a", 0, "a0")), Err(RegisterError::ConnectionClosed));

    assert!(!scene.connection.is_open());
    assert!(scene.routes.disconnect(&scene.connection).is_empty());
    assert_eq!(scene.tables().counts(), Counts::default());
}

#[test]
fn a_silent_broker_goes_after_its_own_timeout() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0").timeout(30_000)).unwrap();
    scene.register(broker("b", 0, "b0")).unwrap();

    assert!(scene.routes.expire(scene.now + 30_000).is_empty());
    let first = scene.routes.expire(scene.now + 30_001);
    assert!(scene.routes.expire(scene.now + 120_000).is_empty());
    let second = scene.routes.expire(scene.now + 120_001);

    assert_eq!((&*first[0].broker_name, first[0].reason), ("a", Removal::Expired));
    assert_eq!(first[0].connection, ConnectionId(1));
    assert_eq!(&*second[0].broker_name, "b");
    check(&scene.tables());
}

#[test]
fn a_timeout_of_zero_or_less_lasts_until_the_next_scan() {
    for timeout in [0, -1, i64::MIN] {
        let scene = Scene::new();
        scene.register(broker("a", 0, "a0").timeout(timeout)).unwrap();

        assert_eq!(scene.routes.expire(scene.now + 1).len(), 1, "timeout {timeout}");
    }
}

#[test]
fn a_heartbeat_keeps_a_broker_and_an_unknown_one_is_told_so() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();

    assert!(scene.routes.heartbeat(C, "a0", scene.now + 100_000));
    assert!(!scene.routes.heartbeat("other", "a0", scene.now));
    assert!(!scene.routes.heartbeat(C, "other", scene.now));

    assert!(scene.routes.expire(scene.now + 200_000).is_empty());
    assert_eq!(scene.routes.expire(scene.now + 220_001).len(), 1);
    assert!(!scene.routes.heartbeat(C, "a0", scene.now + 220_002));
}

#[test]
fn a_heartbeat_that_holds_older_tables_cannot_save_a_broker_that_expired() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    let older = scene.tables();
    scene.routes.expire(scene.now + 120_001);

    assert!(!older.live(C, "a0").unwrap().beat(scene.now + 120_001));
}

#[test]
fn a_member_under_a_second_cluster_name_expires_like_any_other() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    scene.register(broker("a", 1, "a1").cluster("other").timeout(0)).unwrap();

    assert_eq!(scene.routes.expire(scene.now + 1).len(), 1);

    assert_eq!(scene.members("a"), "0=a0");
    assert!(scene.routes.expire(scene.now + 2).is_empty());
    check(&scene.tables());
}

#[test]
fn an_expiry_of_thousands_is_one_publication() {
    let scene = Scene::new();
    for number in 0..2000 {
        scene.register(broker(&format!("b{number}"), 0, &format!("x{number}")).topics(&[])).unwrap();
    }
    let before = scene.tables().generation();

    assert_eq!(scene.routes.expire(scene.now + 120_001).len(), 2000);

    assert_eq!(scene.tables().generation(), before + 1);
}
