//! A plugin that breaks its promises costs its own answers, and nothing else.

use std::time::Duration;

use fingerpost::config::ByteSize;
use fingerpost::remoting::Command;

use crate::guests::{drop_in, log, register};
use crate::harness::{Ask, Client, Server};

const MISBEHAVE: i32 = 9100;

/// A server with the guest `misbehaving`, small limits, and a topic `T`.
fn start() -> (Server, Client) {
    let server = Server::start_with(|config, home| {
        // With one thread, the plugin has one instance, and what it is told to keep is found again.
        config.net.lane_threads = 1;
        config.plugins.lane_deadline = Duration::from_millis(300);
        config.plugins.memory_max = ByteSize::mib(8);
        config.plugins.reply_size_max = ByteSize::mib(1);
        drop_in(home, "misbehaving");
    });
    let mut broker = server.client();
    register(&mut broker, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    (server, broker)
}

fn how(how: &str) -> Ask {
    Ask::new(MISBEHAVE).field("how", how)
}

fn number(command: &Command, name: &str) -> u64 {
    let value = command.field(name).unwrap_or_else(|| panic!("{command:?} has no field {name}"));
    value.parse().expect("a number")
}

fn remark(command: &Command) -> &str {
    command.remark.as_deref().unwrap_or_default()
}

/// The connection that asked, another one, and the plugin itself go on as if nothing had happened.
fn everything_goes_on(server: &Server, client: &mut Client) {
    for client in [client, &mut server.client()] {
        assert_eq!(client.ask(Ask::new(105).field("topic", "T")).code, 0, "the lookup");
        assert_eq!(client.ask(Ask::new(206)).code, 0, "a list, in the lane");
        assert_eq!(client.ask(how("not-at-all")).code, 0, "the plugin itself");
    }
}

#[test]
fn each_failure_costs_its_own_answer_and_nothing_else() {
    let (server, _broker) = start();
    let mut client = server.client();
    let failed = "plugin misbehaving is unavailable: it failed";
    let late = "plugin misbehaving is unavailable: it missed its deadline";

    for (request, reason) in [
        (how("panic"), failed),
        (how("spin"), late),
        (how("recurse"), failed),
        (how("grow"), failed),
        (how("unknown-route").field("handle", "1"), failed),
        (how("unknown-route").field("handle", "0"), failed),
        (how("unknown-route").field("handle", "-1"), failed),
        (how("describe-unknown-route").field("handle", "7"), failed),
        (how("many-routes").field("topic", "T"), failed),
        (how("large-body").field("bytes", "3000000"), failed),
        (how("large-field").field("bytes", "2000000"), failed),
        (how("leak-cursors").field("count", "100000"), failed),
        (how("leak-tables").field("count", "100000").body("{}"), failed),
    ] {
        let reply = client.ask(request.clone());
        assert_eq!((reply.code, remark(&reply)), (2, reason), "{request:?}");
        everything_goes_on(&server, &mut client);
    }
}

#[test]
fn a_plugin_that_says_nothing_is_answered_as_java_answers() {
    let (server, _broker) = start();

    let reply = server.client().ask(how("say-nothing"));

    assert_eq!((reply.code, remark(&reply)), (1, "not set any response code"));
}

#[test]
fn a_oneway_request_that_fails_is_answered_by_nothing() {
    let (server, _broker) = start();
    let mut client = server.client();

    client.send(&how("panic").oneway());

    // `ask` would find the reply to another request first.
    assert_eq!(client.ask(how("not-at-all")).code, 0);
}

#[test]
fn while_a_plugin_spins_in_the_lane_lookups_of_the_same_connection_are_answered() {
    let (server, _broker) = start();
    let mut client = server.client();

    let spinning = client.send(&how("spin"));
    let lookup = client.send(&Ask::new(105).field("topic", "T"));

    assert_eq!(client.receive().map(|reply| (reply.opaque, reply.code)), Some((lookup, 0)));
    assert_eq!(client.receive().map(|reply| (reply.opaque, reply.code)), Some((spinning, 2)));
}

#[test]
fn a_plugin_gets_no_more_memory_than_it_may_have_and_what_it_took_comes_back() {
    let (server, _broker) = start();
    let mut client = server.client();
    let everything = how("hoard").field("bytes", "100000000");

    let first = number(&client.ask(everything.clone()), "taken");
    assert!((1 << 20..8 << 20).contains(&first), "{first} bytes");

    // An instance that ran into the limit does not keep what it has from the plugin's other instances.
    for _ in 0..8 {
        let mut other = server.client();
        assert_eq!(number(&other.ask(everything.clone()), "taken"), first);
        assert_eq!(other.ask(how("grow")).code, 2);
    }
}

#[test]
fn an_instance_that_hoards_does_not_lock_out_the_others_for_ever() {
    let server = Server::start_with(|config, home| {
        config.plugins.memory_max = ByteSize::mib(8);
        config.net.lane_threads = 2;
        drop_in(home, "misbehaving");
    });
    let mut client = server.client();

    // It stays below the limit, so that it is never refused itself; others find nothing left.
    assert_eq!(client.ask(how("hoard").field("bytes", "6000000")).code, 0);

    // Whoever is refused makes the hoarder give back at its next call.
    let mut clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
    client.wait_until(|_| {
        for client in &mut clients {
            client.send(&how("not-at-all"));
        }
        clients.iter_mut().filter_map(Client::receive).filter(|reply| reply.code == 0).count() == 8
    });
}

#[test]
fn an_instance_that_keeps_a_handle_ends_with_its_call() {
    let (server, _broker) = start();
    let mut client = server.client();

    for request in [how("leak-cursors").field("count", "5"), how("leak-tables").field("count", "5").body("{}")] {
        for _ in 0..100 {
            let reply = client.ask(request.clone());
            assert_eq!((reply.code, number(&reply, "calls")), (0, 1), "a fresh instance every time");
        }
    }
    for _ in 0..10 {
        assert_eq!(client.ask(how("keep-table")).field("kept").map(|kept| &**kept), Some("\"now\""));
    }
}

#[test]
fn a_chatty_plugin_is_cut_off_even_if_every_line_is_its_last() {
    log();
    let (server, _broker) = start();
    let mut client = server.client();
    let word = format!("chatter-{}", server.address().port());

    let reply = client.ask(how("chatter").field("word", &word).field("count", "10000"));
    assert_eq!(reply.code, 0);
    for _ in 0..20 {
        assert_eq!(
            client.ask(how("chatter").field("word", &word).field("count", "100").field("then", "panic")).code,
            2
        );
    }

    let lines = log().lines(&[&word]).len();
    // All of it may be over several seconds, but not over many.
    assert!((100..=1000).contains(&lines), "{lines} lines");
    everything_goes_on(&server, &mut client);
}
