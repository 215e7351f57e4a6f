//! Route lookups: which topics are asked for, by whom, and what the answers must be.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::Value;

use super::Work;
use super::wire::{Answer, OPAQUE_MIN, Template};
use crate::common::cluster::{self, Cluster, QUEUES, Sender};

const GET_ROUTEINFO_BY_TOPIC: i32 = 105;

/// One body in so many is taken apart.
const BODY_CHECKED_EACH: usize = 256;

/// The share of lookups for topics that are not there, where that is wanted.
pub(crate) const MISSING: f64 = 0.1;

/// One lookup.
pub(crate) fn lookup(sender: Sender, topic: &str, opaque: i32) -> Bytes {
    sender.request(GET_ROUTEINFO_BY_TOPIC, &[("topic", topic)], opaque)
}

/// Which topic comes next.
#[derive(Clone, Debug)]
pub(crate) enum Draw {
    /// Any of so many; those beyond the cluster's are missing.
    Uniform(usize),
    /// A topic for each of [`ZIPF_STEPS`] equal shares.
    Zipf(Vec<u32>),
    /// All of so many, one after the other, but not as the server stored them.
    Each { of: usize, next: usize },
}

const ZIPF_STEPS: usize = 1 << 16;

impl Draw {
    pub(crate) fn uniform(cluster: &Cluster) -> Self {
        Self::Uniform(cluster.topic_count())
    }

    /// [`MISSING`] of the topics are not there.
    pub(crate) fn some_missing(cluster: &Cluster) -> Self {
        Self::Uniform((cluster.topic_count() as f64 / (1.0 - MISSING)).round() as usize)
    }

    /// The n-th topic in favour is asked for 1/n as often as the first.
    pub(crate) fn zipf(cluster: &Cluster) -> Self {
        let topics = cluster.topic_count();
        let whole: f64 = (1..=topics).map(|rank| 1.0 / rank as f64).sum();
        let (mut rank, mut below) = (1, 1.0 / whole);
        let shares = (0..ZIPF_STEPS).map(|step| {
            while below < (step as f64 + 0.5) / ZIPF_STEPS as f64 && rank < topics {
                rank += 1;
                below += 1.0 / (rank as f64 * whole);
            }
            scattered(rank, topics) as u32
        });
        Self::Zipf(shares.collect())
    }

    pub(crate) fn each(cluster: &Cluster) -> Self {
        Self::Each { of: cluster.topic_count(), next: 0 }
    }

    fn next(&mut self, random: &mut fastrand::Rng) -> usize {
        match self {
            Self::Uniform(of) => random.usize(..*of),
            Self::Zipf(topics) => topics[random.usize(..ZIPF_STEPS)] as usize,
            Self::Each { of, next } => {
                *next += 1;
                scattered(*next, *of)
            }
        }
    }
}

/// Neighbours come apart. Every number below `of` comes once: `of` is a power of ten, or twice one.
fn scattered(number: usize, of: usize) -> usize {
    number * 617 % of
}

/// What a server says to lookups.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Says {
    Routes,
    /// The same to everything, as the floor does.
    Canned,
}

pub(crate) struct Lookups {
    cluster: Cluster,
    draw: Draw,
    random: fastrand::Rng,
    says: Says,
    /// One is chosen at random for each lookup.
    senders: Vec<(Sender, Template)>,
    /// What each slot asked last: a topic, and as which sender.
    asked: Vec<(u32, u8)>,
    answers: usize,
}

impl Lookups {
    pub(crate) fn new(cluster: Cluster, senders: &[Sender], draw: Draw, says: Says, random: fastrand::Rng) -> Self {
        let sender = |sender: &Sender| {
            let topic = cluster::topic_name(0);
            (*sender, Template::new(&lookup(*sender, &topic, OPAQUE_MIN as i32), &[&topic]))
        };
        let senders = senders.iter().map(sender).collect();
        Self { cluster, draw, random, says, senders, asked: Vec::new(), answers: 0 }
    }

    /// The first answer of each sender, one by one, and one in [`BODY_CHECKED_EACH`] after it.
    fn is_checked(&self) -> bool {
        self.answers % BODY_CHECKED_EACH < self.senders.len()
    }
}

impl Work for Lookups {
    fn ask(&mut self, slot: usize, opaque: u32, output: &mut Vec<u8>) {
        let topic = self.draw.next(&mut self.random) as u32;
        let sender = if self.senders.len() > 1 { self.random.usize(..self.senders.len()) } else { 0 };
        if self.asked.len() <= slot {
            self.asked.resize(slot + 1, (0, 0));
        }
        self.asked[slot] = (topic, sender as u8);
        self.senders[sender].1.append(opaque, &[topic], output);
    }

    fn check(&mut self, slot: usize, answer: &Answer<'_>) {
        let (topic, sender) = self.asked[slot];
        let topic = topic as usize;
        let is_there = topic < self.cluster.topic_count() || self.says == Says::Canned;
        let code = if is_there { 0 } else { 17 };
        assert_eq!(answer.code, code, "topic {topic}: {}", String::from_utf8_lossy(answer.header));
        assert_eq!(answer.body.is_empty(), !is_there, "topic {topic}: {} bytes", answer.body.len());
        let is_checked = self.is_checked();
        self.answers += 1;
        if is_there && is_checked && self.says == Says::Routes {
            assert_route(&self.cluster, topic, QUEUES, self.senders[sender as usize].0, answer.body);
        }
    }
}

/// Fails unless the body has the brokers of this topic, with their addresses and queues, as the sender reads them.
pub(crate) fn assert_route(cluster: &Cluster, topic: usize, queues: i32, sender: Sender, body: &[u8]) {
    let text = std::str::from_utf8(body).expect("a body of text");
    assert_eq!(text.contains("{0:"), sender.reads_bare_keys(), "the keys of {text}");
    let route: Value = serde_json::from_str(&text.replace("{0:", "{\"0\":")).expect("a body of JSON");
    let list = |name: &str| route[name].as_array().unwrap_or_else(|| panic!("no {name} in {text}")).iter();
    let groups: BTreeSet<_> =
        list("brokerDatas").map(|group| (&group["brokerName"], &group["brokerAddrs"])).map(text_of).collect();
    let wanted: BTreeSet<_> = cluster
        .brokers_of(topic)
        .map(|broker| {
            let address = serde_json::json!({ "0": cluster::broker_address(broker) });
            text_of((&cluster::broker_name(broker).into(), &address))
        })
        .collect();
    assert_eq!(groups, wanted, "topic {topic}");
    assert_eq!(list("queueDatas").len(), wanted.len(), "topic {topic}");
    assert!(list("queueDatas").all(|queue| queue["readQueueNums"] == queues), "topic {topic}: {text}");
}

fn text_of((name, addresses): (&Value, &Value)) -> String {
    format!("{name} {addresses}")
}
