//! `[liveness]`, `[kv]`, `[route]`, `[settings]`: what the server knows, and what it keeps on disk.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{ByteSize, Place};

/// `[liveness]`: when silent brokers are looked for.
///
/// How long a broker may be silent is its own choice (`heartbeatTimeoutMillis`, 120 s when it makes none).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LivenessConfig {
    /// Time between two scans. Java: `scanNotActiveBrokerInterval`.
    #[serde(with = "humantime_serde")]
    pub scan_interval: Duration,
    /// Time from the start to the first scan.
    #[serde(with = "humantime_serde")]
    pub first_scan_after: Duration,
    /// Time between two prints of the KV store to the log; 0 is never. Java: `printAllPeriodically`.
    #[serde(with = "humantime_serde")]
    pub print_interval: Duration,
}

impl Default for LivenessConfig {
    fn default() -> Self {
        Self {
            scan_interval: Duration::from_secs(5),
            first_scan_after: Duration::from_secs(5),
            print_interval: Duration::from_secs(600),
        }
    }
}

/// `[route]`: the route tables, and what a broker may put into them.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RouteConfig {
    /// Whether a slave may stand in for a lost master. Java: `supportActingMaster`.
    pub support_acting_master: bool,
    /// Whether a registration forgets the topics that it no longer names. Java: `deleteTopicWithBrokerRegistration`.
    pub delete_topic_with_broker_registration: bool,
    /// Whether the brokers of a group are told when their smallest id changes. Java: `notifyMinBrokerIdChanged`.
    pub notify_min_broker_id_changed: bool,
    /// The largest size to which a compressed registration is inflated.
    pub registration_inflated_size_max: ByteSize,
    /// The most topics that one registration may bring.
    pub registration_topics_max: u32,
}

impl Default for RouteConfig {
    fn default() -> Self {
        Self {
            support_acting_master: false,
            delete_topic_with_broker_registration: false,
            notify_min_broker_id_changed: false,
            registration_inflated_size_max: ByteSize::mib(64),
            registration_topics_max: 1_000_000,
        }
    }
}

/// `[settings]`: what becomes of changes at run time.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SettingsConfig {
    /// The file that remembers what request 318 changed. `auto` is `fingerpost-overlay.properties` beside the KV
    /// file; with `none`, changes last until the server stops.
    pub overlay_path: Place,
}
