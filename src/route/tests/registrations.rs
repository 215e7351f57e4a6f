//! What a registration does, rule by rule.

use super::*;

#[test]
fn a_first_registration_lists_the_broker_its_topics_and_its_cluster() {
    let scene = Scene::new();

    let registered = scene.register(broker("a", 0, "a0")).unwrap();

    assert_eq!(registered, Registered { newcomer: true, ..Registered::default() });
    assert_eq!(scene.members("a"), "0=a0");
    assert_eq!(scene.topics(), "t1 t2");
    assert_eq!(scene.clusters(), "cluster:a");
    check(&scene.tables());
}

#[test]
fn a_registration_that_is_refused_publishes_nothing() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    let before = scene.tables();
    let closed = connection(2);
    scene.routes.disconnect(&closed);

    let invalid = |broker: Broker| matches!(scene.register(broker), Err(RegisterError::Invalid(_)));
    assert!(invalid(broker("", 0, "b0")));
    assert!(invalid(broker("b", 0, "")));
    assert!(invalid(broker("b", 0, "b0").cluster("")));
    assert!(invalid(broker("b", 0, "b0").topics(&["t3", ""])));
    assert_eq!(scene.register(broker("b", 0, "b0").topics(&["t3"])), Err(RegisterError::SingleTopic));
    assert_eq!(scene.register_on(&closed, broker("b", 0, "b0")), Err(RegisterError::ConnectionClosed));

    assert!(Arc::ptr_eq(&before, &scene.tables()));
}

#[test]
fn a_single_topic_is_taken_from_a_broker_that_is_registered() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0").topics(&[])).unwrap();

    scene.register(broker("a", 0, "a0").topics(&["t3"])).unwrap();

    assert_eq!(scene.topics(), "t3");
}

#[test]
fn a_single_topic_under_a_new_id_is_refused_and_the_old_id_stays() {
    let scene = Scene::new();
    scene.register(broker("a", 1, "x")).unwrap();

    assert_eq!(scene.register(broker("a", 0, "x").topics(&["t3"])), Err(RegisterError::SingleTopic));

    assert_eq!(scene.members("a"), "1=x");
}

#[test]
fn a_registration_that_says_nothing_new_publishes_nothing_but_counts_as_a_sign_of_life() {
    let mut scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    let before = scene.tables();

    scene.now += 100_000;
    let registered = scene.register(broker("a", 0, "a0")).unwrap();

    assert!(!registered.newcomer);
    assert!(Arc::ptr_eq(&before, &scene.tables()));
    assert!(scene.routes.expire(scene.now + 120_000).is_empty());
}

#[test]
fn a_group_keeps_its_first_cluster_and_is_listed_in_both() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();

    scene.register(broker("a", 1, "a1").cluster("other")).unwrap();

    assert_eq!(&*scene.tables().group("a").unwrap().cluster, C);
    assert_eq!(scene.clusters(), "cluster:a other:a");
    check(&scene.tables());
}

#[test]
fn a_broker_that_names_another_cluster_leaves_one_live_entry() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0").filter_servers(&["f"])).unwrap();
    let before = scene.tables().route("t1").unwrap().version();

    scene.register(broker("a", 0, "a0").cluster("other")).unwrap();

    let tables = scene.tables();
    assert!(tables.live(C, "a0").is_none());
    assert!(tables.live("other", "a0").is_some());
    assert!(tables.route("t1").unwrap().filter_servers.is_empty());
    assert_ne!(tables.route("t1").unwrap().version(), before);
    check(&tables);
}

#[test]
fn zone_and_acting_master_are_the_groups_and_the_last_registration_wins() {
    let scene = Scene::new();
    let zone = || scene.tables().group("a").unwrap().zone_name.as_deref().map(str::to_owned);
    let acting = || scene.tables().group("a").unwrap().enable_acting_master;

    scene.register(broker("a", 0, "a0").zone("z1").acting(true)).unwrap();
    assert_eq!((zone().as_deref(), acting()), (Some("z1"), true));
    scene.register(broker("a", 1, "a1").zone("z2").acting(false)).unwrap();
    assert_eq!((zone().as_deref(), acting()), (Some("z2"), false));
    scene.register(broker("a", 0, "a0")).unwrap();
    assert_eq!((zone(), acting()), (None, false));
}

#[test]
fn a_role_switch_moves_the_address_to_its_new_id() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "x")).unwrap();
    scene.register(broker("a", 1, "y")).unwrap();

    scene.register(broker("a", 2, "x")).unwrap();

    assert_eq!(scene.members("a"), "1=y 2=x");
    check(&scene.tables());
}

#[test]
fn an_address_that_replaces_another_takes_its_live_entry_and_filter_servers_away() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "old").filter_servers(&["f"])).unwrap();

    scene.register(broker("a", 0, "new")).unwrap();

    assert_eq!(scene.members("a"), "0=new");
    assert!(scene.tables().live(C, "old").is_none());
    assert!(!scene.routes.heartbeat(C, "old", scene.now));
    check(&scene.tables());
}

#[test]
fn an_address_that_joins_another_group_leaves_its_old_one() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "x").topics(&["t1", "t2"])).unwrap();

    scene.register(broker("b", 0, "x").topics(&["t2", "t3"])).unwrap();

    assert_eq!((scene.members("a").as_str(), scene.members("b").as_str()), ("", "0=x"));
    assert_eq!(scene.topics(), "t2 t3");
    assert_eq!(scene.clusters(), "cluster:b");
    check(&scene.tables());
}

#[test]
fn an_older_state_version_succeeds_emptily_and_loses_only_its_own_entry() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "new").state_version(5)).unwrap();
    scene.register(broker("a", 1, "old").state_version(3)).unwrap();

    let registered = scene.register(broker("a", 0, "old").state_version(4).zone("z").topics(&["t8", "t9"])).unwrap();

    assert_eq!(registered, Registered::default());
    assert_eq!(scene.members("a"), "0=new");
    assert!(scene.tables().live(C, "old").is_none());
    assert_eq!(scene.tables().group("a").unwrap().zone_name, None);
    assert_eq!(scene.topics(), "t1 t2");
    check(&scene.tables());
}

#[test]
fn an_older_state_version_from_a_stranger_publishes_nothing() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "new").state_version(5)).unwrap();
    let before = scene.tables();

    assert_eq!(scene.register(broker("a", 0, "stranger").state_version(4)), Ok(Registered::default()));

    assert!(Arc::ptr_eq(&before, &scene.tables()));
}

#[test]
fn an_equal_state_version_replaces_the_address() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "x").state_version(5)).unwrap();

    scene.register(broker("a", 0, "y").state_version(5)).unwrap();

    assert_eq!(scene.members("a"), "0=y");
}

#[test]
fn the_same_data_version_changes_no_topic_but_adds_new_ones() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0").perm(6)).unwrap();

    scene.register(broker("a", 0, "a0").topics(&["t1", "t3"]).perm(4)).unwrap();

    assert_eq!(scene.perm("t1", "a"), Some(6));
    assert_eq!(scene.perm("t3", "a"), Some(4));
    assert_eq!(scene.perm("t2", "a"), Some(6));
}

#[test]
fn a_data_version_that_is_older_but_different_changes_topics() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0").counter(9).perm(6)).unwrap();

    scene.register(broker("a", 0, "a0").counter(8).perm(4)).unwrap();

    assert_eq!(scene.perm("t1", "a"), Some(4));
}

#[test]
fn wiped_permissions_survive_until_the_data_version_changes() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    scene.routes.change_permissions("a", !2, 0);

    scene.register(broker("a", 0, "a0")).unwrap();
    assert_eq!(scene.perm("t1", "a"), Some(4));

    scene.register(broker("a", 0, "a0").counter(2)).unwrap();
    assert_eq!(scene.perm("t1", "a"), Some(6));
}

#[test]
fn an_id_nobody_held_publishes_its_topics_whatever_the_data_version() {
    let scene = Scene::new();
    scene.register(broker("a", 1, "x").acting(true)).unwrap();
    assert_eq!(scene.perm("t1", "a"), Some(4));

    scene.register(broker("a", 0, "x").acting(true)).unwrap();

    assert_eq!(scene.perm("t1", "a"), Some(6));
}

#[test]
fn a_slave_too_old_to_know_acting_masters_publishes_no_topics() {
    let scene = Scene::new();
    scene.register(broker("a", 1, "a1")).unwrap();

    assert_eq!(scene.topics(), "");
}

#[test]
fn the_prime_slave_publishes_topics_and_with_an_acting_master_without_the_write_bit() {
    let scene = Scene::new();
    scene.register(broker("a", 1, "a1").acting(false)).unwrap();
    scene.register(broker("b", 1, "b1").acting(true).perm(7)).unwrap();

    assert_eq!(scene.perm("t1", "a"), Some(6));
    assert_eq!(scene.perm("t1", "b"), Some(5));
}

#[test]
fn a_slave_that_is_not_the_smallest_publishes_no_topics() {
    let scene = Scene::new();
    scene.register(broker("a", 1, "a1").acting(true).topics(&[])).unwrap();
    scene.register(broker("a", 2, "a2").acting(true)).unwrap();

    assert_eq!(scene.topics(), "");
}

#[test]
fn topics_a_broker_no_longer_has_stay_unless_it_asks_otherwise() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0").topics(&["t1", "t2"])).unwrap();
    scene.register(broker("b", 0, "b0").topics(&["t1", "t3"])).unwrap();

    scene.register(broker("a", 0, "a0").topics(&[]).counter(2)).unwrap();
    assert_eq!(scene.topics(), "t1 t2 t3");

    scene.register(broker("a", 0, "a0").topics(&["t2"]).delete_missing()).unwrap();
    assert_eq!(scene.topics(), "t1 t2 t3");
    assert_eq!(scene.perm("t1", "a"), None);

    scene.register(broker("a", 0, "a0").topics(&[]).delete_missing()).unwrap();
    assert_eq!(scene.topics(), "t1 t3");
}

#[test]
fn missing_topics_are_told_by_the_key_they_stand_under() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0").topics(&["t1", "t2"])).unwrap();
    let mut again = broker("a", 0, "a0").topics(&["t1", "t2"]).delete_missing().counter(2);
    again.table.topics[0].key = Some("other".into());
    again.table.topics[0].perm = 4;

    scene.register(again).unwrap();

    // Deleted for its key, then put back for its name, as in Java.
    assert_eq!(scene.perm("t1", "a"), Some(4));
}

#[test]
fn a_broker_with_static_topics_deletes_no_missing_ones() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0").topics(&["t1", "t2"])).unwrap();

    scene.register(broker("a", 0, "a0").topics(&[]).mapping("s", "a").delete_missing()).unwrap();

    assert_eq!(scene.topics(), "t1 t2");
}

#[test]
fn mappings_follow_the_data_version_and_the_name_inside() {
    let scene = Scene::new();
    let brokers = |topic: &str| -> String {
        let mappings = scene.tables().route(topic).unwrap().mappings;
        mappings.iter().flat_map(|mappings| mappings.keys()).map(|name| &**name).collect()
    };
    scene.register(broker("b", 0, "b0")).unwrap();
    scene.register(broker("a", 0, "a0")).unwrap();

    scene.register(broker("a", 0, "a0").mapping("t1", "a")).unwrap();
    assert_eq!(brokers("t1"), "");
    scene.register(broker("a", 0, "a0").counter(2).mapping("t1", "b").mapping("t1", "nobody")).unwrap();
    assert_eq!(brokers("t1"), "b");
    scene.register(broker("a", 0, "a0").counter(3)).unwrap();
    assert_eq!(brokers("t1"), "b");
    scene.unregister(C, "b", 0, "b0");
    assert_eq!(brokers("t1"), "");
    check(&scene.tables());
}

#[test]
fn a_mapping_that_changes_gives_its_route_a_new_version() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    let before = scene.tables().route("t1").unwrap().version();

    scene.register(broker("a", 0, "a0").counter(2).mapping("t1", "a")).unwrap();

    assert!(scene.tables().route("t1").unwrap().version() > before);
}

#[test]
fn filter_servers_are_kept_replaced_and_removed() {
    let scene = Scene::new();
    let servers = || -> Vec<String> {
        let found = scene.tables().route("t1").unwrap().filter_servers;
        found.iter().flat_map(|(address, servers)| servers.iter().map(move |s| format!("{address}>{s}"))).collect()
    };
    scene.register(broker("a", 0, "a0").filter_servers(&["f1", "f2"])).unwrap();
    assert_eq!(servers(), ["a0>f1", "a0>f2"]);

    let before = scene.tables().route("t1").unwrap().version();
    scene.register(broker("a", 0, "a0")).unwrap();
    assert_eq!(servers(), ["a0>f1", "a0>f2"]);
    scene.register(broker("a", 0, "a0").filter_servers(&["f3"])).unwrap();
    assert_eq!(servers(), ["a0>f3"]);
    assert!(scene.tables().route("t1").unwrap().version() > before);
    scene.register(broker("a", 0, "a0").filter_servers(&[])).unwrap();
    assert!(servers().is_empty());
}

#[test]
fn a_slave_is_told_its_master_only_if_that_is_alive_in_the_cluster_it_names() {
    let scene = Scene::new();
    let masterless = scene.register(broker("a", 1, "a1")).unwrap();
    scene.register(broker("a", 0, "a0")).unwrap();

    let slave = scene.register(broker("a", 1, "a1")).unwrap();
    let stranger = scene.register(broker("a", 2, "a2").cluster("other")).unwrap();

    assert_eq!(masterless.master_address, None);
    assert_eq!((slave.master_address.as_deref(), slave.ha_address.as_deref()), (Some("a0"), Some("a0-ha")));
    assert_eq!((stranger.master_address, stranger.ha_address), (None, None));
}

#[test]
fn a_smaller_id_than_any_before_is_reported_but_not_for_the_first_member() {
    let scene = Scene::new();
    let first = scene.register(broker("a", 2, "a2")).unwrap();
    let smaller = scene.register(broker("a", 1, "a1")).unwrap();
    let larger = scene.register(broker("a", 3, "a3")).unwrap();

    assert_eq!(first.min_id_change, None);
    assert_eq!(smaller.min_id_change.unwrap().min_id(), Some(&(1, "a1".into())));
    assert_eq!(larger.min_id_change, None);
}

#[test]
fn a_slave_that_joins_touches_no_topic() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    let before = scene.tables();

    scene.register(broker("a", 1, "a1")).unwrap();

    let after = scene.tables();
    assert!(Arc::ptr_eq(before.topic("t1").unwrap(), after.topic("t1").unwrap()));
    assert!(Arc::ptr_eq(&before.topics(), &after.topics()));
    assert!(after.route("t1").unwrap().version() > before.route("t1").unwrap().version());
}

#[test]
fn only_topics_that_differ_are_replaced() {
    let scene = Scene::new();
    scene.register(broker("a", 0, "a0")).unwrap();
    let before = scene.tables();
    let mut again = broker("a", 0, "a0").counter(2);
    again.table.topics[1].write_queue_nums = 3;

    scene.register(again).unwrap();

    let after = scene.tables();
    assert!(Arc::ptr_eq(before.topic("t1").unwrap(), after.topic("t1").unwrap()));
    assert_eq!(after.topic("t2").unwrap().version, after.generation());
    assert_eq!(after.topic_names_version(), before.topic_names_version());
}

/// Told as a difference from a table that came before, with these topics only.
fn since(before: &Imprint, kept: usize, broker: Broker) -> (Registration, Told) {
    let imprint: Imprint = Arc::new(());
    let since = Since { imprint: Imprint::clone(before), kept, mappings_kept: false };
    (broker.registration, Told { table: broker.table, since: Some(since), imprint: Some(imprint) })
}

fn imprint(scene: &Scene) -> Imprint {
    let tables = scene.tables();
    tables.imprints(scene.connection.id()).next().cloned().expect("a table was told")
}

fn tell(scene: &Scene, (registration, told): (Registration, Told)) -> Result<Registered, RegisterError> {
    scene.routes.register(registration, told, &scene.connection, scene.now)
}

fn tell_whole(scene: &Scene, broker: Broker) -> Imprint {
    let imprint: Imprint = Arc::new(());
    let told = Told { table: broker.table, since: None, imprint: Some(imprint) };
    tell(scene, (broker.registration, told)).unwrap();
    self::imprint(scene)
}

#[test]
fn a_table_with_a_new_version_alone_publishes_no_topic() {
    let scene = Scene::new();
    let imprint = tell_whole(&scene, broker("a", 0, "a0"));
    let before = scene.tables();

    tell(&scene, since(&imprint, 2, broker("a", 0, "a0").topics(&[]).counter(2))).unwrap();

    let after = scene.tables();
    assert!(Arc::ptr_eq(before.topic("t1").unwrap(), after.topic("t1").unwrap()));
    assert_eq!(before.route("t1").unwrap().version(), after.route("t1").unwrap().version());
    assert_eq!(before.routes_version(), after.routes_version());
    assert_eq!(after.live(C, "a0").unwrap().data_version.counter, 2);
    assert!(Arc::ptr_eq(&before.topics(), &after.topics()));
}

#[test]
fn a_difference_is_stale_once_anybody_has_touched_the_topics_of_the_group() {
    let touch: [fn(&Scene); 5] = [
        |scene| scene.routes.delete_topic("t1", None),
        |scene| scene.routes.delete_topic("t1", Some(C)),
        |scene| assert_eq!(scene.routes.change_permissions("a", !2, 0), 2),
        |scene| scene.routes.put_topic("t9", vec![queue("a", 6)]),
        |scene| drop(scene.unregister(C, "a", 0, "a0")),
    ];
    for touch in touch {
        let scene = Scene::new();
        scene.register(broker("b", 0, "b0")).unwrap();
        let imprint = tell_whole(&scene, broker("a", 0, "a0").delete_missing());
        let same = || since(&imprint, 2, broker("a", 0, "a0").topics(&[]).counter(2).delete_missing());
        tell(&scene, since(&imprint, 2, broker("a", 0, "a0").topics(&[]).delete_missing())).unwrap();

        touch(&scene);
        let before = scene.tables();

        assert_eq!(tell(&scene, same()), Err(RegisterError::Stale));
        assert!(Arc::ptr_eq(&before, &scene.tables()), "what is stale publishes nothing");
    }
}

#[test]
fn a_difference_is_not_stale_when_others_touch_their_own_topics() {
    let scene = Scene::new();
    scene.register(broker("b", 0, "b0")).unwrap();
    let imprint = tell_whole(&scene, broker("a", 0, "a0"));
    scene.register(broker("b", 0, "b0").counter(2).topics(&["t1", "t2", "t3"]).perm(4)).unwrap();
    scene.register(broker("a", 1, "a1")).unwrap();
    scene.routes.delete_topic("t3", None);

    assert!(tell(&scene, since(&imprint, 2, broker("a", 0, "a0").topics(&[]).counter(2))).is_ok());
}

#[test]
fn a_difference_is_stale_when_what_a_slave_may_publish_has_changed() {
    let scene = Scene::new();
    let imprint = tell_whole(&scene, broker("a", 1, "a1").acting(false));

    let acting = broker("a", 1, "a1").acting(true).topics(&[]).counter(2);

    assert_eq!(tell(&scene, since(&imprint, 2, acting)), Err(RegisterError::Stale));
}
