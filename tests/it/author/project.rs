//! A new plugin builds with one command, passes its own cases, and a server uses it.

use std::fs;
use std::io::{Write, stderr};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use fingerpost::config::{ByteSize, Place};

use super::{cache, directory, fingerpost, path};
use crate::harness::{Ask, Server};

/// The compilers that `./build` would fetch, and the file that says in which version. A test fetches nothing; it takes
/// what `examples/build` has installed for the example in the same language.
const FETCHED: [(&str, &str, &str); 2] = [
    ("js", "examples/hello-js/node_modules", "package-lock.json"),
    ("python", "examples/hello-python/.venv", "requirements.txt"),
];

/// Whether a project need not fetch anything; told aloud if it would have to.
fn has_its_compiler(language: &str, project: &Path) -> bool {
    let Some((_, installed, version)) = FETCHED.iter().find(|(fetched, ..)| *fetched == language) else { return true };
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join(installed);
    let wanted = fs::read(project.join(version)).expect("the project names a version");
    if fs::read(installed.join("installed")).ok() != Some(wanted) {
        let reason = format!("{} is not there, or of another version: examples/build", installed.display());
        assert!(std::env::var_os("CI").is_none(), "{reason}");
        // Not by a macro, whose output nobody sees of a test that passes.
        let _ = writeln!(stderr(), "SKIPPED: {reason}");
        return false;
    }
    let name = installed.file_name().expect("it has a name");
    symlink(&installed, project.join(name)).expect("a link can be made");
    true
}

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

/// What becomes of a new plugin, with nothing changed in it.
fn builds_passes_its_cases_and_is_used(language: &str, kind: &str) {
    let dir = directory(&[]);
    let name = format!("new-{language}-{kind}");
    let project = path(&dir, &name);
    let made = fingerpost(&["plugin", "new", &project, "--lang", language, "--kind", kind]);
    assert_eq!(made.code, 0, "{}{}", made.out, made.err);
    if !has_its_compiler(language, Path::new(&project)) {
        return;
    }
    let Some(component) = build(Path::new(&project)) else { return };

    let (wasm, cases) = (format!("{project}/{name}.wasm"), format!("{project}/cases.toml"));
    // What a server has to allow, where that is more than it does by itself.
    let server = format!("{project}/server.toml");
    let configured = ["plugin", "check", &wasm, "--config", &server];
    let checked = fingerpost(if Path::new(&server).exists() { &configured } else { &configured[..3] });
    assert_eq!(checked.code, 0, "{}", checked.out);
    let tested = fingerpost(&["plugin", "test", &wasm, "--case", &cases]);
    assert_eq!(tested.code, 0, "{}{}", tested.out, tested.err);

    if kind == "processor" {
        let server = Server::start_with(|config, home| {
            config.plugins.component_size_max = ByteSize::mib(20);
            // What the check compiled: an interpreter takes its time.
            config.plugins.cache_dir = Place::At(cache().join("fingerpost"));
            crate::guests::drop_in_bytes(home, &format!("{name}.wasm"), &component);
        });
        let reply = server.client().ask(Ask::new(9500).field("name", "Ada"));
        assert_eq!(reply.field("greeting").map(|text| &**text), Some("hello, Ada"));
    }
}

#[test]
fn a_new_plugin_in_rust_builds_with_one_command_passes_its_cases_and_is_used() {
    for kind in ["processor", "policy"] {
        builds_passes_its_cases_and_is_used("rust", kind);
    }
}

#[test]
fn a_new_plugin_in_c_builds_with_one_command_passes_its_cases_and_is_used() {
    builds_passes_its_cases_and_is_used("c", "processor");
}

#[test]
fn a_new_plugin_in_javascript_builds_with_one_command_passes_its_cases_and_is_used() {
    builds_passes_its_cases_and_is_used("js", "processor");
}

#[test]
fn a_new_plugin_in_python_builds_with_one_command_passes_its_cases_and_is_used() {
    builds_passes_its_cases_and_is_used("python", "processor");
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
