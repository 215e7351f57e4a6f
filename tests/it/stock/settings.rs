//! 318 and 319: settings, changed and shown at run time.

use crate::harness::{Ask, Client, Server};
use crate::requests::{Reply, change_settings, topic_list};

fn shown(client: &mut Client) -> String {
    let reply = client.ask(Ask::new(319));
    assert_eq!(reply.code, 0, "{}", reply.remark_text());
    reply.text().to_owned()
}

fn value_of(client: &mut Client, key: &str) -> Option<String> {
    let text = shown(client);
    text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned()))
}

#[test]
fn settings_are_shown_ascending_one_to_a_line() {
    let server = Server::start();
    let mut client = server.client();

    let text = shown(&mut client);

    let keys: Vec<_> = text.lines().map(|line| line.split_once('=').expect("key=value").0).collect();
    assert!(text.ends_with('\n'));
    assert!(keys.is_sorted(), "{keys:?}");
    assert!(keys.contains(&"enableTopicList") && keys.contains(&"listenPort"), "{keys:?}");
    assert!(!text.contains("keyPassword"), "secrets are not shown");
}

#[test]
fn one_blocked_key_spoils_the_whole_request() {
    let server = Server::start_with(|config, _| config.requests.config_black_list += ";waitSecondsForService");
    let mut client = server.client();
    let before = shown(&mut client);

    for blocked in ["kvConfigPath", "configStorePath", "rocketmqHome", "configBlackList", "waitSecondsForService"] {
        let reply = client.ask(change_settings(&format!("enableTopicList=false\n{blocked}=1\n")));
        assert_eq!((reply.code, reply.remark_text()), (16, "Can not update config in black list."), "{blocked}");
    }
    assert_eq!(shown(&mut client), before);
}

#[test]
fn what_is_unknown_or_unfit_is_passed_over_with_success() {
    let server = Server::start();
    let mut client = server.client();
    let before = shown(&mut client);

    let nothing_fits =
        "noSuchKey=1\nwaitSecondsForService=many\nwaitSecondsForService=-1\nlistenPort=1\nKVCONFIGPATH=x\n";
    let reply = client.ask(change_settings(nothing_fits));
    let unchanged = shown(&mut client);
    let empty = client.ask(Ask::new(318));
    let some =
        client.ask(change_settings("# a comment\nnoSuchKey=1\nwaitSecondsForService: 46\nenableTopicList = FALSE"));

    assert_eq!((reply.code, empty.code, some.code), (0, 0, 0));
    assert_eq!(unchanged, before);
    assert_eq!(value_of(&mut client, "waitSecondsForService").as_deref(), Some("46"));
    assert_eq!(value_of(&mut client, "enableTopicList").as_deref(), Some("false"));
}

#[test]
fn half_an_escape_refuses_the_request_and_a_whole_one_is_undone() {
    let server = Server::start();
    let mut client = server.client();

    let malformed = client.ask(change_settings("enableTopicList=false\nx=\\u12"));
    let unchanged = value_of(&mut client, "enableTopicList");
    let escaped = client.ask(change_settings("enable\\u0054opicList=\\u0066alse"));

    assert_eq!((malformed.code, malformed.remark_text()), (1, "string2Properties error"));
    assert_eq!(unchanged.as_deref(), Some("true"));
    assert_eq!(escaped.code, 0);
    assert_eq!(value_of(&mut client, "enableTopicList").as_deref(), Some("false"));
}

#[test]
fn a_change_counts_at_once_and_survives_a_restart() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(client.ask(topic_list()).code, 0);

    assert_eq!(client.ask(change_settings("enableAllTopicList=false\nwaitSecondsForService=7")).code, 0);
    let at_once = client.ask(topic_list());
    let server = Server::start_again(server.stop_and_keep_files());
    let mut client = server.client();
    let after = client.ask(topic_list());

    assert_eq!((at_once.code, at_once.remark_text()), (1, "disable"));
    assert_eq!((after.code, after.remark_text()), (1, "disable"));
    assert_eq!(value_of(&mut client, "waitSecondsForService").as_deref(), Some("7"));
}

#[test]
fn a_change_that_cannot_be_remembered_is_an_error_and_does_not_count() {
    let server = Server::start();
    let mut client = server.client();
    // A directory in the place of the file: it cannot be replaced by one, whoever the tests run as.
    let in_the_way = server.home().join("overlay.properties");
    std::fs::create_dir_all(in_the_way.join("x")).expect("the temporary directory is writable");

    let reply = client.ask(change_settings("enableAllTopicList=false"));

    assert_eq!(reply.code, 1, "{}", reply.remark_text());
    assert_eq!(client.ask(topic_list()).code, 0);
}
