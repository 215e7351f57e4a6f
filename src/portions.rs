//! Each part's portion of the configuration, where the two do not have the same form.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use crate::body::Limits;
use crate::config::Config;
use crate::net::NetConfig;
use crate::upstream::UpstreamConfig;

pub(crate) fn body_limits(config: &Config) -> Limits {
    Limits {
        inflated_max: config.route.registration_inflated_size_max.get(),
        entries_max: config.route.registration_topics_max.into(),
        ..Limits::default()
    }
}

/// Zero in the configuration means one per core.
pub(crate) fn threads(configured: u16) -> NonZeroUsize {
    let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    NonZeroUsize::new(configured.into()).unwrap_or_else(cores)
}

/// At least two: one is always left for the embedded plugins.
pub(crate) fn lane_threads(config: &Config) -> NonZeroUsize {
    threads(config.net.lane_threads).max(NonZeroUsize::MIN.saturating_add(1))
}

fn frame_size_max(config: &Config) -> u32 {
    u32::try_from(config.net.frame_size_max.get()).unwrap_or(u32::MAX)
}

pub(crate) fn net_config(config: &Config, address: SocketAddr) -> NetConfig {
    let net = &config.net;
    NetConfig {
        address,
        backlog: net.backlog,
        workers: threads(net.workers),
        lane_threads: lane_threads(config),
        connections_max: net.connections_max as usize,
        frame_size_max: frame_size_max(config),
        send_buffer_size: net.send_buffer_size.as_usize(),
        receive_buffer_size: net.receive_buffer_size.as_usize(),
        proxies: net.proxy_protocol_from.clone(),
        proxies_must_introduce: net.proxy_protocol_required,
        opening_timeout: net.opening_timeout,
        stop_timeout: net.stop_timeout,
        unsent_bytes_max: net.reply_bytes_waiting_max.as_usize(),
        unsent_bytes_resume: net.reply_bytes_waiting_resume.as_usize(),
        unsent_bytes_total_max: net.outgoing_bytes_max.as_usize(),
        // Whatever may come whole may come in parts, in a buffer that has doubled.
        partial_bytes_total_max: NetConfig::default().partial_bytes_total_max.max(2 * frame_size_max(config) as usize),
        lane_bytes_max: net.lane_bytes_per_connection_max.as_usize(),
        lane_bytes_total_max: NonZeroUsize::new(net.lane_bytes_max.as_usize()).unwrap_or(NonZeroUsize::MIN),
        ..NetConfig::default()
    }
}

/// How long an upstream that only a grant names may take, and how large its answers may be.
pub(crate) fn strangers(config: &Config) -> UpstreamConfig {
    UpstreamConfig {
        name: String::new(),
        addresses: Vec::new(),
        timeout: config.cluster_test.timeout,
        frame_size_max: frame_size_max(config),
    }
}

pub(crate) fn upstreams(config: &Config) -> Vec<UpstreamConfig> {
    let cluster_test = &config.cluster_test;
    if !cluster_test.enabled || (cluster_test.name_servers.is_empty() && !cluster_test.asks_address_server()) {
        return Vec::new();
    }
    vec![UpstreamConfig {
        name: cluster_test.product_env_name.clone(),
        addresses: cluster_test.name_servers.iter().map(ToString::to_string).collect(),
        timeout: cluster_test.timeout,
        frame_size_max: frame_size_max(config),
    }]
}
