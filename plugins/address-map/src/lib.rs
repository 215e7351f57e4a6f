//! `address-map` is a policy: clients of certain networks are shown other addresses of the brokers, those that they can
//! reach: from outside a NAT, from a DMZ, from outside the pods.
//!
//! The rules are entries of the KV store, because that is what an operator can change while the server runs, on every
//! name server at once. They are read anew when they have changed.

mod rules;

use fingerpost_sdk::entries::Entries;
use fingerpost_sdk::network::address_of;
use fingerpost_sdk::route_view::{self, BrokerAddress, BrokerGroup};
use fingerpost_sdk::{Policy, export_policy, is_of_brokers, request};

use self::rules::{Broker, Rule};

struct AddressMap;

thread_local! {
    /// Looked through in the order of their keys.
    static RULES: Entries<Rule> = const { Entries::new("address-map") };
}

impl Policy for AddressMap {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn select() {
        if let Some(rules) = RULES.with(|rules| rules.read(|_, text| Rule::parse(text))) {
            rewrite(&rules);
        }
    }
}

fn rewrite(rules: &[Rule]) {
    let groups = route_view::groups();
    // A reply that rests on who asks is not remembered, so nobody asks that without need.
    if !rules.iter().any(|rule| groups.iter().any(|group| mapped(rule, group).is_some()))
        || is_of_brokers(&route_view::topic())
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
}
