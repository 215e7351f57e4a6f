//! Who is told what, and what finds no room.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::{JoinSet, LocalSet};

use super::courier::{Letter, Round, endpoint};
use super::*;
use crate::route::Group;

fn group(enable_acting_master: bool, members: &[(i64, &str)]) -> Arc<Group> {
    Arc::new(Group {
        broker_name: "a".into(),
        cluster: "c".into(),
        zone_name: None,
        enable_acting_master,
        addresses: members.iter().map(|(id, address)| (*id, Name::from(*address))).collect(),
        version: 7,
    })
}

fn told<'a>(change: &MinIdChange<'a>) -> Vec<&'a str> {
    change.recipients().map(|address| &**address).collect()
}

#[test]
fn after_a_departure_all_that_are_left_are_told_if_one_of_them_may_act_as_master() {
    let gone = Name::from("m");
    for (acting, members, expected) in [
        (true, &[(1, "s1"), (2, "s2")][..], &["s1", "s2"][..]),
        (true, &[(2, "s2")], &["s2"]),
        (true, &[(0, "m2"), (1, "s1")], &["m2", "s1"]),
        (false, &[(1, "s1"), (2, "s2")], &[]),
    ] {
        let group = group(acting, members);

        assert_eq!(told(&MinIdChange::left(&group, &gone)), expected, "{acting} {members:?}");
    }
}

#[test]
fn after_a_joining_all_but_the_newcomer_are_told_whatever_the_group_says_about_acting_masters() {
    for acting in [true, false] {
        for (members, expected) in [
            (&[(0, "m"), (1, "s1"), (2, "s2")][..], &["s1", "s2"][..]),
            (&[(1, "s1"), (2, "s2")], &["s2"]),
            // A slave that became master at the same address, and is alone.
            (&[(0, "m")], &["m"]),
        ] {
            let group = group(acting, members);

            assert_eq!(told(&MinIdChange::joined(&group, None)), expected, "{acting} {members:?}");
        }
    }
}

#[test]
fn a_change_says_what_is_now_and_either_who_left_or_where_the_newcomer_serves_slaves() {
    let all = [Fact::MinId, Fact::MinAddress, Fact::DepartedAddress, Fact::JoinedHaAddress];
    let facts = |change: MinIdChange<'_>| all.map(|fact| change.fact(fact).map(|text| text.to_string()));
    let group = group(true, &[(1, "s1:10"), (2, "s2:10")]);
    let [gone, ha] = ["m:10", "s1:11"].map(Name::from);
    let text = |text: &str| Some(text.to_owned());

    assert_eq!(facts(MinIdChange::left(&group, &gone)), [text("1"), text("s1:10"), text("m:10"), None]);
    assert_eq!(facts(MinIdChange::joined(&group, Some(&ha))), [text("1"), text("s1:10"), None, text("s1:11")]);
    assert_eq!(facts(MinIdChange::joined(&group, None)), [text("1"), text("s1:10"), None, None]);
}

#[test]
fn an_address_is_host_and_port_with_or_without_brackets() {
    for (address, expected) in [
        ("10.0.0.1:10911", Some(("10.0.0.1", 10911))),
        ("broker-a.example:10911", Some(("broker-a.example", 10911))),
        ("[fd00::1]:10911", Some(("fd00::1", 10911))),
        ("fd00::1:10911", Some(("fd00::1", 10911))),
        ("[fe80::1%eth0]:1", Some(("fe80::1%eth0", 1))),
        ("a", None),
        (":1", None),
        ("[]:1", None),
        ("a:", None),
        ("a:0", None),
        ("a:65536", None),
        ("", None),
    ] {
        assert_eq!(endpoint(address), expected, "{address}");
    }
}

fn letter(group: &str, version: u64, to: &[&str]) -> Letter {
    let to = to.iter().map(|address| Name::from(*address)).collect();
    Letter { group: group.into(), version, to, frame: Bytes::from(version.to_string()) }
}

/// Accepts letters for addresses that nobody can connect to, and says what waits: no task has run yet.
fn accepted(letters: impl IntoIterator<Item = Letter>, look: impl FnOnce(&Round)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let (round, mut tasks) = (Rc::new(Round::default()), JoinSet::new());
        letters.into_iter().for_each(|letter| round.accept(letter, &mut tasks));
        look(&round);
        tasks.shutdown().await;
    });
}

#[test]
fn a_message_that_a_newer_one_has_overtaken_is_not_sent() {
    accepted(
        [letter("a", 5, &["x"]), letter("a", 4, &["x"]), letter("b", 4, &["x"]), letter("a", 5, &["x"])],
        |round| {
            assert_eq!(round.waiting_for("x"), ["5", "4", "5"], "that of the other group and of the same change are");
        },
    );
}

#[test]
fn of_too_many_messages_for_one_broker_the_newest_stay() {
    accepted((1..=20).map(|version| letter("a", version, &["x", "y"])), |round| {
        let newest: Vec<_> = (5..=20).map(|version| version.to_string()).collect();
        assert_eq!(round.waiting_for("x"), newest);
        assert_eq!(round.waiting_for("y"), newest);
    });
}

#[test]
fn beyond_so_many_brokers_the_others_are_not_told() {
    let names: Vec<String> = (0..5000).map(|at| at.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    accepted([letter("a", 1, &names)], |round| {
        assert_eq!(round.waiting_for("4095"), ["1"]);
        assert!(round.waiting_for("4096").is_empty());
    });
}
