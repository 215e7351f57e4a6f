//! Large clusters: registrations and lists beyond 16 MiB, a hundred thousand topics on a broker, hundreds of brokers
//! that share their topics.
//!
//! Sizes are smaller than that unless `FINGERPOST_LARGE` is set; then the memory that the server took is printed, too.

use std::time::Duration;

use bytes::Bytes;
use fingerpost::config::{ByteSize, Config};

use crate::harness::{Ask, Client, Server};
use crate::requests::{Broker, Reply, Version, cluster_info, names, route, topic_list};
use crate::stock::forms::compressed;

fn is_full() -> bool {
    std::env::var_os("FINGERPOST_LARGE").is_some()
}

/// Room for everything here, as an operator with such brokers would make.
fn roomy(config: &mut Config) {
    config.net.frame_size_max = ByteSize::mib(64);
    config.plugins.reply_size_max = ByteSize::mib(64);
    // A machine with little to spare must not fail because it is slow.
    config.plugins.lane_deadline = Duration::from_secs(60);
}

/// Long enough that a hundred thousand of them are more than a frame of Java may hold.
fn long_name(at: usize) -> String {
    format!("{at:0>180}")
}

fn json_body(topics: impl Iterator<Item = String>) -> Bytes {
    let entry = |name: String| {
        format!(r#""{name}":{{"perm":6,"readQueueNums":4,"topicName":"{name}","topicSysFlag":0,"writeQueueNums":4}}"#)
    };
    let entries: Vec<String> = topics.map(entry).collect();
    let version = Version { counter: 1, state: 0 }.json();
    let (table, version) = (entries.join(","), version);
    let wrapper = format!(r#"{{"dataVersion":{version},"topicConfigTable":{{{table}}}}}"#);
    format!(r#"{{"topicConfigSerializeWrapper":{wrapper}}}"#).into()
}

#[test]
fn a_broker_may_bring_a_hundred_thousand_topics_in_more_than_sixteen_mebibytes() {
    const COUNT: usize = 100_000;
    let server = Server::start_with(|config, _| roomy(config));
    let (mut broker, mut client) = (server.client(), server.client());
    let body = json_body((0..COUNT).map(long_name));
    assert!(body.len() > 32 << 20);

    let reply = broker.ask(Broker::new("a").header().body(body));

    assert_eq!(reply.code, 0, "{}", reply.remark_text());
    assert_eq!(client.ask(route(&long_name(0))).code, 0);
    assert_eq!(client.ask(route(&long_name(COUNT - 1))).code, 0);
    let all = client.ask(topic_list());
    assert!(all.body.len() > 16 << 20, "Java's clients could not read it, ours can");
    assert_eq!(names(&all).len(), COUNT);
    assert_eq!(names(&client.ask(Ask::new(224).field("cluster", "c"))).len(), COUNT);
    let wiped = client.ask(Ask::new(205).field("brokerName", "a"));
    assert_eq!(wiped.field_text("wipeTopicCount"), COUNT.to_string());
    drop(broker);
    client.wait_until(|client| client.ask(route(&long_name(0))).code == 17);
    assert!(names(&client.ask(topic_list())).is_empty());
}

#[test]
fn a_registration_beyond_the_limit_closes_its_connection_and_changes_nothing() {
    let server = Server::start();
    let (mut broker, mut client) = (server.client(), server.client());
    let frame = Broker::new("a").header().body(json_body((0..40_000).map(long_name))).frame(1);
    assert!(frame.len() > 16 << 20);

    // The first bytes say how long it is, and nobody waits for the others.
    broker.send_bytes(&frame[..100]);

    assert!(broker.receive().is_none());
    assert!(names(&client.ask(topic_list())).is_empty());
}

#[test]
fn a_list_beyond_the_limit_of_replies_is_refused_and_the_next_request_is_answered() {
    let server = Server::start_with(|config, _| {
        roomy(config);
        config.plugins.reply_size_max = ByteSize::mib(1);
    });
    let (mut broker, mut client) = (server.client(), server.client());
    let reply = broker.ask(Broker::new("a").header().body(json_body((0..10_000).map(long_name))));
    assert_eq!(reply.code, 0, "{}", reply.remark_text());

    let refused = client.ask(topic_list());

    assert_eq!(refused.code, 2, "{}", refused.remark_text());
    assert_eq!(client.ask(route(&long_name(0))).code, 0);
}

#[test]
fn a_compressed_registration_may_bring_a_hundred_thousand_topics() {
    const COUNT: usize = 100_000;
    let server = Server::start_with(|config, _| roomy(config));
    let mut client = server.client();
    let records: Vec<String> = (0..COUNT).map(|at| format!("topic-{at} 4 4 6 SINGLE_TAG")).collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let body = compressed(&records, "[]", Some(&[]));

    let reply = client.ask(Broker::new("a").header().version(413).field("compressed", "true").body(body));

    assert_eq!(reply.code, 0, "{}", reply.remark_text());
    assert_eq!(names(&client.ask(topic_list())).len(), COUNT);
}

#[test]
fn hundreds_of_brokers_share_thousands_of_topics() {
    let (brokers, topics) = if is_full() { (300, 10_000) } else { (100, 300) };
    let server = Server::start_with(|config, _| roomy(config));
    let (mut connection, mut client) = (server.client(), server.client());
    let before = resident_mib();
    let body = json_body((0..topics).map(|at| format!("topic-{at}")));
    for at in 0..brokers {
        let reply = connection.ask(Broker::new(&format!("broker-{at:03}")).header().body(body.clone()));
        assert_eq!(reply.code, 0, "{}", reply.remark_text());
    }
    if let (true, Some(before), Some(after)) = (is_full(), before, resident_mib()) {
        println!("{brokers} brokers with {topics} shared topics: from {before} to {after} MiB resident");
    }

    let found = client.ask(route("topic-7")).json();
    assert_eq!(found["queueDatas"].as_array().map(Vec::len), Some(brokers));
    assert_eq!(found["brokerDatas"].as_array().map(Vec::len), Some(brokers));
    assert_eq!(names(&client.ask(topic_list())).len(), topics);
    assert_eq!(client.ask(cluster_info()).text().matches("\"brokerName\":").count(), brokers);

    leave(&mut client, topics, brokers);
    server.clock.advance(Duration::from_secs(121));
    assert_eq!(server.scan(), brokers - 1);
    assert!(names(&client.ask(topic_list())).is_empty());
}

/// One broker is wiped, and goes.
fn leave(client: &mut Client, topics: usize, brokers: usize) {
    let wiped = client.ask(Ask::new(205).field("brokerName", "broker-001"));
    assert_eq!(wiped.field_text("wipeTopicCount"), topics.to_string());
    assert_eq!(crate::requests::queue_of(client, "topic-7", "broker-001").1, 4);
    assert_eq!(client.ask(Broker::new("broker-001").departure()).code, 0);
    let left = client.ask(route("topic-7")).json();
    assert_eq!(left["queueDatas"].as_array().map(Vec::len), Some(brokers - 1));
}

/// The memory of this process, where the system says it.
fn resident_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}
