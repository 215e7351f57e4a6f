//! The values that go into the tables and come out of them.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::tables::Group;

/// A broker, cluster or topic name, or an address: shared, because each appears in many places.
pub type Name = Arc<str>;

/// Milliseconds since the epoch, always handed in by the caller.
pub type Millis = u64;

/// Which connection a registration arrived on; never used twice in the life of a process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(pub u64);

/// Which state of its topic table a broker last published. Java: `DataVersion`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DataVersion {
    /// The term of the controller or DLedger leader; the only field that is ordered.
    pub state_version: i64,
    /// When the table changed, in milliseconds.
    pub timestamp: i64,
    /// How often it changed.
    pub counter: i64,
}

/// What one broker says about one topic. Java: `TopicConfig`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TopicConfig {
    /// The name inside the value, which is the one that counts.
    pub name: Name,
    /// The key it stood under, where that is another: the two differ only by a broker's mistake, but
    /// `delete_missing_topics` goes by the key, as in Java.
    pub key: Option<Name>,
    /// Default 16.
    pub read_queue_nums: i32,
    /// Default 16.
    pub write_queue_nums: i32,
    /// 4 read, 2 write, 1 inherit; default 6.
    pub perm: i32,
    /// 1 unit, 2 has unit subscription.
    pub topic_sys_flag: i32,
}

/// How the queues of a static topic map to one broker. Java: `TopicQueueMappingInfo`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicMapping {
    /// The broker name, `bname` in Java. None when the sender left it out.
    pub broker_name: Option<Name>,
    /// Logical queue to physical queue.
    pub current_ids: BTreeMap<i32, i32>,
    /// Java: `dirty`.
    pub dirty: bool,
    /// Java: `epoch`.
    pub epoch: i64,
    /// Java: `scope`.
    pub scope: Option<Name>,
    /// Java: `topic`.
    pub topic: Option<Name>,
    /// Java: `totalQueues`.
    pub total_queues: i32,
}

/// What a broker publishes with its registration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicTable {
    /// The state it is.
    pub data_version: DataVersion,
    /// The topics, in the order sent.
    pub topics: Vec<TopicConfig>,
    /// Static-topic mappings by topic (the map key).
    pub mappings: Vec<(Name, TopicMapping)>,
    /// None keeps what the broker said before; an empty list removes it.
    pub filter_servers: Option<Vec<Name>>,
}

/// By what a topic table is known again when it comes a second time. Whoever reads tables makes it and looks into it;
/// here it is kept beside the broker that sent the table, and goes with it.
pub type Imprint = Arc<dyn Any + Send + Sync>;

/// A topic table as a registration tells it: all of it, or what is not as in a table that the same broker sent before.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// What is told. Of the topics only those that [`since`](Self::since) does not vouch for.
    pub table: TopicTable,
    /// The table before, where this one is told as a difference.
    pub since: Option<Since>,
    /// By what this table is known again, if it can be.
    pub imprint: Option<Imprint>,
}

/// What a table has in common with one that came before.
#[derive(Clone, Debug)]
pub struct Since {
    /// Which that was.
    pub imprint: Imprint,
    /// How many of its topics stand in this one as they were, and are not told again.
    pub kept: usize,
    /// Its mappings are the same, some, and not told again.
    pub mappings_kept: bool,
}

/// Who registers. Java: `RegisterBrokerRequestHeader`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Registration {
    /// The cluster it says it is in.
    pub cluster: Name,
    /// The name its group shares, unique over all clusters.
    pub broker_name: Name,
    /// 0 is the master.
    pub broker_id: i64,
    /// `host:port`.
    pub address: Name,
    /// Where slaves fetch from.
    pub ha_address: Option<Name>,
    /// The zone of the whole group; the last registration wins, none clears it.
    pub zone_name: Option<Name>,
    /// None is an old broker, which differs from `Some(false)`.
    pub enable_acting_master: Option<bool>,
    /// Silence after which it is forgotten, in milliseconds; none is the default.
    pub heartbeat_timeout: Option<i64>,
    /// Forget topics of this broker name that the table no longer holds.
    pub delete_missing_topics: bool,
}

/// What a registering broker is told about its master (both none for a master), and what others may want to know.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Registered {
    /// The address of the live master of its group.
    pub master_address: Option<Name>,
    /// Where that master serves slaves.
    pub ha_address: Option<Name>,
    /// No such broker was alive before.
    pub newcomer: bool,
    /// The group, with this broker in it, if its smallest id is this broker's now and was a larger one before.
    pub min_id_change: Option<Arc<Group>>,
}

/// Who leaves. Java: `UnRegisterBrokerRequestHeader`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Departure {
    /// The cluster it says it is in; not compared, because broker names are unique over all of them.
    pub cluster: Name,
    /// Its group.
    pub broker_name: Name,
    /// The id it says it has; not compared, as in Java, because it may have changed since.
    pub broker_id: i64,
    /// `host:port`, which decides.
    pub address: Name,
}

/// Why a broker went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Removal {
    /// It said so.
    Unregistered,
    /// Its connection ended.
    Disconnected,
    /// It was silent for longer than its timeout; its connection should be closed.
    Expired,
}

/// A broker that went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Removed {
    /// Its group.
    pub broker_name: Name,
    /// The cluster it registered with.
    pub cluster: Name,
    /// The id it had.
    pub broker_id: i64,
    /// `host:port`.
    pub address: Name,
    /// Where its last registration came from.
    pub connection: ConnectionId,
    /// Why it went.
    pub reason: Removal,
    /// What is left of the group, if it lost its smallest id and still has members.
    pub min_id_change: Option<Arc<Group>>,
}

/// One queue entry: a topic on one broker. Java: `QueueData`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Queue {
    /// The group that serves it.
    pub broker_name: Name,
    /// How many queues can be read.
    pub read_queue_nums: i32,
    /// How many can be written.
    pub write_queue_nums: i32,
    /// 4 read, 2 write, 1 inherit.
    pub perm: i32,
    /// 1 unit, 2 has unit subscription.
    pub topic_sys_flag: i32,
}

impl From<TopicTable> for Told {
    /// All of it, not to be known again.
    fn from(table: TopicTable) -> Self {
        Self { table, since: None, imprint: None }
    }
}

impl Told {
    /// How many topics the table has.
    pub(super) fn topics(&self) -> usize {
        self.table.topics.len() + self.since.as_ref().map_or(0, |since| since.kept)
    }

    /// Whether the table has mappings.
    pub(super) fn has_mappings(&self) -> bool {
        !self.table.mappings.is_empty() || self.since.as_ref().is_some_and(|since| since.mappings_kept)
    }
}
