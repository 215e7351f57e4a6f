//! The cluster of the benchmarks: a thousand topics, each on four brokers with eight queues, which makes a body of about
//! 1.1 kB.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use fingerpost::remoting::{Command, Fields, RequestCode, SerializeType};

pub(crate) const TOPICS: usize = 1000;
pub(crate) const BROKERS: usize = 4;
pub(crate) const QUEUES: i32 = 8;
pub(crate) const CLUSTER: &str = "DefaultCluster";
pub(crate) const ZONE: &str = "z1";

/// What a current Java client says of itself. Java: `MQVersion.Version.V5_5_0`.
const VERSION: i32 = 513;
const REGISTER_BROKER: i32 = 103;

pub(crate) fn topic_name(topic: usize) -> String {
    format!("bench-topic-{topic:04}")
}

pub(crate) fn broker_name(broker: usize) -> String {
    format!("bench-broker-{broker}")
}

pub(crate) fn broker_address(broker: usize) -> String {
    format!("10.0.0.{}:10911", broker + 1)
}

/// A request about one topic.
pub(crate) fn lookup(code: i32, topic: usize, more: &[(&str, &str)], opaque: i32) -> Bytes {
    let topic = topic_name(topic);
    let fields = std::iter::once(("topic", topic.as_str())).chain(more.iter().copied());
    frame(code, fields, Bytes::new(), opaque)
}

/// The body that every lookup is answered with, but for names of the same length.
pub(crate) fn route_body() -> Vec<u8> {
    let group = |broker| {
        serde_json::json!({
            "brokerAddrs": { "0": broker_address(broker) }, "brokerName": broker_name(broker), "cluster": CLUSTER,
            "enableActingMaster": true, "zoneName": ZONE,
        })
    };
    let queue = |broker| {
        serde_json::json!({
            "brokerName": broker_name(broker), "perm": 6, "readQueueNums": QUEUES, "topicSysFlag": 0,
            "writeQueueNums": QUEUES,
        })
    };
    let body = serde_json::json!({
        "brokerDatas": (0..BROKERS).map(group).collect::<Vec<_>>(),
        "filterServerTable": {},
        "queueDatas": (0..BROKERS).map(queue).collect::<Vec<_>>(),
    });
    serde_json::to_vec(&body).expect("a body is JSON")
}

/// What a broker sends to register all topics. Java: `BrokerOuterAPI.registerBroker`.
pub(crate) fn registration(broker: usize) -> Bytes {
    let topics: serde_json::Map<_, _> = (0..TOPICS).map(|topic| topic_config(&topic_name(topic))).collect();
    let body = serde_json::json!({
        "topicConfigSerializeWrapper": {
            "dataVersion": { "stateVersion": 0, "timestamp": 1_700_000_000_000_i64, "counter": 1 },
            "topicConfigTable": topics,
        },
        "filterServerList": [],
    });
    let body = Bytes::from(serde_json::to_vec(&body).expect("a body is JSON"));
    let crc = crc32fast::hash(&body).to_string();
    let (name, address) = (broker_name(broker), broker_address(broker));
    let fields = [
        ("brokerName", name.as_str()),
        ("brokerAddr", &address),
        ("clusterName", CLUSTER),
        ("haServerAddr", ""),
        ("brokerId", "0"),
        ("heartbeatTimeoutMillis", "600000"),
        ("enableActingMaster", "true"),
        ("__ZONE_NAME", ZONE),
        ("compressed", "false"),
        ("bodyCrc32", &crc),
    ];
    frame(REGISTER_BROKER, fields, body, 1)
}

fn topic_config(name: &str) -> (String, serde_json::Value) {
    let config = serde_json::json!({
        "topicName": name, "readQueueNums": QUEUES, "writeQueueNums": QUEUES, "perm": 6,
        "topicFilterType": "SINGLE_TAG", "topicSysFlag": 0, "order": false, "attributes": {},
    });
    (name.to_owned(), config)
}

fn frame<'a>(code: i32, fields: impl IntoIterator<Item = (&'a str, &'a str)>, body: Bytes, opaque: i32) -> Bytes {
    let text = ByteString::from;
    let fields: Fields = fields.into_iter().map(|(name, value)| (text(name), text(value))).collect();
    let request =
        Command { version: VERSION, fields: Some(fields), body, ..Command::request(RequestCode(code), opaque) };
    let mut out = BytesMut::new();
    request.encode(SerializeType::Json, &mut out).expect("a request fits its frame");
    out.freeze()
}
