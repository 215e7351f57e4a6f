//! Files that are not what they seem, not yet what they will be, or not alone.

use std::fs;
use std::path::Path;

use fingerpost::server::{PluginState, Reloaded};

use crate::guests::{allow, component, drop_in, drop_in_bytes, log, register, with_manifest, with_section, with_text};
use crate::harness::{Ask, Client, Server, plugins_section};
use crate::reload::{greeting, path, reason};

/// A server that goes on reading its configuration file, which `more` ends.
fn start_following(more: &str) -> Server {
    let write = |home: &Path| {
        fs::create_dir(home.join("plugins")).expect("the home is writable");
        plugins_section(home) + more
    };
    Server::start_following(write, |_| {})
}

fn configure(server: &Server, more: &str) {
    fs::write(server.home().join("namesrv.toml"), plugins_section(server.home()) + more).expect("it is writable");
}

fn look(server: &Server) -> Reloaded {
    server.running().look_for_plugins()
}

/// `stamp-policy` with another stamp.
fn stamp(number: u8) -> Vec<u8> {
    with_text(component("stamp-policy"), "policy-0000000:1", &format!("policy-{number:07}:1"))
}

/// The stamp in the route of a topic.
fn stamped(client: &mut Client) -> String {
    let body = client.ask(Ask::new(105).field("topic", "T").field("stamp", "")).body;
    let text = String::from_utf8_lossy(&body).into_owned();
    text.split('"').find(|word| word.starts_with("policy-")).unwrap_or("none").to_owned()
}

#[test]
fn two_files_that_stand_in_for_one_policy_do_not_change_places() {
    let server = Server::start_with(|config, home| {
        drop_in_bytes(home, "b.wasm", &stamp(2));
        allow(config, "a.wasm", true, &[]);
        allow(config, "b.wasm", true, &[]);
        config.policies.chain = vec!["stamp-policy".to_owned()];
    });
    let mut client = server.client();
    register(&mut client, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    assert_eq!(stamped(&mut client), "policy-0000002:1");

    drop_in_bytes(server.home(), "a.wasm", &stamp(1));
    assert_eq!(server.reload(), Reloaded::Same);
    let (state, why) = reason(&server, "a.wasm");
    assert_eq!(state, PluginState::Rejected);
    assert!(why.contains("the policy \"stamp-policy\" is taken over by \"b.wasm\" already"), "{why}");
    // Whatever else changes.
    drop_in(server.home(), "hello-processor");
    assert_eq!(server.reload(), Reloaded::Generation(2));
    assert_eq!(stamped(&mut client), "policy-0000002:1");

    fs::remove_file(path(&server, "b.wasm")).unwrap();
    server.reload();
    assert_eq!(stamped(&mut client), "policy-0000001:1");
}

#[test]
fn a_policy_of_the_chain_stays_when_its_file_becomes_another_plugin_and_holds_nobody_up() {
    let server = Server::start_with(|config, home| {
        drop_in_bytes(home, "p.wasm", &stamp(1));
        config.policies.chain = vec!["stamp-policy".to_owned()];
    });
    let mut client = server.client();
    register(&mut client, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);

    drop_in_bytes(server.home(), "p.wasm", &component("hello-processor"));
    assert_eq!(server.reload(), Reloaded::Same);
    assert_eq!(stamped(&mut client), "policy-0000001:1");
    let (state, why) = reason(&server, "p.wasm");
    assert_eq!(state, PluginState::LastGood);
    assert!(why.contains("\"hello-processor\"") && why.contains("`policies.chain` names the policy \"stamp-policy\""));
    // Everything else goes on changing.
    drop_in(server.home(), "misbehaving");
    assert_eq!(server.reload(), Reloaded::Generation(2));
    assert_eq!(stamped(&mut client), "policy-0000001:1");

    drop_in_bytes(server.home(), "p.wasm", &stamp(3));
    server.reload();
    assert_eq!(stamped(&mut client), "policy-0000003:1");
}

#[test]
fn what_was_rejected_is_looked_at_again_when_the_operator_allows_more() {
    let server = start_following("memory-max = \"2MiB\"\n");
    let mut client = server.client();
    // Its memory begins with 40 pages instead of 17.
    let mut greedy = component("hello-processor");
    let memory = [5, 3, 1, 0, 17];
    let at = greedy.windows(memory.len()).position(|window| window == memory).expect("it has a memory section");
    greedy[at + memory.len() - 1] = 40;
    drop_in_bytes(server.home(), "greedy.wasm", &greedy);
    server.reload();
    assert_eq!(greeting(&mut client), "code 3");
    assert_eq!(reason(&server, "greedy.wasm").0, PluginState::Rejected);

    configure(&server, "memory-max = \"4MiB\"\n");
    let looks: Vec<_> = (0..4).map(|_| look(&server)).collect();

    assert!(looks.contains(&Reloaded::Generation(2)), "{looks:?}");
    assert_eq!(greeting(&mut client), "hello, Ada");
}

#[test]
fn a_file_that_is_being_copied_is_left_alone_when_the_configuration_changes() {
    let server = start_following("");
    let mut client = server.client();
    let whole = component("hello-processor");
    configure(&server, "worker-deadline = \"51ms\"\n");
    assert_eq!(look(&server), Reloaded::Same);

    drop_in_bytes(server.home(), "hello.wasm", &whole[..5000]);
    // Now the configuration has settled, and the file has not.
    assert_eq!(look(&server), Reloaded::Same);
    assert_eq!(reason(&server, "hello.wasm").0, PluginState::Arriving);
    drop_in_bytes(server.home(), "hello.wasm", &whole);
    assert_eq!(look(&server), Reloaded::Generation(2), "the deadline counts");
    assert_eq!(reason(&server, "hello.wasm").0, PluginState::Arriving);
    assert_eq!(look(&server), Reloaded::Generation(3));
    assert_eq!(greeting(&mut client), "hello, Ada");
}

#[test]
fn a_file_that_grows_beyond_what_is_allowed_is_told_once() {
    log();
    let server = Server::start_with(|config, home| {
        fs::create_dir(home.join("plugins")).expect("the home is writable");
        config.plugins.component_size_max = fingerpost::config::ByteSize::kib(4);
    });
    let file = path(&server, "large.wasm").display().to_string();

    for size in (3..20).map(|size| size * 1000) {
        drop_in_bytes(server.home(), "large.wasm", &vec![0; size]);
        look(&server);
        look(&server);
    }

    assert_eq!(log().lines(&["plugin rejected", &file, "`plugins.component-size-max` allows 4096"]).len(), 1);
}

#[test]
fn the_embedded_plugins_as_files_are_themselves_whether_they_are_used_or_not() {
    log();
    let server = Server::start_with(|_, home| {
        ["lookup", "zone", "address-map", "canary", "drain"].iter().for_each(|name| drop_in(home, name));
    });

    for name in ["lookup", "zone", "address-map", "canary", "drain"] {
        let (state, why) = reason(&server, &format!("{name}.wasm"));
        assert_eq!(state, PluginState::Unused, "{name}");
        assert!(why.contains("those of an embedded plugin"), "{why}");
        let file = path(&server, &format!("{name}.wasm")).display().to_string();
        assert_eq!(log().lines(&["plugin in use", &file]), [""; 0]);
    }
    let other = with_manifest(with_section(component("drain"), "other"), "\"drain\"", "\"drean\"");
    drop_in_bytes(server.home(), "drain.wasm", &other);
    assert_eq!(server.reload(), Reloaded::Generation(2));
}
