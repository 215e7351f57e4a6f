//! 103 again and again: of a body that is known, only what is new is read, and nobody can tell.

use crate::harness::{Ask, Client, Server};
use crate::requests::{Broker, names, queue_of, route, topic_list};

fn broker(version: i64) -> Broker {
    Broker::new("a").version(version).topics(&["T", "U", "V"])
}

fn delete(client: &mut Client, topic: &str) {
    assert_eq!(client.ask(Ask::new(216).field("topic", topic)).code, 0);
}

#[test]
fn a_body_that_is_known_is_applied_in_full_after_its_topics_were_touched() {
    let server = Server::start();
    let mut connection = server.client();
    broker(1).register(&mut connection);
    broker(1).register(&mut connection);

    delete(&mut connection, "T");
    assert_eq!(names(&connection.ask(topic_list())), ["U", "V"]);
    broker(1).register(&mut connection);
    assert_eq!(names(&connection.ask(topic_list())), ["T", "U", "V"]);

    connection.ask(broker(1).departure());
    assert_eq!(connection.ask(route("T")).code, 17);
    broker(1).register(&mut connection);
    assert_eq!(names(&connection.ask(topic_list())), ["T", "U", "V"]);
}

#[test]
fn a_new_version_of_the_same_topics_undoes_what_others_did_to_them_and_the_same_one_does_not() {
    let server = Server::start();
    let mut connection = server.client();
    broker(1).register(&mut connection);
    let before = queue_of(&mut connection, "T", "a");

    let wiped = connection.ask(Ask::new(205).field("brokerName", "a"));
    assert_eq!(wiped.code, 0);
    let by_hand = r#"{"queueDatas":[{"brokerName":"a","perm":2,"readQueueNums":3,"writeQueueNums":3}]}"#;
    assert_eq!(connection.ask(Ask::new(217).field("topic", "U").body(by_hand)).code, 0);
    delete(&mut connection, "V");
    broker(1).register(&mut connection);
    assert_eq!(queue_of(&mut connection, "T", "a").1, before.1 & !2);
    assert_eq!(queue_of(&mut connection, "U", "a"), (3, 2));
    assert_eq!(queue_of(&mut connection, "V", "a"), before);

    broker(2).register(&mut connection);
    for topic in ["T", "U", "V"] {
        assert_eq!(queue_of(&mut connection, topic, "a"), before);
    }
}

#[test]
fn of_a_table_that_changed_in_one_topic_all_are_as_they_should_be() {
    let server = Server::start();
    let mut connection = server.client();
    broker(1).register(&mut connection);
    broker(2).register(&mut connection);
    let before = queue_of(&mut connection, "T", "a");

    Broker::new("a").version(3).topics(&["T"]).topic("U", 5, 4, 0).topics(&["V", "W"]).register(&mut connection);

    assert_eq!(queue_of(&mut connection, "U", "a"), (5, 4));
    for topic in ["T", "V", "W"] {
        assert_eq!(queue_of(&mut connection, topic, "a"), before, "{topic}");
    }
}

#[test]
fn who_comes_back_over_another_connection_is_the_same_broker() {
    let server = Server::start();
    let mut old = server.client();
    broker(1).register(&mut old);
    let mut new = server.client();
    broker(1).register(&mut new);

    drop(old);
    broker(1).register(&mut new);

    assert_eq!(names(&new.ask(topic_list())), ["T", "U", "V"]);
}
