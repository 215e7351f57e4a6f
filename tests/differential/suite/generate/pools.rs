//! The names that operations share.

use fastrand::Rng;

use super::super::request::Wire;
use super::{choose, once_in, pick};

/// What exists in one sequence.
pub(super) struct World {
    pub(super) clusters: Vec<&'static str>,
    pub(super) brokers: Vec<Identity>,
    pub(super) topics: Vec<&'static str>,
    pub(super) namespaces: Vec<&'static str>,
    /// Whether topics have system flags, which a compressed body does not carry.
    pub(super) flags: bool,
    /// What the brokers of this sequence say about acting masters.
    pub(super) acting_master: Option<&'static str>,
}

/// A broker as it usually presents itself.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) cluster: &'static str,
    pub(super) name: &'static str,
    pub(super) id: i64,
    pub(super) address: String,
    pub(super) wire: Wire,
}

/// A connection that no broker uses.
pub(super) const SPARE_WIRE: Wire = 200;

pub(super) const ZONES: [&str; 4] = ["z1", "Z1", "z2", "zone-é"];

/// Texts that something in between may trip over.
pub(super) const ODD: [&str; 24] = [
    "",
    " ",
    "null",
    "true",
    "0",
    "-1",
    "\"q\"",
    "back\\slash",
    "tab\t",
    "line\nline",
    "\u{1}\u{1f}",
    "é",
    "杭州",
    "😀",
    "\u{2028}",
    "a/b<c>&'d",
    "\u{7f}\u{80}",
    "{\"a\":[1]}",
    "[]",
    "a:b;c=d",
    "\\u0041",
    "%RETRY%g",
    "\u{feff}x",
    "\0",
];

const CLUSTERS: [&str; 3] = ["c1", "c2", "DefaultCluster"];
const NAMES: [&str; 5] = ["a", "b", "broker-c", "d", "e"];
const TOPICS: [&str; 10] =
    ["t0", "t1", "t2", "t3", "t4", "t5", "TBW102", "%RETRY%g", "rmq_sys_SYNC_BROKER_MEMBER_a", "主题"];
const NAMESPACES: [&str; 3] = ["ORDER_TOPIC_CONFIG", "n1", "n2"];
const IDS: [i64; 6] = [0, 1, 2, 3, 17, 0];

impl World {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let odd = once_in(rng, 8);
        let mut clusters = CLUSTERS[..rng.usize(1..=3)].to_vec();
        let mut names = NAMES[..rng.usize(1..=5)].to_vec();
        let mut topics = TOPICS[..rng.usize(3..=10)].to_vec();
        let mut namespaces = NAMESPACES.to_vec();
        if odd {
            for pool in [&mut clusters, &mut names, &mut topics, &mut namespaces] {
                pool.push(choose(rng, &ODD[1..]));
            }
        }
        let mut brokers: Vec<Identity> = Vec::new();
        for (at, name) in (0..).zip(&names) {
            let cluster = choose(rng, &clusters);
            for (nth, id) in (0..).zip(&IDS[..rng.usize(1..=6)]) {
                let address = format!("10.0.{at}.{nth}:10911");
                let wire = at * 8 + nth + 1;
                brokers.push(Identity { cluster, name, id: *id, address, wire });
            }
        }
        let acting_master = choose(rng, &[None, Some("false"), Some("true"), Some("true")]);
        Self { clusters, brokers, topics, namespaces, flags: rng.bool(), acting_master }
    }

    pub(super) fn any_wire(&self, rng: &mut Rng) -> Wire {
        self.broker(rng).wire
    }

    pub(super) fn broker(&self, rng: &mut Rng) -> &Identity {
        pick(rng, &self.brokers)
    }

    pub(super) fn topic(&self, rng: &mut Rng) -> &'static str {
        if once_in(rng, 50) { choose(rng, &ODD) } else { choose(rng, &self.topics) }
    }

    pub(super) fn cluster(&self, rng: &mut Rng) -> &'static str {
        if once_in(rng, 30) { choose(rng, &ODD) } else { choose(rng, &self.clusters) }
    }

    pub(super) fn broker_name(&self, rng: &mut Rng) -> &'static str {
        if once_in(rng, 30) { choose(rng, &ODD) } else { self.broker(rng).name }
    }
}
