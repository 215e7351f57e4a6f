//! A policy changes what one client is shown, and a broken one does what the operator chose.

use std::time::Duration;

use fingerpost::config::PolicyFailure;
use fingerpost::remoting::Command;

use crate::guests::{allow, component, drop_in, drop_in_bytes, log, register, with_manifest};
use crate::harness::{Ask, Client, Server};

/// A server with `misbehaving-policy` in its chain, and two brokers with a topic `T`.
fn start(on_failure: PolicyFailure) -> (Server, Client) {
    let server = Server::start_with(|config, home| {
        config.plugins.worker_deadline = Duration::from_millis(100);
        config.policies.chain = ["acting-master", "misbehaving-policy", "zone"].map(str::to_owned).into();
        config.policies.on_failure.insert("misbehaving-policy".to_owned(), on_failure);
        drop_in(home, "misbehaving-policy");
    });
    let broker = register_two(&server);
    (server, broker)
}

fn register_two(server: &Server) -> Client {
    let mut broker = server.client();
    for name in ["a", "b"] {
        register(&mut broker, name, r#""T":{"topicName":"T","perm":6},"U":{"topicName":"U"}"#);
    }
    broker
}

fn lookup() -> Ask {
    Ask::new(105).field("topic", "T")
}

fn misbehave(how: &str) -> Ask {
    lookup().field("misbehave", how)
}

fn text(command: &Command) -> &str {
    std::str::from_utf8(&command.body).expect("bodies are UTF-8")
}

fn remark(command: &Command) -> &str {
    command.remark.as_deref().unwrap_or_default()
}

const FAILURES: [&str; 5] = ["panic", "change-and-panic", "duplicate-ids", "keep-out-of-range", "set-out-of-range"];

#[test]
fn a_failing_policy_answers_an_error_unless_the_operator_chose_otherwise() {
    let (server, _broker) = start(PolicyFailure::default());
    let mut client = server.client();
    let whole = client.ask(lookup());
    assert_eq!(whole.code, 0);

    for how in FAILURES {
        let reply = client.ask(misbehave(how));
        assert_eq!((reply.code, remark(&reply)), (2, "policy misbehaving-policy is unavailable: it failed"), "{how}");
        assert!(reply.body.is_empty(), "{how}");
        assert_eq!(client.ask(misbehave("not-at-all")).body, whole.body, "the next call, after {how}");
    }
    let late = client.ask(misbehave("spin"));
    assert_eq!((late.code, remark(&late)), (2, "policy misbehaving-policy is unavailable: it missed its deadline"));
}

#[test]
fn with_skip_the_route_is_shown_as_it_was_before_the_policy_that_failed() {
    let (server, _broker) = start(PolicyFailure::Skip);
    let mut client = server.client();
    let whole = client.ask(lookup());

    for how in FAILURES.into_iter().chain(["spin"]) {
        let reply = client.ask(misbehave(how));
        assert_eq!((reply.code, &reply.body), (0, &whole.body), "{how}");
    }
}

#[test]
fn policies_after_the_one_that_failed_still_have_their_say() {
    let (server, _broker) = start(PolicyFailure::Skip);

    let reply = server.client().ask(misbehave("panic").field("__ZONE_MODE", "true").field("__ZONE_NAME", "b"));

    assert!(text(&reply).contains("b:10911") && !text(&reply).contains("a:10911"), "{}", text(&reply));
}

#[test]
fn a_policy_whose_condition_does_not_hold_is_not_even_asked() {
    let (server, _broker) = start(PolicyFailure::Close);
    let mut client = server.client();

    assert_eq!(client.ask(misbehave("panic")).code, 2);
    assert_eq!(client.ask(lookup()).code, 0);
}

#[test]
fn a_route_without_brokers_is_a_success() {
    let (server, _broker) = start(PolicyFailure::Close);

    let reply = server.client().ask(misbehave("drop-everything"));

    assert_eq!(reply.code, 0);
    assert!(text(&reply).contains(r#""brokerDatas":[]"#) && text(&reply).contains(r#""queueDatas":[]"#), "{reply:?}");
}

#[test]
fn what_a_policy_changes_is_shown_to_this_client_only() {
    let (server, _broker) = start(PolicyFailure::Close);
    let mut client = server.client();
    let whole = client.ask(lookup());

    let changed = client.ask(misbehave("rewrite"));

    assert!(text(&changed).contains("rewritten:1") && text(&changed).contains(r#""perm":4"#), "{}", text(&changed));
    assert!(text(&changed).contains("b:10911"), "{}", text(&changed));
    assert_eq!(client.ask(lookup()).body, whole.body);
}

#[test]
fn groups_are_shown_in_the_order_a_policy_names_them_and_each_once() {
    let (server, _broker) = start(PolicyFailure::Close);

    let reply = server.client().ask(misbehave("name-twice"));

    let at = |address: &str| text(&reply).find(address).expect("both are shown");
    assert!(at("b:10911") < at("a:10911"), "{}", text(&reply));
    assert_eq!(text(&reply).matches("a:10911").count(), 1);
    assert_eq!(text(&reply).matches("b:10911").count(), 1);
}

#[test]
fn a_policy_that_the_chain_does_not_name_has_no_say() {
    let server = Server::start_with(|_, home| drop_in(home, "misbehaving-policy"));
    let _broker = register_two(&server);

    assert_eq!(server.client().ask(misbehave("panic")).code, 0);
}

#[test]
fn a_policy_of_a_directory_takes_the_place_of_a_stock_policy_with_the_operators_word_only() {
    log();
    // `zone` by name, but its condition is the guest's.
    let zone = || with_manifest(component("misbehaving-policy"), "\"misbehaving-policy\"", "\"zone\"              ");
    let start = |overrides: bool| {
        Server::start_with(|config, home| {
            drop_in_bytes(home, "my-zone.wasm", &zone());
            allow(config, "my-zone.wasm", overrides, &[]);
        })
    };
    let (with, without) = (start(true), start(false));
    let (_one, _two) = (register_two(&with), register_two(&without));

    assert_eq!(with.client().ask(misbehave("panic")).code, 2);
    assert_eq!(without.client().ask(misbehave("panic")).code, 0);
    let rejected = without.home().join("plugins/my-zone.wasm").display().to_string();
    assert!(!log().lines(&["plugin rejected", &rejected, "override = true"]).is_empty());
}

#[test]
fn a_policy_that_imports_wasi_is_rejected_because_policies_run_where_nothing_may_block() {
    log();
    let server = Server::start_with(|_, home| drop_in(home, "wasi-policy"));

    let file = server.home().join("plugins/wasi-policy.wasm").display().to_string();
    assert!(!log().lines(&["plugin rejected", &file, "imports WASI"]).is_empty());
    assert_eq!(server.client().ask(Ask::new(206)).code, 0);
}
