//! `zone` is a policy: a client that asks for it is shown the brokers of its own zone, and the slaves of groups whose master
//! is gone, wherever they stand, so that what is stored there can still be read. Java: `ZoneRouteRPCHook`.

use fingerpost_sdk::route_view::{self, BrokerGroup};
use fingerpost_sdk::{Policy, export_policy, java, request};

/// Java: `MixAll.MASTER_ID`.
const MASTER: i64 = 0;

struct Zone;

impl Policy for Zone {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    /// Runs when the request's `__ZONE_MODE` is true.
    fn select() {
        let Some(zone) = request::field("__ZONE_NAME").filter(|name| !java::is_blank(name)) else {
            return;
        };
        let groups = route_view::groups();
        let near: Vec<u32> = (0..).zip(&groups).filter(|(_, group)| is_near(group, &zone)).map(|(i, _)| i).collect();
        // Nothing near is an empty route, and a success; the client waits for its zone.
        if near.len() < groups.len() {
            route_view::keep(&near);
        }
    }
}

/// A master without a zone is in no zone.
fn is_near(group: &BrokerGroup, zone: &str) -> bool {
    let has_master = group.addresses.iter().any(|member| member.broker_id == MASTER);
    !has_master || group.zone_name.as_deref().is_some_and(|name| java::equals_ignore_case(name, zone))
}

export_policy!(Zone);

#[cfg(test)]
mod tests {
    use super::*;
    use fingerpost_sdk::route_view::BrokerAddress;

    fn group(zone_name: Option<&str>, broker_id: i64) -> BrokerGroup {
        BrokerGroup {
            broker_name: "a".into(),
            cluster: "c".into(),
            zone_name: zone_name.map(Into::into),
            enable_acting_master: false,
            addresses: vec![BrokerAddress { broker_id, address: "host:1".into() }],
        }
    }

    #[test]
    fn a_master_is_near_in_its_own_zone_only_and_in_any_case() {
        assert!(is_near(&group(Some("Z1"), 0), "z1"));
        assert!(!is_near(&group(Some("z2"), 0), "z1"));
        assert!(!is_near(&group(None, 0), "z1"));
    }

    #[test]
    fn slaves_without_a_master_are_near_everywhere() {
        assert!(is_near(&group(Some("z2"), 1), "z1"));
        assert!(is_near(&group(None, 1), "z1"));
    }
}
