//! `drain`: brokers are taken out of reads and writes while they run.

use std::fs;
use std::path::Path;

use fingerpost::server::Reloaded;

use crate::guests::{log, register};
use crate::harness::{Ask, Client, Server, plugins_section};
use crate::requests::kv_put;

const TOPICS: &str = r#""T":{"topicName":"T","perm":6},
    "rmq_sys_SYNC_BROKER_MEMBER_a":{"topicName":"rmq_sys_SYNC_BROKER_MEMBER_a","perm":6}"#;

/// A server with the policy in its chain, and the masters of `a` and `b`, of which `a` has a slave.
fn start() -> (Server, [Client; 2]) {
    let server = Server::start_with(|config, _| {
        config.net.workers = 1;
        config.policies.chain.insert(0, "drain".to_owned());
    });
    let (mut masters, mut slave) = (server.client(), server.client());
    register(&mut masters, "a", TOPICS);
    register(&mut masters, "b", r#""T":{"topicName":"T","perm":6},"V":{"topicName":"V"}"#);
    let request = Ask::new(103)
        .field("brokerName", "a")
        .field("brokerAddr", "a-slave:10911")
        .field("clusterName", "c")
        .field("brokerId", "1");
    assert_eq!(slave.ask(request).code, 0);
    (server, [masters, slave])
}

fn put(client: &mut Client, key: &str, value: &str) {
    assert_eq!(client.ask(kv_put("drain", key, value)).code, 0);
}

fn delete(client: &mut Client, key: &str) {
    assert_eq!(client.ask(Ask::new(102).field("namespace", "drain").field("key", key)).code, 0);
}

/// Each group with its permission and its members.
fn shown(client: &mut Client, topic: &str) -> String {
    let reply = client.ask(Ask::new(105).field("topic", topic));
    assert_eq!(reply.code, 0, "{reply:?}");
    let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("it is JSON");
    let list = |key: &str| body[key].as_array().expect("a list").clone();
    let queues = list("queueDatas");
    assert_eq!(queues.len(), list("brokerDatas").len(), "{body}");
    let group = |(group, queue): (&serde_json::Value, &serde_json::Value)| {
        assert_eq!(group["brokerName"], queue["brokerName"]);
        let ids: Vec<_> = group["brokerAddrs"].as_object().expect("members").keys().map(String::as_str).collect();
        format!("{}:{}:{}", group["brokerName"].as_str().unwrap_or_default(), queue["perm"], ids.join(","))
    };
    list("brokerDatas").iter().zip(&queues).map(group).collect::<Vec<_>>().join(" ")
}

#[test]
fn producers_move_away_then_everybody_and_then_they_come_back() {
    let (server, [mut broker, _slave]) = start();
    let mut client = server.client();

    assert_eq!(shown(&mut client, "T"), "a:6:0,1 b:6:0");
    put(&mut broker, "a", "write");
    assert_eq!(shown(&mut client, "T"), "a:4:0,1 b:6:0");
    put(&mut broker, "a", "read");
    assert_eq!(shown(&mut client, "T"), "a:2:0,1 b:6:0");
    put(&mut broker, "a", "both");
    assert_eq!(shown(&mut client, "T"), "b:6:0");
    put(&mut broker, "b", "both");
    assert_eq!(shown(&mut client, "T"), "");
    delete(&mut broker, "a");
    delete(&mut broker, "b");
    assert_eq!(shown(&mut client, "T"), "a:6:0,1 b:6:0");
}

#[test]
fn a_member_is_taken_out_by_its_address_and_the_rest_of_its_group_stays() {
    let (server, [mut broker, _slave]) = start();
    let mut client = server.client();

    put(&mut broker, "a-slave:10911", "both");
    assert_eq!(shown(&mut client, "T"), "a:6:0 b:6:0");
    delete(&mut broker, "a-slave:10911");
    put(&mut broker, "a:10911", "both");
    assert_eq!(shown(&mut client, "T"), "a:4:1 b:6:0");
    put(&mut broker, "a-slave:10911", "read");
    assert_eq!(shown(&mut client, "T"), "b:6:0");
}

#[test]
fn a_drained_route_is_remembered_until_the_orders_change_and_the_tables_stay_as_they_were() {
    let (server, [mut broker, _slave]) = start();
    put(&mut broker, "a", "write");
    let mut client = server.client();

    for _ in 0..5 {
        assert_eq!(shown(&mut client, "T"), "a:4:0,1 b:6:0");
    }
    assert_eq!(server.memo().hits, 3);
    delete(&mut broker, "a");
    assert_eq!(shown(&mut client, "T"), "a:6:0,1 b:6:0");
}

#[test]
fn brokers_find_each_other_whoever_is_drained() {
    let (server, [mut broker, _slave]) = start();
    put(&mut broker, "a", "both");

    assert_eq!(shown(&mut server.client(), "rmq_sys_SYNC_BROKER_MEMBER_a"), "a:6:0,1");
}

#[test]
fn an_order_that_is_not_understood_is_left_out_and_the_log_says_what_is_wrong_with_it() {
    log();
    let (server, [mut broker, _slave]) = start();
    put(&mut broker, "a", "wirte-of-a-test");
    put(&mut broker, "b", "write");

    assert_eq!(shown(&mut server.client(), "T"), "a:6:0,1 b:4:0");
    let lines = log().lines(&["ERROR", "drain", "`a`", "`wirte-of-a-test` is none of `write`"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn it_may_be_switched_off_whether_the_chain_names_it_or_not() {
    for chain in [vec!["drain".to_owned()], Vec::new()] {
        let server = Server::start_with(|config, _| {
            config.plugins.disabled = vec!["drain".to_owned()];
            config.policies.chain = chain;
        });
        let mut broker = server.client();
        register(&mut broker, "a", TOPICS);
        put(&mut broker, "a", "both");

        assert_eq!(shown(&mut server.client(), "T"), "a:6:0");
    }
}

#[test]
fn it_has_its_say_from_when_the_chain_names_it_to_when_it_does_not_any_more() {
    let configure = |home: &Path, chain: &str| plugins_section(home) + &format!("[policies]\nchain = [{chain}]\n");
    let server = Server::start_following(|home| configure(home, "\"zone\""), |_| {});
    let mut broker = server.client();
    register(&mut broker, "a", TOPICS);
    put(&mut broker, "a", "write");
    let mut client = server.client();
    assert_eq!(shown(&mut client, "T"), "a:6:0");

    for (chain, expected) in [("\"drain\", \"zone\"", "a:4:0"), ("\"zone\"", "a:6:0"), ("\"drain\"", "a:4:0")] {
        fs::write(server.home().join("namesrv.toml"), configure(server.home(), chain)).expect("it is writable");
        assert!(matches!(server.reload(), Reloaded::Generation(_)), "{chain}");
        assert_eq!(shown(&mut client, "T"), expected, "{chain}");
    }
}
