//! A guest for the tests: it puts a stamp in the place of the first broker's address. A test replaces the stamp in the
//! component, which is text.

use fingerpost_sdk::route_view::{self, BrokerAddress};
use fingerpost_sdk::{Policy, export_policy};

struct StampPolicy;

/// Found and replaced in the built component, so it must stand there as it is.
static STAMP: &str = "policy-0000000:1";

impl Policy for StampPolicy {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn select() {
        let address = std::hint::black_box(STAMP).to_owned();
        route_view::set_addresses(0, &[BrokerAddress { broker_id: 0, address }]);
    }
}

export_policy!(StampPolicy);
