//! `acting-master` is a policy: while a group has no master, its smallest slave is shown as one, if the group allows it.
//!
//! Only once the group may not be written to, which the tables see to when the master leaves: a client then finds a master to
//! read from, and does not send to it. Java: `RouteInfoManager.pickupTopicRouteData`.

use fingerpost_sdk::route_view::{self, BrokerAddress, BrokerGroup, Queue};
use fingerpost_sdk::{Policy, export_policy};

/// Through these topics brokers learn the true ids of their group. Java: `TopicValidator.SYNC_BROKER_MEMBER_GROUP_PREFIX`.
const SYNC_PREFIX: &str = "rmq_sys_SYNC_BROKER_MEMBER_";

/// Java: `MixAll.MASTER_ID`.
const MASTER: i64 = 0;

/// Java: `PermName.PERM_WRITE`.
const WRITE: i32 = 2;

struct ActingMaster;

impl Policy for ActingMaster {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn select() {
        let groups = route_view::groups();
        // Most routes have all their masters; the topic and the queues of those never enter the sandbox.
        if !groups.iter().any(lacks_master) || route_view::topic().starts_with(SYNC_PREFIX) {
            return;
        }
        let queues = route_view::queues();
        for (index, group) in (0..).zip(groups) {
            if lacks_master(&group) && !is_writable(&group.broker_name, &queues) {
                route_view::set_addresses(index, &with_acting_master(group.addresses));
            }
        }
    }
}

fn lacks_master(group: &BrokerGroup) -> bool {
    group.enable_acting_master
        && !group.addresses.is_empty()
        && group.addresses.iter().all(|member| member.broker_id != MASTER)
}

/// Whether a group's queues can be written to. A group without an entry stays as it is, as if they could.
fn is_writable(broker_name: &str, queues: &[Queue]) -> bool {
    queues.iter().find(|queue| queue.broker_name == broker_name).is_none_or(|queue| queue.perm & WRITE != 0)
}

/// The smallest member under the master's id; its own is not shown.
fn with_acting_master(mut addresses: Vec<BrokerAddress>) -> Vec<BrokerAddress> {
    if let Some(acting) = addresses.iter_mut().min_by_key(|member| member.broker_id) {
        acting.broker_id = MASTER;
    }
    addresses
}

export_policy!(ActingMaster);

#[cfg(test)]
mod tests {
    use super::*;

    fn members(ids: &[i64]) -> Vec<BrokerAddress> {
        ids.iter().map(|&broker_id| BrokerAddress { broker_id, address: format!("host-{broker_id}:1") }).collect()
    }

    fn group(enable_acting_master: bool, ids: &[i64]) -> BrokerGroup {
        BrokerGroup {
            broker_name: "a".into(),
            cluster: "c".into(),
            zone_name: None,
            enable_acting_master,
            addresses: members(ids),
        }
    }

    fn queue(broker_name: &str, perm: i32) -> Queue {
        Queue { broker_name: broker_name.into(), read_queue_nums: 4, write_queue_nums: 4, perm, topic_sys_flag: 0 }
    }

    #[test]
    fn only_a_group_that_allows_it_and_has_slaves_alone_lacks_a_master() {
        assert!(lacks_master(&group(true, &[1, 2])));
        assert!(!lacks_master(&group(true, &[0, 1])));
        assert!(!lacks_master(&group(true, &[])));
        assert!(!lacks_master(&group(false, &[1])));
    }

    #[test]
    fn the_smallest_slave_takes_the_masters_place_and_loses_its_own() {
        let shown = with_acting_master(members(&[3, 7]));

        let shown: Vec<_> = shown.iter().map(|member| (member.broker_id, member.address.as_str())).collect();
        assert_eq!(shown, [(0, "host-3:1"), (7, "host-7:1")]);
    }

    #[test]
    fn a_group_is_writable_by_its_first_queue_entry_and_when_it_has_none() {
        assert!(is_writable("a", &[queue("b", 4), queue("a", 6)]));
        assert!(!is_writable("a", &[queue("a", 4), queue("a", 6)]));
        assert!(is_writable("a", &[queue("b", 4)]));
    }
}
