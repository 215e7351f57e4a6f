//! 100, 101, 102 and 219: the KV store.

use fingerpost::kv::{NAME_LEN_MAX, VALUE_LEN_MAX};

use crate::harness::{Ask, Client, Server};
use crate::requests::{Reply, kv_get, kv_put};

fn list(client: &mut Client, namespace: &str) -> (i32, String) {
    let reply = client.ask(Ask::new(219).field("namespace", namespace));
    (reply.code, reply.text().to_owned())
}

fn delete(namespace: &str, key: &str) -> Ask {
    Ask::new(102).field("namespace", namespace).field("key", key)
}

#[test]
fn a_value_is_there_from_its_answer_on_and_gone_after_its_removal() {
    let server = Server::start();
    let mut client = server.client();

    assert_eq!(client.ask(kv_put("n", "k", "v \"1\"\n杭州 😀")).code, 0);
    let stored = client.ask(kv_get("n", "k"));
    assert_eq!(client.ask(kv_put("n", "k", "2")).code, 0);
    let replaced = client.ask(kv_get("n", "k"));
    assert_eq!(client.ask(delete("n", "k")).code, 0);
    let removed = client.ask(kv_get("n", "k"));

    assert_eq!((stored.code, stored.field_text("value")), (0, "v \"1\"\n杭州 😀"));
    assert_eq!(replaced.field_text("value"), "2");
    assert_eq!((removed.code, removed.remark_text()), (22, "No config item, Namespace: n Key: k"));
    assert!(removed.fields.is_some(), "present and empty");
}

#[test]
fn the_longest_names_and_values_that_are_stored_are_answered_too() {
    let server = Server::start();
    let mut client = server.client();
    let (namespace, key, value) = ("n".repeat(NAME_LEN_MAX), "k".repeat(NAME_LEN_MAX), "v".repeat(VALUE_LEN_MAX));

    let unknown = client.ask(kv_get(&namespace, &key));
    assert_eq!(client.ask(kv_put(&namespace, &key, &value)).code, 0);
    let stored = client.ask(kv_get(&namespace, &key));
    let too_long = client.ask(kv_put("n", "k", &(value.clone() + "v")));

    assert_eq!(unknown.remark_text(), format!("No config item, Namespace: {namespace} Key: {key}"));
    assert!(stored.field_text("value") == value, "code {}, {}", stored.code, stored.remark_text());
    assert_eq!(list(&mut client, &namespace).1.len(), r#"{"table":{"":""}}"#.len() + NAME_LEN_MAX + VALUE_LEN_MAX);
    assert_eq!(too_long.code, 1, "{}", too_long.remark_text());
}

#[test]
fn an_emptied_namespace_exists_and_an_unknown_one_does_not() {
    let server = Server::start();
    let mut client = server.client();
    client.ask(kv_put("n", "b", "2"));
    client.ask(kv_put("n", "a", "1"));
    let full = list(&mut client, "n");
    client.ask(delete("n", "a"));
    client.ask(delete("n", "b"));

    let emptied = list(&mut client, "n");
    let unknown = client.ask(Ask::new(219).field("namespace", "m"));
    let unnamed = client.ask(Ask::new(219));

    assert_eq!(full, (0, r#"{"table":{"a":"1","b":"2"}}"#.to_owned()));
    assert_eq!(emptied, (0, r#"{"table":{}}"#.to_owned()));
    assert_eq!((unknown.code, unknown.remark_text()), (22, "No config item, Namespace: m"));
    assert_eq!((unnamed.code, unnamed.remark_text()), (22, "No config item, Namespace: null"));
}

#[test]
fn a_put_without_a_value_makes_the_namespace_and_no_key() {
    let server = Server::start();
    let mut client = server.client();

    let put = client.ask(Ask::new(100).field("namespace", "n").field("key", "k"));

    assert_eq!(put.code, 0);
    assert_eq!(list(&mut client, "n"), (0, r#"{"table":{}}"#.to_owned()));
    assert_eq!(client.ask(kv_get("n", "k")).code, 22);
}

#[test]
fn what_names_no_item_is_refused_when_put_and_removed_with_success() {
    let server = Server::start();
    let mut client = server.client();

    for put in [Ask::new(100), Ask::new(100).field("namespace", "n"), Ask::new(100).field("key", "k")] {
        let reply = client.ask(put);
        assert_eq!((reply.code, reply.remark_text()), (1, "namespace or key is null"));
    }
    for removal in [Ask::new(102), Ask::new(102).field("key", "k"), delete("never", "there")] {
        assert_eq!(client.ask(removal).code, 0);
    }
    let unnamed = client.ask(Ask::new(101));
    assert_eq!((unnamed.code, unnamed.remark_text()), (22, "No config item, Namespace: null Key: null"));
    assert_eq!(list(&mut client, "n").0, 22);
}
