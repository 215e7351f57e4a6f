//! The contract is frozen: what was built against it runs for ever, and nobody changes it by accident.
//!
//! The components are those of `tests/guests/contract-processor` and `contract-policy`, as they were built against the
//! version that their folder names. They call every function that there was, so that none can go or change its type.

use std::fs;
use std::path::{Path, PathBuf};

use fingerpost::remoting::Command;
use sha2::{Digest, Sha256};

use crate::guests::{component, drop_in_bytes, log, register, with_text};
use crate::harness::{Ask, Client, Server};

const CALL_EVERYTHING: i32 = 9400;
const GLANCE: i32 = 9401;

/// Every version that was ever published, and a component of it is committed.
const VERSIONS: [&str; 2] = ["0.1.0", "0.1.1"];
/// The newest of them, which is that of `wit/`.
const NEWEST: &str = VERSIONS[VERSIONS.len() - 1];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A server with the two components that were built against `version`, and the brokers `a` and `b`.
fn start(version: &str) -> (Server, Client) {
    let built = |role: &str| {
        let path = root().join(format!("tests/data/contract/{version}/{role}.wasm"));
        fs::read(path).expect("it is committed")
    };
    let server = Server::start_with(|config, home| {
        drop_in_bytes(home, "processor.wasm", &built("processor"));
        drop_in_bytes(home, "policy.wasm", &built("policy"));
        config.policies.chain = vec!["contract-policy".to_owned()];
    });
    let mut brokers = server.client();
    for name in ["a", "b"] {
        register(&mut brokers, name, r#""T":{"topicName":"T","perm":6},"U":{"topicName":"U"}"#);
    }
    (server, brokers)
}

fn call(what: &str) -> Ask {
    Ask::new(CALL_EVERYTHING).version(401).field("call", what).field("topic", "T")
}

fn lookup() -> Ask {
    Ask::new(105).field("topic", "T")
}

fn text(reply: &Command) -> &str {
    std::str::from_utf8(&reply.body).expect("bodies are UTF-8")
}

#[track_caller]
fn assert_told(reply: &Command, lines: &[&str]) {
    assert_eq!((reply.code, reply.field("told").map(|told| &**told)), (0, Some("everything")), "{reply:?}");
    for line in lines {
        assert!(text(reply).lines().any(|told| told.starts_with(line)), "{line:?} is not in\n{}", text(reply));
    }
}

#[test]
fn a_component_built_against_an_earlier_version_runs_for_ever() {
    VERSIONS.into_iter().for_each(everything_is_answered);
}

fn everything_is_answered(version: &str) {
    let (server, _brokers) = start(version);
    let mut client = server.client();

    let read = client.ask(call("read").body("abcd"));
    assert_told(
        &read,
        &[
            "request 9400 401 Some(\"T\")",
            "fields [(\"call\", \"read\"), (\"topic\", \"T\")]",
            "body 4 [97, 98, 99, 100] ed82cd11",
            "peer true",
            "route 0 TopicRoute { topic: \"T\"",
            "the same true",
            "topics [TopicSummary { name: \"T\"",
            "topics of a [TopicSummary { name: \"T\"",
            "groups [BrokerGroup {",
            "group Some(BrokerGroup {",
            "clusters [Cluster { name: \"c\"",
            "kv None None",
            "setting false Some(\"false\")",
            "settings true",
            "clock true",
            "version of Some(DataVersion {",
            "heartbeat false",
        ],
    );
    assert!(text(&read).contains("[\"a\", \"b\"]"), "the brokers of the cluster: {}", text(&read));

    let write = client.ask(call("write").body("{}"));
    assert_told(&write, &["register true Err(RegisterError::Denied"]);
    assert_eq!(text(&write).matches("Denied(").count(), 9, "{}", text(&write));

    let bodies = client.ask(call("bodies").body(r#"{"stateVersion":1,"timestamp":2,"counter":3}"#));
    assert_told(&bodies, &["Ok(Some(DataVersion {"]);

    let refused = client.ask(call("upstream"));
    assert_eq!((refused.code, refused.remark.as_deref()), (17, Some("nobody upstream")));
    assert_eq!(client.ask(call("nothing")).code, 22);

    let whole = client.ask(lookup());
    assert_eq!(client.ask(call("route")).code, 0);
    let plain = |reply: &Command| text(reply).replace(r#""orderTopicConf":"a:4","#, "");
    assert_eq!(plain(&client.ask(call("route"))), text(&whole));
    assert_ne!(text(&client.ask(call("route"))), text(&whole));
}

#[test]
fn a_glance_built_against_an_earlier_version_is_taken_for_ever() {
    VERSIONS.into_iter().for_each(a_glance_is_taken);
}

fn a_glance_is_taken(version: &str) {
    let (server, _brokers) = start(version);
    let mut client = server.client();
    let glance = || Ask::new(GLANCE).field("topic", "T").field("call", "route");

    for version in [400, 401] {
        let whole = client.ask(lookup().version(version));
        assert_eq!(client.ask(glance().version(version)).body, whole.body);
        let closer = client.ask(glance().version(version).field("look", "Closer"));
        assert!(text(&closer).contains(r#""orderTopicConf":"a:4""#), "{}", text(&closer));
    }
    assert_eq!(client.ask(Ask::new(GLANCE).field("call", "nothing")).code, 22);
}

#[test]
fn a_policy_built_against_an_earlier_version_has_its_say_for_ever() {
    VERSIONS.into_iter().for_each(a_policy_has_its_say);
}

fn a_policy_has_its_say(version: &str) {
    let (server, _brokers) = start(version);

    let reply = server.client().ask(lookup().field("contract", "b"));

    let shown = text(&reply);
    assert_eq!(reply.code, 0, "{reply:?}");
    assert!(shown.starts_with(r#"{"brokerDatas":[{"brokerAddrs":{"7":"b:10911"},"brokerName":"b""#), "{shown}");
    assert!(shown.contains(r#"{"brokerAddrs":{"3":"mapped:1"},"brokerName":"a""#), "{shown}");
    assert!(shown.contains(r#""queueDatas":[{"brokerName":"b","perm":4,"#), "{shown}");
}

#[test]
fn what_0_1_1_brought_is_there_for_ever() {
    let (server, _brokers) = start("0.1.1");
    let mut client = server.client();

    let told = client.ask(call("keep"));

    assert_told(
        &told,
        &[
            "called on Occasion::Arrived",
            "route version 0 true",
            "put Ok(())",
            "get Some([118]) None",
            "swap Ok(true)",
            "no swap Ok(false)",
            "delete Ok(())",
            "increment Ok(5) Ok(4)",
            "invalid Err(StateError::Invalid(",
        ],
    );
    assert_told(&client.ask(call("wait")), &["called on Occasion::TimedOut Err(WriteError::Invalid("]);
}

/// The newest components, as if they had been built against another version: nothing else in them is changed.
fn rebuilt(role: &str, version: &str) -> Vec<u8> {
    let path = root().join(format!("tests/data/contract/{NEWEST}/{role}.wasm"));
    let name = |version: &str| format!("@{version}");
    with_text(fs::read(path).expect("it is committed"), &name(NEWEST), &name(version))
}

/// What a server says about a component that it does not use.
fn refused(role: &str, bytes: &[u8]) -> String {
    log();
    let server = Server::start_with(|_, home| drop_in_bytes(home, &format!("{role}.wasm"), bytes));
    let path = server.home().join("plugins").join(format!("{role}.wasm")).display().to_string();
    let lines = log().lines(&["plugin rejected", &path]);
    assert_eq!(server.client().ask(Ask::new(CALL_EVERYTHING)).code, 3);
    lines.into_iter().next().expect("the log says why")
}

#[test]
fn a_component_of_a_later_patch_version_runs_if_it_imports_no_more_than_there_is() {
    let server = Server::start_with(|config, home| {
        for role in ["processor", "policy"] {
            drop_in_bytes(home, &format!("{role}.wasm"), &rebuilt(role, "0.1.9"));
        }
        config.policies.chain = vec!["contract-policy".to_owned()];
    });
    let mut client = server.client();
    register(&mut client, "b", r#""T":{"topicName":"T","perm":6},"U":{"topicName":"U"}"#);

    assert_told(&client.ask(call("keep")), &["put Ok(())"]);
    assert!(text(&client.ask(lookup().field("contract", "b"))).contains(r#""brokerAddrs":{"7":"b:10911"}"#));
}

#[test]
fn a_component_of_a_later_patch_version_that_imports_more_is_refused_by_the_name_of_the_function() {
    let newer = with_text(rebuilt("processor", "0.1.9"), "when-durable", "when-durabla");

    let line = refused("processor", &newer);

    for told in ["fingerpost:nameserver/reply@0.1.9", "when-durabla", "0.1.9 of the contract", NEWEST] {
        assert!(line.contains(told), "{told:?} is not in {line}");
    }
}

#[test]
fn a_component_of_another_minor_version_is_refused_with_the_versions_that_are_served() {
    for role in ["processor", "policy"] {
        let line = refused(role, &rebuilt(role, "0.2.0"));

        let told = format!("it was built against fingerpost:nameserver@0.2.0; this server serves 0.1.0 to {NEWEST}");
        assert!(line.contains(&told), "{line}");
    }
}

#[test]
fn the_committed_components_are_what_their_sources_make_now() {
    for (role, guest) in [("processor", "contract-processor"), ("policy", "contract-policy")] {
        let path = root().join(format!("tests/data/contract/{NEWEST}/{role}.wasm"));
        let committed = fs::read(path).expect("it is committed");
        // Another compiler makes other bytes, which are tested in their own place.
        if Path::new(env!("FINGERPOST_EMBEDDED_GUESTS")) == root().join("plugins") {
            assert!(committed == component(guest), "copy tests/guests/{guest}.wasm to tests/data/contract/{NEWEST}");
        }
    }
}

#[test]
fn the_frozen_contract_is_as_it_was() {
    const FROZEN: &str = "09c8a6d1497effa57551b15b1864d20373c0dedd3077ccd9faef73aa6359b6d2";
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("wit"))
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wit"));
    files.sort();
    let mut hash = Sha256::new();
    for path in files {
        let text = fs::read_to_string(&path).expect("it is text");
        // Comments may become better for ever.
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
        lines.for_each(|line| hash.update([line, "\n"].concat()));
    }

    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hash, FROZEN,
        "wit/ has changed, and {NEWEST} is frozen: components that were built against it must run for ever. Take the \
         change back; or, if it only adds functions or interfaces, make it a patch version as wit/README.md says, and \
         put the new hash here"
    );
}
