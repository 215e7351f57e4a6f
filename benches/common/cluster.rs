//! The clusters of the benchmarks, and what their brokers and clients send.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use fingerpost::remoting::{Command, Fields, RequestCode, SerializeType};

pub(crate) const TOPICS: usize = 1000;
pub(crate) const BROKERS: usize = 4;
pub(crate) const QUEUES: i32 = 8;
pub(crate) const CLUSTER: &str = "DefaultCluster";
pub(crate) const ZONE: &str = "z1";

/// The cluster of most cases; a route is a body of about 1.1 kB.
pub(crate) const THOUSAND: Cluster = Cluster { brokers: BROKERS, topics: TOPICS, shared: true };

const REGISTER_BROKER: i32 = 103;

/// Topics, and the brokers that serve them. Each topic has the same number of queues on each of its brokers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Cluster {
    pub(crate) brokers: usize,
    /// Of each broker.
    pub(crate) topics: usize,
    /// Whether all brokers serve the same topics, or each its own.
    pub(crate) shared: bool,
}

impl Cluster {
    /// How many topics there are, over all brokers.
    pub(crate) fn topic_count(&self) -> usize {
        if self.shared { self.topics } else { self.topics * self.brokers }
    }

    pub(crate) fn topics_of(&self, broker: usize) -> Range<usize> {
        let first = if self.shared { 0 } else { broker * self.topics };
        first..first + self.topics
    }

    pub(crate) fn brokers_of(&self, topic: usize) -> Range<usize> {
        if self.shared {
            return 0..self.brokers;
        }
        let broker = topic / self.topics;
        broker..broker + 1
    }

    /// The body that a lookup of `topic` is answered with.
    pub(crate) fn route_body(&self, topic: usize) -> Vec<u8> {
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
            "brokerDatas": self.brokers_of(topic).map(group).collect::<Vec<_>>(),
            "filterServerTable": {},
            "queueDatas": self.brokers_of(topic).map(queue).collect::<Vec<_>>(),
        });
        serde_json::to_vec(&body).expect("a body is JSON")
    }
}

/// All names of topics are equally long, and end in the topic's number.
pub(crate) fn topic_name(topic: usize) -> String {
    format!("bench-topic-{topic:06}")
}

pub(crate) fn broker_name(broker: usize) -> String {
    format!("bench-broker-{broker}")
}

pub(crate) fn broker_address(broker: usize) -> String {
    format!("10.0.0.{}:10911", broker + 1)
}

/// What a sender says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Sender {
    pub(crate) serialize: SerializeType,
    /// As Java counts them: `MQVersion`.
    pub(crate) version: i32,
}

impl Sender {
    /// A current Java client or broker. Java: `V5_5_0`.
    pub(crate) const NEW: Self = Self { serialize: SerializeType::Json, version: 513 };
    /// The same with the binary header.
    pub(crate) const BINARY: Self = Self { serialize: SerializeType::Rocketmq, version: 513 };
    /// The newest client that is sent integers as keys without quotes. Java: `V4_9_3`.
    pub(crate) const OLD: Self = Self { serialize: SerializeType::Json, version: 399 };

    pub(crate) fn reads_bare_keys(self) -> bool {
        self.version < 401
    }

    /// A request without a body.
    pub(crate) fn request(self, code: i32, fields: &[(&str, &str)], opaque: i32) -> Bytes {
        let text = ByteString::from;
        let fields: Fields = fields.iter().map(|&(name, value)| (text(name), text(value))).collect();
        let request =
            Command { version: self.version, fields: Some(fields), ..Command::request(RequestCode(code), opaque) };
        let mut out = BytesMut::new();
        request.encode(self.serialize, &mut out).expect("a request fits its frame");
        out.freeze()
    }
}

/// A request about one topic.
pub(crate) fn lookup(code: i32, topic: usize, more: &[(&str, &str)], opaque: i32) -> Bytes {
    let topic = topic_name(topic);
    let fields: Vec<_> = std::iter::once(("topic", topic.as_str())).chain(more.iter().copied()).collect();
    Sender::NEW.request(code, &fields, opaque)
}

/// What a broker sends to register its topics. Its body is made once; a new data version is written into its place.
/// Java: `BrokerOuterAPI.registerBroker`.
pub(crate) struct Registration {
    broker: usize,
    body: Vec<u8>,
    /// Where the timestamp of the data version stands, as thirteen digits.
    timestamp: Range<usize>,
}

impl Registration {
    pub(crate) fn new(cluster: &Cluster, broker: usize, queues: i32) -> Self {
        const TIMESTAMP: &str = "\"timestamp\":";
        let topics: serde_json::Map<_, _> =
            cluster.topics_of(broker).map(|topic| topic_config(&topic_name(topic), queues)).collect();
        let body = serde_json::json!({
            "filterServerList": [],
            "topicConfigSerializeWrapper": {
                "dataVersion": data_version(FIRST_VERSION),
                "topicConfigTable": topics,
                "topicQueueMappingDetailMap": {},
                "topicQueueMappingInfoMap": {},
            },
        });
        let body = serde_json::to_string(&body).expect("a body is JSON");
        let start = body.find(TIMESTAMP).expect("a body has a data version") + TIMESTAMP.len();
        Self { broker, body: body.into_bytes(), timestamp: start..start + 13 }
    }

    /// The whole frame.
    pub(crate) fn frame(&mut self, version: u64) -> Vec<u8> {
        self.body[self.timestamp.clone()].copy_from_slice(version.to_string().as_bytes());
        let crc = (crc32fast::hash(&self.body) & 0x7fff_ffff).to_string();
        let (name, address) = (broker_name(self.broker), broker_address(self.broker));
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
        with_body(&Sender::NEW.request(REGISTER_BROKER, &fields, 1), &self.body)
    }
}

/// The frame of a request that had no body.
pub(crate) fn with_body(frame: &[u8], body: &[u8]) -> Vec<u8> {
    let length = (frame.len() - 4 + body.len()) as u32;
    [&length.to_be_bytes(), &frame[4..], body].concat()
}

/// The timestamp of the first data version of every broker; like each later one, of thirteen digits.
pub(crate) const FIRST_VERSION: u64 = 1_700_000_000_000;

/// A data version as a body has it.
pub(crate) fn data_version(timestamp: u64) -> serde_json::Value {
    serde_json::json!({ "counter": 1, "stateVersion": 0, "timestamp": timestamp })
}

/// What one of the four brokers sends at first.
pub(crate) fn registration(broker: usize) -> Bytes {
    Registration::new(&THOUSAND, broker, QUEUES).frame(FIRST_VERSION).into()
}

fn topic_config(name: &str, queues: i32) -> (String, serde_json::Value) {
    let config = serde_json::json!({
        "topicName": name, "readQueueNums": queues, "writeQueueNums": queues, "perm": 6,
        "topicFilterType": "SINGLE_TAG", "topicSysFlag": 0, "order": false, "attributes": {},
    });
    (name.to_owned(), config)
}
