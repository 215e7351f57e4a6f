//! What readers find, and what administrators may change.

use super::*;

#[test]
fn a_route_names_every_entry_and_its_group_in_order_of_broker_name() {
    let scene = Scene::new();
    for name in ["b", "c", "a"] {
        scene.register(broker(name, 0, &format!("{name}0"))).unwrap();
    }

    let tables = scene.tables();
    let route = tables.route("t1").unwrap();

    let groups: Vec<_> = route.groups.iter().map(|group| &*group.broker_name).collect();
    let queues: Vec<_> = route.topic.queues.iter().map(|queue| &*queue.broker_name).collect();
    assert_eq!((groups.as_slice(), queues.as_slice()), (&["a", "b", "c"][..], &["a", "b", "c"][..]));
    assert_eq!(route.filter_servers.capacity(), 0);
    assert_eq!(route.mappings, None);
}

#[test]
fn an_unknown_topic_has_no_route() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();

    assert_eq!(scene.tables().route("other"), None);
    assert_eq!(scene.tables().route(""), None);
}

#[test]
fn slaves_without_a_master_are_shown_with_their_own_ids() {
    let scene = Scene::new();
    scene.register(broker("a", 3, "a3").acting(true)).unwrap();
    scene.register(broker("a", 5, "a5").acting(true)).unwrap();

    let route = scene.tables().route("t1").unwrap();

    assert_eq!(route.groups[0].addresses, [(3, "a3".into()), (5, "a5".into())]);
    assert!(route.groups[0].is_without_master());
    assert_eq!(route.groups[0].address(5), Some(&"a5".into()));
    assert_eq!(route.groups[0].address(0), None);
}

#[test]
fn filter_servers_are_looked_up_under_the_cluster_of_the_group() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0").filter_servers(&["f"])).unwrap();
    scene.register(broker("a", 1, "a1").cluster("other").filter_servers(&["g"])).unwrap();

    let shown = scene.tables().route("t1").unwrap().filter_servers;

    assert_eq!(shown, [("a0".into(), Arc::from(["f".into()]))]);
}

#[test]
fn lists_are_ascending_and_counted() {
    let scene = Scene::new();
    scene.register(broker("b", 0, "b0").topics(&["t3", "t1"])).unwrap();
    scene.register(broker("a", 0, "a0").topics(&["t2", "t1"])).unwrap();

    let tables = scene.tables();

    assert_eq!(scene.topics(), "t1 t2 t3");
    assert_eq!(tables.groups().map(|group| &*group.broker_name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(tables.live_brokers().map(|live| &**live.address()).collect::<Vec<_>>(), ["a0", "b0"]);
    assert_eq!(tables.counts(), Counts { topics: 3, groups: 2, brokers: 2, clusters: 1 });
}

#[test]
fn the_data_version_of_a_live_broker_is_what_it_published_last() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    scene.register(broker("a", 0, "a0").counter(7)).unwrap();

    assert_eq!(scene.tables().live(C, "a0").unwrap().data_version.counter, 7);
}

#[test]
fn tables_that_are_held_never_change() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    let held = scene.tables();

    scene.unregister(C, "a", 0, "a0");

    assert!(held.route("t1").is_some());
    assert!(scene.tables().route("t1").is_none());
    assert_eq!(held.generation() + 1, scene.tables().generation());
}

#[test]
fn permissions_change_on_every_entry_of_the_broker_and_are_counted() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0").topics(&["t1", "t2", "t3"]).perm(7)).unwrap();
    scene.register(broker("b", 0, "b0").perm(7)).unwrap();

    assert_eq!(scene.routes.change_permissions("a", !2, 0), 3);
    assert_eq!((scene.perm("t1", "a"), scene.perm("t1", "b")), (Some(5), Some(7)));
    assert_eq!(scene.routes.change_permissions("a", 0, 6), 3);
    assert_eq!(scene.perm("t1", "a"), Some(6));
    assert_eq!(scene.routes.change_permissions("nobody", 0, 6), 0);
}

#[test]
fn permissions_that_are_so_already_are_counted_but_publish_nothing() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    let before = scene.tables();

    assert_eq!(scene.routes.change_permissions("a", 0, 6), 2);

    assert!(Arc::ptr_eq(&before, &scene.tables()));
}

#[test]
fn a_deleted_topic_goes_everywhere_with_its_mappings() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0").mapping("t1", "a").mapping("s", "a")).unwrap();
    let before = scene.tables();

    scene.routes.delete_topic("t1", None);
    scene.routes.delete_topic("s", None);
    scene.routes.delete_topic("unknown", None);

    assert_eq!(scene.topics(), "t2");
    assert!(scene.tables().topic_names_version() > before.topic_names_version());
    assert_eq!(scene.tables().mappings.len(), 0);
}

#[test]
fn a_topic_is_deleted_on_the_brokers_of_one_cluster_only() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    scene.register(broker("b", 0, "b0").cluster("other").mapping("t1", "b")).unwrap();

    scene.routes.delete_topic("t1", Some("nowhere"));
    assert!(scene.perm("t1", "a").is_some());
    scene.routes.delete_topic("t1", Some("other"));
    assert_eq!((scene.perm("t1", "a"), scene.perm("t1", "b")), (Some(6), None));
    assert_eq!(scene.tables().route("t1").unwrap().mappings, None);
    scene.routes.delete_topic("t1", Some(C));
    assert_eq!(scene.topics(), "t2");
}

#[test]
fn a_new_topic_that_names_an_unknown_broker_is_not_stored_at_all() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();

    scene.routes.put_topic("t3", vec![queue("a", 6), queue("nobody", 6)]);
    scene.routes.put_topic("t4", vec![]);
    scene.routes.put_topic("", vec![queue("a", 6)]);

    assert_eq!(scene.topics(), "t1 t2");
}

#[test]
fn entries_are_put_in_order_until_one_names_an_unknown_broker() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    scene.register(broker("b", 0, "b0").topics(&["t2", "t3"])).unwrap();

    scene.routes.put_topic("t1", vec![queue("a", 4), queue("nobody", 6), queue("b", 6)]);
    scene.routes.put_topic("t5", vec![queue("b", 2), queue("a", 4), queue("a", 6)]);

    assert_eq!((scene.perm("t1", "a"), scene.perm("t1", "b")), (Some(4), None));
    assert_eq!((scene.perm("t5", "a"), scene.perm("t5", "b")), (Some(6), Some(2)));
    check(&scene.tables());
}
