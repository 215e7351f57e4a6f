//! How a server goes: whom it sends away first, and what it still does for the others.

use std::time::Duration;

use fingerpost::config::Config;
use fingerpost::readiness::Readiness;
use fingerpost::remoting::Command;

use crate::harness::{Ask, Client, Server};
use crate::process::{start, start_in};
use crate::requests::{Broker, Reply, change_settings, cluster_info, kv_get, kv_put, route};

/// The newest version that does not understand being sent away, and the next.
const OLD: i32 = 475;
const NEW: i32 = 476;

fn gently(config: &mut Config) {
    config.net.shutdown_gracefully = true;
}

#[track_caller]
fn assert_sent_away(reply: &Command) {
    assert_eq!((reply.code, reply.remark_text()), (1500, "please go away"));
    assert!(reply.fields.is_none() && reply.body.is_empty(), "{reply:?}");
}

#[test]
fn whoever_understands_it_is_sent_away_whatever_it_asks() {
    let server = Server::start_with(|config, _| gently(config));
    let mut before = server.client();
    let broker = Broker::new("a").topics(&["T", "U"]);
    broker.register(&mut before);

    assert_eq!(server.send_away(), Some(Duration::from_secs(30)));

    let asks = [route("T"), broker.registration(), kv_put("n", "k", "v"), Ask::new(4711), Ask::new(-1)];
    for client in [&mut before, &mut server.client()] {
        for ask in &asks {
            assert_sent_away(&client.ask(ask.clone().version(NEW)));
            assert_sent_away(&client.ask(ask.clone().version(513).binary()));
        }
    }
}

#[test]
fn whoever_does_not_understand_it_is_served() {
    let server = Server::start_with(|config, _| gently(config));
    server.send_away();

    let mut client = server.client();
    let registered = client.ask(Broker::new("a").topics(&["T", "U"]).registration().version(OLD));

    assert_eq!(registered.code, 0);
    assert_eq!(client.ask(route("T").version(OLD)).code, 0);
    assert_eq!(client.ask(kv_put("n", "k", "v").version(0)).code, 0);
    assert_eq!(client.ask(Ask::new(4711).version(OLD)).code, 3);
}

#[test]
fn who_wants_no_answer_is_not_told_and_not_obeyed() {
    let server = Server::start_with(|config, _| gently(config));
    server.send_away();
    let mut client = server.client();

    client.send(&Broker::new("a").topics(&["T", "U"]).registration().oneway());
    client.send(&route("T").flag(1));
    let next = client.ask(route("T").version(OLD));

    assert_eq!(next.code, 17, "the first answer is to the first request that wants one");
}

#[test]
fn unless_the_operator_wants_it_nobody_is_sent_away_and_he_may_change_his_mind() {
    let server = Server::start();
    let mut client = server.client();

    assert_eq!(server.send_away(), None);
    assert_eq!((client.ask(cluster_info()).code, server.readiness()), (0, Readiness::Ready));

    client.ask(change_settings("enableShutdownGracefully=true\nshutdownWaitTimeSeconds=7"));
    assert_eq!(server.send_away(), Some(Duration::from_secs(7)));
    assert_sent_away(&client.ask(cluster_info()));
}

#[test]
fn a_server_says_whether_it_wants_to_be_asked() {
    let server = Server::start_with(|config, _| {
        gently(config);
        config.requests.need_wait_for_service = true;
        config.requests.wait_for_service_time = Duration::from_secs(45);
    });

    assert_eq!(server.readiness(), Readiness::Starting);
    server.clock.advance(Duration::from_secs(44));
    assert_eq!(server.readiness(), Readiness::Starting);
    server.clock.advance(Duration::from_secs(2));
    assert_eq!(server.readiness(), Readiness::Ready);
    server.client().ask(change_settings("waitSecondsForService=3600"));
    assert_eq!(server.readiness(), Readiness::Starting);
    server.client().ask(change_settings("needWaitForService=false"));
    assert_eq!(server.readiness(), Readiness::Ready);
    server.send_away();
    assert_eq!(server.readiness(), Readiness::Stopping);
}

/// Waits until the server of a process sends its clients away.
fn wait_for_goodbye(client: &mut Client) {
    client.wait_until(|client| client.ask(cluster_info()).code == 1500);
}

#[test]
fn a_process_that_is_told_to_stop_serves_old_clients_until_it_is_told_again() {
    let mut server = start(&[("enableShutdownGracefully", "true"), ("shutdownWaitTimeSeconds", "3600")]);
    let mut client = Client::connect(server.addr);
    assert_eq!(client.ask(cluster_info()).code, 0);

    server.signal("TERM");
    wait_for_goodbye(&mut client);
    let mut old = Client::connect(server.addr);
    assert_eq!(old.ask(kv_put("n", "k", "v").version(OLD)).code, 0);
    // Supervisors send it twice, so the next one counts only when it does not come at once.
    while !server.ends_within(Duration::from_millis(200)) {
        server.signal("TERM");
    }

    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(old.receive().is_none(), "its connections are closed");
    let server = start_in(server.into_home(), &[]);
    assert_eq!(Client::connect(server.addr).ask(kv_get("n", "k")).field_text("value"), "v");
}

#[test]
fn a_process_that_is_told_to_stop_ends_by_itself_when_it_has_waited() {
    let mut server = start(&[("enableShutdownGracefully", "true"), ("shutdownWaitTimeSeconds", "1")]);

    server.signal("INT");

    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(server.log().contains("sent away for 1 s"), "{}", server.log());
}
