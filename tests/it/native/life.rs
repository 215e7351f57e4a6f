//! A library that fails, and one that operators give orders about: what becomes of it is what becomes of a component.

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fingerpost::config::{Config, HttpListen, PolicyFailure, ProcessorFailure, Sha256};
use fingerpost::remoting::Command;
use fingerpost::server::{Order, PluginState, Reloaded};

use super::libraries::{faulty, with_more};
use super::{name, reason, start, status};
use crate::admin_http::{get, value};
use crate::guests::{drop_in_bytes, log, register};
use crate::harness::{Ask, Client, Server};
use crate::operating::remembering;

/// As often as a plugin may fail in a row.
const FAILURES_MAX: usize = 5;

fn watched(config: &mut Config) {
    config.admin.http_listen = HttpListen::from(SocketAddr::from(([127, 0, 0, 1], 0)));
}

fn ask(client: &mut Client, how: &str) -> Command {
    client.ask(Ask::new(9104).field("how", how))
}

fn remark(reply: &Command) -> &str {
    reply.remark.as_deref().unwrap_or_default()
}

/// `faulty.c` with this manifest.
fn saying(manifest: &str) -> Option<Vec<u8>> {
    let escaped = manifest.replace('"', "\\\"").replace('\n', "\\n");
    faulty(&[&format!("MANIFEST=\"{escaped}\"")])
}

/// A library whose calls end when the test wants it.
fn stuck_at(gate: &Gate) -> Option<Vec<u8>> {
    let manifest = "name = \\\"stuck\\\"\\nversion = \\\"1\\\"\\nkind = \\\"processor\\\"\\n\
                    [[codes]]\\ncode = 9105\\nname = \\\"STUCK\\\"\\n";
    faulty(&[&format!("MANIFEST=\"{manifest}\""), &format!("GATE=\"{}\"", gate.0.display())])
}

/// A named pipe that a call waits at.
struct Gate(PathBuf);

impl Gate {
    fn make(home: &Path) -> Self {
        let path = home.join("gate");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("the system has it");
        assert!(made.success());
        Self(path)
    }

    /// The call goes on when what this returns is dropped.
    fn wait_for_a_call(&self) -> File {
        OpenOptions::new().write(true).open(&self.0).expect("the call has it open for reading")
    }
}

#[test]
fn a_library_that_fails_call_after_call_is_taken_out_and_tried_again_and_the_metrics_count_it() {
    let Some(library) = faulty(&[]) else { return };
    let server = Server::start_with(|config, home| {
        watched(config);
        name(config, home, "faulty.so", &library);
    });
    server.clock.stand_still();
    let mut client = server.client();

    for _ in 0..FAILURES_MAX {
        assert_eq!(remark(&ask(&mut client, "return")), "plugin faulty is unavailable: it failed");
    }
    let out = "plugin faulty is unavailable: it is taken out for a while, because too often it failed";
    assert_eq!(remark(&ask(&mut client, "not-at-all")), out);
    let (_, metrics) = get(&server, "/metrics");
    for (line, expected) in [
        ("fingerpost_plugin_out{plugin=\"faulty\"}", 1.0),
        ("fingerpost_plugin_calls_total{plugin=\"faulty\"}", 5.0),
        ("fingerpost_plugin_calls_refused_total{plugin=\"faulty\"}", 1.0),
        ("fingerpost_plugin_failures_total{plugin=\"faulty\",kind=\"trap\"}", 5.0),
        ("fingerpost_plugin_call_seconds_count{plugin=\"faulty\"}", 5.0),
        ("fingerpost_plugin_since_generation{plugin=\"faulty\"}", 1.0),
    ] {
        assert_eq!(value(&metrics, line), expected, "{line}");
    }
    assert_eq!(client.ask(Ask::new(206)).code, 0, "another plugin");

    server.clock.advance(Duration::from_secs(1));
    assert_eq!(ask(&mut client, "not-at-all").code, 0);
    assert_eq!(value(&get(&server, "/metrics").1, "fingerpost_plugin_out{plugin=\"faulty\"}"), 0.0);
}

#[test]
fn who_answered_before_stands_in_for_a_library_that_is_taken_out_but_not_for_a_call_that_nobody_saw_the_end_of() {
    let manifest = "name = \"ours\"\nversion = \"1\"\nkind = \"processor\"\n[[codes]]\ncode = 311\nname = \"OURS\"\n";
    let Some(library) = saying(manifest) else { return };
    let server = Server::start_with(|config, home| {
        name(config, home, "ours.so", &library);
        let word = config.plugins.files.get_mut("ours.so").expect("it was just put there");
        (word.overrides, word.on_failure) = (true, ProcessorFailure::Fallback);
    });
    server.clock.stand_still();
    let mut client = server.client();

    assert!(client.ask(Ask::new(311)).body.is_empty(), "it is ours");
    for _ in 0..FAILURES_MAX {
        let reply = client.ask(Ask::new(311).field("how", "return"));
        assert_eq!((reply.code, remark(&reply)), (2, "plugin ours is unavailable: it failed"));
    }
    let stock = client.ask(Ask::new(311));
    assert!(stock.code == 0 && !stock.body.is_empty(), "{stock:?}");
}

#[test]
fn a_policy_in_a_library_that_fails_is_treated_as_the_operator_chose() {
    let manifest = "name = \"ours\"\nversion = \"1\"\nkind = \"policy\"\n[policy]\nwhen-field = { name = \"how\" }\n";
    let Some(library) = saying(manifest) else { return };
    for (on_failure, code) in [(PolicyFailure::Skip, 0), (PolicyFailure::Close, 2)] {
        let server = Server::start_with(|config, home| {
            name(config, home, "ours.so", &library);
            config.policies.chain.push("ours".to_owned());
            config.policies.on_failure.insert("ours".to_owned(), on_failure);
        });
        let mut client = server.client();
        register(&mut client, "a", r#""T":{"topicName":"T","perm":6},"U":{"topicName":"U"}"#);

        let lookup = Ask::new(105).field("topic", "T");
        assert_eq!(client.ask(lookup.clone()).code, 0);
        assert_eq!(client.ask(lookup.field("how", "return")).code, code, "{on_failure:?}");
    }
}

#[test]
fn a_new_library_that_fails_its_first_calls_makes_room_for_the_one_before() {
    log();
    let Some(first) = faulty(&[]) else { return };
    let server = Server::start_with(|config, home| {
        remembering(config, home);
        name(config, home, "faulty.so", &first);
    });
    let mut client = server.client();
    assert_eq!(ask(&mut client, "not-at-all").code, 0);
    drop_in_bytes(server.home(), "faulty.so", &with_more(first.clone(), "more"));
    assert_eq!(server.reload(), Reloaded::Generation(2));
    client.wait_until(|_| server.running().plugin_generations_draining() == 0);
    assert_eq!(server.running().look_for_plugins(), Reloaded::Same);

    for _ in 0..3 {
        assert_eq!(ask(&mut client, "return").code, 2);
    }
    assert_eq!(server.running().look_for_plugins(), Reloaded::Generation(3));
    let (state, why) = reason(&server, "faulty.so");
    assert_eq!(state, PluginState::RolledBack);
    assert!(why.contains("3 of its first 3 calls failed"), "{why}");
    assert_eq!(status(&server, "faulty.so").sha256, Some(Sha256::of(&first).to_string()));
}

#[test]
fn a_call_that_does_not_return_keeps_no_other_plugin_from_being_rolled_back() {
    log();
    let home = tempfile::tempdir().unwrap();
    let gate = Gate::make(home.path());
    let Some(first) = faulty(&[]) else { return };
    let stuck = stuck_at(&gate).unwrap();
    let server = Server::start_with(|config, home| {
        remembering(config, home);
        config.net.lane_threads = 3;
        name(config, home, "faulty.so", &first);
        name(config, home, "stuck.so", &stuck);
    });
    server.clock.stand_still();
    let (mut client, mut other) = (server.client(), server.client());
    other.send(&Ask::new(9105).field("how", "wait"));
    let inside = gate.wait_for_a_call();

    drop_in_bytes(server.home(), "faulty.so", &with_more(first.clone(), "more"));
    assert_eq!(server.reload(), Reloaded::Generation(2));
    assert_eq!(server.running().look_for_plugins(), Reloaded::Same);
    server.clock.advance(Duration::from_secs(10));
    assert_eq!(server.running().look_for_plugins(), Reloaded::Same);
    for _ in 0..3 {
        assert_eq!(ask(&mut client, "return").code, 2);
    }

    assert_eq!(server.running().look_for_plugins(), Reloaded::Generation(3));
    assert_eq!(status(&server, "faulty.so").sha256, Some(Sha256::of(&first).to_string()));
    drop(inside);
}

#[test]
fn a_call_that_does_not_return_does_not_keep_the_server_from_ending() {
    let home = tempfile::tempdir().unwrap();
    let gate = Gate::make(home.path());
    let Some(stuck) = stuck_at(&gate) else { return };
    drop_in_bytes(home.path(), "stuck.so", &stuck);
    let mut server = crate::process::start_with_toml(&format!(
        "[net]\nstop-timeout = \"100ms\"\n\
         [plugins]\ndirs = [{:?}]\n[plugins.files.\"stuck.so\"]\nnative = true\n",
        home.path().join("plugins")
    ));
    let mut client = Client::connect(server.addr);
    client.send(&Ask::new(9105).field("how", "wait"));
    let inside = gate.wait_for_a_call();

    server.signal("TERM");

    assert_eq!(server.wait().code(), Some(0));
    assert!(server.log().contains("stopping without thread lane-"), "{}", server.log());
    drop(inside);
}

#[test]
fn a_library_is_switched_off_and_on() {
    let Some(library) = faulty(&[]) else { return };
    let server = start("faulty.so", &library);
    let mut client = server.client();
    let mut told = |order: Order| {
        server.running().order(&order).unwrap_or_else(|error| panic!("{order:?}: {error}"));
        (ask(&mut client, "not-at-all").code, status(&server, "faulty.so").state)
    };

    assert_eq!(told(Order::Disable("faulty".to_owned())), (3, PluginState::Disabled));
    assert_eq!(told(Order::Enable("faulty".to_owned())), (0, PluginState::Active));
}

#[test]
fn the_list_of_plugins_says_what_is_native() {
    let Some(library) = faulty(&[]) else { return };
    let server = Server::start_with(|config, home| {
        watched(config);
        name(config, home, "faulty.so", &library);
        drop_in_bytes(home, "unnamed.so", &with_more(library.clone(), "more"));
    });

    let list: serde_json::Value = serde_json::from_str(&get(&server, "/plugins").1).expect("it is JSON");
    let native = |key: &str, is: &str| {
        let all = list["plugins"].as_array().expect("a list");
        let found = all.iter().find(|one| one[key].as_str().is_some_and(|value| value.ends_with(is)));
        found.unwrap_or_else(|| panic!("no {is} in {list}"))["native"].as_bool()
    };
    let of = [("name", "faulty"), ("file", "unnamed.so"), ("name", "lookup")].map(|(key, is)| native(key, is));
    assert_eq!(of, [Some(true), Some(true), Some(false)]);
}
