//! Libraries that come, change and go while the server answers.

use std::fs;
use std::path::Path;

use fingerpost::config::{PluginFile, Sha256};
use fingerpost::server::{Order, PluginState, Reloaded};

use super::libraries::{faulty, greeter, with_more};
use super::{reason, start, status};
use crate::guests::{drop_in_bytes, log};
use crate::harness::{Ask, Client, Server, plugins_section};
use crate::operating::remembering;

const NAMED: &str = "[plugins.files.\"greet.so\"]\nnative = true\n";

/// A server that goes on reading its configuration file, which `more` ends.
fn start_following(more: &str, library: &[u8]) -> Server {
    let write = |home: &Path| {
        drop_in_bytes(home, "greet.so", library);
        plugins_section(home) + more
    };
    Server::start_following(write, |_| {})
}

fn configure(server: &Server, more: &str) {
    fs::write(server.home().join("namesrv.toml"), plugins_section(server.home()) + more).expect("it is writable");
}

fn greeting(client: &mut Client) -> String {
    let reply = client.ask(Ask::new(9102).field("name", "Ada"));
    reply.field("greeting").map_or_else(|| format!("code {}", reply.code), |greeting| greeting.to_string())
}

#[test]
fn a_library_that_is_replaced_answers_with_what_it_is_now() {
    let Some(first) = greeter("hello") else { return };
    let server = start("greet.so", &first);
    let mut client = server.client();
    assert_eq!(greeting(&mut client), "hello, Ada");

    for (word, generation) in [("salve", 2), ("servus", 3), ("hello", 4)] {
        drop_in_bytes(server.home(), "greet.so", &greeter(word).unwrap());
        assert_eq!(server.reload(), Reloaded::Generation(generation));
        assert_eq!(greeting(&mut client), format!("{word}, Ada"));
    }
    fs::remove_file(server.home().join("plugins/greet.so")).unwrap();
    server.reload();
    assert_eq!(greeting(&mut client), "code 3");
}

#[test]
fn a_library_whose_newest_bytes_are_no_good_goes_on_with_those_that_were() {
    let (Some(first), Some(newer)) = (greeter("hello"), faulty(&["VERSION=2"])) else { return };
    let server = start("greet.so", &first);
    let mut client = server.client();

    drop_in_bytes(server.home(), "greet.so", &newer);
    assert_eq!(server.reload(), Reloaded::Same);
    assert_eq!(greeting(&mut client), "hello, Ada");
    let (state, why) = reason(&server, "greet.so");
    assert_eq!(state, PluginState::LastGood);
    assert!(why.contains("version 2 of the ABI"), "{why}");

    drop_in_bytes(server.home(), "greet.so", &greeter("salve").unwrap());
    server.reload();
    assert_eq!(greeting(&mut client), "salve, Ada");
}

#[test]
fn a_library_that_nobody_names_is_not_loaded_and_says_what_would_have_it_loaded() {
    log();
    let home = tempfile::tempdir().unwrap();
    let mark = home.path().join("mark");
    let Some(library) = faulty(&[&format!("MARK=\"{}\"", mark.display())]) else { return };
    let server = start_following("", &library);
    let mut client = server.client();
    let line = "set `native = true` in [plugins.files.\"greet.so\"]";

    server.reload();
    let (state, why) = reason(&server, "greet.so");
    assert_eq!(state, PluginState::Unused);
    assert!(why.ends_with(line), "{why}");
    assert_eq!(log().lines(&[&server.home().display().to_string(), "not used", line]).len(), 1);
    assert!(!mark.exists(), "nothing of it has run");

    configure(&server, NAMED);
    server.reload();
    assert!(mark.exists());
    assert_eq!(client.ask(Ask::new(9104)).code, 0);
    assert_eq!(status(&server, "greet.so").state, PluginState::Active);
}

#[test]
fn a_library_that_is_not_named_any_more_is_not_entered_any_more() {
    let Some(library) = greeter("hello") else { return };
    let server = start_following(NAMED, &library);
    let mut client = server.client();
    assert_eq!(greeting(&mut client), "hello, Ada");

    configure(&server, "");
    server.reload();
    assert_eq!(greeting(&mut client), "code 3");
    assert_eq!(reason(&server, "greet.so").0, PluginState::Unused);
    configure(&server, NAMED);
    server.reload();
    assert_eq!(greeting(&mut client), "hello, Ada");
}

#[test]
fn the_same_bytes_in_two_files_are_one_plugin_and_other_bytes_of_its_name_are_rejected() {
    let Some(library) = greeter("hello") else { return };
    let server = Server::start_with(|config, home| {
        super::name(config, home, "a.so", &library);
        super::name(config, home, "b.so", &library);
        super::name(config, home, "c.so", &with_more(library.clone(), "more"));
    });

    assert_eq!(status(&server, "a.so").state, PluginState::Active);
    assert_eq!(status(&server, "b.so").state, PluginState::Unused);
    let (state, why) = reason(&server, "c.so");
    assert_eq!(state, PluginState::Rejected);
    assert!(why.contains("request code 9102 belongs to \"greet\""), "{why}");
}

#[test]
fn a_library_with_another_content_than_the_expected_one_is_not_loaded() {
    let home = tempfile::tempdir().unwrap();
    let mark = home.path().join("mark");
    let Some(library) = faulty(&[&format!("MARK=\"{}\"", mark.display())]) else { return };
    let expect = |content: &[u8]| {
        Server::start_with(|config, home| {
            super::name(config, home, "faulty.so", &library);
            config.plugins.files.get_mut("faulty.so").unwrap().sha256 = Some(Sha256::of(content));
        })
    };

    let (state, why) = reason(&expect(b"another"), "faulty.so");
    assert_eq!(state, PluginState::Rejected);
    assert!(why.contains("nothing of it was run"), "{why}");
    assert!(!mark.exists());
    assert_eq!(status(&expect(&library), "faulty.so").state, PluginState::Active);
    assert!(mark.exists());
}

#[test]
fn a_library_that_was_rolled_back_is_loaded_after_a_restart_if_it_is_named_still() {
    let home = tempfile::tempdir().unwrap();
    let mark = home.path().join("mark");
    let Some(first) = faulty(&[&format!("MARK=\"{}\"", mark.display())]) else { return };
    let server = Server::start_with(|config, home| {
        remembering(config, home);
        super::name(config, home, "faulty.so", &first);
    });
    drop_in_bytes(server.home(), "faulty.so", &with_more(first.clone(), "more"));
    server.reload();
    server.running().order(&Order::Rollback("faulty".to_owned())).unwrap();
    assert_eq!(status(&server, "faulty.so").sha256, Some(Sha256::of(&first).to_string()));
    fs::remove_file(&mark).unwrap();

    let server = Server::start_in(server.stop_and_keep_files(), remembering);
    assert_eq!(reason(&server, "faulty.so").0, PluginState::Unused);
    assert!(!mark.exists(), "nothing of it has run, though the server has kept it");
    let server = Server::start_in(server.stop_and_keep_files(), |config, home| {
        remembering(config, home);
        config.plugins.files.insert("faulty.so".to_owned(), PluginFile { native: true, ..PluginFile::default() });
    });
    assert_eq!(server.client().ask(Ask::new(9104)).code, 0);
    assert_eq!(status(&server, "faulty.so").sha256, Some(Sha256::of(&first).to_string()));
    assert!(mark.exists());
}

#[test]
fn no_copy_of_a_library_stays_on_disk() {
    let Some(library) = greeter("hello") else { return };
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("cache");
    let server = Server::start_with(|config, home| {
        config.plugins.cache_dir = fingerpost::config::Place::At(cache.clone());
        super::name(config, home, "greet.so", &library);
    });

    assert_eq!(status(&server, "greet.so").state, PluginState::Active);
    assert_eq!(fs::read_dir(cache.join("native")).unwrap().count(), 0);
}

#[test]
fn a_library_is_not_loaded_from_where_others_could_change_its_copy() {
    use std::os::unix::fs::PermissionsExt;
    let Some(library) = greeter("hello") else { return };
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("cache");
    fs::create_dir_all(cache.join("native")).unwrap();
    fs::set_permissions(cache.join("native"), fs::Permissions::from_mode(0o770)).unwrap();
    let server = Server::start_with(|config, home| {
        config.plugins.cache_dir = fingerpost::config::Place::At(cache.clone());
        super::name(config, home, "greet.so", &library);
    });

    let (state, why) = reason(&server, "greet.so");
    assert_eq!(state, PluginState::Rejected);
    assert!(why.contains("mode 0700") && why.contains("plugins.cache-dir"), "{why}");
}
