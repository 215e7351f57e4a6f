//! What the tools for authors make of a library: nothing of it runs unless a configuration or a case says so.

use std::fs;

use super::libraries::{faulty, greeter};
use crate::author::fingerpost;

const NAMED: &str = "[plugins]\ndirs = []\n[plugins.files.\"faulty.so\"]\nnative = true\n";

#[test]
fn a_library_is_looked_into_only_with_a_configuration_that_names_it() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_string_lossy().into_owned();
    let Some(library) = faulty(&[&format!("MARK=\"{}\"", path("mark"))]) else { return };
    fs::write(path("faulty.so"), &library).unwrap();
    fs::write(path("namesrv.toml"), NAMED).unwrap();
    fs::write(path("other.toml"), NAMED.to_owned() + "sha256 = \"" + &"0".repeat(64) + "\"\n").unwrap();
    let run = |verb: &str, config: Option<&str>| {
        let config = config.map(|config| format!("--config={}", path(config)));
        let words = ["plugin".to_owned(), verb.to_owned(), path("faulty.so")].into_iter().chain(config);
        fingerpost(&words.collect::<Vec<_>>())
    };

    for verb in ["check", "inspect"] {
        let unnamed = run(verb, None);
        assert_eq!(unnamed.code, 1, "{}{}", unnamed.out, unnamed.err);
        assert!(unnamed.out.contains("set `native = true` in [plugins.files.\"faulty.so\"]"), "{}", unnamed.out);
        let another = run(verb, Some("other.toml"));
        assert_eq!(another.code, 1, "{}{}", another.out, another.err);
        assert!(another.out.contains("nothing of it was run"), "{}", another.out);
    }
    assert!(run("check", None).out.contains("--config FILE"));
    assert!(!fs::exists(path("mark")).unwrap(), "nothing of it has run");

    let checked = run("check", Some("namesrv.toml"));
    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
    for told in ["it is a native library", "it is the processor faulty 1 of 9104 FAULTY", "a server uses it"] {
        assert!(checked.out.contains(told), "{told:?} is not in\n{}", checked.out);
    }
    let inspected = run("inspect", Some("namesrv.toml"));
    assert_eq!(inspected.code, 0, "{}{}", inspected.out, inspected.err);
    for told in ["form      native library", "code      9104 FAULTY: client, lane"] {
        assert!(inspected.out.contains(told), "{told:?} is not in\n{}", inspected.out);
    }
    assert!(fs::exists(path("mark")).unwrap());
}

#[test]
fn a_library_with_a_mistake_is_told_what_it_is() {
    let Some(library) = faulty(&["VERSION=2"]) else { return };
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_string_lossy().into_owned();
    fs::write(path("faulty.so"), &library).unwrap();
    fs::write(path("namesrv.toml"), NAMED).unwrap();

    let checked = fingerpost(&["plugin", "check", &path("faulty.so"), "--config", &path("namesrv.toml")]);

    assert_eq!(checked.code, 1, "{}{}", checked.out, checked.err);
    assert!(checked.out.contains("compiled for version 2 of the ABI, and this server has"), "{}", checked.out);
}

#[test]
fn cases_are_played_on_a_library_if_they_say_that_it_is_one() {
    let Some(library) = greeter("hello") else { return };
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_string_lossy().into_owned();
    fs::write(path("greet.so"), &library).unwrap();
    let case = "[[case]]\nname = \"greets\"\nrequest = { code = 9102, fields = { name = \"Ada\" } }\n\
                reply = { fields = { greeting = \"hello, Ada\" } }\n";
    fs::write(path("cases.toml"), format!("[plugin]\nnative = true\n{case}")).unwrap();
    fs::write(path("silent.toml"), case).unwrap();
    let run = |cases: &str| fingerpost(&["plugin", "test", &path("greet.so"), "--case", &path(cases)]);

    let played = run("cases.toml");
    assert_eq!(played.code, 0, "{}{}", played.out, played.err);
    let refused = run("silent.toml");
    assert_ne!(refused.code, 0);
    assert!((refused.out.clone() + &refused.err).contains("set `native = true`"), "{}{}", refused.out, refused.err);
}
