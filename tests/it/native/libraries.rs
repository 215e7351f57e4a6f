//! Libraries for these tests, built with the compilers of the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The C compiler, with everything that makes it strict. None, aloud, on a machine that has none.
pub(super) fn compiler(standard: &str) -> Option<Command> {
    let name = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let works = Command::new(&name).arg("--version").output().is_ok_and(|output| output.status.success());
    if !works {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "there is no C compiler {name:?}");
        eprintln!("skipped: there is no C compiler {name:?}");
        return None;
    }
    let mut command = Command::new(name);
    command.args([standard, "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]);
    command.arg(root().join("plugins/native-abi"));
    Some(command)
}

/// The library of one C file.
pub(super) fn in_c(source: &str, definitions: &[String]) -> Option<Vec<u8>> {
    let home = tempfile::tempdir().expect("a temporary directory");
    let library = home.path().join("library");
    let mut command = compiler("-std=c99")?;
    command.args(["-shared", "-fPIC"]).args(definitions.iter().map(|definition| format!("-D{definition}")));
    command.arg("-o").arg(&library).arg(root().join(source));
    run(command);
    Some(fs::read(library).expect("the compiler wrote it"))
}

/// The library of a package of this workspace, as `cargo` makes it.
pub(super) fn in_rust(package: &str) -> Vec<u8> {
    static BUILT: Mutex<bool> = Mutex::new(false);
    // Apart from the directory of the build that these tests are of.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("native");
    let mut is_built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !*is_built {
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(root()).args(["build", "--quiet", "--release", "--offline", "--locked"]);
        command.args(["-p", "native", "-p", "native-rust"]).arg("--target-dir").arg(&target);
        run(command);
        *is_built = true;
    }
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let file: PathBuf = target.join("release").join(format!("{prefix}{}{suffix}", package.replace('-', "_")));
    fs::read(file).expect("cargo wrote it")
}

/// The same library with other bytes: what comes after its last section means nothing.
pub(super) fn with_more(mut library: Vec<u8>, more: &str) -> Vec<u8> {
    library.extend(more.as_bytes());
    library
}

/// `greet.c` with this word for its greeting.
pub(super) fn greeter(word: &str) -> Option<Vec<u8>> {
    in_c("examples/native-c/greet.c", &[format!("GREETING=\"{word}\"")])
}

/// `faulty.c` with these definitions.
pub(super) fn faulty(definitions: &[&str]) -> Option<Vec<u8>> {
    let definitions: Vec<_> = definitions.iter().map(|one| (*one).to_owned()).collect();
    in_c("tests/guests/native/faulty.c", &definitions)
}

#[track_caller]
fn run(mut command: Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
