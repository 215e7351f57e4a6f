//! The header says what the crate says.

use std::fs;

use super::libraries::{compiler, root};

#[test]
fn the_committed_header_is_that_of_the_crate() {
    let committed = fs::read_to_string(root().join("plugins/native-abi/fingerpost_plugin.h")).unwrap();

    let same = committed == fingerpost_native::header();
    assert!(same, "`cargo run -p fingerpost-native --example header` makes plugins/native-abi/fingerpost_plugin.h");
}

#[test]
fn the_c_compiler_lays_everything_out_as_rust_does() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("layout.c");
    let check = fingerpost_native::layout_check();
    let compiles = |text: &str| {
        fs::write(&file, text).unwrap();
        let mut command = compiler("-std=c11")?;
        Some(command.arg("-fsyntax-only").arg(&file).output().unwrap().status.success())
    };
    let Some(holds) = compiles(&check) else { return };

    assert!(check.lines().count() > 80, "{check}");
    assert!(holds, "{check}");
    let other = check.replace("sizeof(fingerpost_host) == ", "sizeof(fingerpost_host) == 8 + ");
    assert_eq!(compiles(&other), Some(false), "the compiler looks at every line");
}
