//! A plugin that breaks its promises costs its own answers, and nothing else.

use std::time::Duration;

use fingerpost::config::{ByteSize, Config, PolicyFailure};
use fingerpost::remoting::Command;

use crate::guests::{component, drop_in, drop_in_bytes, log, register, with_text};
use crate::harness::{Ask, Client, Server};

const MISBEHAVE: i32 = 9100;

/// A server with the guest `misbehaving`, small limits, and a topic `T`.
fn start() -> (Server, Client) {
    let server = Server::start_with(|config, home| {
        // With one thread, the plugin has one instance, and what it is told to keep is found again.
        config.net.lane_threads = 1;
        small_limits(config);
        // However often it fails.
        (config.plugins.failures_max, config.plugins.failures_per_second_max) = (0, 0);
        drop_in(home, "misbehaving");
    });
    let mut broker = server.client();
    register(&mut broker, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    (server, broker)
}

fn small_limits(config: &mut Config) {
    config.plugins.lane_deadline = Duration::from_millis(300);
    config.plugins.memory_max = ByteSize::mib(8);
    config.plugins.reply_size_max = ByteSize::mib(1);
    config.plugins.host_calls_max = 50_000;
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
    let hungry = "plugin misbehaving is unavailable: it ran out of memory";
    let bad_reply = "plugin misbehaving is unavailable: it gave a bad reply";
    let nosy = "plugin misbehaving is unavailable: it asked the server too often";

    for (request, reason) in [
        (how("panic"), failed),
        (how("write-and-panic"), failed),
        (how("spin"), late),
        (how("recurse"), failed),
        (how("grow"), hungry),
        (how("ask-for-ever"), nosy),
        (how("unknown-route").field("handle", "1"), failed),
        (how("unknown-route").field("handle", "0"), failed),
        (how("unknown-route").field("handle", "-1"), failed),
        (how("describe-unknown-route").field("handle", "7"), failed),
        (how("many-routes").field("topic", "T"), failed),
        (how("large-body").field("bytes", "3000000"), bad_reply),
        (how("large-field").field("bytes", "2000000"), bad_reply),
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

#[test]
fn one_plugin_may_have_limits_of_its_own_and_the_others_have_those_of_all() {
    let server = Server::start_with(|config, home| {
        config.plugins.lane_deadline = Duration::from_millis(300);
        drop_in(home, "misbehaving");
        let limits = &mut config.plugins.files.entry("misbehaving.wasm".to_owned()).or_default().limits;
        limits.host_calls_max = Some(1);
        limits.memory_max = Some(ByteSize::mib(3));
        limits.reply_size_max = Some(ByteSize::kib(16));
        // The lists of topics ask once for each page, and more.
        config.plugins.embedded.entry("topics".to_owned()).or_default().limits.host_calls_max = Some(1);
    });
    let mut client = server.client();

    // One to ask what to do, and one to say that it is done.
    assert!(remark(&client.ask(how("not-at-all"))).contains("asked the server too often"));
    assert_eq!(remark(&client.ask(Ask::new(206))), "plugin topics is unavailable: it asked the server too often");
    assert_eq!(client.ask(Ask::new(311)).code, 0, "another plugin");
}

#[test]
fn a_component_of_a_later_version_of_the_contract_or_that_cannot_begin_is_rejected_and_told_why() {
    log();
    let turns = |turns: &str| with_text(component("slow-start"), "turns:0000000000000000001", turns);
    let server = Server::start_with(|_, home| {
        drop_in_bytes(home, "later.wasm", &with_text(component("misbehaving"), "@0.1.", "@0.9."));
        drop_in_bytes(home, "endless.wasm", &turns("turns:9999999999999999999"));
        drop_in(home, "stranger");
        drop_in_bytes(home, "slow.wasm", &turns("turns:0000000000000100000"));
    });

    for (file, why) in [
        ("later.wasm", "built against fingerpost:nameserver@0.9"),
        ("endless.wasm", "interrupt"),
        ("stranger.wasm", "it imports what is not offered"),
    ] {
        let file = server.home().join("plugins").join(file).display().to_string();
        assert!(!log().lines(&["plugin rejected", &file, why]).is_empty(), "{file}: {:?}", log().lines(&[&file]));
    }
    let mut client = server.client();
    assert_eq!(client.ask(Ask::new(9501)).code, 0, "who begins slowly, but does, is used");
    assert_eq!(client.ask(Ask::new(105).field("topic", "T")).code, 17);
}

/// Every way to misbehave that a request can ask for: of a processor, at a glance, and of a policy.
fn ways() -> Vec<Ask> {
    let at_a_glance = |version| Ask::new(9103).version(version).field("how", "not-at-all").field("topic", "T");
    let of_policy = |how: &str| Ask::new(105).field("topic", "T").field("misbehave", how);
    let on_worker = |how: &str| Ask::new(9101).field("how", how);
    let mut ways = vec![
        how("large-body").field("bytes", "3000000"),
        how("large-field").field("bytes", "2000000"),
        how("hoard").field("bytes", "100000000"),
        how("many-routes").field("topic", "T"),
        how("describe-unknown-route").field("handle", "7"),
        how("leak-cursors").field("count", "50"),
        how("leak-tables").field("count", "50").body("{}"),
        how("chatter").field("word", "control").field("count", "1000"),
        how("keep-table"),
        how("write"),
    ];
    ways.extend(["panic", "write-and-panic", "spin", "recurse", "grow", "ask-for-ever", "say-nothing"].map(how));
    ways.extend(["panic", "grow", "ask-for-ever", "leak-one"].map(on_worker));
    ways.extend(["block", "poll"].map(|how| Ask::new(9300).field("how", how)));
    ways.extend([7003, 7004, 7005, 7006, 7007].map(at_a_glance));
    ways.extend(
        ["panic", "change-and-panic", "spin", "recurse", "grow", "ask-for-ever", "drop-everything", "rewrite", "count"]
            .map(of_policy),
    );
    ways
}

#[test]
fn a_misbehaving_plugin_of_any_kind_never_changes_another_plugins_answers() {
    // Taken out at once, or never.
    for failures_max in [5, 0] {
        let server = Server::start_with(|config, home| {
            small_limits(config);
            config.plugins.worker_deadline = Duration::from_millis(50);
            config.plugins.failures_max = failures_max;
            config.plugins.failures_per_second_max *= failures_max.min(1);
            config.net.lane_threads = 3;
            for guest in ["misbehaving", "misbehaving-policy", "hello-processor", "stamp", "wasi-guest"] {
                drop_in(home, guest);
            }
            config.policies.chain.insert(0, "misbehaving-policy".to_owned());
            config.policies.on_failure.insert("misbehaving-policy".to_owned(), PolicyFailure::Skip);
        });
        let mut broker = server.client();
        register(&mut broker, "a", r#""T":{"topicName":"T","perm":6},"U":{"topicName":"U"}"#);
        let control = [
            Ask::new(105).field("topic", "T"),
            Ask::new(105).field("topic", "T").field("__ZONE_MODE", "true").field("__ZONE_NAME", "a"),
            Ask::new(105).field("topic", "nothing"),
            Ask::new(9402).field("topic", "T"),
            Ask::new(9401).field("topic", "U"),
            Ask::new(106),
            Ask::new(206),
            Ask::new(311),
            Ask::new(101).field("namespace", "n").field("key", "k"),
        ];
        let mut client = server.client();
        let mut answers = || {
            let answer = |request: &Ask| Command { opaque: 0, ..client.ask(request.clone()) };
            control.iter().map(answer).collect::<Vec<_>>()
        };
        let expected = answers();
        assert!(expected.iter().filter(|answer| answer.code == 0).count() >= 7, "{expected:?}");

        for way in ways() {
            let mut offender = server.client();
            let opaques: Vec<_> = (0..3).map(|_| offender.send(&way)).collect();
            for _ in 0..3 {
                assert_eq!(answers(), expected, "during {way:?}");
            }
            offender.receive_all(&opaques);
            assert_eq!(answers(), expected, "after {way:?}");
        }
    }
}
