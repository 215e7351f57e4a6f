//! Whoever overrides a stock plugin can find out whether theirs answers as it has to. These cases are made of the
//! recorded exchanges with the Java NameServer and of the simulator's model; ours have to pass them, and a broken
//! plugin must not.

mod generate;

use std::fs;
use std::path::{Path, PathBuf};

use generate::Stock;

use crate::author::{fingerpost, guest};

/// Those of which a stand-in makes sense: the embedded ones whose answers were recorded.
const PLUGINS: [&str; 9] =
    ["acting-master", "brokers", "cluster", "kv", "lookup", "settings", "topics", "unit-topics", "zone"];

fn committed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/conformance/{name}.toml"))
}

#[test]
fn the_cases_are_those_of_the_recorded_exchanges_and_of_the_model() {
    let writes = std::env::var_os("FINGERPOST_CONFORMANCE_WRITE").is_some();
    for name in PLUGINS {
        let made = Stock::read(name).cases();
        if writes {
            fs::write(committed(name), &made).expect("the tree is writable");
        }
        let there = fs::read_to_string(committed(name)).unwrap_or_default();
        assert!(
            there == made,
            "tests/conformance/{name}.toml is not what its sources make: run this test with \
             FINGERPOST_CONFORMANCE_WRITE=1, and look at what changes"
        );
    }
}

#[test]
fn every_stock_plugin_passes_what_its_stand_ins_have_to() {
    for name in PLUGINS {
        let tested = fingerpost(&["plugin", "test", &guest(name), "--conformance", name]);

        assert_eq!(tested.code, 0, "{name}:\n{}{}", tested.out, tested.err);
        assert!(tested.out.contains("all as expected"), "{}", tested.out);
    }
}

#[test]
fn a_stand_in_that_answers_wrongly_is_found_with_what_it_should_have_answered() {
    let tested = fingerpost(&["plugin", "test", &guest("unit-topics-inverted"), "--conformance", "unit-topics"]);

    assert_eq!(tested.code, 1, "{}{}", tested.out, tested.err);
    for told in ["FAILED  unit-topics: as the Java NameServer 5.5.0 answered", "unit_topics\n", "- ", "\"UnitT\""] {
        assert!(tested.out.contains(told), "{told:?} is not in\n{}", tested.out);
    }
}

#[test]
fn a_conformance_suite_that_there_is_not_is_told_with_the_one_that_was_meant() {
    let tested = fingerpost(&["plugin", "test", &guest("lookup"), "--conformance", "lokup"]);

    assert_eq!(tested.code, 255);
    assert!(tested.err.contains("did you mean \"lookup\"?"), "{}", tested.err);
}
