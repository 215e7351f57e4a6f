//! `acting-master` is a policy: while a group has no master, its smallest slave is shown as one, if the group allows it.
//!
//! Only once the group may not be written to, which the tables see to when the master leaves: a client then finds a master to
//! read from, and does not send to it. Java: `RouteInfoManager.pickupTopicRouteData`.

use fingerpost_sdk::route_view::{self, GroupOutline};
use fingerpost_sdk::{Policy, export_policy, is_of_brokers, perm};

/// Java: `MixAll.MASTER_ID`.
const MASTER: i64 = 0;

struct ActingMaster;

impl Policy for ActingMaster {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn select() {
        let groups = route_view::outline();
        // Most routes have all their masters; of those, nothing but numbers enters the sandbox.
        if !groups.iter().any(gets_acting_master) || is_of_brokers(&route_view::topic()) {
            return;
        }
        for (index, group) in (0..).zip(&groups).filter(|(_, group)| gets_acting_master(group)) {
            // The smallest member under the master's id; its own is not shown.
            route_view::set_broker_id(index, group.smallest_id, MASTER);
        }
    }
}

/// Whether a group allows it, has slaves alone, and may not be written to. One without a queue entry stays as it is, as if
/// it could.
fn gets_acting_master(group: &GroupOutline) -> bool {
    group.enable_acting_master
        && group.members > 0
        && !group.has_master
        && group.perm.is_some_and(|perm| perm & perm::WRITE == 0)
}

export_policy!(ActingMaster);

#[cfg(test)]
mod tests {
    use super::*;

    /// Two slaves that may be read from, where one of them may act as master.
    const ORPHANS: GroupOutline = GroupOutline {
        marks: 0,
        members: 2,
        smallest_id: 1,
        has_master: false,
        enable_acting_master: true,
        perm: Some(4),
    };

    #[test]
    fn only_a_group_that_allows_it_and_has_slaves_alone_lacks_a_master() {
        assert!(gets_acting_master(&ORPHANS));
        assert!(!gets_acting_master(&GroupOutline { smallest_id: 0, has_master: true, ..ORPHANS }));
        assert!(!gets_acting_master(&GroupOutline { members: 0, ..ORPHANS }));
        assert!(!gets_acting_master(&GroupOutline { enable_acting_master: false, ..ORPHANS }));
    }

    #[test]
    fn a_group_that_can_be_written_to_or_has_no_queue_entry_stays_as_it_is() {
        assert!(!gets_acting_master(&GroupOutline { perm: Some(6), ..ORPHANS }));
        assert!(!gets_acting_master(&GroupOutline { perm: None, ..ORPHANS }));
    }
}
