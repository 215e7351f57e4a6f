//! Cases are played on a plugin, and what differs is shown; what calls cost is measured.

use super::{directory, fingerpost, guest, path};

const HELLO: &str = r#"
[[broker]]
name = "broker-a"
topics = { orders = {}, payments = {} }

[[case]]
name = "greets by name, and counts the topics"
request = { code = 9001, fields = { name = "Ada" } }
reply = { fields = { greeting = "hello, Ada" }, body = "2" }

[[case]]
name = "a nameless one is told so"
request = { code = 9001 }
reply = { code = 1, remark-contains = ["name"] }
"#;

fn play(plugin: &str, cases: &str, more: &[&str]) -> super::Ran {
    let dir = directory(&[("cases.toml", cases.as_bytes())]);
    let (plugin, cases) = (guest(plugin), path(&dir, "cases.toml"));
    fingerpost(&[&["plugin", "test", &plugin, "--case", &cases], more].concat())
}

#[test]
fn cases_that_come_out_as_expected_are_counted() {
    let played = play("hello-processor", HELLO, &[]);

    assert_eq!(played.code, 0, "{}{}", played.out, played.err);
    assert!(played.out.contains("ok      greets by name") && played.out.contains("2 cases, all as expected"));
    let one = play("hello-processor", HELLO, &["--filter", "nameless", "--json"]).json();
    assert_eq!(one["cases"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_differs_is_shown_with_its_place_and_both_values() {
    let wrong = HELLO.replace("hello, Ada", "good day, Ada").replace("body = \"2\"", "body = \"3\"");

    let played = play("hello-processor", &wrong, &[]);

    assert_eq!(played.code, 1);
    for told in
        ["FAILED  greets by name", "reply.fields.greeting:", "\"good day, Ada\"", "\"hello, Ada\"", "reply.body"]
    {
        assert!(played.out.contains(told), "{told:?} is not in\n{}", played.out);
    }
    assert!(played.out.contains("2 cases, 1 FAILED"), "{}", played.out);
    let json = play("hello-processor", &wrong, &["--json"]).json();
    assert_eq!(
        (&json["ok"], &json["cases"][0]["differences"][0]["place"]),
        (&false.into(), &"reply.fields.greeting".into())
    );
}

#[test]
fn a_write_is_seen_in_the_store_afterwards_if_it_was_granted() {
    let cases = |grants: &str, reply: &str, then: &str| {
        format!(
            "[plugin]\noverride = true\ngrants = {grants}\n[kv.n]\nold = \"1\"\n[[case]]\nname = \"put\"\n\
             request = {{ code = 100, fields = {{ namespace = \"n\", key = \"k\", value = \"v\" }} }}\n\
             reply = {{ {reply} }}\nthen.kv.n = {then}\n"
        )
    };

    let stock = play("kv", &cases("[\"kv.write\"]", "code = 0", "{ k = \"v\", old = 1, other = false }"), &[]);
    assert_eq!(stock.code, 0, "{}{}", stock.out, stock.err);
    let wrong = play("kv", &cases("[]", "code = 0", "{ k = \"w\" }"), &[]);
    assert!(wrong.out.contains("then.kv.n.k"), "{}", wrong.out);
}

#[test]
fn time_passes_and_connections_close_only_when_a_case_says_so() {
    let cases = r#"
        [[broker]]
        name = "a"
        timeout = "30s"
        topics.t = {}
        [[broker]]
        name = "b"
        timeout = "90s"
        topics.t = { perm = 4 }
        [[case]]
        name = "brokers fall silent"
        [[case.step]]
        wait = "29s"
        route = { topic = "t" }
        shown = ["a", { name = "b", perm = 4, addresses = { 0 = "b-0:10911" } }]
        [[case.step]]
        wait = "2s"
        route = { topic = "t" }
        shown = ["b"]
        then = { brokers = { a = false, b = { cluster = "DefaultCluster" } }, topics.t = ["b"] }
        [[case.step]]
        wait = "1h"
        route = { topic = "t" }
        shown = false
        "#;

    let played = play("stamp-policy", cases, &[]);

    assert_eq!(played.code, 0, "{}{}", played.out, played.err);
}

#[test]
fn a_policy_is_shown_a_route_and_what_it_leaves_is_compared() {
    let cases = r#"
        [kv.drain]
        b = "both"
        [[broker]]
        name = "a"
        topics.t = {}
        [[broker]]
        name = "b"
        topics.t = {}
        [[case]]
        name = "a drained broker is not shown"
        route = { topic = "t", from = "10.1.2.3:4000" }
        shown = ["a"]
        "#;

    let played = play("drain", cases, &[]);

    assert_eq!(played.code, 0, "{}{}", played.out, played.err);
}

#[test]
fn a_broken_promise_of_purity_is_found_by_asking_twice() {
    let cases = "[[case]]\nname = \"counts\"\nrequest = { code = 9102, fields = { how = \"count\" } }\n";

    let played = play("misbehaving", cases, &[]);

    assert_eq!(played.code, 1, "{}{}", played.out, played.err);
    assert!(played.out.contains("the same request asked twice") && played.out.contains("`pure`"), "{}", played.out);
}

#[test]
fn a_plugin_that_a_server_would_not_use_is_told_why_once() {
    let played = play("stranger", HELLO, &[]);

    assert_eq!(played.code, 255);
    assert!(played.err.contains("a server does not use it") && played.err.contains("plugin check"), "{}", played.err);
}

#[test]
fn a_file_of_cases_with_a_slip_is_told_with_its_line_and_what_was_meant() {
    let played = play("hello-processor", &HELLO.replace("request = { code = 9001 }", "requst = { code = 9001 }"), &[]);

    assert_eq!(played.code, 255);
    assert!(
        played.err.contains("cases.toml: line ") && played.err.contains("did you mean `request`?"),
        "{}",
        played.err
    );
}

#[test]
fn what_calls_cost_is_measured() {
    let dir = directory(&[("cases.toml", HELLO.as_bytes())]);
    let cases = path(&dir, "cases.toml");

    let ran = fingerpost(&["plugin", "bench", &guest("hello-processor"), "--case", &cases, "--time", "20ms", "--json"]);

    let costs = ran.json();
    let greeting = &costs[0];
    assert_eq!(costs.as_array().map(Vec::len), Some(2), "{costs}");
    // `name`, the cursor, two looks at it and its end, three parts of the reply: whatever the machine does.
    assert_eq!((&greeting["code"], &greeting["host_calls_per_call"]), (&0.into(), &8.0.into()), "{costs}");
    let number = |key: &str| greeting[key].as_f64().unwrap_or_default();
    assert!(number("fuel_per_call") > 100.0 && number("ns_per_call") > 100.0, "{costs}");
    assert!(number("memory_bytes") >= 65_536.0, "{costs}");
    let table = fingerpost(&["plugin", "bench", &guest("hello-processor"), "--case", &cases, "--time", "20ms"]);
    assert!(table.out.contains("ns/call") && table.out.contains("greets by name"), "{}", table.out);
}

#[test]
fn a_candidate_is_asked_what_was_recorded_and_what_it_answers_otherwise_is_shown() {
    let record = r#"
        [[broker]]
        name = "a"
        topics = { plain = {}, unit = { flag = 1 } }
        [[case]]
        name = "record"
        [[case.step]]
        request = { code = 311 }
        [[case.step]]
        request = { code = 105, fields = { topic = "plain" } }
        "#;
    let dir = directory(&[("record.toml", record.as_bytes())]);
    let record = path(&dir, "record.toml");
    let replay = |candidate: &str, more: &[&str]| {
        let candidate = guest(candidate);
        fingerpost(&[&["plugin", "replay", &record, "--against", &candidate], more].concat())
    };

    let same = replay("unit-topics", &[]);
    assert_eq!(same.code, 0, "{}{}", same.out, same.err);
    assert!(same.out.contains("2 requests, all answered as before"), "{}", same.out);

    let inverted = replay("unit-topics-inverted", &[]);
    assert_eq!(inverted.code, 1, "{}{}", inverted.out, inverted.err);
    for told in ["record, request 1: 311", "body:", "\"unit\"", "code 311: 1 asked, 1 answered otherwise"] {
        assert!(inverted.out.contains(told), "{told:?} is not in\n{}", inverted.out);
    }
    let json = replay("unit-topics-inverted", &["--json"]).json();
    assert_eq!((&json["asked"], &json["differing"]), (&2.into(), &1.into()));
}
