//! What the stock plugins answer, end to end: through a socket, a component, the tables, and back.

use crate::harness::{Ask, Server};

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).expect("bodies are UTF-8")
}

fn register(name: &str, topics: &str) -> Ask {
    let body = format!(
        r#"{{"topicConfigSerializeWrapper":{{"dataVersion":{{"counter":1,"stateVersion":0,"timestamp":5}},"topicConfigTable":{{{topics}}}}}}}"#
    );
    Ask::new(103)
        .field("brokerName", name)
        .field("brokerAddr", &format!("{name}:10911"))
        .field("clusterName", "c")
        .field("brokerId", "0")
        .body(body)
}

#[test]
fn a_registered_topic_is_routed_until_its_connection_closes() {
    let server = Server::start();
    let mut broker = server.client();
    assert_eq!(broker.ask(register("a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#)).code, 0);
    let mut client = server.client();

    let route = client.ask(Ask::new(105).field("topic", "T"));

    assert_eq!(route.code, 0);
    assert!(text(&route.body).contains(r#""brokerAddrs":{"0":"a:10911"}"#), "{}", text(&route.body));
    drop(broker);
    client.wait_until(|client| client.ask(Ask::new(105).field("topic", "T")).code == 17);
}
