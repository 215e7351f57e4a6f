//! `canary`: a new broker is shown to a share of the clients.

use super::peers::{behind_a_proxy, from};
use crate::guests::{log, register};
use crate::harness::{Ask, Client, Server};
use crate::requests::kv_put;

const TOPICS: &str = r#""T":{"topicName":"T","perm":6},
    "rmq_sys_SYNC_BROKER_MEMBER_new":{"topicName":"rmq_sys_SYNC_BROKER_MEMBER_new","perm":6}"#;

/// A server with the policy in its chain, and the brokers `new` and `old`.
fn start() -> (Server, Client) {
    let server = behind_a_proxy(|config| {
        config.net.workers = 1;
        config.policies.chain.push("canary".to_owned());
    });
    let mut broker = server.client();
    register(&mut broker, "new", TOPICS);
    register(&mut broker, "old", r#""T":{"topicName":"T","perm":6},"V":{"topicName":"V","perm":6}"#);
    (server, broker)
}

fn put(client: &mut Client, value: &str) {
    assert_eq!(client.ask(kv_put("canary", "new", value)).code, 0);
}

/// Each broker with its permission.
fn shown(client: &mut Client, topic: &str) -> String {
    let reply = client.ask(Ask::new(105).field("topic", topic));
    assert_eq!(reply.code, 0, "{reply:?}");
    let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("it is JSON");
    let queues = body["queueDatas"].as_array().expect("queues");
    assert_eq!(queues.len(), body["brokerDatas"].as_array().expect("groups").len(), "{body}");
    let queue =
        |queue: &serde_json::Value| format!("{}:{}", queue["brokerName"].as_str().unwrap_or_default(), queue["perm"]);
    queues.iter().map(queue).collect::<Vec<_>>().join(" ")
}

const WITH: &str = "new:6 old:6";
const WITHOUT: &str = "old:6";

#[test]
fn a_share_of_the_clients_sees_the_new_broker_and_a_larger_share_only_adds_some() {
    let (server, mut broker) = start();
    let mut clients: Vec<_> = (0..40).map(|host| from(&server, &format!("10.1.2.{host}:1000"))).collect();
    let mut seen_before = vec![false; clients.len()];

    for (share, fewest, most) in [("0%", 0, 0), ("30%", 4, 22), ("70%", 18, 36), ("100%", 40, 40)] {
        put(&mut broker, share);
        // By turns, the same bytes, with the memo on; whoever asks again is told the same.
        for _ in 0..3 {
            for (client, seen_before) in clients.iter_mut().zip(&mut seen_before) {
                let shown = shown(client, "T");
                assert!(shown == WITH || (shown == WITHOUT && !*seen_before), "{shown} at {share}");
                *seen_before = shown == WITH;
            }
        }
        let seen = seen_before.iter().filter(|seen| **seen).count();
        assert!((fewest..=most).contains(&seen), "{seen} of 40 at {share}");
    }
}

#[test]
fn some_networks_see_it_whatever_the_share() {
    let (server, mut broker) = start();
    put(&mut broker, "0% 10.9.0.0/16 fd00:9::/64");

    let mut all = ["10.9.0.1:1", "10.8.0.1:1", "[fd00:9::1]:1", "[fd00:8::1]:1"].map(|peer| from(&server, peer));
    for _ in 0..3 {
        assert_eq!(all.each_mut().map(|client| shown(client, "T")), [WITH, WITHOUT, WITH, WITHOUT]);
    }
    let usage = server.memo();
    assert!(usage.hits == 0 && usage.unfit.contains(&("peer", 12)), "{usage:?}");
}

#[test]
fn with_writes_the_others_read_from_it_and_do_not_send_to_it() {
    let (server, mut broker) = start();
    put(&mut broker, "0% 10.9.0.0/16 writes");

    assert_eq!(shown(&mut from(&server, "10.9.0.1:1"), "T"), WITH);
    assert_eq!(shown(&mut from(&server, "10.8.0.1:1"), "T"), "new:4 old:6");
}

#[test]
fn routes_without_a_new_broker_are_remembered_and_brokers_find_each_other() {
    let (server, mut broker) = start();
    put(&mut broker, "0%");
    let mut client = from(&server, "10.8.0.1:1");

    for _ in 0..5 {
        assert_eq!(shown(&mut client, "V"), WITHOUT);
    }
    assert_eq!(server.memo().hits, 3);
    assert_eq!(shown(&mut client, "rmq_sys_SYNC_BROKER_MEMBER_new"), "new:6");
}

#[test]
fn what_is_not_understood_shows_the_broker_to_nobody_and_the_log_says_why() {
    log();
    let (server, mut broker) = start();
    put(&mut broker, "140.07%");

    assert_eq!(shown(&mut from(&server, "10.8.0.1:1"), "T"), WITHOUT);
    let lines = log().lines(&["ERROR", "canary", "nobody is shown `new`", "`140.07%` is no share"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    put(&mut broker, "100%");
    assert_eq!(shown(&mut from(&server, "10.8.0.1:1"), "T"), WITH);
}
