//! What is on disk when it is answered, and what happens when the disk does not do its part.

use std::fs;
use std::path::Path;

use fingerpost::kv::OnDamage;

use crate::harness::{Ask, Client, Server};
use crate::process;
use crate::requests::{Reply, cluster_info, kv_get, kv_put};

/// The KV file of a server in this process.
fn file(server: &Server) -> String {
    fs::read_to_string(server.home().join("kvConfig.json")).expect("the file is there")
}

/// A server whose KV file has a directory of its own.
fn with_own_directory() -> Server {
    Server::start_with(|config, home| config.kv.path = home.join("kv/kvConfig.json"))
}

/// Puts a damaged file where the server will look.
fn damage(path: &Path) {
    fs::write(path, "{\"configTable\":{\n\"n\":{\"k\":7}}}").expect("the temporary directory is writable");
}

#[test]
fn a_put_is_in_the_file_when_it_is_answered() {
    let server = Server::start();
    let mut client = server.client();

    for value in ["1", "2", "3"] {
        assert_eq!(client.ask(kv_put("n", "k", value)).code, 0);
        assert_eq!(file(&server), format!(r#"{{"configTable":{{"n":{{"k":"{value}"}}}}}}"#));
    }
    assert_eq!(client.ask(Ask::new(102).field("namespace", "n").field("key", "k")).code, 0);
    assert_eq!(file(&server), r#"{"configTable":{"n":{}}}"#);
}

#[test]
fn a_write_that_cannot_reach_the_disk_is_an_error_and_changes_nothing() {
    let server = with_own_directory();
    let mut client = server.client();
    assert_eq!(client.ask(kv_put("n", "k", "old")).code, 0);
    let (directory, elsewhere) = (server.home().join("kv"), server.home().join("elsewhere"));
    fs::rename(&directory, &elsewhere).expect("the temporary directory is writable");

    let put = client.ask(kv_put("n", "k", "new"));
    let deleted = client.ask(Ask::new(102).field("namespace", "n").field("key", "k"));
    let others = client.ask(cluster_info());

    for failed in [put, deleted] {
        assert_eq!(failed.code, 1);
        assert_eq!(failed.remark_text(), "not stored: the directory of the file is gone");
    }
    assert_eq!(client.ask(kv_get("n", "k")).field_text("value"), "old");
    assert_eq!(others.code, 0, "who does not need the disk does not notice");

    fs::rename(&elsewhere, &directory).expect("the temporary directory is writable");
    assert_eq!(client.ask(kv_put("n", "k", "new")).code, 0);
    assert_eq!(client.ask(kv_get("n", "k")).field_text("value"), "new");
}

#[test]
fn values_survive_a_restart() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(client.ask(kv_put("n", "k", "杭州 \"1\"\n")).code, 0);
    assert_eq!(client.ask(kv_put("emptied", "k", "v")).code, 0);
    assert_eq!(client.ask(Ask::new(102).field("namespace", "emptied").field("key", "k")).code, 0);

    let server = Server::start_again(server.stop_and_keep_files());

    let mut client = server.client();
    assert_eq!(client.ask(kv_get("n", "k")).field_text("value"), "杭州 \"1\"\n");
    assert_eq!(client.ask(Ask::new(219).field("namespace", "emptied")).text(), r#"{"table":{}}"#);
}

#[test]
fn a_killed_server_has_lost_nothing_that_it_answered() {
    let server = process::start(&[]);
    let mut client = Client::connect(server.addr);
    for at in 0..20 {
        assert_eq!(client.ask(kv_put("n", &at.to_string(), "v")).code, 0);
    }

    let server = process::start_in(server.kill(), &[]);

    let mut client = Client::connect(server.addr);
    for at in 0..20 {
        assert_eq!(client.ask(kv_get("n", &at.to_string())).field_text("value"), "v", "{at}");
    }
}

#[test]
fn two_servers_do_not_share_a_file() {
    let server = Server::start();
    let path = server.home().join("kvConfig.json");

    let second = Server::try_start_with(|config, _| config.kv.path = path.clone()).err().expect("it is refused");

    let text = second.to_string();
    assert!(text.contains("is in use by another server") && text.contains(&*path.to_string_lossy()), "{text}");
    let path = Server::start_again(server.stop_and_keep_files()).home().join("kvConfig.json");
    assert!(path.starts_with(std::env::temp_dir()), "once it has stopped, its file is free");
}

#[test]
fn a_damaged_file_keeps_the_server_from_starting_and_its_place_is_told() {
    let refused = Server::try_start_with(|config, _| damage(&config.kv.path)).err().expect("it is refused");

    let text = refused.to_string();
    assert!(text.contains("kvConfig.json is damaged at line 2, column 10"), "{text}");
    assert!(text.contains("set-aside"), "{text}");
}

#[test]
fn a_damaged_file_is_set_aside_where_the_operator_says_so() {
    let server = Server::start_with(|config, _| {
        config.kv.on_damage = OnDamage::SetAside;
        damage(&config.kv.path);
    });
    let mut client = server.client();

    assert_eq!(client.ask(kv_get("n", "k")).code, 22);
    assert_eq!(client.ask(kv_put("n", "k", "v")).code, 0);

    let names = fs::read_dir(server.home()).expect("it is there").map(|entry| entry.expect("it is there").file_name());
    let aside: Vec<_> = names.filter(|name| name.to_string_lossy().contains(".damaged-")).collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    let kept = fs::read_to_string(server.home().join(&aside[0])).expect("it is there");
    assert!(kept.contains("\"k\":7"), "{kept}");
}

#[test]
fn a_file_of_javas_is_read_as_it_is() {
    let java = r#"{"configTable":{"ORDER_TOPIC_CONFIG":{"T":"a:4;b:4"},"n":{}}}"#;
    let server = Server::start_with(|config, _| fs::write(&config.kv.path, java).expect("it is writable"));
    let mut client = server.client();

    assert_eq!(client.ask(kv_get("ORDER_TOPIC_CONFIG", "T")).field_text("value"), "a:4;b:4");
    assert_eq!(client.ask(Ask::new(219).field("namespace", "n")).code, 0);
    assert_eq!(client.ask(kv_put("n", "k", "v")).code, 0);
    assert_eq!(file(&server), java.replace(r#""n":{}"#, r#""n":{"k":"v"}"#));
}
