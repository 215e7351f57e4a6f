//! `types`: the contract's records and errors, and how the core's values become them.

use super::super::bindings::fingerpost::nameserver::types;
use crate::body::DecodeError;
use crate::route::{DataVersion, Group, Queue};

pub(super) use types::{BrokerAddress, BrokerGroup, WriteError};

impl types::Host for super::super::state::PluginState {}

pub(super) fn group(group: &Group) -> BrokerGroup {
    BrokerGroup {
        broker_name: group.broker_name.to_string(),
        cluster: group.cluster.to_string(),
        zone_name: group.zone_name.as_deref().map(str::to_owned),
        enable_acting_master: group.enable_acting_master,
        addresses: addresses(&group.addresses),
    }
}

pub(super) fn addresses(addresses: &[(i64, crate::route::Name)]) -> Vec<BrokerAddress> {
    addresses
        .iter()
        .map(|(broker_id, address)| BrokerAddress { broker_id: *broker_id, address: address.to_string() })
        .collect()
}

pub(super) fn queue(queue: &Queue) -> types::Queue {
    types::Queue {
        broker_name: queue.broker_name.to_string(),
        read_queue_nums: queue.read_queue_nums,
        write_queue_nums: queue.write_queue_nums,
        perm: queue.perm,
        topic_sys_flag: queue.topic_sys_flag,
    }
}

pub(super) fn core_queue(queue: types::Queue) -> Queue {
    Queue {
        broker_name: queue.broker_name.into(),
        read_queue_nums: queue.read_queue_nums,
        write_queue_nums: queue.write_queue_nums,
        perm: queue.perm,
        topic_sys_flag: queue.topic_sys_flag,
    }
}

pub(super) fn data_version(version: DataVersion) -> types::DataVersion {
    types::DataVersion { state_version: version.state_version, timestamp: version.timestamp, counter: version.counter }
}

pub(super) fn decode_error(error: &DecodeError) -> types::DecodeError {
    let text = error.to_string();
    match error {
        DecodeError::TooLarge(_) => types::DecodeError::TooLarge(text),
        _ => types::DecodeError::Malformed(text),
    }
}
