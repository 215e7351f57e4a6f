//! What brokers, clients and operators send, and how their answers read.

use std::fmt::Write as _;

use fingerpost::remoting::Command;

use crate::harness::{Ask, Client};

/// A broker that registers. Unless told otherwise it is the master of its group, in cluster `c`, and publishes its
/// topics as of version 1.
#[derive(Clone)]
pub(crate) struct Broker {
    name: String,
    cluster: String,
    id: i64,
    address: String,
    version: Version,
    topics: String,
    fields: Vec<(&'static str, String)>,
}

/// A data version; time and term only where a test is about them.
#[derive(Clone, Copy)]
pub(crate) struct Version {
    pub(crate) counter: i64,
    pub(crate) state: i64,
}

impl Version {
    pub(crate) fn json(self) -> String {
        format!(r#"{{"counter":{},"stateVersion":{},"timestamp":5}}"#, self.counter, self.state)
    }
}

impl Broker {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            cluster: "c".to_owned(),
            id: 0,
            address: format!("{name}:10911"),
            version: Version { counter: 1, state: 0 },
            topics: String::new(),
            fields: Vec::new(),
        }
    }

    pub(crate) fn cluster(self, cluster: &str) -> Self {
        Self { cluster: cluster.to_owned(), ..self }
    }

    /// A slave is at an address of its own.
    pub(crate) fn id(self, id: i64) -> Self {
        let address = format!("{}-{id}:10911", self.name);
        Self { id, address, ..self }
    }

    pub(crate) fn address(self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self }
    }

    pub(crate) fn version(self, counter: i64) -> Self {
        Self { version: Version { counter, ..self.version }, ..self }
    }

    pub(crate) fn state_version(self, state: i64) -> Self {
        Self { version: Version { state, ..self.version }, ..self }
    }

    /// Publishes these, with four queues each. A newcomer with one topic only is refused, so tests name two.
    pub(crate) fn topics(self, names: &[&str]) -> Self {
        names.iter().fold(self, |broker, name| broker.topic(name, 4, 6, 0))
    }

    pub(crate) fn topic(mut self, name: &str, queues: i32, perm: i32, sys_flag: i32) -> Self {
        if !self.topics.is_empty() {
            self.topics.push(',');
        }
        write!(
            self.topics,
            r#""{name}":{{"perm":{perm},"readQueueNums":{queues},"topicName":"{name}","topicSysFlag":{sys_flag},"writeQueueNums":{queues}}}"#
        )
        .expect("a string takes all that is written to it");
        self
    }

    pub(crate) fn field(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, value.to_owned()));
        self
    }

    pub(crate) fn timeout_ms(self, timeout: u64) -> Self {
        self.field("heartbeatTimeoutMillis", &timeout.to_string())
    }

    /// The request without a body.
    pub(crate) fn header(&self) -> Ask {
        let ask = self.named(103).field("brokerId", &self.id.to_string());
        self.fields.iter().fold(ask, |ask, (name, value)| ask.field(name, value))
    }

    pub(crate) fn registration(&self) -> Ask {
        let version = self.version.json();
        let wrapper = format!(r#"{{"dataVersion":{version},"topicConfigTable":{{{}}}}}"#, self.topics);
        self.header().body(format!(r#"{{"topicConfigSerializeWrapper":{wrapper}}}"#))
    }

    pub(crate) fn departure(&self) -> Ask {
        self.named(104).field("brokerId", &self.id.to_string())
    }

    pub(crate) fn heartbeat(&self) -> Ask {
        self.named(904)
    }

    pub(crate) fn version_query(&self) -> Ask {
        self.named(322).field("brokerId", &self.id.to_string()).body(self.version.json())
    }

    fn named(&self, code: i32) -> Ask {
        Ask::new(code)
            .field("brokerName", &self.name)
            .field("brokerAddr", &self.address)
            .field("clusterName", &self.cluster)
    }

    /// Registers, which has to succeed.
    #[track_caller]
    pub(crate) fn register(&self, connection: &mut Client) -> Command {
        let reply = connection.ask(self.registration());
        assert_eq!(reply.code, 0, "{:?}", reply.remark);
        reply
    }
}

pub(crate) fn route(topic: &str) -> Ask {
    Ask::new(105).field("topic", topic)
}

pub(crate) fn cluster_info() -> Ask {
    Ask::new(106)
}

pub(crate) fn topic_list() -> Ask {
    Ask::new(206)
}

pub(crate) fn kv_put(namespace: &str, key: &str, value: &str) -> Ask {
    Ask::new(100).field("namespace", namespace).field("key", key).field("value", value)
}

pub(crate) fn kv_get(namespace: &str, key: &str) -> Ask {
    Ask::new(101).field("namespace", namespace).field("key", key)
}

pub(crate) fn change_settings(properties: &str) -> Ask {
    Ask::new(318).body(properties.to_owned())
}

/// A reply, as a test looks at it.
pub(crate) trait Reply {
    /// Its body, as text.
    fn text(&self) -> &str;

    /// Its body, when all of its keys are quoted.
    fn json(&self) -> serde_json::Value;

    fn remark_text(&self) -> &str;

    /// A header field; empty when absent.
    fn field_text(&self, name: &str) -> &str;
}

impl Reply for Command {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("bodies are UTF-8")
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    fn remark_text(&self) -> &str {
        self.remark.as_deref().unwrap_or_default()
    }

    fn field_text(&self, name: &str) -> &str {
        self.field(name).map(|value| &**value).unwrap_or_default()
    }
}

/// The queue entry of a broker in a topic's route: its number of queues, and its permission.
#[track_caller]
pub(crate) fn queue_of(client: &mut Client, topic: &str, broker: &str) -> (i64, i64) {
    let route = client.ask(route(topic));
    assert_eq!(route.code, 0, "{}", route.remark_text());
    let route = route.json();
    let queues = route["queueDatas"].as_array().expect("a list of queues");
    let queue = queues.iter().find(|queue| queue["brokerName"] == broker).expect("the broker has a queue entry");
    (queue["writeQueueNums"].as_i64().unwrap_or(-1), queue["perm"].as_i64().unwrap_or(-1))
}

/// The names in a topic list.
pub(crate) fn names(reply: &Command) -> Vec<String> {
    assert_eq!(reply.code, 0, "{}", reply.remark_text());
    let list = reply.json();
    let names = list["topicList"].as_array().expect("a list of names");
    names.iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
}

/// Everything that is known of brokers and topics, to compare before and after.
pub(crate) fn all_known(client: &mut Client) -> (String, String) {
    (client.ask(cluster_info()).text().to_owned(), client.ask(topic_list()).text().to_owned())
}
