//! The operator's word about plugins and policies, read again while the server answers.

use std::fs;
use std::path::Path;

use fingerpost::server::Reloaded;

use crate::guests::{drop_in, log, register};
use crate::harness::{Ask, Client, Server, plugins_section};
use crate::reload::{greeting, path};

/// A server that goes on reading its configuration file, which `more` ends.
fn start_following(more: &str, guests: &[&str]) -> Server {
    let write = |home: &Path| {
        fs::create_dir(home.join("plugins")).expect("the home is writable");
        guests.iter().for_each(|guest| drop_in(home, guest));
        plugins_section(home) + more
    };
    Server::start_following(write, |_| {})
}

fn configure(server: &Server, more: &str) {
    fs::write(server.home().join("namesrv.toml"), plugins_section(server.home()) + more).expect("it is writable");
}

const INVERTED: &str = "[plugins.files.\"unit-topics-inverted.wasm\"]\noverride = true\n";

#[test]
fn the_operators_word_counts_as_soon_as_the_configuration_file_says_it() {
    let server = start_following("", &["unit-topics-inverted", "hello-processor"]);
    let mut client = server.client();
    register(&mut client, "a", r#""InUnit":{"topicName":"InUnit","topicSysFlag":1},"Plain":{"topicName":"Plain"}"#);
    let listed = |client: &mut Client| {
        let reply = client.ask(Ask::new(311));
        if reply.code == 0 { String::from_utf8(reply.body.to_vec()).unwrap() } else { format!("code {}", reply.code) }
    };
    assert_eq!(listed(&mut client), r#"{"topicList":["InUnit"]}"#);

    configure(&server, INVERTED);
    assert_eq!(server.reload(), Reloaded::Generation(2));
    assert_eq!(listed(&mut client), r#"{"topicList":["Plain"]}"#);
    // As the thread looks: when it has settled.
    configure(&server, "disabled = [\"unit-topics\"]");
    let looks: Vec<_> = (0..3).map(|_| server.running().look_for_plugins()).collect();
    assert!(looks.contains(&Reloaded::Generation(3)), "{looks:?}");
    assert_eq!(listed(&mut client), r#"{"topicList":["Plain"]}"#, "it needs no word for codes that nobody has");
    fs::remove_file(path(&server, "unit-topics-inverted.wasm")).unwrap();
    server.reload();
    assert_eq!(listed(&mut client), "code 3");
    configure(&server, "");
    server.reload();
    assert_eq!(listed(&mut client), r#"{"topicList":["InUnit"]}"#);
    assert_eq!(greeting(&mut client), "hello, Ada");
}

#[test]
fn a_configuration_that_cannot_be_used_changes_nothing_and_is_told() {
    log();
    let server = start_following(INVERTED, &["unit-topics-inverted", "hello-processor"]);
    let mut client = server.client();
    let generation = server.running().plugin_generation();

    configure(&server, "nonsense");
    assert_eq!(server.reload(), Reloaded::Same);
    let file = server.home().join("namesrv.toml").display().to_string();
    assert!(!log().lines(&["the configuration file cannot be used", &file]).is_empty());
    // This one can be read, but not be meant. What other directories hold must not be lost over it.
    let nobody = format!("chain-{}", std::process::id());
    fs::write(server.home().join("namesrv.toml"), format!("[plugins]\ndirs = []\n[policies]\nchain = [\"{nobody}\"]"))
        .unwrap();
    assert_eq!(server.reload(), Reloaded::Failed);
    assert!(!log().lines(&["everything stays as it was", &nobody]).is_empty());

    for _ in 0..3 {
        assert_eq!(server.running().look_for_plugins(), Reloaded::Same);
        assert_eq!(greeting(&mut client), "hello, Ada");
    }
    configure(&server, "");
    let looks: Vec<_> = (0..3).map(|_| server.running().look_for_plugins()).collect();
    assert!(looks.contains(&Reloaded::Generation(generation + 1)), "the override is gone: {looks:?}");
    assert_eq!(greeting(&mut client), "hello, Ada");
    // A chain may name what comes a moment later.
    configure(&server, "[policies]\nchain = [\"stamp-policy\"]");
    assert_eq!(server.reload(), Reloaded::Failed);
    drop_in(server.home(), "stamp-policy");
    drop_in(server.home(), "misbehaving");
    assert_eq!(server.reload(), Reloaded::Generation(generation + 2));
    assert_eq!(client.ask(Ask::new(9100).field("how", "not-at-all")).code, 0);
}

#[test]
fn a_plugin_is_told_the_settings_that_the_operator_gave_it_and_those_of_the_server() {
    let word = |stamp: &str| format!("[plugins.files.\"stamp.wasm\"]\nsettings = {{ stamp = \"{stamp}\" }}\n");
    let server = start_following(&word("one"), &["stamp"]);
    let mut client = server.client();
    register(&mut client, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    let told = |client: &mut Client| {
        let reply = client.ask(Ask::new(9401).field("topic", "T"));
        reply.field("setting").map(ToString::to_string).unwrap_or_default()
    };
    assert_eq!(told(&mut client), "one");

    configure(&server, &word("another"));
    server.reload();
    assert_eq!(told(&mut client), "another");
    configure(&server, "");
    server.reload();
    assert_eq!(told(&mut client), "");
}

#[test]
fn the_chain_of_policies_changes_with_the_configuration_and_what_is_remembered_with_it() {
    let chain = |names: &str| format!("[policies]\nchain = [{names}]");
    let server = start_following(&chain(""), &["stamp-policy"]);
    let mut client = server.client();
    register(&mut client, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    let stamped = |client: &mut Client| {
        let lookup = || Ask::new(105).field("topic", "T").field("stamp", "");
        let bodies: Vec<_> = (0..4).map(|_| client.ask(lookup()).body).collect();
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
        String::from_utf8(bodies[0].to_vec()).unwrap().contains("policy-0000000:1")
    };

    for is_active in [false, true, false, true] {
        configure(&server, &chain(if is_active { "\"stamp-policy\"" } else { "" }));
        server.reload();
        assert_eq!(stamped(&mut client), is_active);
    }
    assert!(server.memo().hits > 0);
}
