//! Cluster-test mode: a test environment that asks the product environment for the topics it does not have.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use fingerpost::remoting::Command;

use crate::guests::{allow, component, drop_in_bytes, with_manifest};
use crate::harness::{Ask, Server};
use crate::requests::{Broker, Reply, cluster_info, kv_put, route};

/// A server in cluster-test mode, for which `product` is the product environment.
fn beside(product: SocketAddr, timeout: Duration) -> Server {
    Server::start_with(|config, _| {
        config.cluster_test.enabled = true;
        config.cluster_test.name_servers = vec![product.to_string().parse().expect("host:port")];
        config.cluster_test.timeout = timeout;
    })
}

/// So long that no test waits for it.
const NEVER: Duration = Duration::from_secs(3600);

#[test]
fn a_topic_that_is_missing_here_is_answered_from_there() {
    let product = Server::start();
    let mut there = product.client();
    Broker::new("p").topics(&["FAR", "BOTH"]).register(&mut there);
    let server = beside(product.address(), NEVER);
    let mut client = server.client();
    Broker::new("a").topics(&["NEAR", "BOTH"]).register(&mut client);

    let near = client.ask(route("NEAR"));
    let both = client.ask(route("BOTH"));
    let far = client.ask(route("FAR"));
    let far_for_old = client.ask(route("FAR").version(400));
    let nowhere = client.ask(route("NOWHERE"));

    assert_eq!(near.json()["brokerDatas"][0]["brokerName"], "a");
    assert_eq!(both.json()["brokerDatas"].as_array().map(Vec::len), Some(1), "what is known here is not asked there");
    assert_eq!(both.json()["brokerDatas"][0]["brokerName"], "a");
    assert_eq!((far.code, far.text()), (0, there.ask(route("FAR")).text()));
    assert!(far_for_old.text().contains(r#"{0:"p:10911"}"#), "{}", far_for_old.text());
    assert_eq!(nowhere.code, 17);
    assert!(nowhere.remark_text().contains("the topic: NOWHERE\n"), "{}", nowhere.remark_text());
}

#[test]
fn only_the_lookup_changes() {
    let product = Server::start();
    let server = beside(product.address(), NEVER);
    let mut client = server.client();
    let broker = Broker::new("a").topics(&["T", "U"]);

    // In Java nobody can register in this mode, and an unknown code is taken for a lookup.
    broker.register(&mut client);
    assert_eq!(client.ask(cluster_info()).code, 0);
    assert_eq!(client.ask(Ask::new(4711)).code, 3);
    assert_eq!(client.ask(kv_put("ORDER_TOPIC_CONFIG", "T", "a:4")).code, 0);
    assert_eq!(client.ask(route("T")).json()["orderTopicConf"], "a:4", "in this mode it is always shown");
    assert_eq!(client.ask(broker.departure()).code, 0);
    assert_eq!(client.ask(route("T")).code, 17);
}

#[test]
fn while_the_upstream_is_silent_everybody_else_is_served() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let server = beside(silent.local_addr().expect("it has an address"), NEVER);
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);
    let mut other = server.client();

    let missed = client.send(&route("FAR"));
    let (mut upstream, _) = silent.accept().expect("the server asks");
    let question = read_question(&mut upstream);
    // From here on the miss waits, until the upstream says or does something.
    for _ in 0..100 {
        assert_eq!(client.ask(route("T")).code, 0, "on the connection that waits");
        assert_eq!(other.ask(route("T")).code, 0);
    }
    assert_eq!(other.ask(kv_put("n", "k", "v")).code, 0);
    drop(upstream);
    drop(silent);
    let reply = client.receive().expect("a reply, not the end of the connection");

    assert_eq!((question.code, question.field_text("topic")), (105, "FAR"));
    assert_eq!((reply.opaque, reply.code), (missed, 17), "an upstream that goes away knows no route");
}

#[test]
fn an_upstream_that_never_answers_is_waited_for_no_longer_than_configured() {
    // It is not even accepted; the kernel does that.
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let server = beside(silent.local_addr().expect("it has an address"), Duration::from_millis(100));
    let mut client = server.client();

    let replies = ["X", "Y", "Z"].map(|topic| client.ask(route(topic)));

    for reply in replies {
        assert_eq!(reply.code, 17);
        assert!(reply.remark_text().starts_with("No topic route info in name server"), "{}", reply.remark_text());
    }
}

#[test]
fn an_upstream_that_is_not_there_is_a_miss() {
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|gone| gone.local_addr()).expect("a port was free");
    let server = beside(port, NEVER);
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);

    assert_eq!(client.ask(route("FAR")).code, 17);
    assert_eq!(client.ask(route("T")).code, 0);
}

#[test]
fn a_server_stops_although_its_upstream_is_silent() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let mut server = beside(silent.local_addr().expect("it has an address"), NEVER);
    let mut asker = server.client();
    Broker::new("a").register(&mut asker);
    asker.send(&route("FAR"));
    let (mut upstream, _) = silent.accept().expect("the server asks");
    read_question(&mut upstream);
    drop(asker);
    // The answer is owed to nobody once this connection has closed, and so not waited for.
    server.client().wait_until(|client| !client.ask(cluster_info()).text().contains("a:10911"));

    server.stop();

    assert_eq!(upstream.read(&mut [0]).expect("it can be read from"), 0, "the question was given up");
}

fn read_question(stream: &mut TcpStream) -> Command {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a question");
    let mut frame = vec![0; 4 + u32::from_be_bytes(length) as usize];
    frame[..4].copy_from_slice(&length);
    stream.read_exact(&mut frame[4..]).expect("a whole question");
    Command::decode(Bytes::from(frame)).expect("the server writes valid frames")
}

#[test]
fn a_server_whose_address_is_granted_is_asked_without_being_configured_and_no_other_is() {
    let product = Server::start();
    let mut there = product.client();
    Broker::new("p").topics(&["FAR", "BOTH"]).register(&mut there);
    let ask = |granted: &str| {
        let server = Server::start_with(|config, home| {
            let (says, instead) = ("enabled-when = \"clusterTest\"", "# out of cluster-test mode  ");
            let unconditional = with_manifest(component("cluster-test"), says, instead);
            drop_in_bytes(home, "ours.wasm", &unconditional);
            allow(config, "ours.wasm", true, &[granted.parse().expect("a grant")]);
            let settings = [("productEnvName".to_owned(), product.address().to_string())];
            config.plugins.files.get_mut("ours.wasm").expect("it was allowed").settings = settings.into();
        });
        server.client().ask(route("FAR"))
    };

    let granted = ask(&format!("upstream:{}", product.address()));
    assert_eq!(granted.json()["brokerDatas"][0]["brokerName"], "p");
    assert_eq!(ask("upstream").code, 17, "whoever may ask all that are configured may not ask anybody");
    assert_eq!(ask("upstream:127.0.0.1:1").code, 17);
}
