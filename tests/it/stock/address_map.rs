//! `address-map`: clients of certain networks are shown other addresses.

use fingerpost::config::Config;
use fingerpost::plugin::{PluginState, PluginStatus};

use super::peers::{behind_a_proxy, from};
use crate::guests::{log, register};
use crate::harness::{Ask, Client, Server};
use crate::requests::kv_put;

const TOPICS: &str = r#""T":{"topicName":"T","perm":6},
    "rmq_sys_SYNC_BROKER_MEMBER_a":{"topicName":"rmq_sys_SYNC_BROKER_MEMBER_a"}"#;

/// A server with the policy in its chain, and the brokers `a` and `b`.
fn start(edit: impl FnOnce(&mut Config)) -> (Server, Client) {
    let server = behind_a_proxy(|config| {
        config.policies.chain.push("address-map".to_owned());
        edit(config);
    });
    let mut broker = server.client();
    register(&mut broker, "a", TOPICS);
    register(&mut broker, "b", r#""T":{"topicName":"T","perm":6},"V":{"topicName":"V"}"#);
    (server, broker)
}

fn put(client: &mut Client, key: &str, rule: &str) {
    assert_eq!(client.ask(kv_put("address-map", key, rule)).code, 0);
}

/// The addresses of `a` and of `b`, as they stand in the answer.
fn shown(client: &mut Client, topic: &str) -> Vec<String> {
    let reply = client.ask(Ask::new(105).field("topic", topic));
    assert_eq!(reply.code, 0, "{reply:?}");
    let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("it is JSON");
    let groups = body["brokerDatas"].as_array().expect("groups");
    groups.iter().map(|group| group["brokerAddrs"]["0"].as_str().expect("a master").to_owned()).collect()
}

#[test]
fn clients_of_two_networks_that_ask_the_same_get_each_the_addresses_that_they_can_reach() {
    let (server, mut broker) = start(|config| config.net.workers = 1);
    put(&mut broker, "10-office", "10.20.0.0/16 fd00:20::/64 a=203.0.113.5");
    put(&mut broker, "20-world", "0.0.0.0/0 ::/0 a:10911=[2001:db8::5]:30911 b/0=node.example:30912");
    let office = ["203.0.113.5:10911", "b:10911"];
    let world = ["[2001:db8::5]:30911", "node.example:30912"];

    let peers = [("10.20.0.1:1", office), ("192.0.2.1:1", world), ("[fd00:20::9]:1", office), ("[fd00:21::]:1", world)];
    let mut clients = peers.map(|(peer, expected)| (from(&server, peer), expected));

    // The very same bytes, again and again and by turns, with the memo on.
    for round in 0..6 {
        for (client, expected) in &mut clients {
            assert_eq!(shown(client, "T"), *expected, "{round}");
        }
    }
    let usage = server.memo();
    assert!(usage.hits == 0 && usage.unfit.contains(&("peer", 24)), "{usage:?}");
}

#[test]
fn whom_no_rule_covers_and_what_no_rewrite_names_stays() {
    let (server, mut broker) = start(|_| {});
    put(&mut broker, "office", "10.20.0.0/16 a:10911=x:1");

    assert_eq!(shown(&mut from(&server, "192.0.2.1:1"), "T"), ["a:10911", "b:10911"]);
    assert_eq!(shown(&mut from(&server, "10.20.0.1:1"), "T"), ["x:1", "b:10911"]);
}

#[test]
fn an_ipv4_network_is_the_same_in_ipv6_clothes_and_one_that_is_wider_than_ipv4_is_not_understood() {
    log();
    let (server, mut broker) = start(|_| {});
    put(&mut broker, "10-too-wide-for-a-test", "::ffff:10.20.0.0/64 a=wide");
    put(&mut broker, "20-office", "::ffff:10.20.0.0/112 a=office");

    for (peer, expected) in [("10.20.7.1:1", "office:10911"), ("10.21.0.1:1", "a:10911")] {
        assert_eq!(shown(&mut from(&server, peer), "T"), [expected, "b:10911"], "{peer}");
    }
    let lines = log().lines(&["ERROR", "10-too-wide-for-a-test", "`::ffff:10.20.0.0/64` is wider than all of IPv4"]);
    assert!(!lines.is_empty());
}

#[test]
fn a_route_that_no_rule_is_about_is_remembered_and_a_rule_counts_from_its_answer_on() {
    let (server, mut broker) = start(|config| config.net.workers = 1);
    put(&mut broker, "office", "10.20.0.0/16 a=x");
    let mut client = from(&server, "10.20.0.1:1");

    for _ in 0..5 {
        assert_eq!(shown(&mut client, "V"), ["b:10911"]);
    }
    assert_eq!(server.memo().hits, 3);
    put(&mut broker, "office", "10.20.0.0/16 b=y");
    assert_eq!(shown(&mut client, "V"), ["y:10911"]);
    assert_eq!(shown(&mut from(&server, "10.21.0.1:1"), "V"), ["b:10911"]);
}

#[test]
fn brokers_find_each_other_at_the_addresses_that_they_registered() {
    let (server, mut broker) = start(|_| {});
    put(&mut broker, "all", "0.0.0.0/0 a=x");

    let mut client = from(&server, "192.0.2.1:1");

    assert_eq!(shown(&mut client, "rmq_sys_SYNC_BROKER_MEMBER_a"), ["a:10911"]);
    assert_eq!(shown(&mut client, "T"), ["x:10911", "b:10911"]);
}

#[test]
fn a_rule_that_is_not_understood_is_left_out_and_the_log_says_what_is_wrong_with_it() {
    log();
    let (server, mut broker) = start(|_| {});
    put(&mut broker, "bad-rule-of-a-test", "10.20.0.0/33 a=x");
    put(&mut broker, "good", "10.20.0.0/16 b=y");

    assert_eq!(shown(&mut from(&server, "10.20.0.1:1"), "T"), ["a:10911", "y:10911"]);
    let lines = log().lines(&["ERROR", "address-map", "bad-rule-of-a-test", "`10.20.0.0/33` is neither a network"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn who_is_not_in_the_chain_has_no_say_whatever_the_rules() {
    let server = behind_a_proxy(|_| {});
    let mut broker = server.client();
    register(&mut broker, "a", TOPICS);
    put(&mut broker, "all", "0.0.0.0/0 a=x");

    assert_eq!(shown(&mut from(&server, "192.0.2.1:1"), "T"), ["a:10911"]);
    let is_active = |plugin: &PluginStatus| plugin.state == PluginState::Active;
    let plugins = server.running().plugins();
    assert!(!plugins.iter().any(|plugin| plugin.name.as_deref() == Some("address-map") && is_active(plugin)));
}
