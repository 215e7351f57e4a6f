//! A guest for the tests: a policy that calls every function that the contract offers to one. Built once against each
//! version of the contract and kept in `tests/data/contract`, it has to run for ever.
//!
//! What it reads is held against what it read in another way; whatever differs is a panic, and an error for the client.

use fingerpost_sdk::route_view::{self, BrokerAddress};
use fingerpost_sdk::{Policy, clock, export_policy, kv, log, metrics, request, settings};

struct Contract;

impl Policy for Contract {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    /// The group that the request's field `contract` names comes first, under other ids, addresses and permissions.
    fn select() {
        let name = request::field("contract").expect("the condition of the manifest");
        read(&name);
        let at = route_view::find(&name).expect("a broker of the route");
        let mut order: Vec<u32> = (0..).zip(route_view::groups()).map(|(index, _)| index).collect();
        order.sort_by_key(|index| *index != at);

        route_view::set_broker_id(at, 0, 7);
        route_view::set_permission(at, 4);
        for &other in &order[1..] {
            route_view::set_addresses(other, &[BrokerAddress { broker_id: 3, address: "mapped:1".to_owned() }]);
        }
        route_view::keep(&order);
        assert_eq!(route_view::find(&name), Some(0), "indices change");
    }
}

fn read(name: &str) {
    let (outline, groups, queues) = (route_view::outline(), route_view::groups(), route_view::queues());
    assert_eq!((outline.len(), groups.len()), (queues.len(), queues.len()));
    assert_eq!(Some(route_view::topic()), request::field("topic"));
    for (index, ((outline, group), queue)) in (0..).zip(outline.iter().zip(&groups).zip(&queues)) {
        let ids: Vec<i64> = group.addresses.iter().map(|member| member.broker_id).collect();
        let listed: Vec<i64> = route_view::addresses(index).iter().map(|member| member.broker_id).collect();
        assert_eq!(ids, listed);
        assert_eq!(outline.members as usize, ids.len());
        assert_eq!((outline.smallest_id, outline.has_master), (ids[0], ids.contains(&0)));
        assert_eq!(outline.enable_acting_master, group.enable_acting_master);
        assert_eq!(outline.perm, Some(queue.perm));
        let marks = u32::from(group.broker_name == name) | u32::from(group.cluster.eq_ignore_ascii_case("C")) << 1;
        assert_eq!(outline.marks, marks);
    }
    assert!(request::code() != 0 && request::version() >= 0 && !request::fields().is_empty());
    assert_eq!((request::body_size() as usize, request::body_crc32()), (request::body().len(), 0));
    assert!(!request::peer().is_empty() && clock::now_ms() >= clock::uptime_ms());
    assert_eq!(settings::flag("clusterTest"), settings::get("clusterTest").as_deref() == Some("true"));
    assert!(!settings::entries().is_empty());
    assert_eq!((kv::get("n", "k"), kv::entries("n")), (None, None));
    let denied = kv::put("n", "k", None).is_err() && kv::delete("n", "k").is_err() && settings::update(&[]).is_err();
    metrics::count("seen", &[name.to_owned()], 1);
    metrics::set("groups", &[], groups.len() as f64);
    metrics::observe("members", &[], 1.0);
    log::write(log::Level::Debug, if denied { "a policy writes nothing" } else { "it wrote" });
}

export_policy!(Contract);
