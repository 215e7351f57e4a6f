//! Where an answer may differ from Java's recorded one, and nowhere else.

use super::replay::Side;

/// How one exchange may differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Difference {
    /// Collections that Java keeps unordered come in another order.
    Order,
    /// Another remark; there must be one.
    Remark,
    /// Another `opaque`.
    Opaque,
    /// Another value of this member of the body, or of this `key=value` line.
    Value(&'static str),
    /// The body does not show this broker, which Java shows.
    Without(&'static str),
    /// Integer keys are quoted, which Java leaves bare.
    Quoted,
    /// An answer with this remark, where Java waits for more bytes.
    Answers(&'static str),
    /// A frame that Java sent by itself is not looked for.
    NotSent,
    /// Java may need a moment until it gives the recorded answer.
    Eventually,
}

impl Difference {
    /// Whether an answer of this side may differ like this. What Fingerpost mends, Java must still show broken; where
    /// Java is slow, Fingerpost must not be.
    pub(crate) fn concerns(self, side: Side) -> bool {
        match self {
            Self::Order | Self::Remark | Self::Opaque | Self::Value(_) | Self::NotSent => true,
            Self::Without(_) | Self::Quoted | Self::Answers(_) => side == Side::Fingerpost,
            Self::Eventually => side == Side::Java,
        }
    }
}

/// One row: an exchange, what differs, and why that is right.
pub(crate) struct Exception {
    pub(crate) name: &'static str,
    pub(crate) differs: Difference,
    pub(crate) reason: &'static str,
}

const fn row(name: &'static str, differs: Difference, reason: &'static str) -> Exception {
    Exception { name, differs, reason }
}

const HASHED: &str = "Java lists a hash table; we list by name";
const GHOST: &str = "a refused registration leaves nothing behind";
const TEXT: &str = "Java's remark is the text of an exception";
const LOCAL: &str = "it names the machine or the run";
const PUSHED: &str = "nobody listens where the recorded broker did";
const QUEUED: &str = "Java answers 104 before it acts on it";

/// Every exception there is.
pub(crate) const EXCEPTIONS: &[Exception] = &[
    row("register_missing_brokerId", Difference::Remark, TEXT),
    row("register_bad_body", Difference::Remark, TEXT),
    row("cluster_info", Difference::Order, HASHED),
    row("cluster_info", Difference::Without("broker-g"), GHOST),
    row("route_topicA_v513", Difference::Order, HASHED),
    row("route_topicA_v317_go", Difference::Order, HASHED),
    row("route_topicA_v400", Difference::Order, HASHED),
    row("route_topicA_v401", Difference::Order, HASHED),
    row("route_standard_json", Difference::Order, HASHED),
    row("route_zone_filtered", Difference::Quoted, "a filtered route keeps the key style that the client can read"),
    row("topic_list", Difference::Order, HASHED),
    row("system_topic_list", Difference::Order, HASHED),
    row("system_topic_list", Difference::Without("broker-g"), GHOST),
    row("system_topic_list", Difference::Value("brokerAddr"), "any broker's address will do"),
    row("unit_topics", Difference::Order, HASHED),
    row("has_unit_sub", Difference::Order, HASHED),
    row("topics_by_cluster", Difference::Order, HASHED),
    row("get_config", Difference::Value("configStorePath"), LOCAL),
    row("get_config", Difference::Value("kvConfigPath"), LOCAL),
    row("get_config", Difference::Value("listenPort"), LOCAL),
    row("get_config", Difference::Value("rocketmqHome"), LOCAL),
    row("empty_header_object", Difference::Opaque, "Java makes one up when the request has none"),
    row(
        "short_first_frame",
        Difference::Answers(" request type 0 not supported"),
        "Java holds back the first twelve bytes to look for a PROXY header; the first byte tells",
    ),
    row("notify_min_broker_id_offline", Difference::NotSent, PUSHED),
    row("route_acting_master", Difference::Eventually, QUEUED),
    row("route_acting_master", Difference::Order, HASHED),
    row("cluster_info_no_master", Difference::Eventually, QUEUED),
    row("cluster_info_no_master", Difference::Order, HASHED),
    row("cluster_info_no_master", Difference::Without("broker-g"), GHOST),
    row("notify_min_broker_id_joined", Difference::NotSent, PUSHED),
    row("route_after_master_back", Difference::Order, HASHED),
];
