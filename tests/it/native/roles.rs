//! What libraries may do: both roles, with everything that the server offers.

use fingerpost::config::Grant;
use fingerpost::remoting::Command;
use fingerpost::server::PluginState;

use super::libraries::{greeter, in_c, in_rust};
use super::{name, start, status};
use crate::guests::{log, register};
use crate::harness::{Ask, Client, Server};

/// Of the guest `native`, with every grant that it wants and settings of its own.
fn server() -> Server {
    Server::start_with(|config, home| {
        name(config, home, "native.so", &in_rust("native"));
        let word = config.plugins.files.get_mut("native.so").expect("it was put there");
        word.grants = [Grant::KvWrite(None)].into();
        word.settings = [("own", "a value"), ("own-flag", "true")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    })
}

fn ask(client: &mut Client, how: &str, fields: &[(&str, &str)]) -> Command {
    let ask = Ask::new(9103).field("how", how);
    client.ask(fields.iter().fold(ask, |ask, (name, value)| ask.field(name, value)))
}

fn text(reply: &Command) -> &str {
    std::str::from_utf8(&reply.body).expect("bodies are UTF-8")
}

fn remark(reply: &Command) -> &str {
    reply.remark.as_deref().unwrap_or_default()
}

/// Registers a master in a cluster, with the topics `T` and `U`.
fn register_in(client: &mut Client, cluster: &str, broker_name: &str) {
    let topics = r#"{"T":{"topicName":"T","perm":6},"U":{"topicName":"U"}}"#;
    let version = r#"{"counter":1,"stateVersion":0,"timestamp":5}"#;
    let body = format!(r#"{{"topicConfigSerializeWrapper":{{"dataVersion":{version},"topicConfigTable":{topics}}}}}"#);
    let register = Ask::new(103)
        .field("brokerName", broker_name)
        .field("brokerAddr", &format!("{broker_name}:10911"))
        .field("clusterName", cluster)
        .field("brokerId", "0")
        .body(body);
    assert_eq!(client.ask(register).code, 0);
}

#[test]
fn the_example_in_rust_answers_its_code() {
    let server = start("native-rust.so", &in_rust("native-rust"));
    let mut client = server.client();
    register(&mut client, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);

    let replies: Vec<_> = (0..2).map(|_| client.ask(Ask::new(9101).field("name", "Ada"))).collect();
    let nameless = client.ask(Ask::new(9101));

    for (reply, answered) in replies.iter().zip(["1", "2"]) {
        let fields = ["greeting", "topics", "answered"].map(|name| reply.field(name).map(|value| &**value));
        assert_eq!((reply.code, fields), (0, [Some("hello, Ada"), Some("2"), Some(answered)]));
    }
    assert_eq!((nameless.code, remark(&nameless)), (1, "the request has no field name"));
    let status = status(&server, "native-rust.so");
    assert_eq!((status.state, &*status.codes, status.generation), (PluginState::Active, &[9101][..], Some(1)));
    assert!(status.sha256.is_some_and(|digest| digest.len() == 64));
}

#[test]
fn the_examples_in_c_answer_a_code_and_have_a_say_about_routes() {
    let (Some(greet), Some(by_cluster)) = (greeter("hello"), in_c("examples/native-c/by_cluster.c", &[])) else {
        return;
    };
    let server = Server::start_with(|config, home| {
        name(config, home, "greet.so", &greet);
        name(config, home, "by-cluster.so", &by_cluster);
        config.policies.chain.push("by-cluster".to_owned());
    });
    let mut client = server.client();
    register_in(&mut client, "east", "a");
    register_in(&mut client, "west", "b");
    let shown = |client: &mut Client, cluster: Option<&str>| {
        let lookup = Ask::new(105).field("topic", "T");
        let reply = client.ask(cluster.map_or(lookup.clone(), |cluster| lookup.field("cluster", cluster)));
        assert_eq!(reply.code, 0);
        ["a:10911", "b:10911"].map(|address| text(&reply).contains(address))
    };

    let reply = client.ask(Ask::new(9102).field("name", "Ada"));
    assert_eq!((reply.code, reply.field("greeting").map(|value| &**value)), (0, Some("hello, Ada")));
    assert_eq!(remark(&client.ask(Ask::new(9102))), "the request has no field name");
    // More than once: its answers are remembered.
    for _ in 0..3 {
        assert_eq!(shown(&mut client, None), [true, true]);
        assert_eq!(shown(&mut client, Some("east")), [true, false]);
        assert_eq!(shown(&mut client, Some("west")), [false, true]);
        assert_eq!(shown(&mut client, Some("north")), [true, true]);
    }
    assert_eq!(status(&server, "by-cluster.so").policy, Some(3));
}

#[test]
fn a_library_reads_the_request_and_writes_the_reply() {
    let server = server();
    let mut client = server.client();

    let reply = client.ask(Ask::new(9103).field("how", "echo").field("a", "b").body("a body").version(77));

    assert_eq!((reply.code, text(&reply)), (0, "a body"));
    let field = |name: &str| reply.field(name).map(|value| value.to_string()).unwrap_or_default();
    assert_eq!(["a", "code", "version", "times"].map(field), ["b", "9103 9103", "77", "true"]);
    assert_eq!(field("peer"), client.stream().local_addr().unwrap().to_string());
}

#[test]
fn a_library_answers_with_routes_and_looks_into_them() {
    let server = server();
    let mut client = server.client();
    register(&mut client, "a", r#""T":{"topicName":"T","perm":6},"U":{"topicName":"U"}"#);
    let topic = [("topic", "T")];

    let route = ask(&mut client, "route", &topic);
    let stock = client.ask(Ask::new(105).field("topic", "T"));
    assert_eq!(route.code, 0);
    assert_eq!(
        text(&route).replace(r#""orderTopicConf":"a:4","#, ""),
        text(&stock),
        "it is what the stock plugin shows"
    );
    let described = ask(&mut client, "describe", &topic);
    for part in [r#"broker_name: "a", cluster: "c""#, r#"(0, "a:10911")"#, "perm: 6", r#"[Topic { name: "T""#] {
        assert!(text(&described).contains(part), "{part} in {}", text(&described));
    }
    assert_eq!(ask(&mut client, "route", &[("topic", "none")]).code, 17);
}

#[test]
fn a_library_writes_what_it_is_granted_and_is_told_what_it_is_not() {
    log();
    let server = server();
    let mut client = server.client();
    let key = [("key", "k"), ("value", "v")];

    assert_eq!(text(&ask(&mut client, "get", &key)), "None None");
    assert_eq!(ask(&mut client, "put", &key).code, 0);
    assert_eq!(text(&ask(&mut client, "get", &key)), r#"Some("v") Some([("k", "v")])"#);
    assert_eq!(ask(&mut client, "delete", &key).code, 0);
    assert!(text(&ask(&mut client, "get", &key)).starts_with("None"));
    let denied = ask(&mut client, "forward", &[]);
    assert_eq!(denied.code, 1);
    assert!(remark(&denied).starts_with("the plugin has no grant upstream"), "{}", remark(&denied));
    assert_eq!(status(&server, "native.so").denied, ["upstream"]);
    assert_eq!(text(&ask(&mut client, "settings", &[])), r#"Some("a value") true false None"#);
    assert_eq!(ask(&mut client, "log", &[]).code, 0);
    assert!(!log().lines(&["a line\\nof a native plugin", "WARN", "native"]).is_empty());
}

#[test]
fn a_panic_in_a_rust_library_costs_its_caller_an_error_and_nobody_else_anything() {
    log();
    let server = server();
    let mut client = server.client();

    let huge = "reply_append_body: a reply body of 33554432, the limit is 16777216";
    for (how, told, why) in [
        ("panic", "it failed", "it panicked: because it was asked to"),
        ("panic-after-write", "it failed", "it panicked: after a write"),
        ("huge-reply", "it gave a bad reply", huge),
    ] {
        let reply = ask(&mut client, how, &[]);
        let expected = format!("plugin native is unavailable: {told}");
        assert_eq!((reply.code, remark(&reply)), (2, &*expected), "{how}");
        assert!(!log().lines(&["the plugin failed", "native", why]).is_empty(), "{why}");
        assert_eq!(ask(&mut client, "echo", &[]).code, 0, "the next call, after {how}");
    }
    let reply = ask(&mut client, "get", &[("key", "k")]);
    assert!(text(&reply).contains("written"), "what it wrote before stays, as that of a component does");
}
