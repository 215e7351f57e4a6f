//! `zone` is a policy: a client that asks for it is shown the brokers of its own zone, and the slaves of groups whose master
//! is gone, wherever they stand, so that what is stored there can still be read. Java: `ZoneRouteRPCHook`.

use fingerpost_sdk::route_view::{self, GroupOutline};
use fingerpost_sdk::{Policy, export_policy, java, request};

/// The mark of the manifest: the group is in the client's zone.
const SAME_ZONE: u32 = 1;

struct Zone;

impl Policy for Zone {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    /// Runs when the request's `__ZONE_MODE` is true.
    fn select() {
        let groups = route_view::outline();
        let near: Vec<u32> = (0..).zip(&groups).filter(|(_, group)| is_near(group)).map(|(i, _)| i).collect();
        if near.len() == groups.len() || request::field("__ZONE_NAME").is_none_or(|name| java::is_blank(&name)) {
            return;
        }
        // Nothing near is an empty route, and a success; the client waits for its zone.
        route_view::keep(&near);
    }
}

/// A master without a zone is in no zone.
fn is_near(group: &GroupOutline) -> bool {
    !group.has_master || group.marks & SAME_ZONE != 0
}

export_policy!(Zone);

#[cfg(test)]
mod tests {
    use super::*;

    fn group(marks: u32, has_master: bool) -> GroupOutline {
        let smallest_id = i64::from(!has_master);
        GroupOutline { marks, members: 1, smallest_id, has_master, enable_acting_master: false, perm: None }
    }

    #[test]
    fn a_master_is_near_in_its_own_zone_only() {
        assert!(is_near(&group(SAME_ZONE, true)));
        assert!(!is_near(&group(0, true)));
    }

    #[test]
    fn slaves_without_a_master_are_near_everywhere() {
        assert!(is_near(&group(0, false)));
        assert!(is_near(&group(SAME_ZONE, false)));
    }
}
