//! 105: the route of a topic, in the style that the client reads.

use std::time::Duration;

use crate::harness::{Ask, Server};
use crate::requests::{Broker, Reply, change_settings, cluster_info, kv_put, route};

#[test]
fn keys_are_quoted_from_version_401_on_and_for_whoever_asks_for_it() {
    let server = Server::start();
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);
    let mut addresses = |ask: Ask| {
        let route = client.ask(ask);
        assert_eq!(route.code, 0);
        let text = route.text();
        text.contains(r#"{"0":"a:10911"}"#).then_some("quoted").or(text.contains(r#"{0:"a:10911"}"#).then_some("bare"))
    };
    let asked = |value: &str| route("T").version(400).field("acceptStandardJsonOnly", value);

    assert_eq!(addresses(route("T").version(401)), Some("quoted"));
    assert_eq!(addresses(route("T").version(400)), Some("bare"));
    assert_eq!(addresses(route("T").version(-1)), Some("bare"));
    assert_eq!(addresses(asked("true")), Some("quoted"));
    assert_eq!(addresses(asked("TRUE")), Some("quoted"));
    assert_eq!(addresses(asked("yes")), Some("bare"));
    assert_eq!(addresses(asked("").version(401)), Some("quoted"));
}

#[test]
fn ids_ascend_as_numbers_in_both_styles() {
    let server = Server::start();
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);
    for id in [10, 2, 1] {
        Broker::new("a").id(id).register(&mut client);
    }

    let new = client.ask(route("T").version(401));
    let old = client.ask(route("T").version(400));

    let quoted = r#""brokerAddrs":{"0":"a:10911","1":"a-1:10911","2":"a-2:10911","10":"a-10:10911"}"#;
    let bare = r#""brokerAddrs":{0:"a:10911",1:"a-1:10911",2:"a-2:10911",10:"a-10:10911"}"#;
    assert!(new.text().contains(quoted), "{}", new.text());
    assert!(old.text().contains(bare), "{}", old.text());
}

#[test]
fn a_topic_is_routed_to_every_broker_that_serves_it_and_to_no_other() {
    let server = Server::start();
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);
    Broker::new("b").cluster("d").topics(&["T", "V"]).register(&mut client);
    Broker::new("x").topics(&["U", "V"]).register(&mut client);

    let found = client.ask(route("T")).json();

    let brokers: Vec<_> = found["brokerDatas"].as_array().unwrap().iter().map(|one| &one["brokerName"]).collect();
    let queues: Vec<_> = found["queueDatas"].as_array().unwrap().iter().map(|one| &one["brokerName"]).collect();
    assert_eq!(brokers, ["a", "b"]);
    assert_eq!(queues, ["a", "b"]);
    assert_eq!(client.ask(route("t")).code, 17, "names are compared with their case");
}

#[test]
fn order_configurations_are_shown_when_they_are_switched_on() {
    let server = Server::start();
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);
    client.ask(kv_put("ORDER_TOPIC_CONFIG", "T", "a:4"));

    let off = client.ask(route("T")).json();
    client.ask(change_settings("orderMessageEnable=true"));
    let on = client.ask(route("T")).json();
    let without = client.ask(route("U")).json();

    assert!(off.get("orderTopicConf").is_none());
    assert_eq!(on["orderTopicConf"], "a:4");
    assert!(without.get("orderTopicConf").is_none());
}

#[test]
fn a_server_that_waits_for_service_refuses_lookups_and_nothing_else() {
    let server = Server::start_with(|config, _| {
        config.requests.need_wait_for_service = true;
        config.requests.wait_for_service_time = Duration::from_secs(45);
    });
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);

    let early = client.ask(route("T"));
    let other = client.ask(cluster_info());
    server.clock.advance(Duration::from_secs(46));
    let later = client.ask(route("T"));

    assert_eq!((early.code, early.remark_text()), (1, "name server not ready"));
    assert_eq!((other.code, later.code), (0, 0));
}

#[test]
fn the_wait_for_service_follows_the_settings_and_counts_from_the_start_of_the_server() {
    let server = Server::start();
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);
    let mut code_with = |text: &str| {
        assert_eq!(client.ask(change_settings(text)).code, 0);
        client.ask(route("T")).code
    };

    assert_eq!(code_with("needWaitForService=false"), 0);
    assert_eq!(code_with("needWaitForService=true"), 1, "45 s have not passed");
    assert_eq!(code_with("waitSecondsForService=0"), 0);
    server.clock.advance(Duration::from_secs(100));
    assert_eq!(code_with("waitSecondsForService=99"), 0);
    assert_eq!(code_with("waitSecondsForService=3600"), 1, "a longer wait begins again");
    assert_eq!(code_with("waitSecondsForService=99"), 0);
    assert_eq!(code_with("waitSecondsForService=3600\nneedWaitForService=false"), 0);
}

#[test]
fn a_code_that_nobody_answers_is_told_so() {
    let server = Server::start();
    let mut client = server.client();

    for code in [0, -1, 107, 905, i32::MAX, i32::MIN] {
        let reply = client.ask(Ask::new(code));

        // The leading blank is Java's.
        assert_eq!((reply.code, reply.remark_text()), (3, &*format!(" request type {code} not supported")));
        assert!(reply.fields.is_none() && reply.body.is_empty());
    }
}

#[test]
fn a_slave_is_shown_as_master_only_where_that_is_switched_on() {
    let server = Server::start();
    let mut client = server.client();
    let mut master = server.client();
    let acting = |broker: Broker| broker.field("enableActingMaster", "true").topics(&["T", "U"]);
    acting(Broker::new("a")).register(&mut master);
    acting(Broker::new("a").id(1)).register(&mut client);
    drop(master);
    client.wait_until(|client| !client.ask(cluster_info()).text().contains(r#"{0:"#));

    let off = client.ask(route("T")).json();
    client.ask(change_settings("supportActingMaster=true"));
    let on = client.ask(route("T")).json();
    let true_ids = client.ask(cluster_info());

    assert_eq!(off["brokerDatas"][0]["brokerAddrs"].to_string(), r#"{"1":"a-1:10911"}"#);
    assert_eq!(on["brokerDatas"][0]["brokerAddrs"].to_string(), r#"{"0":"a-1:10911"}"#);
    assert_eq!(on["queueDatas"][0]["perm"], 4, "it can be read from, and not written to");
    assert!(true_ids.text().contains(r#"{1:"a-1:10911"}"#));
}
