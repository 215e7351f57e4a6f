//! What becomes of a component that somebody puts into a plugins directory.

use std::fs;

use fingerpost::config::Grant;
use fingerpost::remoting::Command;

use crate::guests::{allow, component, drop_in, drop_in_bytes, log, register, with_manifest};
use crate::harness::{Ask, Client, Server};

#[allow(dead_code, reason = "the tests call what its `main` calls")]
#[path = "../../examples/hello_client.rs"]
pub(crate) mod hello_client;

/// What `hello-processor` answers.
const HELLO: i32 = 9001;
/// What `misbehaving` answers, in the lane and on a worker.
const MISBEHAVE: i32 = 9100;
const MISBEHAVE_ON_A_WORKER: i32 = 9101;
/// What `wasi-guest` answers.
const ASK_WASI: i32 = 9300;

fn text(command: &Command) -> &str {
    std::str::from_utf8(&command.body).expect("bodies are UTF-8")
}

fn remark(command: &Command) -> &str {
    command.remark.as_deref().unwrap_or_default()
}

fn field<'a>(command: &'a Command, name: &str) -> &'a str {
    command.field(name).unwrap_or_else(|| panic!("{command:?} has no field {name}"))
}

/// Registers two topics, of which one belongs to a unit.
fn register_topics(client: &mut Client) {
    register(client, "a", r#""InUnit":{"topicName":"InUnit","topicSysFlag":1},"Plain":{"topicName":"Plain"}"#);
}

fn is_rejected(server: &Server, file: &str, because: &str) -> bool {
    let path = server.home().join("plugins").join(file);
    !log().lines(&["plugin rejected", &path.display().to_string(), because]).is_empty()
}

#[test]
fn a_component_in_a_plugins_directory_answers_its_request_code() {
    let server = Server::start_with(|_, home| drop_in(home, "hello-processor"));
    let mut broker = server.client();
    register_topics(&mut broker);

    let greeting = hello_client::greet(server.address(), HELLO, "Ada").unwrap();

    assert_eq!(greeting, "hello, Ada (there are 2 topics)");
}

#[test]
fn clients_that_ask_the_same_plugin_at_once_are_all_answered() {
    // One thread of the lane may be inside plugins of files.
    let server = Server::start_with(|config, home| {
        config.net.lane_threads = 2;
        drop_in(home, "hello-processor");
    });
    let mut clients: Vec<_> = (0..16).map(|_| server.client()).collect();

    let ask = |client: &mut Client| [(); 20].map(|()| client.send(&Ask::new(9001).field("name", "Ada")));
    let asked: Vec<_> = clients.iter_mut().map(ask).collect();

    for (client, opaques) in clients.iter_mut().zip(asked) {
        for reply in client.receive_all(&opaques) {
            assert_eq!((reply.code, remark(&reply)), (0, ""));
        }
    }
}

#[test]
fn without_the_component_its_request_code_is_unknown() {
    let server = Server::start();

    let refused = hello_client::greet(server.address(), HELLO, "Ada").unwrap_err();

    assert_eq!(refused.to_string(), "code 3:  request type 9001 not supported");
}

#[test]
fn an_inverted_unit_topics_inverts_311_with_the_operators_word() {
    let server = Server::start_with(|config, home| {
        drop_in(home, "unit-topics-inverted");
        allow(config, "unit-topics-inverted.wasm", true, &[]);
    });
    let mut client = server.client();
    register_topics(&mut client);

    let listed = client.ask(Ask::new(311));

    assert_eq!((listed.code, text(&listed)), (0, r#"{"topicList":["Plain"]}"#));
}

#[test]
fn without_the_operators_word_it_is_rejected_whole_and_the_stock_plugin_answers() {
    log();
    let server = Server::start_with(|_, home| drop_in(home, "unit-topics-inverted"));
    let mut client = server.client();
    register_topics(&mut client);

    let listed = client.ask(Ask::new(311));

    assert_eq!((listed.code, text(&listed)), (0, r#"{"topicList":["InUnit"]}"#));
    assert!(is_rejected(&server, "unit-topics-inverted.wasm", "override = true"), "the log does not say what to do");
}

#[test]
fn a_file_that_claims_one_code_too_many_gets_none_of_its_codes() {
    log();
    let server = Server::start_with(|_, home| {
        let greedy = with_manifest(component("misbehaving"), "code = 9101", "code = 105 ");
        drop_in_bytes(home, "greedy.wasm", &greedy);
    });
    let mut client = server.client();

    assert_eq!(client.ask(Ask::new(MISBEHAVE).field("how", "not-at-all")).code, 3);
    assert_eq!(client.ask(Ask::new(105).field("topic", "T")).code, 17);
    assert!(is_rejected(&server, "greedy.wasm", "105"));
}

#[test]
fn the_operators_word_is_for_a_file_and_not_for_the_name_a_plugin_gives_itself() {
    let server = Server::start_with(|config, home| {
        drop_in(home, "unit-topics-inverted");
        allow(config, "unit-topics.wasm", true, &[]);
    });
    let mut client = server.client();
    register_topics(&mut client);

    assert_eq!(text(&client.ask(Ask::new(311))), r#"{"topicList":["InUnit"]}"#);
}

#[test]
fn a_file_with_the_bytes_of_an_embedded_component_is_that_component() {
    log();
    let server = Server::start_with(|_, home| {
        drop_in(home, "unit-topics");
        drop_in_bytes(home, "another-name.wasm", &component("lookup"));
    });
    let mut client = server.client();
    register_topics(&mut client);

    assert_eq!(text(&client.ask(Ask::new(311))), r#"{"topicList":["InUnit"]}"#);
    let home = server.home().display().to_string();
    assert_eq!(log().lines(&["plugin rejected", &home]), Vec::<String>::new());
}

#[test]
fn a_disabled_stock_plugin_answers_nothing_and_its_bytes_in_a_directory_do_not_bring_it_back() {
    let server = Server::start_with(|config, home| {
        config.plugins.disabled = vec!["unit-topics".to_owned()];
        drop_in(home, "unit-topics");
    });
    let mut client = server.client();

    let refused = client.ask(Ask::new(311));

    assert_eq!((refused.code, remark(&refused)), (3, " request type 311 not supported"));
    assert_eq!(client.ask(Ask::new(206)).code, 0);
}

#[test]
fn another_component_may_answer_the_codes_of_a_disabled_stock_plugin_without_an_override() {
    let server = Server::start_with(|config, home| {
        config.plugins.disabled = vec!["unit-topics".to_owned()];
        drop_in(home, "unit-topics-inverted");
    });
    let mut client = server.client();
    register_topics(&mut client);

    assert_eq!(text(&client.ask(Ask::new(311))), r#"{"topicList":["Plain"]}"#);
}

#[test]
fn rejected_files_are_told_with_their_reason_and_never_stop_the_start() {
    log();
    let hello = || component("hello-processor");
    let files: &[(&str, Vec<u8>, &str)] = &[
        ("empty.wasm", Vec::new(), "not a WebAssembly component"),
        ("garbage.wasm", b"not at all".to_vec(), "not a WebAssembly component"),
        ("core-module.wasm", b"\0asm\x01\0\0\0".to_vec(), "not a WebAssembly component"),
        ("no-role.wasm", b"\0asm\x0d\0\x01\0".to_vec(), "it exports neither"),
        ("cut-off.wasm", hello()[..5000].to_vec(), "not a WebAssembly component"),
        ("stranger.wasm", component("stranger"), "fingerpost:nowhere/nobody"),
        ("misspelt.wasm", with_manifest(hello(), "access =", "acess  ="), "acess"),
        ("wrong-role.wasm", with_manifest(hello(), "kind = \"processor\"", "kind = \"policy\"   "), "[[codes]]"),
        ("bad-name.wasm", with_manifest(hello(), "\"hello-processor\"", "\"Hello Processor\""), "`name` must be"),
        ("taken-name.wasm", with_manifest(hello(), "\"hello-processor\"", "\"lookup\"         "), "is taken"),
    ];
    let server = Server::start_with(|_, home| {
        for (file, bytes, _) in files {
            drop_in_bytes(home, file, bytes);
        }
        // Not a component by its name, and a directory in the place of one.
        drop_in_bytes(home, "notes.txt", b"");
        fs::create_dir(home.join("plugins/directory.wasm")).unwrap();
        drop_in(home, "misbehaving");
    });
    let mut client = server.client();

    for (file, _, reason) in files {
        assert!(is_rejected(&server, file, reason), "{file}: {:?}", log().lines(&["plugin rejected", file]));
    }
    assert_eq!(client.ask(Ask::new(MISBEHAVE).field("how", "not-at-all")).code, 0);
    assert_eq!(client.ask(Ask::new(206)).code, 0);
    assert_eq!(client.ask(Ask::new(9001)).code, 3);
}

#[test]
fn a_plugins_directory_that_is_missing_or_cannot_be_read_leaves_the_stock_plugins() {
    let server = Server::start_with(|config, home| {
        fs::write(home.join("a-file"), "").unwrap();
        config.plugins.dirs = vec![home.join("missing"), home.join("a-file"), home.join("plugins")];
        drop_in(home, "hello-processor");
    });

    assert_eq!(server.client().ask(Ask::new(206)).code, 0);
    assert!(hello_client::greet(server.address(), HELLO, "Ada").is_ok(), "the third directory is read");
}

#[test]
fn a_plugin_that_waits_for_a_setting_stays_out_while_it_is_off() {
    let start = |cluster_test: bool| {
        Server::start_with(|config, home| {
            config.cluster_test.enabled = cluster_test;
            let file = "cluster-test.wasm";
            let other_code = with_manifest(component("cluster-test"), "code = 105", "code = 995");
            // An override may keep the name of a plugin only if it takes over its codes.
            drop_in_bytes(home, file, &with_manifest(other_code, "\"cluster-test\"", "\"cluster-tast\""));
            allow(config, file, true, &[]);
        })
    };
    let code = |server: &Server| server.client().ask(Ask::new(995).field("topic", "T")).code;

    assert_eq!((code(&start(false)), code(&start(true))), (3, 17));
}

#[test]
fn what_a_plugin_asks_for_is_denied_unless_the_operator_grants_it() {
    let server = Server::start_with(|_, home| drop_in(home, "misbehaving"));
    let mut client = server.client();

    let told = client.ask(Ask::new(MISBEHAVE).field("how", "write"));

    for (name, grant) in [
        ("kv.put", "kv.write"),
        ("kv.delete", "kv.write"),
        ("settings.update", "settings.write"),
        ("reply.forward", "upstream"),
        ("register", "routes.write"),
        ("unregister", "routes.write"),
        ("delete-topic", "routes.write"),
        ("put-topic", "routes.write"),
        ("change-permissions", "routes.write"),
    ] {
        let outcome = field(&told, name);
        assert!(outcome.contains("Denied") && outcome.contains(grant), "{name}: {outcome}");
    }
    assert_eq!(client.ask(Ask::new(219).field("namespace", "misbehaving")).code, 22, "nothing was written");
    assert!(!text(&client.ask(Ask::new(106))).contains("misbehaving"));
}

#[test]
fn a_granted_power_works_and_brings_no_other_with_it() {
    let server = Server::start_with(|config, home| {
        drop_in(home, "misbehaving");
        allow(config, "misbehaving.wasm", false, &[Grant::KvWrite(None)]);
    });
    let mut client = server.client();

    let told = client.ask(Ask::new(MISBEHAVE).field("how", "write"));

    assert_eq!(field(&told, "kv.put"), "Ok(())");
    assert!(field(&told, "register").contains("Denied"), "{told:?}");
    let stored = client.ask(Ask::new(219).field("namespace", "misbehaving"));
    assert_eq!(text(&stored), r#"{"table":{"key":"value"}}"#);
}

#[test]
fn a_code_for_a_worker_never_writes_wherever_it_happens_to_run() {
    let server = Server::start_with(|config, home| {
        drop_in(home, "misbehaving");
        allow(config, "misbehaving.wasm", false, &[Grant::KvWrite(None)]);
    });

    // A file's code runs in the lane at first; it must not work there and fail later.
    let told = server.client().ask(Ask::new(MISBEHAVE_ON_A_WORKER).field("how", "write"));

    assert!(field(&told, "kv.put").contains("Denied"), "{told:?}");
}

/// Whether a request for a worker overtakes one in the lane that takes its whole deadline; in the lane it would wait,
/// because the lane keeps the order of a connection.
fn overtakes_the_lane(client: &mut Client, request: &Ask) -> bool {
    let slow = client.send(&Ask::new(MISBEHAVE).field("how", "spin"));
    let fast = client.send(request);
    let first = client.receive().expect("a reply").opaque;
    let second = client.receive().expect("a reply").opaque;
    assert_eq!([first, second].iter().copied().min(), Some(slow));
    first == fast
}

#[test]
fn a_plugin_of_a_directory_runs_in_the_lane_until_it_has_shown_that_it_is_fast() {
    let server = Server::start_with(|config, home| {
        config.plugins.lane_deadline = std::time::Duration::from_millis(300);
        drop_in(home, "misbehaving");
    });
    // With a clock that stands still, every call is a fast one.
    server.clock.stand_still();
    let mut client = server.client();
    let fast = Ask::new(MISBEHAVE_ON_A_WORKER).field("how", "not-at-all");

    assert!(!overtakes_the_lane(&mut client, &fast), "it ran on a worker before it had shown anything");
    for _ in 0..1000 {
        assert_eq!(client.ask(fast.clone()).code, 0);
    }
    assert!(overtakes_the_lane(&mut client, &fast));
}

#[test]
fn a_component_that_imports_wasi_loads_gets_nothing_of_it_and_stays_in_the_lane() {
    let server = Server::start_with(|config, home| {
        config.plugins.lane_deadline = std::time::Duration::from_millis(300);
        drop_in(home, "wasi-guest");
        drop_in(home, "misbehaving");
    });
    server.clock.stand_still();
    let mut client = server.client();
    let ask = Ask::new(ASK_WASI);

    let got = client.ask(ask.clone());

    assert_eq!(got.code, 0);
    assert_eq!(
        ["environment", "arguments", "directory", "files", "lookup"].map(|name| field(&got, name)),
        ["[]", "[]", "None", "0", "false"]
    );
    for _ in 0..1000 {
        assert_eq!(client.ask(ask.clone()).code, 0);
    }
    assert!(!overtakes_the_lane(&mut client, &ask), "it may block, so it must never run on a worker");
}

#[test]
fn a_wait_through_wasi_ends_with_the_deadline() {
    let server = Server::start_with(|config, home| {
        config.plugins.lane_deadline = std::time::Duration::from_millis(200);
        drop_in(home, "wasi-guest");
    });
    let mut client = server.client();

    for how in ["block", "poll"] {
        let ended = client.ask(Ask::new(ASK_WASI).field("how", how));
        assert_eq!((ended.code, remark(&ended)), (2, "plugin wasi-guest is unavailable: it missed its deadline"));
    }
    assert_eq!(client.ask(Ask::new(ASK_WASI).field("how", "doze")).code, 0, "a short one is a wait like any other");
}

#[test]
fn a_chain_that_names_no_policy_is_refused_and_told() {
    let error = Server::try_start_with(|config, _| config.policies.chain = vec!["nobody".to_owned()]).err();
    let error = error.map(|error| error.to_string());

    let known = "acting-master, address-map, canary, drain, zone";
    let expected = format!("policies.chain names \"nobody\", but the policies are: {known}");
    assert_eq!(error, Some(expected));
}

#[test]
fn the_fixture_with_another_manifest_is_another_component() {
    let original = component("hello-processor");

    let edited = with_manifest(original.clone(), "code = 9001", "code = 9002");

    assert_ne!(original, edited);
    let server = Server::start_with(|_, home| drop_in_bytes(home, "hello.wasm", &edited));
    assert_eq!(server.client().ask(Ask::new(9002).field("name", "Ada")).code, 0);
}
