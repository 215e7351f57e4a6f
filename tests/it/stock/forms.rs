//! The forms of a registration's body: plain, legacy, compressed with and without mappings.

use std::io::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::harness::Server;
use crate::requests::{Broker, Reply, names, queue_of, route, topic_list};

const VERSION: &str = r#"{"counter":1,"stateVersion":0,"timestamp":5}"#;

/// A compressed body; the last part only where the sender's version has it.
pub(crate) fn compressed(topics: &[&str], filter_servers: &str, mappings: Option<&[&str]>) -> Bytes {
    let mut plain = BytesMut::new();
    let text = |plain: &mut BytesMut, text: &str| {
        plain.put_i32(i32::try_from(text.len()).expect("a test's text is short"));
        plain.put_slice(text.as_bytes());
    };
    text(&mut plain, VERSION);
    plain.put_i32(i32::try_from(topics.len()).expect("they are few enough"));
    topics.iter().for_each(|topic| text(&mut plain, topic));
    text(&mut plain, filter_servers);
    if let Some(mappings) = mappings {
        plain.put_i32(i32::try_from(mappings.len()).expect("they are few enough"));
        mappings.iter().for_each(|mapping| text(&mut plain, mapping));
    }
    deflated(&plain)
}

fn deflated(plain: &[u8]) -> Bytes {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).expect("memory takes all that is written to it");
    encoder.finish().expect("memory takes all that is written to it").into()
}

/// As brokers sum it, and as they would not.
fn sum(body: &[u8]) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(body);
    (crc.sum() & 0x7fff_ffff).to_string()
}

#[test]
fn a_compressed_body_brings_topics_filter_servers_and_mappings() {
    let server = Server::start();
    let mut connection = server.client();
    let mapping = r#"{"bname":"a","currIdMap":{0:0,1:1},"dirty":false,"epoch":9007199254740993,"scope":"__global__","topic":"T","totalQueues":2}"#;
    let body =
        compressed(&["T 3 5 6 SINGLE_TAG", r#"U 1 1 4 MULTI_TAG {"+k":"v w"}"#], r#"["filter:1"]"#, Some(&[mapping]));

    let reply = connection.ask(
        Broker::new("a").header().version(413).field("compressed", "true").field("bodyCrc32", &sum(&body)).body(body),
    );

    assert_eq!(reply.code, 0, "{}", reply.remark_text());
    assert_eq!(queue_of(&mut connection, "T", "a"), (5, 6));
    assert_eq!(queue_of(&mut connection, "U", "a"), (1, 4));
    let found = connection.ask(route("T")).json();
    assert_eq!(found["filterServerTable"]["a:10911"][0], "filter:1");
    // Beyond what a double holds exactly, clients of the standard style read a number as text.
    assert_eq!(found["topicQueueMappingByBroker"]["a"]["epoch"], "9007199254740993");
}

#[test]
fn before_5_0_a_compressed_body_ends_without_mappings() {
    let server = Server::start();
    let mut connection = server.client();
    let body = compressed(&["T 3 5 6 SINGLE_TAG", "U 1 1 4 SINGLE_TAG"], "[]", None);
    let ask = || Broker::new("a").header().field("compressed", "true").body(body.clone());

    let as_new = connection.ask(ask().version(413));
    let as_old = connection.ask(ask().version(412));

    assert_eq!(as_new.code, 1, "the part that a new sender must add is missing");
    assert_eq!(as_old.code, 0, "{}", as_old.remark_text());
    assert_eq!(queue_of(&mut connection, "T", "a"), (5, 6));
}

#[test]
fn before_3_0_11_the_body_is_the_topic_table_alone() {
    let server = Server::start();
    let mut connection = server.client();
    let table = r#""topicConfigTable":{"T":{"topicName":"T"},"U":{"topicName":"U","perm":4}}"#;
    let body = format!(r#"{{"dataVersion":{VERSION},{table}}}"#);

    let reply = connection.ask(Broker::new("a").header().version(36).body(body));

    assert_eq!(reply.code, 0, "{}", reply.remark_text());
    assert_eq!(queue_of(&mut connection, "T", "a"), (16, 6), "what a topic leaves out has Java's defaults");
    assert_eq!(queue_of(&mut connection, "U", "a"), (16, 4));
}

#[test]
fn no_body_is_an_empty_table_that_removes_filter_servers() {
    let server = Server::start();
    let mut connection = server.client();
    let topics = r#""topicConfigTable":{"T":{"topicName":"T"},"U":{"topicName":"U"}}"#;
    let body = |servers: &str| {
        format!(
            r#"{{"filterServerList":{servers},"topicConfigSerializeWrapper":{{"dataVersion":{VERSION},{topics}}}}}"#
        )
    };
    let mut filter_servers = |ask: crate::harness::Ask| {
        assert_eq!(connection.ask(ask).code, 0);
        connection.ask(route("T")).json()["filterServerTable"].to_string()
    };
    let header = || Broker::new("a").header();

    let set = filter_servers(header().body(body(r#"["f:1"]"#)));
    let kept = filter_servers(header().body(body("null")));
    let kept_by_old = filter_servers(header().version(36));
    let removed = filter_servers(header());

    assert_eq!(set, r#"{"a:10911":["f:1"]}"#);
    assert_eq!(kept, set, "null says nothing about them");
    assert_eq!(kept_by_old, set, "before 3.0.11 no registration says anything about them");
    assert_eq!(removed, "{}");
    assert_eq!(names(&connection.ask(topic_list())), ["T", "U"], "an empty table does not take topics away");
}

#[test]
fn keys_of_integer_maps_may_be_bare_or_quoted() {
    let server = Server::start();
    let mut connection = server.client();
    let mapping = |ids: &str| {
        format!(r#"{{"bname":"a","currIdMap":{ids},"dirty":false,"epoch":1,"scope":"s","topic":"T","totalQueues":2}}"#)
    };
    let topics = r#"{"T":{"topicName":"T"},"U":{"topicName":"U"}}"#;
    let body = format!(
        r#"{{"topicConfigSerializeWrapper":{{"topicConfigTable":{topics},"topicQueueMappingInfoMap":{{"T":{},"U":{}}}}}}}"#,
        mapping("{0:0,1:1}"),
        mapping(r#"{"0":0,"1":1}"#)
    );

    assert_eq!(connection.ask(Broker::new("a").header().body(body)).code, 0);

    for topic in ["T", "U"] {
        let old = connection.ask(route(topic).version(400));
        assert!(old.text().contains(r#""currIdMap":{0:0,1:1}"#), "{}", old.text());
    }
}
