//! Who is still there: silence, signs of life, and connections that end.

use std::time::Duration;

use crate::harness::{Client, Server};
use crate::requests::{Broker, Reply, cluster_info, route};

fn advance(server: &Server, seconds: u64) -> usize {
    server.clock.advance(Duration::from_secs(seconds));
    server.scan()
}

fn brokers(client: &mut Client) -> Vec<String> {
    let info = client.ask(cluster_info());
    let text = info.text();
    ["a", "b", "d"].into_iter().filter(|name| text.contains(&format!("{name}:10911"))).map(str::to_owned).collect()
}

/// Waits until the server has closed it. Nothing was asked over it, so no answer comes before that.
fn wait_for_close(connection: &mut Client) {
    let reply = connection.receive();
    assert!(reply.is_none(), "an answer to nothing: {reply:?}");
}

#[test]
fn a_silent_broker_goes_after_its_own_timeout_and_its_connection_with_it() {
    let server = Server::start();
    let mut client = server.client();
    let (mut short, mut long, mut silent) = (server.client(), server.client(), server.client());
    Broker::new("a").timeout_ms(30_000).topics(&["T", "U"]).register(&mut short);
    Broker::new("b").timeout_ms(90_000).topics(&["T", "U"]).register(&mut long);
    Broker::new("d").topics(&["V", "U"]).register(&mut silent);

    assert_eq!(advance(&server, 29), 0);
    assert_eq!(advance(&server, 2), 1);
    wait_for_close(&mut short);
    assert_eq!(brokers(&mut client), ["b", "d"]);
    assert!(!client.ask(route("T")).text().contains("a:10911"));

    assert_eq!(advance(&server, 60), 1);
    wait_for_close(&mut long);
    assert_eq!(client.ask(route("T")).code, 17, "nobody serves it any more");
    assert_eq!(client.ask(route("V")).code, 0);

    assert_eq!(advance(&server, 30), 1, "who names no timeout has two minutes");
    wait_for_close(&mut silent);
    assert_eq!(client.ask(cluster_info()).text(), r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#);
}

#[test]
fn a_timeout_of_nothing_ends_at_the_next_scan() {
    let server = Server::start();
    let mut client = server.client();
    let mut broker = server.client();
    Broker::new("a").timeout_ms(0).register(&mut broker);
    assert_eq!(brokers(&mut client), ["a"]);

    assert_eq!(advance(&server, 1), 1);

    wait_for_close(&mut broker);
    assert!(brokers(&mut client).is_empty());
}

#[test]
fn heartbeats_version_queries_and_registrations_are_signs_of_life() {
    let server = Server::start();
    let mut client = server.client();
    let mut connection = server.client();
    let broker = |name: &str| Broker::new(name).timeout_ms(30_000);
    for name in ["a", "b", "d"] {
        broker(name).register(&mut connection);
    }

    for _ in 0..5 {
        server.clock.advance(Duration::from_secs(20));
        // From another connection, and for 904 without an answer: what counts is the broker they name.
        client.send(&broker("a").heartbeat().oneway());
        assert_eq!(client.ask(broker("b").version_query()).code, 0);
        broker("d").register(&mut connection);
        assert_eq!(client.ask(broker("a").heartbeat()).code, 0);
        assert_eq!(server.scan(), 0);
    }

    assert_eq!(brokers(&mut client), ["a", "b", "d"]);
    assert_eq!(advance(&server, 31), 3, "and nothing else is");
}

#[test]
fn a_heartbeat_for_another_cluster_or_address_keeps_nobody_alive() {
    let server = Server::start();
    let mut client = server.client();
    let mut connection = server.client();
    let broker = Broker::new("a").timeout_ms(30_000);
    broker.register(&mut connection);
    server.clock.advance(Duration::from_secs(20));

    assert_eq!(client.ask(broker.clone().cluster("other").heartbeat()).code, 0);
    assert_eq!(client.ask(broker.address("other:1").heartbeat()).code, 0);

    assert_eq!(advance(&server, 11), 1);
}

#[test]
fn a_late_close_does_not_evict_a_broker_that_came_back() {
    let server = Server::start();
    let mut client = server.client();
    let (mut old, mut new) = (server.client(), server.client());
    Broker::new("a").topics(&["T", "U"]).register(&mut old);
    Broker::new("b").topics(&["T", "U"]).register(&mut old);
    Broker::new("a").topics(&["T", "U"]).register(&mut new);

    drop(old);

    // The other broker of that connection goes in the same stroke, so from then on the close is past.
    client.wait_until(|client| !brokers(client).contains(&"b".to_owned()));
    assert_eq!(brokers(&mut client), ["a"]);
    assert!(client.ask(route("T")).text().contains("a:10911"));
    drop(new);
    client.wait_until(|client| client.ask(route("T")).code == 17);
}

#[test]
fn an_expired_broker_that_registered_over_a_new_connection_keeps_it() {
    let server = Server::start();
    let (mut old, mut new) = (server.client(), server.client());
    Broker::new("a").timeout_ms(30_000).register(&mut old);
    server.clock.advance(Duration::from_secs(40));

    Broker::new("a").timeout_ms(30_000).register(&mut new);

    assert_eq!(server.scan(), 0);
    assert_eq!(brokers(&mut new), ["a"]);
    assert_eq!(brokers(&mut old), ["a"], "the old connection is not the silent one's any more");
}

#[test]
fn every_broker_of_a_connection_goes_with_it_at_once() {
    let server = Server::start();
    let mut client = server.client();
    let mut connection = server.client();
    for name in ["a", "b", "d"] {
        Broker::new(name).cluster(name).topics(&["T", "U"]).register(&mut connection);
    }
    assert_eq!(brokers(&mut client), ["a", "b", "d"]);

    drop(connection);

    client.wait_until(|client| brokers(client).len() < 3);
    assert_eq!(client.ask(cluster_info()).text(), r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#);
    assert_eq!(client.ask(route("T")).code, 17);
}

#[test]
fn a_group_known_under_two_clusters_expires_whole() {
    let server = Server::start();
    let mut client = server.client();
    let mut connection = server.client();
    Broker::new("a").timeout_ms(30_000).register(&mut connection);
    Broker::new("a").id(1).cluster("other").timeout_ms(30_000).register(&mut connection);

    assert_eq!(advance(&server, 31), 2);

    assert_eq!(client.ask(cluster_info()).text(), r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#);
    assert_eq!(advance(&server, 31), 0, "nobody expires twice");
}
