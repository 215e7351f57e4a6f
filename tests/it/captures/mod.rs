//! Recorded exchanges with the Java NameServer 5.5.0, asked again, in the recorded order.
//!
//! Every answer must be Java's, byte for byte, but for the rows of [`exceptions::EXCEPTIONS`]. A row is exact: an
//! exchange that would agree without one of its rows fails the test as much as one that disagrees with all of them.
//!
//! With `FINGERPOST_CAPTURES_AGAINST=127.0.0.1:PORT` the exchanges go to a Java NameServer that listens there, freshly
//! started with [`SETTINGS`]; then nothing that Fingerpost mends is applied. It shows that the replay is a true one.

pub(crate) mod exceptions;
pub(crate) mod replay;

use std::net::SocketAddr;

use replay::{Side, replay};

/// What was switched on in the recorded server from its start; everything else had its default. (One 905 was recorded
/// as well, hence the last.)
const SETTINGS: &[(&str, &str)] =
    &[("orderMessageEnable", "true"), ("supportActingMaster", "true"), ("notifyMinBrokerIdChanged", "true")];

#[test]
fn every_recorded_exchange_is_answered_as_java_answered_it() {
    let captures = replay::load(include_str!("../../data/captures.jsonl"));
    assert_eq!(captures.len(), 76, "an exchange was lost");

    let mismatches = match std::env::var("FINGERPOST_CAPTURES_AGAINST") {
        Ok(addr) => replay(addr.parse::<SocketAddr>().expect("host:port"), &captures, Side::Java),
        Err(_) => replay(crate::process::start(SETTINGS).addr, &captures, Side::Fingerpost),
    };

    let told: Vec<String> = mismatches.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{} mismatches:\n{}", told.len(), told.join("\n"));
}
