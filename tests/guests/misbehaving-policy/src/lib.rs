//! A guest for the tests: the field `misbehave` of a request says what to do to its route.

use std::cell::Cell;

use fingerpost_sdk::route_view::{self, BrokerAddress};
use fingerpost_sdk::{Policy, export_policy, request, settings};

thread_local! {
    /// How often this instance was asked to count.
    static CALLS: Cell<i32> = const { Cell::new(0) };
}

struct MisbehavingPolicy;

impl Policy for MisbehavingPolicy {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn select() {
        match request::field("misbehave").as_deref() {
            Some("panic") => panic!("as asked"),
            Some("change-and-panic") => {
                route_view::keep(&[]);
                panic!("as asked");
            }
            Some("spin") => spin(),
            Some("recurse") => recurse(0),
            Some("grow") => grow(),
            Some("ask-for-ever") => ask_for_ever(),
            // Not pure, although the manifest promises that it is.
            Some("count") => {
                CALLS.set(CALLS.get() + 1);
                route_view::set_permission(0, CALLS.get());
            }
            Some("drop-everything") => route_view::keep(&[]),
            Some("duplicate-ids") => route_view::set_addresses(0, &[member(1, "x:1"), member(1, "y:1")]),
            Some("keep-out-of-range") => route_view::keep(&[u32::MAX]),
            Some("set-out-of-range") => route_view::set_permission(1000, 7),
            Some("name-twice") => route_view::keep(&[1, 0, 1]),
            Some("rewrite") => {
                route_view::set_addresses(0, &[member(0, "rewritten:1")]);
                route_view::set_permission(0, 4);
            }
            _ => {}
        }
    }
}

fn member(broker_id: i64, address: &str) -> BrokerAddress {
    BrokerAddress { broker_id, address: address.into() }
}

fn spin() {
    let mut turns = 0u64;
    while std::hint::black_box(turns) != u64::MAX {
        turns += 1;
    }
}

fn recurse(depth: u64) {
    let here = std::hint::black_box([depth; 64]);
    if here[0] != u64::MAX {
        recurse(depth + 1);
        std::hint::black_box(here);
    }
}

fn grow() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1u8; 64 * 1024]));
    }
}

fn ask_for_ever() {
    loop {
        std::hint::black_box(settings::flag("orderMessageEnable"));
    }
}

export_policy!(MisbehavingPolicy);
