//! `drain` is a policy: brokers that an operator names are taken out of writes, out of reads, or out of both, ahead of
//! maintenance. Producers move away while consumers finish; then nobody comes any more.
//!
//! Who is drained stands in the KV store, because it changes while the server runs, on every name server at once.

use fingerpost_sdk::entries::Entries;
use fingerpost_sdk::perm::{READ, WRITE};
use fingerpost_sdk::route_view::{self, BrokerGroup};
use fingerpost_sdk::{Policy, export_policy, is_of_brokers};

/// Java: `MixAll.MASTER_ID`.
const MASTER: i64 = 0;

struct Drain;

/// What one entry asks for.
#[derive(Debug, PartialEq)]
struct Order {
    /// A broker name, or the address of a broker.
    of: String,
    /// The bits that go.
    bits: i32,
}

/// What becomes of a group.
#[derive(Debug, PartialEq)]
enum Fate {
    Stays,
    Goes,
    /// Its queue entry has this permission, and these members are not shown.
    Changes {
        perm: Option<i32>,
        without: Vec<i64>,
    },
}

thread_local! {
    /// The key is a broker name or an address, the value says out of what.
    static ORDERS: Entries<Order> = const { Entries::new("drain") };
}

impl Policy for Drain {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn select() {
        let Some(orders) = ORDERS.with(|orders| orders.read(Order::parse)) else { return };
        if !is_of_brokers(&route_view::topic()) {
            show(&orders);
        }
    }
}

fn show(orders: &[Order]) {
    let groups = route_view::groups();
    let mut kept = Vec::with_capacity(groups.len());
    for (index, (group, outline)) in (0..).zip(groups.iter().zip(route_view::outline())) {
        match fate(orders, group, outline.perm) {
            Fate::Goes => continue,
            Fate::Stays => {}
            Fate::Changes { perm, without } => {
                if perm != outline.perm {
                    route_view::set_permission(index, perm.unwrap_or_default());
                }
                if !without.is_empty() {
                    let left = group.addresses.iter().filter(|member| !without.contains(&member.broker_id));
                    route_view::set_addresses(index, &left.cloned().collect::<Vec<_>>());
                }
            }
        }
        kept.push(index);
    }
    if kept.len() < groups.len() {
        route_view::keep(&kept);
    }
}

impl Order {
    fn parse(of: &str, value: &str) -> Result<Self, String> {
        let bits = match value.trim() {
            "write" => WRITE,
            "read" => READ,
            "both" => READ | WRITE,
            _ => return Err(["`", value, "` is none of `write`, `read` and `both`"].concat()),
        };
        Ok(Self { of: of.to_owned(), bits })
    }
}

/// What the orders make of a group whose queue entry has this permission.
fn fate(orders: &[Order], group: &BrokerGroup, perm: Option<i32>) -> Fate {
    let mut bits = 0;
    let mut without = Vec::new();
    for order in orders {
        if order.of == group.broker_name {
            bits |= order.bits;
        }
        for member in group.addresses.iter().filter(|member| member.address == order.of) {
            let id = member.broker_id;
            match order.bits {
                // Only the master is written to, so that is out of writes when its group is.
                READ if id != MASTER => without.push(id),
                WRITE if id != MASTER => {}
                READ | WRITE => bits |= order.bits,
                // Its slaves may still be read from.
                _ => {
                    bits |= if id == MASTER { WRITE } else { 0 };
                    without.push(id);
                }
            }
        }
    }
    if bits == 0 && without.is_empty() {
        return Fate::Stays;
    }
    let left = perm.map(|perm| perm & !bits);
    let is_useless = match left {
        Some(left) => left & (READ | WRITE) == 0,
        None => bits == READ | WRITE,
    };
    if is_useless || group.addresses.iter().all(|member| without.contains(&member.broker_id)) {
        return Fate::Goes;
    }
    Fate::Changes { perm: left, without }
}

export_policy!(Drain);

#[cfg(test)]
mod tests {
    use fingerpost_sdk::route_view::BrokerAddress;

    use super::*;

    /// A master and two slaves.
    fn group() -> BrokerGroup {
        let addresses =
            (0..3).map(|broker_id| BrokerAddress { broker_id, address: format!("10.0.0.{broker_id}:10911") });
        BrokerGroup {
            broker_name: "broker-a".to_owned(),
            cluster: "c".to_owned(),
            zone_name: None,
            enable_acting_master: false,
            addresses: addresses.collect(),
        }
    }

    fn order(of: &str, value: &str) -> Order {
        Order::parse(of, value).expect("a value that there is")
    }

    fn fate_of(of: &str, value: &str) -> Fate {
        fate(&[order(of, value)], &group(), Some(7))
    }

    fn changes(perm: i32, without: &[i64]) -> Fate {
        Fate::Changes { perm: Some(perm), without: without.to_vec() }
    }

    #[test]
    fn a_broker_name_takes_its_group_out_of_writes_out_of_reads_or_away() {
        assert_eq!(fate_of("broker-a", "write"), changes(5, &[]));
        assert_eq!(fate_of("broker-a", "read"), changes(3, &[]));
        assert_eq!(fate_of("broker-a", "both"), Fate::Goes);
        assert_eq!(fate_of("broker", "both"), Fate::Stays);
    }

    #[test]
    fn a_master_is_out_of_writes_with_its_group_and_out_of_both_its_slaves_are_read_from() {
        assert_eq!(fate_of("10.0.0.0:10911", "write"), changes(5, &[]));
        assert_eq!(fate_of("10.0.0.0:10911", "read"), changes(3, &[]));
        assert_eq!(fate_of("10.0.0.0:10911", "both"), changes(5, &[0]));
    }

    #[test]
    fn a_slave_is_out_of_reads_alone_and_nobody_writes_to_it_anyway() {
        assert_eq!(fate_of("10.0.0.2:10911", "write"), Fate::Stays);
        assert_eq!(fate_of("10.0.0.2:10911", "read"), changes(7, &[2]));
        assert_eq!(fate_of("10.0.0.2:10911", "both"), changes(7, &[2]));
    }

    #[test]
    fn a_group_of_which_nothing_is_left_goes() {
        let all: Vec<_> = (0..3).map(|id| order(&format!("10.0.0.{id}:10911"), "both")).collect();

        assert_eq!(fate(&all, &group(), Some(6)), Fate::Goes);
        assert_eq!(fate(&all[1..], &group(), Some(6)), changes(6, &[1, 2]));
        assert_eq!(fate(&[order("broker-a", "write")], &group(), Some(2)), Fate::Goes);
        assert_eq!(fate(&[order("broker-a", "write"), order("10.0.0.0:10911", "read")], &group(), Some(6)), Fate::Goes);
    }

    #[test]
    fn a_group_without_a_queue_entry_goes_when_it_is_out_of_both() {
        assert_eq!(fate(&[order("broker-a", "both")], &group(), None), Fate::Goes);
        let kept = Fate::Changes { perm: None, without: Vec::new() };
        assert_eq!(fate(&[order("broker-a", "write")], &group(), None), kept);
    }

    #[test]
    fn only_three_values_are_understood() {
        assert_eq!(Order::parse("a", " both "), Ok(Order { of: "a".to_owned(), bits: 6 }));
        for value in ["", "wirte", "Write", "read write", "true"] {
            let why = Order::parse("a", value).unwrap_err();
            assert!(why.starts_with(&format!("`{value}` is none of `write`")), "{why}");
        }
    }
}
