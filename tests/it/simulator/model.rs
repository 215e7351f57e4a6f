//! What a name server has to answer, as plain values: a model that is too simple to be wrong.
//!
//! Every broker of the model is the master of a group of its own, in one cluster, at one address. The rules of groups
//! are tested where the tables are.

use std::collections::{BTreeMap, BTreeSet};

use fingerpost::remoting::Command;
use fingerpost::route::Tables;

use crate::harness::Ask;
use crate::requests::{self, Reply};

/// What a client may ask.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Register { broker: usize, version: i64, topics: BTreeMap<usize, i64>, timeout: u64 },
    Unregister { broker: usize },
    Heartbeat { broker: usize },
    Route { topic: usize },
    Wipe { broker: usize },
    DeleteTopic { topic: usize },
    ClusterInfo,
    Topics,
    KvPut { key: usize, value: i64 },
    KvDelete { key: usize },
    KvGet { key: usize },
    Unknown,
}

/// What comes back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    Code(i32),
    /// Broker, queues and permission of each entry.
    Route(BTreeSet<(String, i64, i64)>),
    Names(BTreeSet<String>),
    Value(String),
    Count(usize),
}

/// The tables and the KV store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    brokers: BTreeMap<usize, ModelBroker>,
    kv: BTreeMap<usize, i64>,
    /// What waits for the disk.
    writes: Vec<(usize, Option<i64>)>,
}

#[derive(Clone, Debug)]
struct ModelBroker {
    connection: usize,
    version: i64,
    last: u64,
    timeout: u64,
    /// Queues and permission.
    topics: BTreeMap<usize, (i64, i64)>,
}

fn broker_name(broker: usize) -> String {
    format!("b{broker}")
}

fn topic_name(topic: usize) -> String {
    format!("t{topic}")
}

impl Request {
    /// A random one, of which registrations and lookups are the most.
    pub(crate) fn random(random: &mut fastrand::Rng) -> Self {
        let (broker, topic, key) = (random.usize(..4), random.usize(..4), random.usize(..3));
        match random.u32(..30) {
            0..=8 => Self::Register {
                broker,
                version: random.i64(0..3),
                topics: (0..random.usize(..4)).map(|_| (random.usize(..4), random.i64(1..9))).collect(),
                timeout: random.choice([0, 1_000, 120_000]).expect("there are three"),
            },
            9..=10 => Self::Unregister { broker },
            11..=12 => Self::Heartbeat { broker },
            13..=18 => Self::Route { topic },
            19 => Self::Wipe { broker },
            20 => Self::DeleteTopic { topic },
            21 => Self::ClusterInfo,
            22 => Self::Topics,
            23..=25 => Self::KvPut { key, value: random.i64(0..1000) },
            26 => Self::KvDelete { key },
            27..=28 => Self::KvGet { key },
            _ => Self::Unknown,
        }
    }

    /// Whether the workers answer it, rather than the write lane.
    pub(crate) fn is_for_worker(&self) -> bool {
        matches!(self, Self::Heartbeat { .. } | Self::Route { .. } | Self::KvGet { .. } | Self::Unknown)
    }

    pub(crate) fn ask(&self) -> Ask {
        let broker = |broker: &usize| requests::Broker::new(&broker_name(*broker));
        match self {
            Self::Register { broker: name, version, topics, timeout } => {
                let broker = broker(name).version(*version).timeout_ms(*timeout);
                let add = |broker: requests::Broker, (topic, queues): (&usize, &i64)| {
                    let queues = i32::try_from(*queues).expect("a small number");
                    broker.topic(&topic_name(*topic), queues, 6, 0)
                };
                topics.iter().fold(broker, add).registration()
            }
            Self::Unregister { broker: name } => broker(name).departure(),
            Self::Heartbeat { broker: name } => broker(name).heartbeat(),
            Self::Route { topic } => requests::route(&topic_name(*topic)),
            Self::Wipe { broker } => Ask::new(205).field("brokerName", &broker_name(*broker)),
            Self::DeleteTopic { topic } => Ask::new(216).field("topic", &topic_name(*topic)),
            Self::ClusterInfo => requests::cluster_info(),
            Self::Topics => requests::topic_list(),
            Self::KvPut { key, value } => requests::kv_put("n", &key.to_string(), &value.to_string()),
            Self::KvDelete { key } => Ask::new(102).field("namespace", "n").field("key", &key.to_string()),
            Self::KvGet { key } => requests::kv_get("n", &key.to_string()),
            Self::Unknown => Ask::new(4711),
        }
    }

    /// What a reply to this request says.
    pub(crate) fn read(&self, reply: &Command) -> Answer {
        if reply.code != 0 {
            return Answer::Code(reply.code);
        }
        match self {
            Self::Route { .. } => {
                let route = reply.json();
                let queues = route["queueDatas"].as_array().expect("a list of queues");
                let number = |value: &serde_json::Value| value.as_i64().expect("a number");
                let entry = |queue: &serde_json::Value| {
                    let name = queue["brokerName"].as_str().expect("a name").to_owned();
                    (name, number(&queue["writeQueueNums"]), number(&queue["perm"]))
                };
                Answer::Route(queues.iter().map(entry).collect())
            }
            Self::ClusterInfo => {
                let info = reply.text();
                // Its keys are not all quoted, so it is not quite JSON.
                Answer::Names((0..4).map(broker_name).filter(|name| info.contains(&format!("{name}:10911"))).collect())
            }
            Self::Topics => Answer::Names(requests::names(reply).into_iter().collect()),
            Self::KvGet { .. } => Answer::Value(reply.field_text("value").to_owned()),
            Self::Wipe { .. } => Answer::Count(reply.field_text("wipeTopicCount").parse().expect("a number of topics")),
            _ => Answer::Code(0),
        }
    }
}

impl Model {
    /// What the server does with a request that it comes to at `now`, and what it answers. A KV write is answered when
    /// it is on disk.
    pub(crate) fn apply(&mut self, request: &Request, connection: usize, now: u64) -> Answer {
        match request {
            Request::Register { broker, version, topics, timeout } => {
                let known = self.brokers.get(broker).cloned();
                if known.is_none() && topics.len() == 1 {
                    return Answer::Code(1);
                }
                let changed = known.as_ref().is_none_or(|known| known.version != *version);
                let mut entries = known.as_ref().map(|known| known.topics.clone()).unwrap_or_default();
                for (topic, queues) in topics {
                    if changed || !entries.contains_key(topic) {
                        entries.insert(*topic, (*queues, 6));
                    }
                }
                let last = known.map_or(now, |known| known.last.max(now));
                let entry = ModelBroker { connection, version: *version, last, timeout: *timeout, topics: entries };
                self.brokers.insert(*broker, entry);
                Answer::Code(0)
            }
            Request::Unregister { broker } => {
                self.brokers.remove(broker);
                Answer::Code(0)
            }
            Request::Heartbeat { broker } => {
                self.brokers.entry(*broker).and_modify(|broker| broker.last = broker.last.max(now));
                Answer::Code(0)
            }
            Request::Route { topic } => match self.route(*topic) {
                entries if entries.is_empty() => Answer::Code(17),
                entries => Answer::Route(entries),
            },
            Request::Wipe { broker } => {
                let topics = self.brokers.get_mut(broker).map(|broker| &mut broker.topics);
                let entries = topics.into_iter().flat_map(BTreeMap::values_mut);
                Answer::Count(entries.map(|entry| entry.1 &= !2).count())
            }
            Request::DeleteTopic { topic } => {
                for broker in self.brokers.values_mut() {
                    broker.topics.remove(topic);
                }
                Answer::Code(0)
            }
            Request::ClusterInfo => Answer::Names(self.brokers.keys().map(|broker| broker_name(*broker)).collect()),
            Request::Topics => Answer::Names(self.topics()),
            Request::KvPut { key, value } => {
                self.writes.push((*key, Some(*value)));
                Answer::Code(0)
            }
            Request::KvDelete { key } => {
                self.writes.push((*key, None));
                Answer::Code(0)
            }
            Request::KvGet { key } => match self.kv.get(key) {
                Some(value) => Answer::Value(value.to_string()),
                None => Answer::Code(22),
            },
            Request::Unknown => Answer::Code(3),
        }
    }

    /// What waits for the disk is on it.
    pub(crate) fn disk(&mut self) {
        for (key, value) in self.writes.drain(..) {
            match value {
                Some(value) => self.kv.insert(key, value),
                None => self.kv.remove(&key),
            };
        }
    }

    /// The server has come to the end of a connection.
    pub(crate) fn disconnect(&mut self, connection: usize) {
        self.brokers.retain(|_, broker| broker.connection != connection);
    }

    /// The connections of those who have been silent for too long; they are forgotten.
    pub(crate) fn expire(&mut self, now: u64) -> Vec<usize> {
        let silent = |broker: &ModelBroker| broker.last + broker.timeout < now;
        let gone = self.brokers.extract_if(.., |_, broker| silent(broker));
        gone.map(|(_, broker)| broker.connection).collect()
    }

    pub(crate) fn brokers(&self) -> usize {
        self.brokers.len()
    }

    fn route(&self, topic: usize) -> BTreeSet<(String, i64, i64)> {
        let entry = |(broker, known): (&usize, &ModelBroker)| {
            known.topics.get(&topic).map(|(queues, perm)| (broker_name(*broker), *queues, *perm))
        };
        self.brokers.iter().filter_map(entry).collect()
    }

    fn topics(&self) -> BTreeSet<String> {
        self.brokers.values().flat_map(|broker| broker.topics.keys()).map(|topic| topic_name(*topic)).collect()
    }

    /// What differs between the model and the tables, if anything does.
    pub(crate) fn compare(&self, tables: &Tables) -> Result<(), String> {
        let same = |what: &str, ours: String, theirs: String| {
            if ours == theirs { Ok(()) } else { Err(format!("{what}: the model has {ours}, the tables {theirs}")) }
        };
        let brokers: Vec<_> = self.brokers.iter().map(|(broker, known)| (broker_name(*broker), known.last)).collect();
        let live: Vec<_> =
            tables.live_brokers().map(|live| (live.broker_name.to_string(), live.last_update())).collect();
        same("brokers", format!("{brokers:?}"), format!("{live:?}"))?;
        let topics: Vec<_> = tables.topics().iter().map(|topic| topic.name.to_string()).collect();
        same("topics", format!("{:?}", self.topics().iter().collect::<Vec<_>>()), format!("{topics:?}"))?;
        for topic in 0..4 {
            let found = tables.topic(&topic_name(topic));
            let queues = found.iter().flat_map(|topic| topic.queues.iter());
            let queues: BTreeSet<_> = queues
                .map(|queue| (queue.broker_name.to_string(), i64::from(queue.write_queue_nums), i64::from(queue.perm)))
                .collect();
            same(&topic_name(topic), format!("{:?}", self.route(topic)), format!("{queues:?}"))?;
        }
        Ok(())
    }

    /// The same for the KV store.
    pub(crate) fn compare_kv(&self, table: &fingerpost::kv::Table) -> Result<(), String> {
        for key in 0..3 {
            let (ours, theirs) = (self.kv.get(&key).map(i64::to_string), table.get("n", &key.to_string()));
            if ours.as_deref() != theirs.map(|value| &**value) {
                return Err(format!("key {key}: the model has {ours:?}, the store {theirs:?}"));
            }
        }
        Ok(())
    }
}
