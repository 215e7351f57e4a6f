//! `[requests]` and `[cluster-test]`: how some requests are answered.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::HostPort;

/// `[requests]`: Java's switches for single requests. All but the last may change at run time.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestsConfig {
    /// Whether a route carries the topic's order configuration. Java: `orderMessageEnable`.
    pub order_message_enable: bool,
    /// Whether a registering broker gets the order configurations. Java: `returnOrderTopicConfigToBroker`.
    pub return_order_topic_config_to_broker: bool,
    /// Whether 206 is answered. Java: `enableAllTopicList`.
    pub enable_all_topic_list: bool,
    /// Whether 224, 311, 312 and 313 are answered. Java: `enableTopicList`.
    pub enable_topic_list: bool,
    /// Whether lookups are refused for a while after the start. Java: `needWaitForService`.
    pub need_wait_for_service: bool,
    /// How long that while is. Java: `waitSecondsForService`.
    #[serde(with = "humantime_serde")]
    pub wait_for_service_time: Duration,
    /// Java names that request 318 refuses to hear of, separated by `;`. Java: `configBlackList`.
    pub config_black_list: String,
}

impl Default for RequestsConfig {
    fn default() -> Self {
        Self {
            order_message_enable: false,
            return_order_topic_config_to_broker: true,
            enable_all_topic_list: true,
            enable_topic_list: true,
            need_wait_for_service: false,
            wait_for_service_time: Duration::from_secs(45),
            config_black_list: "configBlackList;configStorePath;kvConfigPath".to_owned(),
        }
    }
}

/// `[cluster-test]`: answer a lookup that misses here from another environment.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClusterTestConfig {
    /// Whether to. Java: `clusterTest`.
    pub enabled: bool,
    /// The name of that environment: what the plugin asks for, and the log shows. Java: `productEnvName`.
    pub product_env_name: String,
    /// Its name servers, `host:port`. Java: `rocketmq.namesrv.addr`; the environment's `NAMESRV_ADDR` when empty.
    pub name_servers: Vec<HostPort>,
    /// The HTTP server that is asked for them when none are named, a port after it if it is not 8080; empty is nobody.
    /// Java: `rocketmq.namesrv.domain`.
    pub address_server: String,
    /// The first part of what it is asked for. Java: `rocketmq.namesrv.domain.subgroup`.
    pub address_server_group: String,
    /// How long one of them may take.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for ClusterTestConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            product_env_name: "center".to_owned(),
            name_servers: Vec::new(),
            address_server: "jmenv.tbsite.net".to_owned(),
            address_server_group: "nsaddr".to_owned(),
            timeout: Duration::from_secs(3),
        }
    }
}

impl ClusterTestConfig {
    /// Whether the name servers have to be asked for.
    pub fn asks_address_server(&self) -> bool {
        self.enabled && self.name_servers.is_empty() && !self.address_server.is_empty()
    }
}
