//! `address-map` is a policy: clients of certain networks are shown other addresses of the brokers, those that they can
//! reach: from outside a NAT, from a DMZ, from outside the pods.
//!
//! The rules are entries of the KV store, because that is what an operator can change while the server runs, on every
//! name server at once. They are read anew when they have changed.

mod rules;

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};

use fingerpost_sdk::route_view::{self, BrokerAddress, BrokerGroup};
use fingerpost_sdk::{Policy, export_policy, kv, log, request};

use self::rules::{Broker, Rule};

/// Where the rules are: each is an entry, and they are looked through in the order of their keys.
const NAMESPACE: &str = "address-map";

/// Through these topics brokers find each other, at the addresses that they registered.
/// Java: `TopicValidator.SYNC_BROKER_MEMBER_GROUP_PREFIX`.
const SYNC_PREFIX: &str = "rmq_sys_SYNC_BROKER_MEMBER_";

struct AddressMap;

/// The rules, and what they were read from.
#[derive(Default)]
struct Known {
    entries: Vec<(String, String)>,
    rules: Vec<Rule>,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

impl Policy for AddressMap {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn select() {
        let entries = kv::entries(NAMESPACE).unwrap_or_default();
        if entries.is_empty() {
            return;
        }
        KNOWN.with_borrow_mut(|known| {
            if known.entries != entries {
                *known = Known { rules: read(&entries), entries };
            }
            rewrite(&known.rules);
        });
    }
}

fn read(entries: &[(String, String)]) -> Vec<Rule> {
    let read = |(key, text): &(String, String)| match Rule::parse(text) {
        Ok(rule) => Some(rule),
        Err(why) => {
            let line = ["the KV entry `", key, "` of `", NAMESPACE, "` is left out: ", &why].concat();
            log::write(log::Level::Error, &line);
            None
        }
    };
    entries.iter().filter_map(read).collect()
}

fn rewrite(rules: &[Rule]) {
    let groups = route_view::groups();
    // A reply that rests on who asks is not remembered, so nobody asks that without need.
    if !rules.iter().any(|rule| groups.iter().any(|group| mapped(rule, group).is_some()))
        || route_view::topic().starts_with(SYNC_PREFIX)
    {
        return;
    }
    let Some(client) = address_of(&request::peer()) else { return };
    let Some(rule) = rules.iter().find(|rule| rule.covers(client)) else { return };
    for (index, group) in (0..).zip(&groups) {
        if let Some(addresses) = mapped(rule, group) {
            route_view::set_addresses(index, &addresses);
        }
    }
}

/// The addresses of a group under a rule; none when all stay.
fn mapped(rule: &Rule, group: &BrokerGroup) -> Option<Vec<BrokerAddress>> {
    let mut is_changed = false;
    let of = |member: &BrokerAddress| {
        let broker = Broker { name: &group.broker_name, id: member.broker_id, address: &member.address };
        let rewritten = rule.rewritten(broker);
        is_changed |= rewritten.is_some();
        let address = rewritten.unwrap_or_else(|| member.address.clone());
        BrokerAddress { broker_id: member.broker_id, address }
    };
    let addresses = group.addresses.iter().map(of).collect();
    is_changed.then_some(addresses)
}

/// An IPv4 client of a socket for both families is an IPv4 client.
fn address_of(peer: &str) -> Option<IpAddr> {
    peer.parse::<SocketAddr>().ok().map(|peer| peer.ip().to_canonical())
}

export_policy!(AddressMap);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_which_no_address_is_mapped_is_left_alone_and_of_the_others_the_rest_stays() {
        let address = |broker_id, address: &str| BrokerAddress { broker_id, address: address.to_owned() };
        let group = BrokerGroup {
            broker_name: "broker-a".to_owned(),
            cluster: "c".to_owned(),
            zone_name: None,
            enable_acting_master: false,
            addresses: vec![address(0, "10.1.0.5:10911"), address(1, "10.1.0.6:10911")],
        };

        let shown = mapped(&Rule::parse("::/0 10.1.0.6=203.0.113.6").unwrap(), &group).unwrap();

        let shown: Vec<_> = shown.iter().map(|member| (member.broker_id, member.address.as_str())).collect();
        assert_eq!(shown, [(0, "10.1.0.5:10911"), (1, "203.0.113.6:10911")]);
        assert!(mapped(&Rule::parse("::/0 10.1.0.7=203.0.113.6").unwrap(), &group).is_none());
    }

    #[test]
    fn a_client_is_who_it_is_whatever_socket_it_came_through() {
        assert_eq!(address_of("10.0.0.1:5"), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(address_of("[::ffff:10.0.0.1]:5"), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(address_of("[fd00::1]:5"), "fd00::1".parse().ok());
    }
}
