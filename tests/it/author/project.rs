//! A new plugin builds with one command, passes its own cases, and a server uses it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{directory, fingerpost, path};
use crate::harness::{Ask, Server};

/// What can be made of tools that are there or not. The projects in JavaScript and Python fetch theirs, which
/// `examples/build` does.
const PROJECTS: [(&str, &str); 3] = [("rust", "processor"), ("rust", "policy"), ("c", "processor")];

/// Builds a project; none, told aloud, where a tool is missing.
fn build(project: &Path) -> Option<Vec<u8>> {
    let mut command = Command::new(project.join("build"));
    // The standard library is built once for all of them, where it has to be.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("author-target");
    command.env("CARGO_TARGET_DIR", target).env_remove("RUSTC").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let built = command.output().expect("it can be executed");
    let told = String::from_utf8_lossy(&built.stderr).into_owned();
    if !built.status.success() && told.contains("needs") {
        println!("SKIPPED: {told}");
        assert!(std::env::var_os("CI").is_none(), "CI has the tools: {told}");
        return None;
    }
    assert!(built.status.success(), "{told}");
    let name = project.file_name().expect("it has a name").to_string_lossy().into_owned();
    Some(fs::read(project.join(format!("{name}.wasm"))).expect("it was built"))
}

#[test]
fn a_new_plugin_builds_with_one_command_passes_its_cases_and_is_used() {
    for (language, kind) in PROJECTS {
        let dir = directory(&[]);
        let name = format!("new-{language}-{kind}");
        let project = path(&dir, &name);
        let made = fingerpost(&["plugin", "new", &project, "--lang", language, "--kind", kind]);
        assert_eq!(made.code, 0, "{}{}", made.out, made.err);
        let Some(component) = build(Path::new(&project)) else { continue };

        let (wasm, cases) = (format!("{project}/{name}.wasm"), format!("{project}/cases.toml"));
        let checked = fingerpost(&["plugin", "check", &wasm]);
        assert_eq!(checked.code, 0, "{language} {kind}: {}", checked.out);
        let tested = fingerpost(&["plugin", "test", &wasm, "--case", &cases]);
        assert_eq!(tested.code, 0, "{language} {kind}: {}{}", tested.out, tested.err);

        if kind == "processor" {
            let server = Server::start_with(|_, home| {
                crate::guests::drop_in_bytes(home, &format!("{name}.wasm"), &component);
            });
            let reply = server.client().ask(Ask::new(9500).field("name", "Ada"));
            assert_eq!(reply.field("greeting").map(|text| &**text), Some("hello, Ada"));
        }
    }
}

#[test]
fn what_is_there_already_is_left_alone_and_a_name_that_is_none_is_told() {
    let dir = directory(&[("file", b"mine")]);
    let upper = fingerpost(&["plugin", "new", &path(&dir, "Upper")]);
    assert!(upper.err.contains("no name of a plugin"), "{}", upper.err);
    fs::create_dir(dir.path().join("mine")).unwrap();
    fs::write(dir.path().join("mine/file"), "x").unwrap();
    let not_empty = fingerpost(&["plugin", "new", &path(&dir, "mine")]);
    assert!(not_empty.err.contains("not empty"), "{}", not_empty.err);
    assert_eq!(fs::read_dir(dir.path().join("mine")).unwrap().count(), 1);
}
