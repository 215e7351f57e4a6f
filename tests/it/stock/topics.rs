//! 206, 216, 217, 224, 304 and 311 to 313: topics listed, forgotten, and added by hand.

use crate::harness::{Ask, Client, Server};
use crate::requests::{Broker, Reply, change_settings, names, queue_of, route, topic_list};

fn add(topic: &str, queues: &str) -> Ask {
    Ask::new(217).field("topic", topic).body(format!(r#"{{"queueDatas":[{queues}]}}"#))
}

fn queue(broker: &str, queues: i32) -> String {
    format!(r#"{{"brokerName":"{broker}","perm":6,"readQueueNums":{queues},"writeQueueNums":{queues}}}"#)
}

fn of_cluster(client: &mut Client, cluster: &str) -> Vec<String> {
    names(&client.ask(Ask::new(224).field("cluster", cluster)))
}

#[test]
fn topics_are_listed_by_cluster_and_an_unknown_cluster_has_none() {
    let server = Server::start();
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);
    Broker::new("b").cluster("d").topics(&["U", "V"]).register(&mut client);

    assert_eq!(names(&client.ask(topic_list())), ["T", "U", "V"]);
    assert_eq!(of_cluster(&mut client, "c"), ["T", "U"]);
    assert_eq!(of_cluster(&mut client, "d"), ["U", "V"]);
    assert!(of_cluster(&mut client, "nowhere").is_empty());
    assert!(names(&client.ask(Ask::new(224))).is_empty());
}

#[test]
fn the_system_topic_list_holds_clusters_and_brokers_and_some_address() {
    let server = Server::start();
    let mut client = server.client();
    let nobody = client.ask(Ask::new(304));
    Broker::new("a").id(7).topics(&["T", "U"]).register(&mut client);
    Broker::new("b").cluster("a").register(&mut client);

    let list = client.ask(Ask::new(304));

    assert_eq!(nobody.text(), r#"{"topicList":[]}"#);
    assert_eq!(names(&list), ["a", "b", "c"], "a name that is both is there once");
    let address = list.json()["brokerAddr"].as_str().expect("an address").to_owned();
    assert!(["a-7:10911", "b:10911"].contains(&&*address), "{address}");
}

#[test]
fn a_topic_is_forgotten_in_one_cluster_or_everywhere() {
    let server = Server::start();
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);
    Broker::new("b").cluster("d").topics(&["T", "V"]).register(&mut client);
    let mut delete = |topic: &str, cluster: Option<&str>| {
        let ask = Ask::new(216).field("topic", topic);
        let reply = client.ask(cluster.into_iter().fold(ask, |ask, cluster| ask.field("clusterName", cluster)));
        assert_eq!(reply.code, 0);
        names(&client.ask(topic_list()))
    };

    assert_eq!(delete("T", Some("nowhere")), ["T", "U", "V"]);
    assert_eq!(delete("T", Some("c")), ["T", "U", "V"]);
    assert_eq!(delete("T", Some("d")), ["U", "V"], "nobody is left who serves it");
    assert_eq!(delete("V", Some("")), ["U"], "no name is every cluster");
    assert_eq!(delete("U", None), [""; 0]);
    assert_eq!(delete("U", None), [""; 0], "what is unknown is forgotten with success");
    assert_eq!(client.ask(Ask::new(216)).code, 0);
}

#[test]
fn a_forgotten_topic_comes_back_with_the_next_registration_of_the_same_version() {
    let server = Server::start();
    let mut client = server.client();
    let broker = Broker::new("a").topics(&["T", "U"]);
    broker.register(&mut client);
    client.ask(Ask::new(216).field("topic", "T"));
    assert_eq!(client.ask(route("T")).code, 17);

    broker.register(&mut client);

    assert_eq!(client.ask(route("T")).code, 0);
}

#[test]
fn a_topic_added_by_hand_needs_brokers_that_are_registered() {
    let server = Server::start();
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);
    Broker::new("b").register(&mut client);
    let mut try_add = |topic: &str, queues: &[String]| assert_eq!(client.ask(add(topic, &queues.join(","))).code, 0);

    try_add("NEW", &[queue("a", 3)]);
    try_add("PARTLY", &[queue("a", 3), queue("nobody", 3)]);
    try_add("T", &[queue("b", 5), queue("nobody", 3), queue("a", 9)]);

    assert_eq!(queue_of(&mut client, "NEW", "a"), (3, 6));
    assert_eq!(client.ask(route("PARTLY")).code, 17, "a new topic is stored whole or not at all");
    assert_eq!(queue_of(&mut client, "T", "b"), (5, 6), "of a known one, what stood before the unknown broker stays");
    assert_eq!(queue_of(&mut client, "T", "a"), (4, 6), "and what stood after it is not read");
}

#[test]
fn nothing_to_add_is_a_success_and_nonsense_is_not() {
    let server = Server::start();
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);

    for nothing in [Ask::new(217).field("topic", "N"), add("N", ""), Ask::new(217).field("topic", "N").body("{}")] {
        assert_eq!(client.ask(nothing).code, 0);
    }
    assert_eq!(client.ask(Ask::new(217).body(format!(r#"{{"queueDatas":[{}]}}"#, queue("a", 1)))).code, 0);
    let nonsense = client.ask(Ask::new(217).field("topic", "N").body("nonsense"));
    assert_eq!(nonsense.code, 1);
    assert!(!nonsense.remark_text().is_empty());
    assert_eq!(names(&client.ask(topic_list())), ["T", "U"]);
}

#[test]
fn unit_topics_are_told_apart_by_their_flags() {
    let server = Server::start();
    let mut client = server.client();
    let flags = [("none", 0), ("unit", 1), ("sub", 2), ("both", 3)];
    flags.iter().fold(Broker::new("a"), |broker, (name, flag)| broker.topic(name, 4, 6, *flag)).register(&mut client);
    let mut list = |code| names(&client.ask(Ask::new(code)));

    assert_eq!(list(311), ["both", "unit"]);
    assert_eq!(list(312), ["both", "sub"]);
    assert_eq!(list(313), ["sub"]);
}

#[test]
fn each_switch_turns_off_its_own_lists() {
    let server = Server::start();
    let mut client = server.client();
    Broker::new("a").topics(&["T", "U"]).register(&mut client);
    let answers = |client: &mut Client| {
        [206, 224, 311, 312, 313, 304, 106].map(|code| {
            let reply = client.ask(Ask::new(code).field("cluster", "c"));
            assert_eq!(reply.remark_text(), if reply.code == 0 { "" } else { "disable" });
            reply.code
        })
    };

    client.ask(change_settings("enableTopicList=false"));
    let others_off = answers(&mut client);
    client.ask(change_settings("enableTopicList=true\nenableAllTopicList=false"));
    let all_off = answers(&mut client);

    assert_eq!(others_off, [0, 1, 1, 1, 1, 0, 0]);
    assert_eq!(all_off, [1, 0, 0, 0, 0, 0, 0]);
}
