//! Who may change the server: peers in `admin.admin-from`, and nobody else.

use fingerpost::config::Networks;

use crate::harness::{Ask, Server};
use crate::requests::{Broker, Reply, all_known, cluster_info, kv_get, kv_put, route, topic_list};

/// A server to which this machine is a stranger.
fn reserved() -> Server {
    Server::start_with(|config, _| {
        config.admin.admin_from = Networks::new(["10.0.0.0/8".parse().expect("a network")]);
    })
}

fn administration() -> Vec<Ask> {
    vec![
        kv_put("n", "k", "v"),
        Ask::new(102).field("namespace", "n").field("key", "k"),
        Ask::new(205).field("brokerName", "a"),
        Ask::new(327).field("brokerName", "a"),
        Ask::new(216).field("topic", "T"),
        Ask::new(318).body("enableAllTopicList=false"),
    ]
}

#[test]
fn a_stranger_is_refused_and_told_which_setting_says_so() {
    let server = reserved();
    let mut client = server.client();
    Broker::new("a").topic("T", 4, 7, 0).topic("U", 4, 7, 0).register(&mut client);
    let before = (all_known(&mut client), client.ask(route("T")).text().to_owned());

    for ask in administration() {
        let reply = client.ask(ask.clone());
        assert_eq!(reply.code, 16, "{ask:?}");
        assert!(reply.remark_text().contains("`admin.admin-from`"), "{}", reply.remark_text());
        assert!(reply.remark_text().contains("127.0.0.1"), "{}", reply.remark_text());
        assert!(reply.body.is_empty());
    }

    assert_eq!((all_known(&mut client), client.ask(route("T")).text().to_owned()), before);
    assert_eq!(client.ask(kv_get("n", "k")).code, 22);
}

#[test]
fn a_stranger_that_wants_no_answer_is_refused_as_well() {
    let server = reserved();
    let mut client = server.client();

    client.send(&kv_put("n", "k", "v").oneway());
    client.send(&Ask::new(318).body("enableAllTopicList=false").oneway());

    assert_eq!(client.ask(cluster_info()).code, 0, "the first reply is to the first question");
    assert_eq!(client.ask(topic_list()).code, 0);
    assert_eq!(client.ask(kv_get("n", "k")).code, 22);
}

#[test]
fn a_stranger_may_read_and_a_broker_may_register() {
    let server = reserved();
    let mut client = server.client();
    let broker = Broker::new("a").topics(&["T", "U"]);

    broker.register(&mut client);

    for code in [106, 206, 304, 311, 312, 313, 319, 901] {
        assert_eq!(client.ask(Ask::new(code)).code, 0, "{code}");
    }
    assert_eq!(client.ask(route("T")).code, 0);
    assert_eq!(client.ask(Ask::new(224).field("cluster", "c")).code, 0);
    assert_eq!(client.ask(Ask::new(219).field("namespace", "n")).code, 22);
    let queues = r#"{"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":1,"writeQueueNums":1}]}"#;
    assert_eq!(client.ask(Ask::new(217).field("topic", "V").body(queues)).code, 0, "brokers send this");
    assert_eq!(client.ask(broker.version_query()).code, 0);
    assert_eq!(client.ask(broker.heartbeat()).code, 0);
    assert_eq!(client.ask(broker.departure()).code, 0);
}

#[test]
fn a_neighbour_may_administer() {
    let server = Server::start();
    let mut client = server.client();

    for ask in administration() {
        assert_eq!(client.ask(ask.clone()).code, 0, "{ask:?}");
    }
}
