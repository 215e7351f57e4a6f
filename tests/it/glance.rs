//! A processor that glances decides on a few numbers, and may do no more than that at a glance.

use std::time::Duration;

use fingerpost::remoting::Command;

use crate::guests::{component, drop_in, drop_in_bytes, log, register, with_manifest};
use crate::harness::{Ask, Client, Server};

/// A server with the guest `misbehaving`, whose glance does what the client's version says, and a topic `T`.
fn start() -> (Server, Client) {
    let server = Server::start_with(|config, home| {
        config.plugins.lane_deadline = Duration::from_millis(300);
        drop_in(home, "misbehaving");
    });
    let mut broker = server.client();
    register(&mut broker, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    (server, broker)
}

fn glance(version: i32) -> Ask {
    Ask::new(9103).version(version).field("how", "not-at-all")
}

fn lookup() -> Ask {
    Ask::new(105).field("topic", "T")
}

fn remark(command: &Command) -> &str {
    command.remark.as_deref().unwrap_or_default()
}

#[test]
fn a_route_is_answered_at_a_glance_as_it_would_be_after_a_closer_look() {
    let (server, _broker) = start();
    let mut client = server.client();
    let standard = client.ask(lookup().version(401));
    let bare = client.ask(lookup().version(400));
    assert_ne!(standard.body, bare.body);

    for (version, wanted) in [(7001, standard), (7002, bare)] {
        let reply = client.ask(glance(version).field("topic", "T"));
        assert_eq!((reply.code, reply.remark, reply.fields, reply.body), (0, None, None, wanted.body));
    }
}

#[test]
fn what_a_glance_does_not_decide_the_processor_does() {
    let (server, _broker) = start();
    let mut client = server.client();

    for request in [glance(1), glance(7001), glance(7001).field("topic", "unknown"), glance(7010)] {
        let reply = client.ask(request);
        assert_eq!((reply.code, reply.body.len()), (0, 0), "what `handle` answers");
    }
}

#[test]
fn marks_are_the_settings_and_fields_that_the_manifest_names() {
    let (server, _broker) = start();
    let mut client = server.client();
    let is_glanced = |reply: Command| !reply.body.is_empty();
    let marked = |marks: i32| glance(7100 + marks).field("topic", "T");

    assert!(is_glanced(client.ask(marked(0b001))), "enableTopicList is on, clusterTest is off");
    assert!(is_glanced(client.ask(marked(0b101).field("marked", ""))));
    assert!(!is_glanced(client.ask(marked(0b101))));
    assert!(!is_glanced(client.ask(marked(0b111).field("marked", ""))));
    assert_eq!(client.ask(Ask::new(318).body("enableTopicList=false")).code, 0);
    assert!(is_glanced(client.ask(marked(0b000))), "settings count as they are now");
}

#[test]
fn a_glance_that_fails_costs_its_own_answer_and_nothing_else() {
    let (server, _broker) = start();
    let mut client = server.client();

    for version in 7003..=7009 {
        let reply = client.ask(glance(version));
        let why = match version {
            7003 | 7004 => "it gave a bad reply",
            7006 => "it missed its deadline",
            _ => "it failed",
        };
        let wanted = format!("plugin misbehaving is unavailable: {why}");
        assert_eq!((reply.code, remark(&reply)), (2, &*wanted), "{version}");
        assert_eq!(client.ask(glance(7001).field("topic", "T")).code, 0, "the next glance, after {version}");
        assert_eq!(client.ask(glance(1)).code, 0, "the next call, after {version}");
        client.send(&glance(version).oneway());
        assert_eq!(client.ask(lookup()).code, 0, "another plugin, after {version}");
    }
}

#[test]
fn policies_have_their_say_about_what_was_answered_at_a_glance() {
    let (server, _broker) = start();
    let mut client = server.client();
    let from = |zone: &str| glance(7001).field("topic", "T").field("__ZONE_MODE", "true").field("__ZONE_NAME", zone);

    let near = client.ask(from("A"));
    let far = client.ask(from("elsewhere"));

    let shows_broker = |reply: &Command| reply.body.windows(7).any(|bytes| bytes == b"a:10911");
    assert!(near.code == 0 && shows_broker(&near));
    assert!(far.code == 0 && !far.body.is_empty() && !shows_broker(&far));
}

#[test]
fn a_glance_that_the_manifest_does_not_announce_is_no_plugin() {
    log();
    let server = Server::start_with(|_, home| {
        let guest = component("misbehaving");
        let says = "[codes.glance]\nroute-by-field = \"topic\"\nmarks = ";
        let silent = with_manifest(guest, says, &format!("{:#<1$}", "", says.len()));
        drop_in_bytes(home, "silent.wasm", &silent);
    });

    let file = server.home().join("plugins/silent.wasm").display().to_string();
    assert!(!log().lines(&["plugin rejected", &file, "codes.glance"]).is_empty());
}
