//! 103, 104, 106, 322, 901, 904, 205 and 327: brokers come, stay, find each other, and go.

use crate::harness::{Ask, Server};
use crate::requests::{Broker, Reply, all_known, change_settings, cluster_info, names, queue_of, route, topic_list};

#[test]
fn a_registered_topic_is_routed_until_its_connection_closes() {
    let server = Server::start();
    let mut broker = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut broker);
    let mut client = server.client();

    let found = client.ask(route("T"));

    assert_eq!(found.code, 0);
    assert!(found.text().contains(r#""brokerAddrs":{"0":"a:10911"}"#), "{}", found.text());
    drop(broker);
    client.wait_until(|client| client.ask(route("T")).code == 17);
}

#[test]
fn a_slave_is_told_where_its_master_is_while_that_is_alive_in_its_cluster() {
    let server = Server::start();
    let mut connection = server.client();
    let slave = Broker::new("a").id(1).field("haServerAddr", "a-1:10912");

    let alone = slave.register(&mut connection);
    let master = Broker::new("a").field("haServerAddr", "a:10912");
    let first = master.register(&mut connection);
    let both = slave.register(&mut connection);
    let elsewhere = Broker::new("a").id(2).cluster("d").register(&mut connection);
    connection.ask(master.departure());
    let alone_again = slave.register(&mut connection);

    assert_eq!((both.field_text("masterAddr"), both.field_text("haServerAddr")), ("a:10911", "a:10912"));
    for reply in [alone, first, elsewhere, alone_again] {
        // Present and empty, which clients tell from absent.
        assert!(reply.fields.as_ref().is_some_and(|fields| fields.iter().len() == 0), "{reply:?}");
    }
}

#[test]
fn order_configurations_reach_brokers_unless_that_is_switched_off() {
    let server = Server::start();
    let mut connection = server.client();
    let broker = Broker::new("a");
    assert!(broker.register(&mut connection).body.is_empty());
    connection.ask(crate::requests::kv_put("ORDER_TOPIC_CONFIG", "T", "a:4"));

    let told = broker.register(&mut connection);
    connection.ask(change_settings("returnOrderTopicConfigToBroker=false"));
    let not_told = broker.register(&mut connection);

    assert_eq!(told.text(), r#"{"table":{"T":"a:4"}}"#);
    assert!(not_told.body.is_empty());
}

#[test]
fn a_newcomer_with_a_single_topic_is_refused_and_leaves_nothing() {
    let server = Server::start();
    let mut connection = server.client();
    Broker::new("old").topics(&["T", "U"]).register(&mut connection);
    let before = all_known(&mut connection);
    let newcomer = Broker::new("new").topics(&["V"]);

    let reply = connection.ask(newcomer.registration());

    assert_eq!((reply.code, reply.remark_text()), (1, "register broker failed"));
    assert!(reply.fields.is_some());
    assert_eq!(all_known(&mut connection), before);
    let query = connection.ask(newcomer.version_query());
    assert_eq!((query.field_text("changed"), query.text()), ("true", ""));
    // Empty tables and full ones are welcome, and once known it may announce a single topic.
    Broker::new("new").register(&mut connection);
    newcomer.version(2).register(&mut connection);
    assert_eq!(connection.ask(route("V")).code, 0);
}

#[test]
fn topics_of_a_version_that_is_known_already_are_not_read_again() {
    let server = Server::start();
    let mut connection = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut connection);

    let same = Broker::new("a").topic("T", 8, 6, 0).topic("U", 8, 6, 0).topic("NEW", 8, 6, 0);
    same.register(&mut connection);
    let after_same = queue_of(&mut connection, "T", "a").0;
    let new_topic = queue_of(&mut connection, "NEW", "a").0;
    same.version(2).register(&mut connection);
    let after_next = queue_of(&mut connection, "T", "a").0;

    assert_eq!((after_same, new_topic, after_next), (4, 8, 8));
}

#[test]
fn an_older_version_counts_as_a_change_because_only_equality_is_asked() {
    let server = Server::start();
    let mut connection = server.client();
    Broker::new("a").version(7).topics(&["T", "U"]).register(&mut connection);

    Broker::new("a").version(3).topic("T", 8, 6, 0).topic("U", 4, 6, 0).register(&mut connection);

    assert_eq!(queue_of(&mut connection, "T", "a").0, 8);
}

#[test]
fn topics_that_a_registration_no_longer_names_go_only_when_the_operator_says_so() {
    let server = Server::start();
    let mut connection = server.client();
    let broker = Broker::new("a");
    Broker::new("b").topics(&["T", "X"]).register(&mut connection);
    broker.clone().topics(&["T", "U", "V"]).register(&mut connection);

    broker.clone().version(2).topics(&["U", "V"]).register(&mut connection);
    let kept = names(&connection.ask(topic_list()));
    assert_eq!(connection.ask(change_settings("deleteTopicWithBrokerRegistration=true")).code, 0);
    broker.clone().version(3).topics(&["U"]).register(&mut connection);
    let fewer = names(&connection.ask(topic_list()));
    let shared = connection.ask(route("T"));
    broker.version(4).register(&mut connection);
    let wiped = names(&connection.ask(topic_list()));

    assert_eq!(kept, ["T", "U", "V", "X"]);
    assert_eq!(fewer, ["T", "U", "X"], "what another broker serves stays");
    assert!(!shared.text().contains(r#""brokerName":"a""#), "{}", shared.text());
    assert_eq!(wiped, ["T", "X"], "an empty table names nothing");
}

#[test]
fn a_wiped_permission_lasts_until_the_broker_publishes_a_change() {
    let server = Server::start();
    let mut connection = server.client();
    let broker = Broker::new("a").topic("T", 4, 7, 0).topic("U", 4, 6, 0);
    broker.register(&mut connection);

    let wiped = connection.ask(Ask::new(205).field("brokerName", "a"));
    assert_eq!((wiped.code, wiped.field_text("wipeTopicCount")), (0, "2"));
    assert_eq!(queue_of(&mut connection, "T", "a").1, 5, "the inherit bit stays");
    broker.register(&mut connection);
    assert_eq!(queue_of(&mut connection, "T", "a").1, 5, "the same version does not undo it");
    let added = connection.ask(Ask::new(327).field("brokerName", "a"));
    assert_eq!((added.code, added.field_text("addTopicCount")), (0, "2"));
    assert_eq!(queue_of(&mut connection, "T", "a").1, 6, "replaced, not added to");
    broker.version(2).register(&mut connection);

    assert_eq!(queue_of(&mut connection, "T", "a").1, 7);
}

#[test]
fn permissions_of_nobody_are_changed_with_success() {
    let server = Server::start();
    let mut connection = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut connection);

    let unknown = connection.ask(Ask::new(205).field("brokerName", "b"));
    let missing = connection.ask(Ask::new(327));

    assert_eq!((unknown.code, unknown.field_text("wipeTopicCount")), (0, "0"));
    assert_eq!((missing.code, missing.field_text("addTopicCount")), (0, "0"));
    assert_eq!(queue_of(&mut connection, "T", "a").1, 6);
}

#[test]
fn a_holder_of_the_id_with_a_newer_term_keeps_it() {
    let server = Server::start();
    let mut connection = server.client();
    Broker::new("a").address("new:1").state_version(9).topics(&["T", "U"]).register(&mut connection);

    Broker::new("a").address("old:1").state_version(8).topics(&["T", "U"]).register(&mut connection);
    let kept = connection.ask(cluster_info());
    Broker::new("a").address("newest:1").state_version(10).topics(&["T", "U"]).register(&mut connection);
    let replaced = connection.ask(cluster_info());

    assert!(kept.text().contains(r#""brokerAddrs":{0:"new:1"}"#), "{}", kept.text());
    assert!(replaced.text().contains(r#""brokerAddrs":{0:"newest:1"}"#), "{}", replaced.text());
}

#[test]
fn an_address_that_changes_its_role_is_in_its_group_once() {
    let server = Server::start();
    let mut connection = server.client();
    Broker::new("a").address("x:1").topics(&["T", "U"]).register(&mut connection);

    Broker::new("a").id(3).address("x:1").topics(&["T", "U"]).register(&mut connection);

    let info = connection.ask(cluster_info());
    assert!(info.text().contains(r#""brokerAddrs":{3:"x:1"}"#), "{}", info.text());
}

#[test]
fn a_slave_publishes_topics_only_when_it_is_the_smallest_and_knows_of_acting_masters() {
    let server = Server::start();
    let mut connection = server.client();

    Broker::new("a").id(1).topics(&["OLD", "U"]).register(&mut connection);
    let old = connection.ask(route("OLD")).code;
    Broker::new("a")
        .id(1)
        .version(2)
        .topics(&["NEW", "U"])
        .field("enableActingMaster", "false")
        .register(&mut connection);
    let smallest = connection.ask(route("NEW")).code;
    Broker::new("a").id(2).topics(&["NEXT", "U"]).field("enableActingMaster", "true").register(&mut connection);
    let second = connection.ask(route("NEXT")).code;

    assert_eq!((old, smallest, second), (17, 0, 17));
}

#[test]
fn a_broker_leaves_by_name_and_address_whatever_cluster_and_id_it_claims() {
    let server = Server::start();
    let mut connection = server.client();
    let master = Broker::new("a").topics(&["T", "U"]);
    master.register(&mut connection);
    Broker::new("a").id(1).register(&mut connection);

    assert_eq!(connection.ask(Broker::new("a").id(1).cluster("other").departure()).code, 0);
    let one_left = connection.ask(cluster_info());
    assert_eq!(connection.ask(Broker::new("b").departure()).code, 0, "unknown is a success");
    assert_eq!(connection.ask(master.departure()).code, 0);
    let nobody = all_known(&mut connection);

    assert!(one_left.text().contains(r#""brokerAddrs":{0:"a:10911"}"#), "{}", one_left.text());
    assert_eq!(nobody.0, r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#);
    assert_eq!(nobody.1, r#"{"topicList":[]}"#);
}

#[test]
fn a_departure_without_an_id_is_an_error_and_moves_nothing() {
    let server = Server::start();
    let mut connection = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut connection);
    let before = all_known(&mut connection);
    let named = |code| Ask::new(code).field("brokerName", "a").field("brokerAddr", "a:10911").field("clusterName", "c");

    let missing = connection.ask(named(104));
    let malformed = connection.ask(named(104).field("brokerId", " 0"));

    assert_eq!((missing.code, malformed.code), (1, 1));
    assert_eq!(all_known(&mut connection), before);
}

#[test]
fn a_data_version_is_unchanged_only_when_it_is_equal_in_all_its_parts() {
    let server = Server::start();
    let mut connection = server.client();
    let broker = Broker::new("a").version(2);
    broker.register(&mut connection);
    let changed = |ask: Ask, connection: &mut crate::harness::Client| {
        let reply = connection.ask(ask);
        assert_eq!(reply.code, 0);
        (reply.field_text("changed").to_owned(), reply.text().to_owned())
    };
    let ours = r#"{"counter":2,"stateVersion":0,"timestamp":5}"#.to_owned();

    let same = changed(broker.version_query(), &mut connection);
    let lower = changed(broker.clone().version(1).version_query(), &mut connection);
    let other_term = changed(broker.clone().state_version(1).version_query(), &mut connection);
    let no_body = changed(broker.version_query().body(""), &mut connection);
    let unknown = changed(Broker::new("b").version_query(), &mut connection);

    assert_eq!(same, ("false".to_owned(), ours.clone()));
    assert_eq!(lower, ("true".to_owned(), ours.clone()));
    assert_eq!(other_term, ("true".to_owned(), ours.clone()));
    assert_eq!(no_body, ("true".to_owned(), ours));
    assert_eq!(unknown, ("true".to_owned(), String::new()));
}

#[test]
fn a_heartbeat_of_nobody_is_a_success_and_one_without_a_name_is_not() {
    let server = Server::start();
    let mut connection = server.client();

    assert_eq!(connection.ask(Broker::new("a").heartbeat()).code, 0);
    assert_eq!(connection.ask(Ask::new(904).field("brokerAddr", "a:1")).code, 1);
    assert_eq!(connection.ask(Ask::new(322).field("clusterName", "c")).code, 1);
    assert_eq!(connection.ask(cluster_info()).text(), r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#);
}

#[test]
fn a_member_group_has_true_ids_and_echoes_whatever_cluster_was_asked_for() {
    let server = Server::start();
    let mut connection = server.client();
    Broker::new("a").id(2).register(&mut connection);
    Broker::new("a").id(10).register(&mut connection);

    let group = connection.ask(Ask::new(901).field("brokerName", "a").field("clusterName", "elsewhere"));
    let nobody = connection.ask(Ask::new(901));

    let members = r#"{2:"a-2:10911",10:"a-10:10911"}"#;
    let expected =
        format!(r#"{{"brokerMemberGroup":{{"brokerAddrs":{members},"brokerName":"a","cluster":"elsewhere"}}}}"#);
    assert_eq!((group.code, group.remark_text(), group.text()), (0, "not set any response code", &*expected));
    assert_eq!((nobody.code, nobody.text()), (0, r#"{"brokerMemberGroup":{"brokerAddrs":{}}}"#));
}

#[test]
fn cluster_information_keeps_its_keys_bare_for_every_version() {
    let server = Server::start();
    let mut connection = server.client();
    Broker::new("a").register(&mut connection);
    Broker::new("a").id(1).register(&mut connection);
    Broker::new("b").cluster("d").field("__ZONE_NAME", "z").register(&mut connection);

    let new = connection.ask(cluster_info().version(513));
    let old = connection.ask(cluster_info().version(0));

    let group_a =
        r#""a":{"brokerAddrs":{0:"a:10911",1:"a-1:10911"},"brokerName":"a","cluster":"c","enableActingMaster":false}"#;
    let group_b =
        r#""b":{"brokerAddrs":{0:"b:10911"},"brokerName":"b","cluster":"d","enableActingMaster":false,"zoneName":"z"}"#;
    let expected =
        format!(r#"{{"brokerAddrTable":{{{group_a},{group_b}}},"clusterAddrTable":{{"c":["a"],"d":["b"]}}}}"#);
    assert_eq!(new.text(), expected);
    assert_eq!(old.text(), expected);
}
