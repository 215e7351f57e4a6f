//! Plugins that come, change and go while the server answers.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use fingerpost::config::Config;
use fingerpost::server::{PluginState, PluginStatus, Reloaded};

use crate::guests::{allow, component, drop_in, drop_in_bytes, log, register, with_manifest, with_text};
use crate::harness::{Ask, Client, Server};

/// The code of `hello-processor`.
const HELLO: i32 = 9001;

/// `hello-processor`, with another word for its greeting.
fn greeter(word: &str) -> Vec<u8> {
    with_text(component("hello-processor"), "hello, ", &format!("{word:5}, "))
}

pub(crate) fn greeting(client: &mut Client) -> String {
    let reply = client.ask(Ask::new(HELLO).field("name", "Ada"));
    match reply.field("greeting") {
        Some(greeting) => greeting.to_string(),
        None => format!("code {}", reply.code),
    }
}

pub(crate) fn path(server: &Server, file: &str) -> PathBuf {
    server.home().join("plugins").join(file)
}

pub(crate) fn status(server: &Server, file: &str) -> PluginStatus {
    let path = path(server, file);
    let found = server.running().plugins().into_iter().find(|status| status.file.as_deref() == Some(&*path));
    found.unwrap_or_else(|| panic!("{file} is not in {:?}", server.running().plugins()))
}

/// Why a file is not used, and as what.
pub(crate) fn reason(server: &Server, file: &str) -> (PluginState, String) {
    let status = status(server, file);
    (status.state, status.reason.unwrap_or_default())
}

/// A server with a plugins directory in which there is nothing yet.
fn start() -> Server {
    start_with(|_, _| {})
}

fn start_with(edit: impl FnOnce(&mut Config, &Path)) -> Server {
    Server::start_with(|config, home| {
        fs::create_dir(home.join("plugins")).expect("the home is writable");
        edit(config, home);
    })
}

#[test]
fn a_component_that_is_put_there_answers_and_one_that_is_removed_does_not() {
    let server = start();
    let mut client = server.client();
    assert_eq!(greeting(&mut client), "code 3");

    drop_in(server.home(), "hello-processor");
    assert_eq!(server.reload(), Reloaded::Generation(2));
    assert_eq!(greeting(&mut client), "hello, Ada");
    let status = status(&server, "hello-processor.wasm");
    assert_eq!((status.state, status.generation, status.codes), (PluginState::Active, Some(2), vec![HELLO]));

    fs::remove_file(path(&server, "hello-processor.wasm")).unwrap();
    assert_eq!(server.reload(), Reloaded::Generation(3));
    assert_eq!(greeting(&mut client), "code 3");
    assert_eq!(server.reload(), Reloaded::Same);
}

#[test]
fn a_component_that_is_replaced_answers_with_what_it_is_now() {
    let server = start_with(|_, home| drop_in(home, "hello-processor"));
    let mut client = server.client();
    assert_eq!(greeting(&mut client), "hello, Ada");

    for word in ["salve", "servu", "moin "] {
        drop_in_bytes(server.home(), "hello-processor.wasm", &greeter(word));
        server.reload();
        assert_eq!(greeting(&mut client), format!("{word}, Ada"));
    }
}

#[test]
fn a_file_counts_when_two_looks_in_a_row_have_seen_the_same() {
    let server = start();
    let mut client = server.client();
    let look = || server.running().look_for_plugins();
    let whole = component("hello-processor");

    // Half of it, then more, then all.
    for size in [whole.len() / 2, whole.len() - 10, whole.len()] {
        drop_in_bytes(server.home(), "hello.wasm", &whole[..size]);
        assert_eq!(look(), Reloaded::Same);
        assert_eq!(status(&server, "hello.wasm").state, PluginState::Arriving);
        assert_eq!(greeting(&mut client), "code 3");
    }
    assert_eq!(look(), Reloaded::Generation(2));
    assert_eq!(greeting(&mut client), "hello, Ada");

    // The same for its absence: whoever replaces a file may remove it first.
    fs::remove_file(path(&server, "hello.wasm")).unwrap();
    assert_eq!(look(), Reloaded::Same);
    assert_eq!(greeting(&mut client), "hello, Ada");
    assert_eq!(look(), Reloaded::Generation(3));
    assert_eq!(greeting(&mut client), "code 3");
}

#[test]
fn a_file_that_is_written_twice_and_looks_the_same_is_read_again() {
    let server = start_with(|_, home| drop_in(home, "hello-processor"));
    let file = path(&server, "hello-processor.wasm");
    let written = fs::metadata(&file).unwrap().modified().unwrap();
    let look = || server.running().look_for_plugins();
    let replace = |word: &str| {
        drop_in_bytes(server.home(), "hello-processor.wasm", &greeter(word));
        fs::File::options().append(true).open(&file).unwrap().set_modified(written).unwrap();
    };

    replace("salve");
    let looks: Vec<_> = (0..3).map(|_| look()).collect();
    assert_eq!(looks, [Reloaded::Same, Reloaded::Generation(2), Reloaded::Same]);
    // Within a tick of the file system's clock, not even the time of the change need differ.
    replace("servu");
    let looks: Vec<_> = (0..3).map(|_| look()).collect();
    assert!(looks.contains(&Reloaded::Generation(3)), "{looks:?}");
}

#[test]
fn a_directory_that_is_looked_at_by_itself_needs_nobody_to_say_so() {
    let server = start_with(|config, _| config.plugins.reload_interval = std::time::Duration::from_millis(5));
    let mut client = server.client();

    drop_in(server.home(), "hello-processor");
    client.wait_until(|client| greeting(client) == "hello, Ada");
    client.wait_until(|_| server.running().plugin_generation() == 2);
    fs::remove_file(path(&server, "hello-processor.wasm")).unwrap();
    client.wait_until(|client| greeting(client) == "code 3");
}

#[test]
fn every_thread_changes_over_also_without_being_asked_anything_and_the_old_generation_is_gone() {
    let server = start_with(|config, home| {
        config.net.workers = 3;
        config.net.lane_threads = 3;
        drop_in(home, "hello-processor");
    });
    let mut client = server.client();
    greeting(&mut client);

    for (round, word) in ["salve", "servu", "moin "].into_iter().enumerate() {
        drop_in_bytes(server.home(), "hello-processor.wasm", &greeter(word));
        let generation = round as u64 + 2;
        assert_eq!(server.reload(), Reloaded::Generation(generation));
        client.wait_until(|_| server.running().plugin_generation() == generation);
        client.wait_until(|_| server.running().plugin_generations_draining() == 0);
    }
}

#[test]
fn a_bad_file_leaves_what_was_good_in_use_and_says_why() {
    log();
    let server = start_with(|_, home| drop_in(home, "hello-processor"));
    let mut client = server.client();

    drop_in_bytes(server.home(), "hello-processor.wasm", &component("hello-processor")[..5000]);
    assert_eq!(server.reload(), Reloaded::Same);
    assert_eq!(greeting(&mut client), "hello, Ada");
    let (state, why) = reason(&server, "hello-processor.wasm");
    assert_eq!(state, PluginState::LastGood);
    assert!(why.contains("not a WebAssembly component"), "{why}");
    // Told once, however often it is looked at.
    server.reload();
    server.running().look_for_plugins();
    let file = path(&server, "hello-processor.wasm").display().to_string();
    assert_eq!(log().lines(&["plugin rejected", &file, "what was in use of it before goes on"]).len(), 1);

    // Another file's change changes nothing about that.
    drop_in(server.home(), "misbehaving");
    assert_eq!(server.reload(), Reloaded::Generation(2));
    assert_eq!(greeting(&mut client), "hello, Ada");
    drop_in_bytes(server.home(), "hello-processor.wasm", &greeter("salve"));
    assert_eq!(server.reload(), Reloaded::Generation(3));
    assert_eq!(greeting(&mut client), "salve, Ada");
}

#[test]
fn a_newer_version_that_claims_what_belongs_to_another_leaves_the_older_one_in_use() {
    let server = start_with(|_, home| drop_in(home, "hello-processor"));
    let mut client = server.client();
    let greedy = |code: &str| with_manifest(greeter("salve"), "code = 9001", &format!("code = {code:4}"));

    drop_in_bytes(server.home(), "hello-processor.wasm", &greedy("105"));
    server.reload();
    assert_eq!(greeting(&mut client), "hello, Ada");
    let (state, why) = reason(&server, "hello-processor.wasm");
    assert_eq!(state, PluginState::LastGood);
    assert!(why.contains("request code 105 belongs to \"lookup\""), "{why}");
    assert_eq!(client.ask(Ask::new(105).field("topic", "T")).code, 17);
}

#[test]
fn whoever_answers_a_code_keeps_it_when_a_file_comes_that_would_be_first_by_its_name() {
    let server = start_with(|_, home| drop_in_bytes(home, "b.wasm", &greeter("salve")));
    let mut client = server.client();

    let named = with_manifest(greeter("servu"), "\"hello-processor\"", "\"hello-processed\"");
    drop_in_bytes(server.home(), "a.wasm", &named);
    assert_eq!(server.reload(), Reloaded::Same);
    assert_eq!(greeting(&mut client), "salve, Ada");
    let (state, why) = reason(&server, "a.wasm");
    assert_eq!(state, PluginState::Rejected);
    assert!(why.contains("9001") && why.contains("override = true"), "{why}");

    // It waits for its turn.
    fs::remove_file(path(&server, "b.wasm")).unwrap();
    server.reload();
    assert_eq!(greeting(&mut client), "servu, Ada");
}

#[test]
fn whoever_answers_a_code_keeps_it_when_a_file_that_is_first_by_its_name_wants_it_anew() {
    let other = with_manifest(greeter("servu"), "\"hello-processor\"", "\"hello-processed\"");
    let modest = with_manifest(other.clone(), "code = 9001", "code = 9002");
    let server = start_with(|_, home| {
        drop_in_bytes(home, "a.wasm", &modest);
        drop_in_bytes(home, "b.wasm", &greeter("salve"));
    });
    let mut client = server.client();

    drop_in_bytes(server.home(), "a.wasm", &other);
    server.reload();
    assert_eq!(greeting(&mut client), "salve, Ada");
    assert_eq!(reason(&server, "a.wasm").0, PluginState::LastGood);
    assert_eq!(client.ask(Ask::new(9002).field("name", "Ada")).code, 0);
}

#[test]
fn two_files_of_one_plugin_are_one_plugin_and_either_is_enough() {
    let server = start_with(|_, home| drop_in_bytes(home, "one.wasm", &greeter("salve")));
    let mut client = server.client();

    drop_in_bytes(server.home(), "other.wasm", &greeter("salve"));
    assert_eq!(server.reload(), Reloaded::Same);
    assert_eq!(status(&server, "other.wasm").state, PluginState::Unused);
    // The same name with other bytes is somebody else's.
    drop_in_bytes(server.home(), "third.wasm", &with_manifest(greeter("servu"), "code = 9001", "code = 9002"));
    server.reload();
    assert!(reason(&server, "third.wasm").1.contains("the name \"hello-processor\" is taken"));

    fs::remove_file(path(&server, "one.wasm")).unwrap();
    fs::remove_file(path(&server, "third.wasm")).unwrap();
    assert_eq!(server.reload(), Reloaded::Generation(2));
    assert_eq!(greeting(&mut client), "salve, Ada");
}

#[test]
fn an_override_takes_over_when_it_comes_and_gives_back_when_it_goes() {
    let server = start_with(|config, _| allow(config, "unit-topics-inverted.wasm", true, &[]));
    let mut client = server.client();
    register(&mut client, "a", r#""InUnit":{"topicName":"InUnit","topicSysFlag":1},"Plain":{"topicName":"Plain"}"#);
    let listed = |client: &mut Client| String::from_utf8(client.ask(Ask::new(311)).body.to_vec()).unwrap();
    assert_eq!(listed(&mut client), r#"{"topicList":["InUnit"]}"#);

    drop_in(server.home(), "unit-topics-inverted");
    server.reload();
    assert_eq!(listed(&mut client), r#"{"topicList":["Plain"]}"#);
    fs::remove_file(path(&server, "unit-topics-inverted.wasm")).unwrap();
    server.reload();
    assert_eq!(listed(&mut client), r#"{"topicList":["InUnit"]}"#);
}

#[test]
fn what_is_remembered_is_not_answered_any_more_when_another_plugin_or_policy_answers() {
    let server = start_with(|config, _| {
        config.net.workers = 1;
        allow(config, "lookup.wasm", true, &[]);
    });
    let mut client = server.client();
    let lookup = || Ask::new(105).field("topic", "unknown");
    let remark = |client: &mut Client| client.ask(lookup()).remark.unwrap_or_default().to_string();
    let before: Vec<_> = (0..5).map(|_| remark(&mut client)).collect();
    assert!(server.memo().hits > 0);

    let inverted = with_text(component("lookup"), "No topic route info", "No route of a topic");
    drop_in_bytes(server.home(), "lookup.wasm", &inverted);
    server.reload();
    let after: Vec<_> = (0..5).map(|_| remark(&mut client)).collect();

    assert!(before.iter().all(|remark| remark.starts_with("No topic route info")), "{before:?}");
    assert!(after.iter().all(|remark| remark.starts_with("No route of a topic")), "{after:?}");
    fs::remove_file(path(&server, "lookup.wasm")).unwrap();
    server.reload();
    assert_eq!((0..5).map(|_| remark(&mut client)).collect::<Vec<_>>(), before);
}

#[test]
fn a_policy_that_the_chain_names_stays_when_its_file_goes() {
    log();
    let server = start_with(|config, home| {
        drop_in(home, "misbehaving-policy");
        config.policies.chain = vec!["misbehaving-policy".to_owned()];
    });
    let mut client = server.client();
    register(&mut client, "a", r#""T":{"topicName":"T"},"U":{"topicName":"U"}"#);
    let lookup = |client: &mut Client| {
        let reply = client.ask(Ask::new(105).field("topic", "T").field("misbehave", "rewrite"));
        String::from_utf8(reply.body.to_vec()).unwrap()
    };
    assert!(lookup(&mut client).contains("rewritten:1"));

    fs::remove_file(path(&server, "misbehaving-policy.wasm")).unwrap();
    assert_eq!(server.reload(), Reloaded::Same);
    assert!(lookup(&mut client).contains("rewritten:1"));
    let (state, why) = reason(&server, "misbehaving-policy.wasm");
    assert_eq!(state, PluginState::LastGood);
    assert!(why.contains("policies.chain"), "{why}");
    // Everything else goes on changing.
    drop_in(server.home(), "hello-processor");
    assert_eq!(server.reload(), Reloaded::Generation(2));
    assert_eq!(greeting(&mut client), "hello, Ada");
    assert!(lookup(&mut client).contains("rewritten:1"));
}

#[test]
fn a_file_that_is_too_large_is_refused_unread_and_told() {
    let server = start_with(|config, _| config.plugins.component_size_max = fingerpost::config::ByteSize::kib(4));

    drop_in(server.home(), "hello-processor");
    server.reload();

    let (state, why) = reason(&server, "hello-processor.wasm");
    assert_eq!(state, PluginState::Rejected);
    assert!(why.contains("`plugins.component-size-max` allows 4096"), "{why}");
    assert!(why.contains("set `component-size-max` in [plugins]"), "{why}");
}

#[test]
fn what_others_may_write_is_refused_unless_the_operator_allows_it() {
    let open = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let start = |allowed: bool, dir_mode: u32, file_mode: u32| {
        start_with(|config, home| {
            config.plugins.allow_shared_dirs = allowed;
            drop_in(home, "hello-processor");
            open(&home.join("plugins"), dir_mode);
            open(&home.join("plugins/hello-processor.wasm"), file_mode);
        })
    };
    log();

    let shared = start(false, 0o777, 0o644);
    assert_eq!(greeting(&mut shared.client()), "code 3");
    let dir = shared.home().join("plugins").display().to_string();
    let told = || log().lines(&["the plugins directory is not used", &dir, "plugins.allow-shared-dirs = true"]);
    assert_eq!(told().len(), 1);
    shared.reload();
    assert_eq!(told().len(), 1, "once is enough");
    // It is looked at again, so it need not be started again.
    open(&shared.home().join("plugins"), 0o755);
    shared.reload();
    assert_eq!(greeting(&mut shared.client()), "hello, Ada");
    // And what is in use stays, whatever becomes of the directory.
    open(&shared.home().join("plugins"), 0o777);
    shared.reload();
    assert_eq!(greeting(&mut shared.client()), "hello, Ada");

    let shared_file = start(false, 0o755, 0o666);
    let (state, why) = reason(&shared_file, "hello-processor.wasm");
    assert_eq!(state, PluginState::Rejected);
    assert!(why.contains("mode 666") && why.contains("plugins.allow-shared-dirs"), "{why}");

    assert_eq!(greeting(&mut start(true, 0o777, 0o666).client()), "hello, Ada");
}

#[test]
fn a_link_is_what_it_points_to() {
    let server = start();
    let elsewhere = server.home().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let target = elsewhere.join("component");
    fs::write(&target, greeter("salve")).unwrap();
    symlink(&target, path(&server, "link.wasm")).unwrap();
    symlink(elsewhere.join("nothing"), path(&server, "dangling.wasm")).unwrap();

    server.reload();
    assert_eq!(greeting(&mut server.client()), "salve, Ada");
    assert_eq!(reason(&server, "dangling.wasm"), (PluginState::Rejected, "it is a link to nothing".to_owned()));

    fs::write(&target, greeter("servu")).unwrap();
    server.reload();
    assert_eq!(greeting(&mut server.client()), "servu, Ada");

    // Where others may write, it may point to anything tomorrow.
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o777)).unwrap();
    server.reload();
    assert_eq!(greeting(&mut server.client()), "servu, Ada");
    assert!(reason(&server, "link.wasm").1.contains("elsewhere, in which component is, can be written by others"));
}

#[test]
fn names_that_begin_with_a_dot_and_directories_are_nobodys_plugins() {
    let server = start_with(|_, home| {
        drop_in_bytes(home, ".hello.wasm", &component("hello-processor"));
        fs::create_dir(home.join("plugins/directory.wasm")).unwrap();
    });

    assert!(server.running().plugins().iter().all(|status| status.file.is_none()));
    fs::rename(path(&server, ".hello.wasm"), path(&server, "hello.wasm")).unwrap();
    server.reload();
    assert_eq!(greeting(&mut server.client()), "hello, Ada");
}

#[test]
fn a_directory_that_appears_later_is_used_and_one_that_disappears_is_not() {
    let server = Server::start();
    let mut client = server.client();

    drop_in(server.home(), "hello-processor");
    server.reload();
    assert_eq!(greeting(&mut client), "hello, Ada");
    fs::remove_dir_all(server.home().join("plugins")).unwrap();
    server.reload();
    assert_eq!(greeting(&mut client), "code 3");
}
