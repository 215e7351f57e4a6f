//! A plugin that fails call after call is taken out, somebody else answers if the operator wants that, and it gets
//! another chance later.

use std::path::Path;
use std::time::Duration;

use fingerpost::config::{Config, Grant, PolicyFailure, ProcessorFailure};
use fingerpost::remoting::Command;
use serde_json::json;

use crate::control::{self, controlled};
use crate::guests::{allow, component, drop_in, drop_in_bytes, log, register, with_manifest, with_section};
use crate::harness::{Ask, Client, Server};

const OUT: &str = "it is taken out for a while, because too often it failed";
const FAILURES_MAX: usize = 5;

/// A server for which no time passes, with a broker that has the topic `T`.
fn start(edit: impl FnOnce(&mut Config, &Path)) -> (Server, Client) {
    log();
    let server = Server::start_with(|config, home| {
        config.net.workers = 1;
        edit(config, home);
    });
    server.clock.stand_still();
    let mut broker = server.client();
    register(&mut broker, "a", r#""T":{"topicName":"T","perm":6},"U":{"topicName":"U"}"#);
    (server, broker)
}

/// One that answers request code 311 by the guest `misbehaving`.
fn start_with_override(on_failure: ProcessorFailure) -> (Server, Client) {
    start(|config, home| {
        drop_in_bytes(home, "ours.wasm", &answering("311 "));
        allow(config, "ours.wasm", true, &[Grant::KvWrite(None)]);
        config.plugins.files.get_mut("ours.wasm").expect("it was just put there").on_failure = on_failure;
    })
}

/// The guest `misbehaving`, with this code in place of its first.
fn answering(code: &str) -> Vec<u8> {
    let name = "\nname = \"MISBEHAVE\"";
    with_manifest(component("misbehaving"), &format!("code = 9100{name}"), &format!("code = {code}{name}"))
}

fn ask(code: i32, how: &str) -> Ask {
    Ask::new(code).field("how", how)
}

fn remark(reply: &Command) -> &str {
    reply.remark.as_deref().unwrap_or_default()
}

fn fail(client: &mut Client, request: &Ask) {
    for _ in 0..FAILURES_MAX {
        client.ask(request.clone());
    }
}

#[test]
fn a_plugin_that_fails_call_after_call_is_taken_out_and_tried_again_later() {
    let (server, _broker) = start(|_, home| drop_in(home, "misbehaving"));
    let mut client = server.client();
    let well = || ask(9100, "not-at-all");
    let refusal = format!("plugin misbehaving is unavailable: {OUT}");

    for _ in 0..FAILURES_MAX {
        assert_eq!(remark(&client.ask(ask(9100, "panic"))), "plugin misbehaving is unavailable: it failed");
    }
    for _ in 0..3 {
        let reply = client.ask(well());
        assert_eq!((reply.code, remark(&reply)), (2, &*refusal));
        assert_eq!(remark(&client.ask(ask(9101, "not-at-all"))), refusal, "its other codes are its, too");
    }
    assert_eq!(client.ask(Ask::new(105).field("topic", "T")).code, 0, "another plugin");

    server.clock.advance(Duration::from_secs(1));
    assert_eq!(remark(&client.ask(ask(9100, "panic"))), "plugin misbehaving is unavailable: it failed", "the trial");
    server.clock.advance(Duration::from_millis(1999));
    assert_eq!(remark(&client.ask(well())), refusal, "the second pause is twice as long");
    server.clock.advance(Duration::from_millis(1));
    assert_eq!(client.ask(well()).code, 0);
    assert_eq!(client.ask(ask(9100, "panic")).code, 2);
    assert_eq!(client.ask(well()).code, 0, "one failure is none too many");
}

#[test]
fn a_plugin_that_fails_often_but_never_call_after_call_is_taken_out_if_that_is_half_of_its_calls() {
    let (server, _broker) = start(|_, home| drop_in(home, "misbehaving"));
    let mut client = server.client();
    let refusal = format!("plugin misbehaving is unavailable: {OUT}");

    for _ in 0..60 {
        assert_eq!(remark(&client.ask(ask(9100, "panic"))), "plugin misbehaving is unavailable: it failed");
        assert_eq!([(); 2].map(|()| client.ask(ask(9100, "not-at-all")).code), [0; 2], "most go well");
    }
    server.clock.advance(Duration::from_secs(1));
    for _ in 0..99 {
        assert_eq!(remark(&client.ask(ask(9100, "panic"))), "plugin misbehaving is unavailable: it failed");
        assert_eq!(client.ask(ask(9100, "not-at-all")).code, 0);
    }
    assert_eq!(remark(&client.ask(ask(9100, "panic"))), "plugin misbehaving is unavailable: it failed", "the 100th");

    assert_eq!(remark(&client.ask(ask(9100, "not-at-all"))), refusal);
    assert!(!log().lines(&["plugin=misbehaving", "100 of 199 calls failed within a second"]).is_empty());
}

#[test]
fn a_oneway_request_to_a_plugin_that_is_taken_out_is_answered_by_nothing() {
    let (server, _broker) = start(|_, home| drop_in(home, "misbehaving"));
    let mut client = server.client();
    fail(&mut client, &ask(9100, "panic"));

    client.send(&ask(9100, "not-at-all").oneway());

    assert_eq!(client.ask(Ask::new(105).field("topic", "T")).code, 0);
}

#[test]
fn with_fallback_the_plugin_that_answered_before_answers_whenever_the_new_one_fails() {
    let (server, _broker) = start_with_override(ProcessorFailure::Fallback);
    let (other, _other_broker) = start(|_, _| {});
    let stock = other.client().ask(Ask::new(311));
    let mut client = server.client();
    let is_stock = |reply: &Command| (reply.code, &reply.body) == (stock.code, &stock.body);
    assert!(is_stock(&stock) && !stock.body.is_empty());

    let ours = client.ask(ask(311, "not-at-all"));
    assert!(ours.code == 0 && ours.body.is_empty(), "{ours:?}");
    for how in ["panic", "grow", "recurse", "panic", "panic"] {
        assert!(is_stock(&client.ask(ask(311, how))), "{how}");
    }
    assert!(is_stock(&client.ask(ask(311, "not-at-all"))), "while it is taken out");
    assert_eq!(client.ask(ask(9101, "not-at-all")).code, 2, "nobody answered that before");

    server.clock.advance(Duration::from_secs(1));
    assert!(client.ask(ask(311, "not-at-all")).body.is_empty(), "it is back");
}

#[test]
fn a_call_that_failed_after_it_had_written_something_is_not_answered_by_another_plugin() {
    let (server, _broker) = start_with_override(ProcessorFailure::Fallback);
    let mut client = server.client();

    let reply = client.ask(ask(311, "write-and-panic"));

    assert_eq!((reply.code, remark(&reply)), (2, "plugin misbehaving is unavailable: it failed"));
    // What is written stays written; nobody waited for the disk.
    client.wait_until(|client| {
        let written = client.ask(Ask::new(101).field("namespace", "misbehaving").field("key", "written"));
        written.field("value").is_some_and(|value| **value == *"before the end")
    });
}

#[test]
fn without_fallback_nobody_else_answers() {
    let (server, _broker) = start_with_override(ProcessorFailure::Close);
    let mut client = server.client();

    fail(&mut client, &ask(311, "panic"));

    assert_eq!(remark(&client.ask(ask(311, "not-at-all"))), format!("plugin misbehaving is unavailable: {OUT}"));
}

#[test]
fn a_fallback_that_would_answer_everybody_what_only_administrators_may_ask_is_rejected() {
    let (server, _broker) = start(|config, home| {
        drop_in_bytes(home, "ours.wasm", &answering("216 "));
        allow(config, "ours.wasm", true, &[]);
        config.plugins.files.get_mut("ours.wasm").expect("it was just put there").on_failure =
            ProcessorFailure::Fallback;
    });

    let file = server.home().join("plugins/ours.wasm").display().to_string();
    assert!(!log().lines(&["plugin rejected", &file, "on-failure", "admin.admin-from"]).is_empty());
}

#[test]
fn what_was_remembered_of_a_plugin_is_not_given_while_it_is_taken_out() {
    let (server, _broker) = start(|_, home| drop_in(home, "misbehaving"));
    let mut client = server.client();
    // A plugin earns its place on a worker, where replies are remembered, by a thousand calls.
    while server.memo().hits == 0 {
        assert_eq!(client.ask(ask(9102, "not-at-all")).code, 0);
    }

    fail(&mut client, &ask(9102, "panic"));
    let hits = server.memo().hits;
    assert_eq!(client.ask(ask(9102, "not-at-all")).code, 2);
    assert_eq!(server.memo().hits, hits);

    server.clock.advance(Duration::from_secs(1));
    for _ in 0..4 {
        assert_eq!(client.ask(ask(9102, "not-at-all")).code, 0);
    }
    assert!(server.memo().hits > hits);
}

#[test]
fn a_fallback_may_run_in_the_lane_although_the_plugin_that_failed_ran_on_a_worker() {
    // 206 is answered in the lane; what takes it over here, on the worker.
    let on_worker = "code = 9101\nname = \"MISBEHAVE_ON_A_WORKER\"";
    let ours = with_manifest(component("misbehaving"), on_worker, &on_worker.replace("9101", "206 "));
    let (server, _broker) = start(|config, home| {
        drop_in_bytes(home, "ours.wasm", &ours);
        allow(config, "ours.wasm", true, &[]);
        config.plugins.files.get_mut("ours.wasm").expect("it was just put there").on_failure =
            ProcessorFailure::Fallback;
    });
    let mut client = server.client();
    for _ in 0..1100 {
        assert!(client.ask(ask(206, "not-at-all")).body.is_empty());
    }

    for _ in 0..2 * FAILURES_MAX {
        let stock = client.ask(ask(206, "panic"));
        assert!(stock.code == 0 && stock.body.starts_with(b"{"), "{stock:?}");
    }
}

/// A server with `misbehaving-policy` at the end of its chain.
fn start_with_policy(on_failure: PolicyFailure) -> (Server, Client) {
    start(|config, home| {
        controlled(config, home);
        drop_in(home, "misbehaving-policy");
        config.policies.chain.push("misbehaving-policy".to_owned());
        config.policies.on_failure.insert("misbehaving-policy".to_owned(), on_failure);
    })
}

fn lookup(how: &str) -> Ask {
    Ask::new(105).field("topic", "T").field("misbehave", how)
}

#[test]
fn a_policy_that_is_taken_out_does_what_the_operator_chose_and_comes_back() {
    for on_failure in [PolicyFailure::Close, PolicyFailure::Skip] {
        let (server, _broker) = start_with_policy(on_failure);
        let mut client = server.client();
        let whole = client.ask(Ask::new(105).field("topic", "T"));
        // Both are remembered.
        for _ in 0..4 {
            assert!(client.ask(lookup("drop-everything")).body != whole.body);
        }
        let hits = server.memo().hits;
        assert!(hits >= 2);

        fail(&mut client, &lookup("panic"));
        let reply = client.ask(lookup("drop-everything"));
        match on_failure {
            PolicyFailure::Skip => assert_eq!((reply.code, &reply.body), (0, &whole.body)),
            PolicyFailure::Close => {
                let wanted = format!("policy misbehaving-policy is unavailable: {OUT}");
                assert_eq!((reply.code, remark(&reply)), (2, &*wanted));
            }
        }
        assert_eq!(client.ask(Ask::new(105).field("topic", "T")).body, whole.body, "whom it does not concern");
        let why = || {
            let fields = json!({ "misbehave": "drop-everything" });
            control::ask(&server, json!({ "do": "why", "topic": "T", "client": null, "fields": fields }))["ok"].clone()
        };
        let told = why();
        let step = told["policies"].as_array().and_then(|steps| steps.last()).expect("it is in the chain");
        assert_eq!((&step["asked"], &step["shown"]), (&json!(false), &told["route"]), "{step}");
        assert_eq!(step["failure"], "it is taken out, because too often it failed; it is tried again in 1s");
        let failed = (on_failure == PolicyFailure::Close).then_some("misbehaving-policy");
        assert_eq!(told["failed"], json!(failed));

        server.clock.advance(Duration::from_secs(1));
        let reply = client.ask(lookup("drop-everything"));
        assert!(reply.code == 0 && reply.body != whole.body, "it is back");
        assert!(why()["policies"].as_array().is_some_and(|steps| steps.iter().any(|step| step["shown"] == json!([]))));
    }
}

#[test]
fn a_policy_that_is_not_pure_is_blamed_itself_until_it_is_another() {
    let (server, _broker) = start_with_policy(PolicyFailure::Close);
    let mut client = server.client();
    let plain = || Ask::new(105).field("topic", "T");

    for asked in 0.. {
        assert!(asked < 20_000, "{:?}", server.memo());
        assert_eq!(client.ask(lookup("count")).code, 0);
        if server.memo().broken > 0 {
            break;
        }
    }

    assert!(!log().lines(&["plugin=misbehaving-policy", "is not pure"]).is_empty());
    let mut hits_of = |request: Ask| {
        let before = server.memo().hits;
        for _ in 0..10 {
            assert_eq!(client.ask(request.clone()).code, 0);
        }
        server.memo().hits - before
    };
    assert_eq!(hits_of(lookup("count")), 0, "nothing that it has a say in is remembered");
    assert!(hits_of(plain()) >= 8, "what it has no say in is");
    let other = with_section(component("misbehaving-policy"), "another");
    drop_in_bytes(server.home(), "misbehaving-policy.wasm", &other);
    server.reload();
    assert!(hits_of(lookup("count")) >= 7, "it is another plugin");
}
