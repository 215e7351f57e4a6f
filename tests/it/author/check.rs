//! Whether a component would be used is said before anybody copies it, with what to do.

use super::{directory, fingerpost, guest, path};
use crate::guests::{component, with_manifest};

#[test]
fn a_good_component_is_told_what_it_is_and_what_is_found() {
    let checked = fingerpost(&["plugin", "check", &guest("hello-processor")]);

    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
    for told in ["processor hello-processor 0.1.0 of 9001 HELLO", "all are offered to a processor", "a server uses it"]
    {
        assert!(checked.out.contains(told), "{told:?} is not in\n{}", checked.out);
    }
    assert!(!checked.out.contains("error"), "{}", checked.out);
}

#[test]
fn every_import_that_nobody_offers_is_told_by_its_name_and_with_what_to_do() {
    let checked = fingerpost(&["plugin", "check", &guest("stranger"), "--json"]);

    assert_eq!(checked.code, 1);
    let findings = checked.json()[0]["findings"].clone();
    let errors: Vec<_> = findings.as_array().unwrap().iter().filter(|finding| finding["severity"] == "error").collect();
    assert!(!errors.is_empty(), "{findings}");
    assert!(errors.iter().all(|error| !error["todo"].as_array().unwrap().is_empty()), "{findings}");
    assert!(errors.iter().any(|error| error["what"].as_str().unwrap().contains("which is not offered")), "{findings}");
}

#[test]
fn a_code_that_is_answered_already_is_told_with_the_line_that_allows_it() {
    let checked = fingerpost(&["plugin", "check", &guest("unit-topics-inverted")]);

    assert_eq!(checked.code, 1);
    for told in ["belongs to \"unit-topics\"", "override = true", "[plugins.files.\"unit-topics-inverted.wasm\"]"] {
        assert!(checked.out.contains(told), "{told:?} is not in\n{}", checked.out);
    }
}

#[test]
fn with_the_operators_configuration_it_is_that_servers_answer() {
    let dir = directory(&[(
        "namesrv.toml",
        b"[plugins]\ndirs = []\n[plugins.files.\"unit-topics-inverted.wasm\"]\noverride = true\n",
    )]);
    let config = path(&dir, "namesrv.toml");

    let checked = fingerpost(&["plugin", "check", &guest("unit-topics-inverted"), "--config", &config]);

    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
}

#[test]
fn a_grant_that_it_has_not_is_told_with_the_line_that_gives_it() {
    let wants = with_manifest(component("hello-processor"), "grants = []", "grants=[ ] ");
    let dir = directory(&[("a.wasm", &wants), ("contract.wasm", &component("contract-processor"))]);

    let checked = fingerpost(&["plugin", "check", &path(&dir, "contract.wasm")]);

    assert!(checked.out.contains("it is the processor contract-processor"), "{}", checked.out);
    let nothing_wanted = fingerpost(&["plugin", "check", &path(&dir, "a.wasm")]);
    assert!(!nothing_wanted.out.contains("no such grant"), "{}", nothing_wanted.out);
}

#[test]
fn what_is_no_component_is_told_with_what_it_is() {
    let core = [&b"\0asm"[..], &[1, 0, 0, 0]].concat();
    let files: &[(&str, &[u8])] =
        &[("empty.wasm", b""), ("text.wasm", b"hello"), ("core.wasm", &core), ("half.wasm", &component("kv")[..5000])];
    let dir = directory(files);
    for (name, told) in [
        ("empty.wasm", "the file is empty"),
        ("text.wasm", "does not begin as WebAssembly does"),
        ("core.wasm", "a core module, not a component"),
        ("half.wasm", "it may be damaged"),
    ] {
        let checked = fingerpost(&["plugin", "check", &path(&dir, name)]);
        assert_eq!(checked.code, 1, "{name}: {}", checked.out);
        assert!(checked.out.contains(told), "{told:?} is not in\n{}", checked.out);
    }
    let missing = fingerpost(&["plugin", "check", &path(&dir, "nothing.wasm")]);
    assert_eq!(missing.code, 255);
    assert!(missing.err.contains("nothing.wasm"), "{}", missing.err);
}

#[test]
fn a_manifest_with_a_slip_is_told_with_the_slip() {
    let slip = with_manifest(component("hello-processor"), "access = \"client\"", "acces = \"clients\"");
    let dir = directory(&[("a.wasm", &slip)]);

    let checked = fingerpost(&["plugin", "check", &path(&dir, "a.wasm")]);

    assert_eq!(checked.code, 1);
    assert!(checked.out.contains("unknown field `acces`"), "{}", checked.out);
}

#[test]
fn a_policy_outside_the_chain_is_told_the_chain_that_it_needs() {
    let checked = fingerpost(&["plugin", "check", &guest("stamp-policy")]);

    assert_eq!(checked.code, 0, "{}", checked.out);
    assert!(checked.out.contains("chain = [\"acting-master\", \"zone\", \"stamp-policy\"]"), "{}", checked.out);
}

#[test]
fn one_that_is_larger_than_a_server_reads_is_told_the_setting() {
    let dir = directory(&[("namesrv.toml", b"[plugins]\ndirs = []\ncomponent-size-max = \"1KiB\"\n")]);
    let config = path(&dir, "namesrv.toml");

    let checked = fingerpost(&["plugin", "check", &guest("hello-processor"), "--config", &config]);

    assert_eq!(checked.code, 1);
    assert!(checked.out.contains("component-size-max = \"1MiB\""), "{}", checked.out);
    assert!(checked.out.contains("but for that, a server uses it"), "{}", checked.out);
}

#[test]
fn one_that_has_to_be_signed_is_told_how_and_works_but_for_that() {
    let keys = include_str!("../../data/signatures/key.pub").trim();
    let configuration = format!("[plugins]\ndirs = []\nsigned-by = [{keys:?}]\n");
    let dir = directory(&[("namesrv.toml", configuration.as_bytes())]);

    let checked = fingerpost(&["plugin", "check", &guest("hello-processor"), "--config", &path(&dir, "namesrv.toml")]);

    assert_eq!(checked.code, 1);
    assert!(checked.out.contains("it is not signed") && checked.out.contains("ssh-keygen -Y sign"), "{}", checked.out);
    assert!(checked.out.contains("but for that, a server uses it"), "{}", checked.out);
}

#[test]
fn what_a_component_is_made_of_is_shown_as_wit() {
    // What is frozen does not change.
    let frozen = |role: &str| format!("{}/tests/data/contract/0.1.0/{role}.wasm", env!("CARGO_MANIFEST_DIR"));
    let inspected = fingerpost(&["plugin", "inspect", &frozen("processor")]);

    assert_eq!(inspected.code, 0, "{}", inspected.err);
    for told in [
        "kind      processor",
        "import fingerpost:nameserver/kv@0.1.0 {",
        "  get: func(namespace: string, key: string) -> option<string>;",
        "  resource topic-cursor {",
        "    next: func(limit: u32) -> list<topic-summary>;",
        "  use fingerpost:nameserver/types@0.1.0.{queue};",
        "  record queue {",
        "    broker-name: string,",
        "export fingerpost:nameserver/processor@0.1.0 {",
        "  handle: func(code: s32);",
        "export fingerpost:nameserver/glance@0.1.0 {",
    ] {
        assert!(inspected.out.contains(told), "{told:?} is not in\n{}", inspected.out);
    }

    let json = fingerpost(&["plugin", "inspect", &frozen("policy"), "--json"]).json();
    assert_eq!(json["manifest"]["kind"], "policy");
    assert_eq!(json["exports"][0]["name"], "fingerpost:nameserver/route-policy@0.1.0");
    assert_eq!(json["sha256"].as_str().map(str::len), Some(64));
}
