//! A reply that is given again is the reply that would have been made.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use fingerpost::config::{ByteSize, Config};
use fingerpost::server::MemoUsage;

use crate::guests::{component, drop_in, drop_in_bytes, log, with_text};
use crate::harness::{Ask, Client, Server};

/// Two servers that are told the same, of which one remembers nothing, and what is known of their clients.
struct Pair {
    servers: [Server; 2],
    /// Some on each worker of the server that remembers.
    askers: Vec<[Client; 2]>,
    brokers: Vec<Option<[Client; 2]>>,
    opaque: i32,
}

const WORKERS: usize = 3;
const BROKERS: usize = 4;
const TOPICS: usize = 6;

impl Pair {
    fn start(size: ByteSize) -> Self {
        let start = |size: ByteSize| {
            Server::start_with(|config: &mut Config, home| {
                config.net.workers = WORKERS as u16;
                config.memo.size = size;
                drop_in(home, "stamp-policy");
                config.policies.chain.push("stamp-policy".to_owned());
            })
        };
        let servers = [start(size), start(ByteSize::new(0))];
        let client = |_| [servers[0].client(), servers[1].client()];
        let askers = (0..WORKERS).map(client).collect();
        Self { servers, askers, brokers: (0..BROKERS).map(|_| None).collect(), opaque: 0 }
    }

    /// The replies of both servers to the same bytes.
    fn ask(&mut self, asker: usize, request: &Ask) -> [Bytes; 2] {
        self.opaque += 1;
        let frame = request.frame(self.opaque);
        let asker = &mut self.askers[asker % WORKERS];
        asker.each_mut().map(|client| {
            client.send_bytes(&frame);
            client.receive_frame().expect("an answer")
        })
    }

    /// The same change to both.
    fn change(&mut self, request: &Ask) {
        let [one, other] = self.ask(0, request);
        assert_eq!(one, other);
    }

    fn compare(&mut self, rng: &mut Rng, history: &[String]) {
        for _ in 0..8 {
            let request = question(rng);
            // Often enough in a row to be remembered, and then asked of another worker, too.
            for asker in [0, 0, 0, 1, 1, 1, 2] {
                let [remembering, plain] = self.ask(asker, &request);
                assert_eq!(remembering, plain, "to {request:?} after {history:#?}");
            }
        }
    }

    fn register(&mut self, broker: usize, rng: &mut Rng) {
        let servers = &self.servers;
        let clients = self.brokers[broker].get_or_insert_with(|| [servers[0].client(), servers[1].client()]);
        let mut topics = Vec::new();
        for topic in 0..TOPICS {
            if rng.bool() {
                let (perm, queues) = (rng.i32(0..8), rng.i32(1..3));
                topics.push(format!(
                    r#""T{topic}":{{"topicName":"T{topic}","perm":{perm},"readQueueNums":{queues},"writeQueueNums":4}}"#
                ));
            }
        }
        let counter = rng.i32(0..4);
        let body = format!(
            r#"{{"filterServerList":[{}],"topicConfigSerializeWrapper":{{"dataVersion":{{"counter":{counter},"stateVersion":0,"timestamp":5}},"topicConfigTable":{{{}}}}}}}"#,
            if rng.u8(..4) == 0 { r#""f:1""# } else { "" },
            topics.join(",")
        );
        // Two of them share a name: a master and its slave.
        let name = broker.min(BROKERS - 2);
        let request = Ask::new(103)
            .field("brokerName", &format!("b{name}"))
            .field("brokerAddr", &format!("b{broker}:10911"))
            .field("clusterName", "c")
            .field("brokerId", if broker == BROKERS - 1 { "1" } else { "0" })
            .field("__ZONE_NAME", &format!("z{}", rng.u8(..2)))
            .field("enableActingMaster", "true")
            .body(body);
        let replies = clients.each_mut().map(|client| client.ask(request.clone()));
        assert_eq!(replies[0].code, replies[1].code);
    }

    fn step(&mut self, rng: &mut Rng) -> String {
        let (broker, topic) = (rng.usize(..BROKERS), format!("T{}", rng.usize(..TOPICS)));
        let name = format!("b{}", broker.min(BROKERS - 2));
        match rng.u8(..16) {
            0..=3 => {
                self.register(broker, rng);
                format!("register {broker}")
            }
            4 => {
                let id = if broker == BROKERS - 1 { "1" } else { "0" };
                let leave = Ask::new(104)
                    .field("brokerName", &name)
                    .field("brokerAddr", &format!("b{broker}:10911"))
                    .field("clusterName", "c")
                    .field("brokerId", id);
                self.change(&leave);
                format!("unregister {broker}")
            }
            5 => {
                self.change(&Ask::new(216).field("topic", &topic));
                format!("delete {topic}")
            }
            6 => {
                let code = if rng.bool() { 205 } else { 327 };
                self.change(&Ask::new(code).field("brokerName", &name));
                format!("{code} of {name}")
            }
            7 => {
                let body = format!(r#"{{"queueDatas":[{{"brokerName":"{name}","perm":6,"readQueueNums":9}}]}}"#);
                self.change(&Ask::new(217).field("topic", &topic).body(body));
                format!("add {topic} to {name}")
            }
            8 | 9 => {
                let request =
                    if rng.bool() { Ask::new(100).field("value", &rng.u8(..3).to_string()) } else { Ask::new(102) };
                self.change(&request.field("namespace", "ORDER_TOPIC_CONFIG").field("key", &topic));
                format!("write the order of {topic}")
            }
            10 | 11 => {
                let key = *rng.choice(&["orderMessageEnable", "supportActingMaster"]).expect("there are some");
                let on = rng.bool();
                self.change(&Ask::new(318).body(format!("{key}={on}")));
                format!("{key} = {on}")
            }
            // A server that is told to wait longer answers no lookups.
            12 => {
                let line = match rng.bool() {
                    true => format!("needWaitForService={}", rng.bool()),
                    // Long over on both servers, or on neither: one began a little later.
                    false => format!("waitSecondsForService={}", rng.u32(..2) * 1_000_000),
                };
                self.change(&Ask::new(318).body(line.clone()));
                line
            }
            13 => {
                if let Some(clients) = self.brokers[broker].take() {
                    drop(clients);
                    // The close has been seen when the next client is the only one that is left beside the others.
                    let others = self.brokers.iter().flatten().count() + WORKERS;
                    for server in &self.servers {
                        server.wait_for_connections(others);
                    }
                }
                format!("broker {broker} hangs up")
            }
            14 => {
                let stamp = format!("policy-{:07}", rng.u32(..3));
                let policy = with_text(component("stamp-policy"), "policy-0000000", &stamp);
                for server in &self.servers {
                    drop_in_bytes(server.home(), "stamp-policy.wasm", &policy);
                    server.reload();
                }
                format!("another policy: {stamp}")
            }
            _ => {
                let silence = Duration::from_secs(rng.u64(20..90));
                let expired = self.servers.each_ref().map(|server| {
                    server.clock.advance(silence);
                    server.scan()
                });
                assert_eq!(expired[0], expired[1]);
                // Whoever expired is hung up on.
                for broker in &mut self.brokers {
                    if expired[0] > 0 {
                        *broker = None;
                    }
                }
                if expired[0] > 0 {
                    self.servers.iter().for_each(|server| server.wait_for_connections(WORKERS));
                }
                format!("{silence:?} pass, {} expire", expired[0])
            }
        }
    }
}

/// Something whose answer may be remembered, asked in one of several ways.
fn question(rng: &mut Rng) -> Ask {
    // One more topic than there are, and sometimes none.
    let topic = format!("T{}", rng.usize(..=TOPICS));
    let request = match rng.u8(..10) {
        0 => Ask::new(101).field("namespace", "ORDER_TOPIC_CONFIG").field("key", &topic),
        1 => Ask::new(901).field("clusterName", "c").field("brokerName", &format!("b{}", rng.usize(..BROKERS))),
        2 => Ask::new(105),
        3 => Ask::new(105).field("topic", &topic).field("__ZONE_MODE", "true").field("__ZONE_NAME", "z1"),
        _ => Ask::new(105).field("topic", &topic),
    };
    let request = if rng.bool() { request } else { request.version(300) };
    let request = if rng.bool() { request } else { request.field("stamp", "") };
    if rng.u8(..4) == 0 { request.binary() } else { request }
}

fn play(seed: u64, steps: usize, size: ByteSize) -> MemoUsage {
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let mut pair = Pair::start(size);
    let mut history = vec![format!("seed {seed}")];
    pair.change(&Ask::new(318).body("waitSecondsForService=0"));
    for _ in 0..steps {
        history.push(pair.step(&mut rng));
        pair.compare(&mut rng, &history);
    }
    assert_eq!(pair.servers[1].memo(), MemoUsage { unfit: pair.servers[1].memo().unfit, ..MemoUsage::default() });
    pair.servers[0].memo()
}

#[test]
fn whatever_changes_a_server_that_remembers_answers_like_one_that_does_not() {
    for seed in [1, 2, fastrand::u64(..)] {
        let usage = play(seed, 120, ByteSize::mib(6));

        assert!(usage.hits > 1000, "{usage:?}");
        assert!(usage.stale > 50, "{usage:?}");
        assert_eq!((usage.broken, usage.evicted), (0, 0), "{usage:?}");
    }
}

#[test]
fn a_memo_with_room_for_a_few_replies_answers_the_same_and_stays_that_small() {
    let size = ByteSize::kib(12);
    let usage = play(3, 60, size);

    assert!(usage.evicted > 100 && usage.hits > 100, "{usage:?}");
    assert!(usage.bytes <= size.get(), "{usage:?}");
}

/// Registers a broker with two topics, of which `T` has so many queues.
fn register(broker: &mut Client, counter: u32, queues: u32) {
    let topics = format!(r#""T":{{"topicName":"T","readQueueNums":{queues}}},"U":{{"topicName":"U"}}"#);
    let body = format!(
        r#"{{"topicConfigSerializeWrapper":{{"dataVersion":{{"counter":{counter},"stateVersion":0,"timestamp":5}},"topicConfigTable":{{{topics}}}}}}}"#
    );
    let request = Ask::new(103)
        .field("brokerName", "a")
        .field("brokerAddr", "a:1")
        .field("clusterName", "c")
        .field("brokerId", "0")
        .body(body);
    assert_eq!(broker.ask(request).code, 0);
}

#[test]
fn a_registration_that_changes_no_route_makes_nobody_look_at_remembered_routes_again() {
    let server = Server::start();
    let (mut broker, mut client) = (server.client(), server.client());
    let mut look_up = || client.ask(Ask::new(105).field("topic", "T")).body;
    register(&mut broker, 1, 4);
    let answer = look_up();
    // Remembered the second time, given from memory the third time.
    assert_eq!([look_up(), look_up()], [&answer; 2]);
    let before = server.memo();
    assert_eq!((before.hits, before.compared), (1, 0));

    // Not so often that the opaque gets a second digit: that makes it another request.
    for counter in 2..7 {
        register(&mut broker, counter, 4);
        assert_eq!(look_up(), answer);
    }
    let same = server.memo();
    assert_eq!((same.hits, same.compared, same.stale), (6, 0, 0));

    register(&mut broker, 7, 5);
    assert_ne!(look_up(), answer);
    let other = server.memo();
    assert_eq!((other.hits, other.compared, other.stale), (6, 1, 1));
}

#[test]
fn a_lookup_that_follows_the_answer_to_a_change_on_another_connection_sees_the_change() {
    let server = Server::start_with(|config, _| config.net.workers = 2);
    let (mut broker, mut client) = (server.client(), server.client());

    for counter in 1..500 {
        register(&mut broker, counter, counter);
        for _ in 0..3 {
            let answer = client.ask(Ask::new(105).field("topic", "T"));
            let body = std::str::from_utf8(&answer.body).unwrap();
            assert!(body.contains(&format!("\"readQueueNums\":{counter},")), "{counter}: {body}");
        }
    }
    let usage = server.memo();
    assert!(usage.hits >= 490 && usage.stale >= 490, "{usage:?}");
}

#[test]
fn a_request_that_was_remembered_is_refused_when_the_server_sends_its_clients_away() {
    let server = Server::start_with(|config, _| config.net.shutdown_gracefully = true);
    let mut client = server.client();
    let lookup = || Ask::new(105).field("topic", "unknown");
    for _ in 0..4 {
        assert_eq!(client.ask(lookup()).code, 17);
    }
    assert!(server.memo().hits > 0);

    server.send_away().expect("it sends away");

    assert_eq!(client.ask(lookup()).code, 1500);
    assert_eq!(client.ask(lookup().version(300)).code, 17, "who does not understand that is served");
}

#[test]
fn pipelined_requests_get_each_their_own_opaque_whoever_answers() {
    let server = Server::start();
    let mut client = server.client();
    let requests = [Ask::new(105).field("topic", "x"), Ask::new(105).field("topic", "y").binary(), Ask::new(206)];

    let opaques: Vec<_> = (0..300).map(|at| client.send(&requests[at % 3])).collect();
    let replies = client.receive_all(&opaques);

    assert_eq!(replies.len(), 300);
    for (at, reply) in replies.iter().enumerate() {
        assert_eq!(reply.code, if at % 3 == 2 { 0 } else { 17 });
    }
    assert!(server.memo().hits >= 150, "{:?}", server.memo());
}

#[test]
fn a_plugin_that_breaks_its_promise_to_be_pure_is_found_and_nothing_of_it_is_remembered_any_more() {
    log();
    let server = Server::start_with(|config, home| {
        config.net.workers = 1;
        drop_in(home, "misbehaving");
    });
    // Every call is fast, so that the plugin earns its place on the worker, and keeps it.
    server.clock.stand_still();
    let mut client = server.client();
    let mut count = || {
        let reply = client.ask(Ask::new(9102).field("how", "count"));
        reply.field("calls").expect("a count").parse::<u64>().expect("a number")
    };

    // It earns its place on the worker first; then the same count comes again and again, and nobody can know better.
    let mut last = count();
    let mut remembered = 0;
    while server.memo().broken == 0 {
        let now = count();
        remembered += u32::from(now == last);
        last = now;
        assert!(remembered < 10_000, "{:?}", server.memo());
    }

    assert!(remembered > 1000, "{remembered}");
    assert!(!log().lines(&["misbehaving", "not pure"]).is_empty());
    for _ in 0..20 {
        let now = count();
        assert_ne!(now, last);
        last = now;
    }
}

#[test]
fn what_depends_on_the_peer_the_clock_or_a_write_is_never_remembered() {
    let server = Server::start();
    let mut client = server.client();
    let heartbeat = || {
        Ask::new(904)
            .field("brokerName", "b")
            .field("brokerAddr", "b:1")
            .field("clusterName", "c")
            .field("brokerId", "0")
    };
    for _ in 0..5 {
        client.ask(heartbeat());
        client.ask(
            Ask::new(322)
                .field("brokerName", "b")
                .field("brokerAddr", "b:1")
                .field("clusterName", "c")
                .field("brokerId", "0"),
        );
    }

    let usage = server.memo();
    assert_eq!((usage.hits, usage.inserted), (0, 0), "{usage:?}");
    assert!(usage.unfit.iter().any(|(why, times)| *why == "no-promise" && *times >= 5), "{usage:?}");
}
