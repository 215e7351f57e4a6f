//! Requests that wait until a route changes, by `examples/route-watch` and its client.

use std::fs;

use fingerpost::remoting::Command;

use crate::guests::{component, drop_in, register, with_section};
use crate::harness::{Ask, Client, Server};

#[allow(dead_code, reason = "the tests call what its `main` calls")]
#[path = "../../examples/route_watch_client.rs"]
mod route_watch_client;
use route_watch_client::RouteWatch;

/// What `route-watch` answers.
const WATCH: i32 = 9003;
const HOUR_MS: u32 = 3_600_000;
/// Java: `ResponseCode.GO_AWAY`.
const GO_AWAY: i32 = 1500;

fn start() -> Server {
    Server::start_with(|config, home| {
        // A thread for each connection that asks at once, and one that plugins of files never have.
        config.net.lane_threads = 5;
        drop_in(home, "route-watch");
    })
}

fn watch(topic: &str) -> Ask {
    Ask::new(WATCH).field("topic", topic)
}

/// A request that waits, because the newest version is `seen`.
fn wait(topic: &str, seen: &str, timeout_ms: u32) -> Ask {
    watch(topic).field("seen", seen).field("timeoutMs", &timeout_ms.to_string())
}

fn version(reply: &Command) -> String {
    reply.field("version").unwrap_or_else(|| panic!("no version in {reply:?}")).to_string()
}

fn changed(reply: &Command) -> &str {
    reply.field("changed").unwrap_or_else(|| panic!("not answered anew: {reply:?}"))
}

/// Registers a broker with two topics.
fn register_topics(client: &mut Client, broker: &str, topics: [&str; 2]) {
    let topics = topics.map(|name| format!(r#""{name}":{{"topicName":"{name}","perm":6}}"#));
    register(client, broker, &topics.join(","));
}

#[track_caller]
fn wait_until_waiting(server: &Server, count: usize) {
    server.client().wait_until(|_| server.running().requests_waiting() == count);
}

#[test]
fn a_registration_wakes_who_waits_for_its_topic_and_nobody_else() {
    let server = start();
    let (mut broker, mut client) = (server.client(), server.client());
    register_topics(&mut broker, "a", ["T", "U"]);
    let seen = ["T", "U"].map(|topic| version(&client.ask(watch(topic))));
    let of_t = client.send(&wait("T", &seen[0], HOUR_MS));
    client.send(&wait("U", &seen[1], HOUR_MS));
    wait_until_waiting(&server, 2);

    register_topics(&mut broker, "b", ["T", "V"]);

    let woken = client.receive().unwrap();
    assert_eq!((woken.opaque, woken.code, changed(&woken)), (of_t, 0, "true"));
    assert_ne!(version(&woken), seen[0]);
    assert!(String::from_utf8_lossy(&woken.body).contains("b:10911"), "it is the new route");
    wait_until_waiting(&server, 1);
}

#[test]
fn a_client_follows_a_topic_from_before_it_is_there_until_it_has_gone() {
    let server = start();
    let mut watch = RouteWatch::connect(server.address(), "T").unwrap();
    assert_eq!(watch.next().unwrap(), Some(None), "there is none yet");

    let (news, told) = std::sync::mpsc::channel();
    let follower = std::thread::spawn(move || (0..2).for_each(|_| news.send(watch.next().unwrap()).unwrap()));
    wait_until_waiting(&server, 1);
    let mut broker = server.client();
    register_topics(&mut broker, "a", ["T", "U"]);
    assert!(told.recv().unwrap().unwrap().unwrap().contains("a:10911"));
    wait_until_waiting(&server, 1);
    drop(broker);

    assert_eq!(told.recv().unwrap(), Some(None));
    follower.join().unwrap();
}

#[test]
fn a_request_that_has_waited_long_enough_is_answered_with_what_there_is() {
    let server = start();
    let (mut broker, mut client) = (server.client(), server.client());
    register_topics(&mut broker, "a", ["T", "U"]);
    let seen = version(&client.ask(watch("T")));

    let answer = client.ask(wait("T", &seen, 30));

    assert_eq!((answer.code, changed(&answer), version(&answer)), (0, "false", seen));
    assert_eq!(changed(&client.ask(wait("T", "12345678901234567890", HOUR_MS))), "true", "that was never seen here");
}

#[test]
fn nobody_waits_on_a_connection_that_has_closed() {
    let server = start();
    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for client in &mut clients {
        for _ in 0..50 {
            client.send(&wait("T", "0", HOUR_MS));
        }
    }
    wait_until_waiting(&server, 200);

    drop(clients);

    wait_until_waiting(&server, 0);
    server.wait_for_connections(0);
}

#[test]
fn only_so_many_wait_on_one_connection_and_in_all_and_the_others_are_told() {
    const IN_ALL: usize = 1200;
    let server = Server::start_with(|config, home| {
        config.plugins.waiting_max = IN_ALL;
        config.net.lane_threads = 5;
        drop_in(home, "route-watch");
    });
    let mut first = server.client();
    for _ in 0..512 {
        first.send(&wait("T", "0", HOUR_MS));
    }
    wait_until_waiting(&server, 512);

    let refused = first.send(&wait("T", "0", HOUR_MS));
    let answer = first.receive().unwrap();
    assert_eq!((answer.opaque, answer.code), (refused, 1));
    assert!(answer.remark.unwrap().contains("512 requests of this connection wait already"));
    let mut others: Vec<Client> = (0..2).map(|_| server.client()).collect();
    for other in &mut others {
        for _ in 0..(IN_ALL - 512) / 2 {
            other.send(&wait("T", "0", HOUR_MS));
        }
    }
    wait_until_waiting(&server, IN_ALL);
    let answer = server.client().ask(wait("T", "0", HOUR_MS));
    assert!(answer.remark.unwrap().contains("`plugins.waiting-max`"));

    // It stays: a broker that comes and goes at once may leave everything as it was.
    let mut broker = server.client();
    register_topics(&mut broker, "a", ["T", "U"]);
    for _ in 0..512 {
        assert_eq!(changed(&first.receive().unwrap()), "true");
    }
    wait_until_waiting(&server, 0);
}

#[test]
fn who_waits_while_the_plugin_is_replaced_is_answered_by_the_new_one_and_by_nobody_when_it_is_gone() {
    let server = start();
    let mut client = server.client();
    let file = server.home().join("plugins/route-watch.wasm");
    for _ in 0..50 {
        client.send(&wait("T", "0", HOUR_MS));
    }
    wait_until_waiting(&server, 50);

    fs::write(&file, with_section(component("route-watch"), "another build")).unwrap();
    server.reload();
    client.wait_until(|_| server.running().plugin_generations_draining() == 0);

    let mut broker = server.client();
    register_topics(&mut broker, "a", ["T", "U"]);
    let answers: Vec<Command> = (0..50).map(|_| client.receive().unwrap()).collect();
    assert!(answers.iter().all(|answer| changed(answer) == "true"));

    let seen = version(&answers[0]);
    client.send(&wait("T", &seen, HOUR_MS));
    wait_until_waiting(&server, 1);
    fs::remove_file(&file).unwrap();
    server.reload();
    register_topics(&mut broker, "b", ["T", "U"]);
    assert_eq!(client.receive().unwrap().code, 3);
}

#[test]
fn all_who_wake_up_together_are_answered_however_few_may_answer_them_at_once() {
    // Two threads, of which plugins of files have one.
    let server = Server::start_with(|_, home| drop_in(home, "route-watch"));
    let mut clients: Vec<Client> = (0..20).map(|_| server.client()).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        client.send(&wait("T", "0", HOUR_MS));
        wait_until_waiting(&server, at + 1);
    }

    let mut broker = server.client();
    register_topics(&mut broker, "a", ["T", "U"]);

    assert!(clients.iter_mut().all(|client| changed(&client.receive().unwrap()) == "true"));
}

#[test]
fn a_server_that_stops_answers_all_who_wait() {
    let mut server = start();
    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for client in &mut clients {
        for _ in 0..100 {
            client.send(&wait("T", "0", HOUR_MS));
        }
    }
    wait_until_waiting(&server, 400);

    server.stop();

    for client in &mut clients {
        let answers: Vec<Command> = std::iter::from_fn(|| client.receive()).collect();
        assert_eq!(answers.len(), 100);
        assert!(answers.iter().all(|answer| changed(answer) == "false"));
    }
}

#[test]
fn a_server_that_sends_clients_away_does_so_with_those_who_wait() {
    let server = Server::start_with(|config, home| {
        config.net.shutdown_gracefully = true;
        drop_in(home, "route-watch");
    });
    let mut client = server.client();
    client.send(&wait("T", "0", HOUR_MS));
    wait_until_waiting(&server, 1);

    assert!(server.send_away().is_some());

    assert_eq!(client.receive().unwrap().code, GO_AWAY);
}

#[test]
fn requests_wait_on_the_workers_as_well_when_the_plugin_has_shown_that_it_is_fast() {
    let server = start();
    // With a clock that stands still, every call is a fast one.
    server.clock.stand_still();
    let (mut broker, mut client) = (server.client(), server.client());
    for _ in 0..1000 {
        assert_eq!(client.ask(watch("T")).code, 17);
    }
    for _ in 0..100 {
        client.send(&wait("T", "0", HOUR_MS));
    }
    wait_until_waiting(&server, 100);

    register_topics(&mut broker, "a", ["T", "U"]);

    for _ in 0..100 {
        assert_eq!(changed(&client.receive().unwrap()), "true");
    }
}

#[test]
fn a_request_that_nobody_wants_an_answer_to_does_not_wait() {
    let server = start();
    let mut client = server.client();

    client.send(&wait("T", "0", HOUR_MS).oneway());

    assert_eq!(client.ask(watch("T")).code, 17);
    assert_eq!(server.running().requests_waiting(), 0);
}
