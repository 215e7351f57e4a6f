//! The socket at which orders arrive, and the commands that give them.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use fingerpost::config::{Config, Place, ProcessorFailure};
use serde_json::{Value, json};

use crate::guests::{allow, component, drop_in, drop_in_bytes, log, register, with_section, with_text};
use crate::harness::{Ask, Client, Server};
use crate::operating::remembering;
use crate::process::{self, Ended};
use crate::requests::kv_put;

pub(crate) fn controlled(config: &mut Config, home: &Path) {
    remembering(config, home);
    config.admin.control_socket = Place::At(socket(home));
}

pub(crate) fn socket(home: &Path) -> PathBuf {
    home.join("state/control.sock")
}

/// Sends bytes, and reads the reply to its end.
fn converse(socket: &Path, bytes: &[u8]) -> Value {
    let mut stream = UnixStream::connect(socket).expect("the server listens");
    stream.write_all(bytes).expect("the server reads");
    stream.shutdown(Shutdown::Write).expect("it is open");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("the server answers");
    serde_json::from_str(&reply).unwrap_or_else(|error| panic!("{error}: {reply}"))
}

pub(crate) fn ask(server: &Server, request: Value) -> Value {
    converse(&socket(server.home()), format!("{request}\n").as_bytes())
}

#[test]
fn only_its_user_can_open_the_socket_and_it_goes_with_the_server() {
    let server = Server::start_with(controlled);
    let path = server.running().control_socket().expect("it was told to").to_owned();

    let metadata = fs::symlink_metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o7777, 0o700);
    assert_eq!(ask(&server, json!({ "do": "list" }))["ok"]["generation"]["published"], 1);

    let home = server.stop_and_keep_files();
    assert!(!path.exists());
    drop(home);
}

#[test]
fn a_socket_that_a_crash_left_is_taken_over_and_anything_else_in_its_place_is_not() {
    log();
    let home = tempfile::tempdir().unwrap();
    let path = socket(home.path());
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "nobody listens, and the name is there");
    let server = Server::start_in(home, controlled);
    assert_eq!(ask(&server, json!({ "do": "list" }))["ok"]["generation"]["published"], 1);

    let second = Server::start_with(|config, home| {
        remembering(config, home);
        config.admin.control_socket = Place::At(path.clone());
    });
    assert!(second.running().control_socket().is_none());
    let told = |why: &str| log().lines(&["`admin.control-socket` cannot be had", &path.display().to_string(), why]);
    assert_eq!(told("another server listens there").len(), 1);
    assert_eq!(ask(&server, json!({ "do": "list" }))["ok"]["generation"]["published"], 1, "the first one has it still");

    let open = Server::start_with(|config, home| {
        remembering(config, home);
        fs::create_dir(home.join("open")).unwrap();
        fs::set_permissions(home.join("open"), fs::Permissions::from_mode(0o777)).unwrap();
        config.admin.control_socket = Place::At(home.join("open/control.sock"));
    });
    assert!(open.running().control_socket().is_none(), "anybody could put another socket there");
    let file = Server::start_with(|config, home| {
        remembering(config, home);
        fs::write(home.join("file"), "mine").unwrap();
        config.admin.control_socket = Place::At(home.join("file"));
    });
    assert!(file.running().control_socket().is_none());
    assert_eq!(fs::read_to_string(file.home().join("file")).unwrap(), "mine");
}

#[test]
fn what_is_no_request_is_refused_and_the_next_one_is_answered() {
    let server = Server::start_with(controlled);
    let path = socket(server.home());
    let why = |bytes: &[u8]| converse(&path, bytes)["error"].as_str().unwrap_or_default().to_owned();

    assert!(why(b"what?\n").contains("that is no request"));
    assert!(why(b"").contains("that is no request"));
    assert!(why(b"{\"do\":\"explode\"}\n").contains("unknown variant `explode`"));
    assert!(why(b"{\"do\":\"rollback\"}\n").contains("missing field `name`"));
    assert!(why(b"{\"do\":\"disable\",\"name\":\"x\",\"force\":true}\n").contains("unknown field `force`"));
    assert!(why(&vec![b' '; 1 << 20][..(64 << 10)]).contains("has less than 65536 bytes"));
    // Whoever goes away is not waited for.
    drop(UnixStream::connect(&path).unwrap());
    assert_eq!(ask(&server, json!({ "do": "list" }))["ok"]["generation"]["published"], 1);
}

#[test]
fn an_order_is_acknowledged_when_every_thread_has_changed_over() {
    let server = Server::start_with(|config, home| {
        controlled(config, home);
        config.net.workers = 3;
        config.net.lane_threads = 3;
    });
    let mut client = server.client();

    for round in 2..6 {
        drop_in_bytes(server.home(), "hello.wasm", &with_section(component("hello-processor"), &round.to_string()));
        let answer = ask(&server, json!({ "do": "reload", "name": null }));
        assert_eq!((&answer["ok"]["generation"], &answer["ok"]["active"]), (&json!(round), &json!(true)), "{answer}");
        assert_eq!(server.running().plugin_generation(), round);
    }
    let answer = ask(&server, json!({ "do": "disable", "name": "hello-processor" }));
    assert_eq!(answer["ok"]["warnings"], json!(["nobody answers request code 9001 now"]), "{answer}");
    assert_eq!(client.ask(Ask::new(9001).field("name", "Ada")).code, 3);
    assert!(ask(&server, json!({ "do": "rollback", "name": "helo" }))["error"].as_str().is_some());
}

#[test]
fn why_a_route_is_shown_as_it_is_can_be_asked_policy_by_policy() {
    let server = Server::start_with(|config, home| {
        controlled(config, home);
        drop_in(home, "stamp-policy");
        drop_in(home, "misbehaving-policy");
        config.policies.chain =
            ["zone", "stamp-policy", "misbehaving-policy", "acting-master"].map(str::to_owned).into();
    });
    let mut client = server.client();
    let topics = r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#;
    register(&mut client, "a", topics);
    register(&mut client, "b", topics);
    let why = |fields: Value| {
        ask(&server, json!({ "do": "why", "topic": "T", "client": "10.0.0.7", "fields": fields }))["ok"].clone()
    };
    let brokers = |route: &Value| -> Vec<String> {
        let groups = route.as_array().expect("a route").iter();
        groups.map(|group| group["broker"].as_str().expect("it has a name").to_owned()).collect()
    };

    let answer =
        why(json!({ "zoneName": "b", "zoneMode": "true", "__ZONE_NAME": "b", "__ZONE_MODE": "true", "stamp": "" }));
    assert_eq!((&answer["client"], &answer["code"]), (&json!("10.0.0.7"), &json!(105)));
    assert_eq!(brokers(&answer["route"]), ["a", "b"]);
    let [zone, stamp, other, acting] = &answer["policies"].as_array().unwrap()[..] else { panic!("{answer}") };
    assert_eq!((&zone["asked"], brokers(&zone["shown"])), (&json!(true), vec!["b".to_owned()]), "{answer}");
    assert_eq!(stamp["shown"][0]["addresses"], json!([[0, "policy-0000000:1"]]));
    assert!(stamp["file"].as_str().is_some_and(|file| file.ends_with("stamp-policy.wasm")));
    assert_eq!(other["asked"], false, "{other}");
    assert!(acting["because"].as_str().is_some_and(|why| why.contains("supportActingMaster must be on")), "{acting}");

    let failing = why(json!({ "misbehave": "panic" }));
    assert_eq!(failing["failed"], "misbehaving-policy");
    assert!(failing["policies"][2]["failure"].as_str().is_some_and(|why| why.contains("it trapped")));
    assert_eq!((&answer["answered-by"]["name"], &answer["answered-by"]["file"]), (&json!("lookup"), &json!(null)));
    assert_eq!(answer["answered-by"]["in-place-of"], json!(null), "nobody else had it");
    // Nobody's calls are counted, and nothing is shown otherwise because somebody asked.
    assert_eq!(client.ask(Ask::new(105).field("topic", "T")).code, 0);
    let unknown = ask(&server, json!({ "do": "why", "topic": "X", "client": null, "fields": {} }));
    assert_eq!(unknown["error"], "there is no topic \"X\"");
}

#[test]
fn who_answers_a_lookup_is_told_with_whose_place_it_took_although_it_is_not_asked() {
    // It takes the lookup over, has no glance as that has, and would fail.
    let ours = with_text(component("misbehaving"), "code = 9100\n", "code = 105 \n");
    let server = Server::start_with(|config, home| {
        controlled(config, home);
        drop_in_bytes(home, "ours.wasm", &ours);
        allow(config, "ours.wasm", true, &[]);
        let word = config.plugins.files.get_mut("ours.wasm").expect("it was just put there");
        word.on_failure = ProcessorFailure::Fallback;
    });
    let mut client = server.client();
    register(&mut client, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);

    let asked = json!({ "do": "why", "topic": "T", "client": null, "fields": { "how": "panic" } });
    let answer = ask(&server, asked)["ok"].clone();

    assert_eq!(answer["code"], 105);
    let by = &answer["answered-by"];
    assert_eq!((&by["name"], &by["since"], &by["trouble"]), (&json!("misbehaving"), &json!(1), &json!(null)), "{by}");
    assert_eq!((&by["in-place-of"], &by["fallback"]), (&json!("lookup"), &json!("lookup")), "{by}");
    assert!(by["file"].as_str().is_some_and(|file| file.ends_with("ours.wasm")), "{by}");
    assert_eq!(answer["route"][0]["broker"], "a");
}

#[test]
fn a_lookup_is_what_the_server_brings_also_if_a_plugin_of_a_file_glances_for_a_lower_code() {
    let lower = with_text(component("misbehaving"), "code = 9103\n", "code = 99  \n");
    let server = Server::start_with(|config, home| {
        controlled(config, home);
        drop_in_bytes(home, "ours.wasm", &lower);
    });
    let mut client = server.client();
    register(&mut client, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    let seen = client.ask(Ask::new(99).version(7001).field("topic", "T").field("how", "not-at-all"));
    assert!(seen.code == 0 && !seen.body.is_empty(), "it is answered at a glance: {seen:?}");

    let answer = ask(&server, json!({ "do": "why", "topic": "T", "client": null, "fields": {} }))["ok"].clone();

    assert_eq!((&answer["code"], &answer["answered-by"]["name"]), (&json!(105), &json!("lookup")), "{answer}");
}

#[test]
fn an_operator_who_asks_why_reads_in_the_log_what_is_wrong_with_an_entry_before_anybody_looks_up() {
    log();
    let server = Server::start_with(|config, home| {
        controlled(config, home);
        config.policies.chain = ["address-map", "canary", "drain"].map(str::to_owned).into();
    });
    let mut client = server.client();
    register(&mut client, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    for namespace in ["address-map", "canary", "drain"] {
        assert_eq!(client.ask(kv_put(namespace, "why-of-a-test", "nonsense")).code, 0);
    }

    let answer = ask(&server, json!({ "do": "why", "topic": "T", "client": null, "fields": {} }));

    assert!(answer["ok"].is_object(), "{answer}");
    for namespace in ["address-map", "canary", "drain"] {
        let told = log().lines(&["ERROR", &format!("`{namespace}`"), "why-of-a-test", "`nonsense` is n"]);
        assert_eq!(told.len(), 1, "{namespace}: {told:?}");
    }
}

/// Runs the program with these words, for the server in this home.
pub(crate) fn run(home: &Path, words: &[&str]) -> Ended {
    let mut command = process::program(home);
    command.env("HOME", home).args(words);
    process::run(command)
}

#[test]
fn commands_find_their_server_by_its_configuration_and_say_how_it_went() {
    let server = process::start_with_toml("[net]\n[plugins]\ndirs = ['plugins']\n");
    let home = server.home().to_owned();
    let mut client = Client::connect(server.addr);
    let ask = |words: &[&str]| run(&home, &[words, &["-c", "namesrv.toml"]].concat());

    drop_in(&home, "hello-processor");
    let reloaded = ask(&["plugin", "reload"]);
    assert_eq!((reloaded.code, reloaded.stderr.as_str()), (Some(0), ""), "{reloaded:?}");
    assert!(reloaded.stdout.contains("generation 2 is in use on every thread"), "{reloaded:?}");
    assert_eq!(client.ask(Ask::new(9001).field("name", "Ada")).code, 0);
    let listed = ask(&["plugin", "list"]);
    assert!(listed.stdout.lines().any(|line| line.starts_with("hello-processor") && line.contains("active")));
    let disabled = ask(&["plugin", "disable", "hello-processor"]);
    assert!(disabled.stdout.contains("warning: nobody answers request code 9001 now"), "{disabled:?}");
    assert_eq!(client.ask(Ask::new(9001).field("name", "Ada")).code, 3);
    let enabled = ask(&["plugin", "enable", "hello-processor", "--json"]);
    let json: Value = serde_json::from_str(&enabled.stdout).expect("it is JSON");
    assert_eq!((&json["active"], &json["generation"]), (&json!(true), &json!(4)));

    let refused = ask(&["plugin", "rollback", "helo-processor"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("did you mean \"hello-processor\"?"), "{refused:?}");
    register(&mut client, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    let why = ask(&["why", "T", "--client", "10.0.0.7"]);
    assert!(
        why.stdout.contains("topic T, for 10.0.0.7")
            && why.stdout.contains("the client is shown\n    a (cluster c, zone a)")
    );
    assert_eq!(ask(&["why", "X"]).code, Some(1));
    for wrong in [&["plugin", "rollback"][..], &["plugin", "list", "--loud"], &["why"], &["why", "T", "--field", "x"]] {
        let ended = ask(wrong);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("usage: fingerpost"), "{ended:?}");
    }
    let socket = home.join("namesrv/fingerpost-plugins/control.sock").display().to_string();
    assert_eq!(run(&home, &["plugin", "list", "--socket", &socket]).code, Some(0));

    let home = server.kill();
    let ended = run(home.path(), &["plugin", "list", "-c", "namesrv.toml"]);
    assert_eq!(ended.code, Some(255));
    assert!(ended.stderr.contains("no server runs") && ended.stderr.contains("control.sock"), "{ended:?}");
    fs::remove_file(&socket).unwrap();
    let none = run(home.path(), &["plugin", "list", "-c", "namesrv.toml"]);
    assert!(none.stderr.contains("no server answers at") && none.stderr.contains("-c FILE"), "{none:?}");
}
