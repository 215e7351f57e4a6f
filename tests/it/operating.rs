//! What operators order of a running server, what it does by itself when a new plugin fails, and what a restart keeps.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use fingerpost::config::{Config, Grant, Place, PluginFile, Sha256};
use fingerpost::server::{Done, Order, OrderError, PluginState, PluginStatus, Reloaded};

use crate::guests::{allow, component, drop_in, drop_in_bytes, log, register, with_manifest, with_section, with_text};
use crate::harness::{Ask, Client, Server};
use crate::reload::{greeting, path, status};

/// Remembers in its home what operators say.
pub(crate) fn remembering(config: &mut Config, home: &Path) {
    config.plugins.state_dir = Place::At(home.join("state"));
    let _ = fs::create_dir(home.join("plugins"));
}

fn start() -> Server {
    Server::start_with(remembering)
}

fn restart(server: Server) -> Server {
    Server::start_in(server.stop_and_keep_files(), remembering)
}

/// `hello-processor`, with another word for its greeting.
fn greeter(word: &str) -> Vec<u8> {
    with_text(component("hello-processor"), "hello, ", &format!("{word:5}, "))
}

/// Puts one greeter after the other into `hello.wasm`, and has each of them used.
fn greet(server: &Server, words: &[&str]) {
    for word in words {
        drop_in_bytes(server.home(), "hello.wasm", &greeter(word));
        server.reload();
    }
}

fn order(server: &Server, order: Order) -> Done {
    server.running().order(&order).unwrap_or_else(|error| panic!("{order:?}: {error}"))
}

fn refused(server: &Server, order: Order) -> String {
    server.running().order(&order).expect_err("it cannot be done").to_string()
}

fn hello() -> String {
    "hello-processor".to_owned()
}

fn sha256(bytes: &[u8]) -> Option<String> {
    Some(Sha256::of(bytes).to_string())
}

fn named(server: &Server, name: &str) -> PluginStatus {
    let plugins = server.running().plugins();
    plugins.into_iter().find(|status| status.name.as_deref() == Some(name)).expect("it is listed")
}

#[test]
fn a_plugin_goes_back_to_what_it_was_and_what_its_file_holds_waits() {
    let server = start();
    let mut client = server.client();
    greet(&server, &["salve", "servu"]);

    let done = order(&server, Order::Rollback(hello()));
    assert!(matches!(done.reloaded, Reloaded::Generation(_)) && done.text.contains("was rolled back to version"));
    assert_eq!(greeting(&mut client), "salve, Ada");
    let listed = status(&server, "hello.wasm");
    assert_eq!((listed.state, listed.sha256), (PluginState::RolledBack, sha256(&greeter("salve"))));
    assert_eq!(listed.on_disk, sha256(&greeter("servu")));
    assert!(
        listed.reason.is_some_and(|why| why.contains("the operator wanted it") && why.contains("still holds that"))
    );
    // Nothing else changes that: neither what comes into the file, nor an order to look.
    greet(&server, &["moin "]);
    order(&server, Order::Reload(None));
    assert_eq!(greeting(&mut client), "salve, Ada");
    assert_eq!(status(&server, "hello.wasm").on_disk, sha256(&greeter("moin ")));
    assert!(status(&server, "hello.wasm").reason.is_some_and(|why| why.contains("which waits")));

    order(&server, Order::Reload(Some("hello.wasm".to_owned())));
    assert_eq!(greeting(&mut client), "moin , Ada");
    let listed = status(&server, "hello.wasm");
    assert_eq!((listed.state, listed.on_disk), (PluginState::Active, None));
    // What was rolled back is not gone back to.
    assert_eq!(listed.earlier, [sha256(&greeter("salve")).unwrap()]);
    order(&server, Order::Rollback(hello()));
    assert_eq!(greeting(&mut client), "salve, Ada");
    assert!(refused(&server, Order::Rollback(hello())).contains("nothing else of it was in use before"));
    order(&server, Order::Enable(hello()));
    assert_eq!(greeting(&mut client), "moin , Ada");
}

#[test]
fn rollbacks_under_load_lose_no_request_and_answer_none_with_what_was_neither_before_nor_after() {
    let server = start();
    greet(&server, &["salve", "servu"]);
    let is_over = AtomicBool::new(false);

    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let (mut client, mut counts) = (server.client(), [0, 0]);
                    while !is_over.load(Ordering::SeqCst) {
                        let opaques = [(); 8].map(|()| client.send(&Ask::new(9001).field("name", "Ada")));
                        for reply in client.receive_all(&opaques) {
                            match reply.field("greeting").map(|greeting| &**greeting) {
                                Some("salve, Ada") => counts[0] += 1,
                                Some("servu, Ada") => counts[1] += 1,
                                _ => panic!("{reply:?}"),
                            }
                        }
                    }
                    counts
                })
            })
            .collect();
        for _ in 0..10 {
            order(&server, Order::Rollback(hello()));
            assert_eq!(greeting(&mut server.client()), "salve, Ada");
            order(&server, Order::Enable(hello()));
            assert_eq!(greeting(&mut server.client()), "servu, Ada");
        }
        is_over.store(true, Ordering::SeqCst);
        let counts: Vec<_> = asking.into_iter().map(|asking| asking.join().expect("it saw nothing wrong")).collect();
        println!("{counts:?} were answered by the one and by the other");
        assert!((0..2).all(|which| counts.iter().any(|counts| counts[which] > 0)), "{counts:?}");
    });
}

#[test]
fn what_was_rolled_back_stays_so_over_a_restart_and_what_came_meanwhile_waits() {
    let server = start();
    greet(&server, &["salve", "servu"]);
    order(&server, Order::Rollback(hello()));
    let home = server.stop_and_keep_files();
    drop_in_bytes(home.path(), "hello.wasm", &greeter("moin "));

    let server = Server::start_in(home, remembering);
    assert_eq!(greeting(&mut server.client()), "salve, Ada");
    assert_eq!(status(&server, "hello.wasm").state, PluginState::RolledBack);
    order(&server, Order::Reload(Some(hello())));
    assert_eq!(greeting(&mut server.client()), "moin , Ada");

    // Also what was replaced while no server ran can be gone back to.
    let home = server.stop_and_keep_files();
    drop_in_bytes(home.path(), "hello.wasm", &greeter("tach "));
    let server = Server::start_in(home, remembering);
    assert_eq!(greeting(&mut server.client()), "tach , Ada");
    order(&server, Order::Rollback(hello()));
    assert_eq!(greeting(&mut server.client()), "moin , Ada");
}

#[test]
fn bytes_that_are_damaged_on_disk_are_not_run_and_the_newer_ones_neither_until_the_operator_says_so() {
    let server = start();
    greet(&server, &["salve", "servu"]);
    order(&server, Order::Rollback(hello()));
    let kept = server.home().join(format!("state/contents/{}.wasm", Sha256::of(&greeter("salve"))));
    let home = server.stop_and_keep_files();
    let mut damaged = fs::read(&kept).unwrap();
    damaged[1000] ^= 1;
    fs::write(&kept, &damaged).unwrap();

    let server = Server::start_in(home, remembering);
    assert_eq!(greeting(&mut server.client()), "code 3");
    let listed = status(&server, "hello.wasm");
    assert_eq!(listed.state, PluginState::Rejected);
    let why = listed.reason.unwrap_or_default();
    assert!(why.contains("its sha256 is not its name") && why.contains("fingerpost plugin reload"), "{why}");

    order(&server, Order::Reload(Some("hello.wasm".to_owned())));
    assert_eq!(greeting(&mut server.client()), "servu, Ada");
}

#[test]
fn plugins_are_switched_off_and_on_and_a_restart_does_not_undo_it() {
    let server = start();
    let mut client = server.client();
    greet(&server, &["salve"]);

    let done = order(&server, Order::Disable(hello()));
    assert_eq!(done.warnings, ["nobody answers request code 9001 now"]);
    order(&server, Order::Disable("unit-topics".to_owned()));
    assert_eq!((greeting(&mut client).as_str(), client.ask(Ask::new(311)).code), ("code 3", 3));
    assert_eq!(status(&server, "hello.wasm").state, PluginState::Disabled);
    assert_eq!(named(&server, "unit-topics").state, PluginState::Disabled);

    let server = restart(server);
    let mut client = server.client();
    assert_eq!((greeting(&mut client).as_str(), client.ask(Ask::new(311)).code), ("code 3", 3));
    // A newer content is none that was switched on.
    greet(&server, &["servu"]);
    assert_eq!(greeting(&mut client), "code 3");
    assert!(refused(&server, Order::Rollback(hello())).contains("`fingerpost plugin enable hello-processor`"));
    order(&server, Order::Enable(hello()));
    order(&server, Order::Enable("unit-topics".to_owned()));
    assert_eq!((greeting(&mut client).as_str(), client.ask(Ask::new(311)).code), ("servu, Ada", 0));

    let server = restart(server);
    assert_eq!(greeting(&mut server.client()), "servu, Ada");
}

#[test]
fn a_policy_that_the_chain_names_can_be_switched_off_and_what_it_stood_in_for_comes_back() {
    let chained = |config: &mut Config, home: &Path| {
        remembering(config, home);
        config.policies.chain = vec!["stamp-policy".to_owned(), "zone".to_owned()];
    };
    let server = Server::start_with(|config, home| {
        chained(config, home);
        drop_in(home, "stamp-policy");
    });
    let mut client = server.client();
    register(&mut client, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    let is_stamped = |client: &mut Client| {
        let body = client.ask(Ask::new(105).field("topic", "T").field("stamp", "")).body;
        String::from_utf8_lossy(&body).contains("policy-0000000:1")
    };
    assert!(is_stamped(&mut client));

    order(&server, Order::Disable("stamp-policy".to_owned()));
    order(&server, Order::Disable("zone".to_owned()));
    assert!(!is_stamped(&mut client));

    // The chain names it still, and its file need not be there.
    let home = server.stop_and_keep_files();
    fs::remove_file(home.path().join("plugins/stamp-policy.wasm")).unwrap();
    let server = Server::start_in(home, chained);
    let waiting = named(&server, "stamp-policy");
    assert_eq!(waiting.state, PluginState::Disabled);
    drop_in(server.home(), "stamp-policy");
    server.reload();
    order(&server, Order::Enable("stamp-policy.wasm".to_owned()));
    let mut client = server.client();
    register(&mut client, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    assert!(is_stamped(&mut client));
}

#[test]
fn an_order_for_nobody_or_for_several_is_refused_and_says_what_was_meant() {
    let server = Server::start_with(|config, home| {
        remembering(config, home);
        config.plugins.disabled = vec!["topics".to_owned()];
        allow(config, "lookup-ours.wasm", true, &[]);
        drop_in_bytes(home, "lookup-ours.wasm", &with_section(component("lookup"), "ours"));
        drop_in_bytes(home, "hello.wasm", &greeter("salve"));
    });

    let wrong = refused(&server, Order::Disable("hello-procesor".to_owned()));
    assert!(wrong.contains("did you mean \"hello-processor\"?") && wrong.contains("fingerpost plugin list"), "{wrong}");
    assert!(refused(&server, Order::Disable("hel".to_owned())).contains("did you mean \"hello-processor\"?"));
    assert!(refused(&server, Order::Rollback("zone".to_owned())).contains("came with the server"));
    assert!(refused(&server, Order::Reload(Some("zone".to_owned()))).contains("came with the server"));
    assert!(refused(&server, Order::Enable("topics".to_owned())).contains("`plugins.disabled`"));
    // Both are in use: one answers, the other would.
    let several = server.running().order(&Order::Disable("lookup".to_owned()));
    let Err(OrderError::Ambiguous { those, .. }) = several else { panic!("{several:?}") };
    assert!(those[0] == "embedded:lookup" && those[1].ends_with("lookup-ours.wasm"), "{those:?}");
    assert!(refused(&server, Order::Rollback("lookup".to_owned())).contains("nothing else of it was in use before"));

    order(&server, Order::Disable("lookup-ours.wasm".to_owned()));
    order(&server, Order::Disable("embedded:lookup".to_owned()));
    assert_eq!(server.client().ask(Ask::new(105).field("topic", "T")).code, 3);
}

/// The code of `misbehaving`.
const MISBEHAVE: i32 = 9100;

fn misbehave(client: &mut Client, how: &str) -> i32 {
    client.ask(Ask::new(MISBEHAVE).field("how", how)).code
}

/// Puts a version of `misbehaving` into its file, and waits until nobody uses another.
fn misbehaving(server: &Server, client: &mut Client, version: &str) {
    drop_in_bytes(server.home(), "misbehaving.wasm", &with_section(component("misbehaving"), version));
    let Reloaded::Generation(number) = server.reload() else { panic!("there is a new one") };
    client.wait_until(|_| server.running().plugin_generation() == number);
    client.wait_until(|_| server.running().plugin_generations_draining() == 0);
    assert_eq!(server.running().look_for_plugins(), Reloaded::Same);
}

#[test]
fn a_new_content_that_fails_its_first_calls_makes_room_for_the_one_before_until_the_file_changes() {
    log();
    let server = start();
    let mut client = server.client();
    misbehaving(&server, &mut client, "one");
    misbehaving(&server, &mut client, "two");

    for _ in 0..3 {
        assert_eq!(misbehave(&mut client, "panic"), 2);
    }
    assert!(matches!(server.running().look_for_plugins(), Reloaded::Generation(_)));
    let listed = status(&server, "misbehaving.wasm");
    assert_eq!(listed.state, PluginState::RolledBack);
    assert_eq!(listed.sha256, sha256(&with_section(component("misbehaving"), "one")));
    let why = listed.reason.unwrap_or_default();
    assert!(why.contains("3 of its first 3 calls failed") && why.contains("another content of the file"), "{why}");
    let file = path(&server, "misbehaving.wasm").display().to_string();
    assert_eq!(log().lines(&["ERROR", "the plugin was rolled back: 3 of its first 3 calls failed", &file]).len(), 1);
    // There is nothing to go back to any more, and what failed is not tried again by itself.
    for _ in 0..3 {
        misbehave(&mut client, "panic");
        server.reload();
    }
    assert_eq!(status(&server, "misbehaving.wasm").state, PluginState::RolledBack);

    let server = restart(server);
    assert_eq!(status(&server, "misbehaving.wasm").state, PluginState::RolledBack);
    let mut client = server.client();
    misbehaving(&server, &mut client, "three");
    assert_eq!(status(&server, "misbehaving.wasm").state, PluginState::Active);
    assert_eq!(status(&server, "misbehaving.wasm").earlier.len(), 1);
}

#[test]
fn a_new_content_that_does_well_at_first_stays_whatever_comes_later() {
    let server = start();
    let mut client = server.client();
    misbehaving(&server, &mut client, "one");
    misbehaving(&server, &mut client, "two");

    assert_eq!([misbehave(&mut client, "panic"), misbehave(&mut client, "panic")], [2, 2]);
    for _ in 0..18 {
        assert_eq!(misbehave(&mut client, "not-at-all"), 0);
    }
    assert_eq!(server.running().look_for_plugins(), Reloaded::Same);
    for _ in 0..4 {
        misbehave(&mut client, "panic");
    }
    assert_eq!(server.running().look_for_plugins(), Reloaded::Same);
    assert_eq!(status(&server, "misbehaving.wasm").state, PluginState::Active);
}

#[test]
fn a_file_is_used_with_the_content_that_the_operator_expects_and_no_other() {
    let expected = greeter("salve");
    let server = Server::start_with(|config, home| {
        remembering(config, home);
        let word = PluginFile { sha256: Some(Sha256::of(&expected)), ..PluginFile::default() };
        config.plugins.files.insert("hello.wasm".to_owned(), word);
    });
    let mut client = server.client();

    greet(&server, &["servu"]);
    assert_eq!(greeting(&mut client), "code 3");
    let listed = status(&server, "hello.wasm");
    let why = listed.reason.unwrap_or_default();
    assert_eq!(listed.state, PluginState::Rejected);
    assert!(
        why.contains(&Sha256::of(&expected).to_string()) && why.contains("[plugins.files.\"hello.wasm\"]"),
        "{why}"
    );
    greet(&server, &["salve"]);
    assert_eq!(greeting(&mut client), "salve, Ada");
    // The last good one goes on.
    greet(&server, &["moin "]);
    assert_eq!(greeting(&mut client), "salve, Ada");
    assert_eq!(status(&server, "hello.wasm").state, PluginState::LastGood);
}

#[test]
fn what_is_allowed_to_a_content_is_allowed_to_it_in_any_file_and_to_no_other() {
    let ours = with_section(component("unit-topics-inverted"), "ours");
    let server = Server::start_with(|config, home| {
        remembering(config, home);
        allow(config, &PluginFile::key_of(Sha256::of(&ours)), true, &[Grant::KvWrite(None)]);
        drop_in_bytes(home, "renamed.wasm", &ours);
        drop_in_bytes(home, "other.wasm", &with_manifest(ours.clone(), "ours", "hers"));
    });

    assert_eq!(status(&server, "renamed.wasm").state, PluginState::Active);
    assert_eq!(status(&server, "other.wasm").state, PluginState::Rejected);
}

#[test]
fn a_damaged_memory_keeps_nobody_from_starting_and_is_told_where_plugins_are_listed() {
    let server = start();
    greet(&server, &["salve"]);
    order(&server, Order::Disable(hello()));
    let home = server.stop_and_keep_files();
    let state = home.path().join("state/state.json");
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&state).unwrap();
    fs::write(&state, &text[..text.len() / 2]).unwrap();
    log();

    let server = Server::start_in(home, remembering);
    assert_eq!(greeting(&mut server.client()), "salve, Ada");
    let told = log().lines(&["ERROR", &state.display().to_string(), "damaged-1", "repair that file"]);
    assert_eq!(told.len(), 1);
    assert_eq!(fs::read_to_string(state.with_extension("json.damaged-1")).unwrap(), text[..text.len() / 2]);
}
