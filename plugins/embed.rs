//! Says which components the server embeds: the committed ones of `plugins/`, or those of the directory that
//! `FINGERPOST_TEST_GUESTS` names.
//!
//! The second is for CI, where another compiler than the one of `plugins/plugins.lock` may have made other bytes of the
//! same sources (`plugins/build --check` leaves them in `target/guest/rebuilt`): every test then runs on a server that
//! embeds those, in the very place of the committed ones.
//!
//! It also has the linker keep one of functions that are the same instructions, which is 3 % of the binary.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=plugins/embed.rs");
    println!("cargo:rerun-if-env-changed=FINGERPOST_TEST_GUESTS");
    // A build script runs in the folder of its package, which a relative path is relative to.
    let here = env::current_dir().expect("cargo starts this in a folder that exists");
    let dir: PathBuf = match env::var_os("FINGERPOST_TEST_GUESTS") {
        None => here.join("plugins"),
        Some(dir) => {
            let dir = here.join(dir);
            println!("cargo:warning=embedding the components of {}, not the committed ones", dir.display());
            dir
        }
    };
    println!("cargo:rustc-env=FINGERPOST_EMBEDDED_GUESTS={}", dir.display());
    fold_functions();
}

/// Where Rust links with an lld of its own, as rustup's does here, and nobody says otherwise: other linkers may not know
/// the option.
fn fold_functions() {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let target = variable("TARGET");
    let is_usual = variable("HOST") == target
        && target == "x86_64-unknown-linux-gnu"
        && variable("RUSTC_LINKER").is_empty()
        && !variable("CARGO_ENCODED_RUSTFLAGS").contains("link");
    if is_usual && has_lld(&target) == Some(true) {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
}

/// None when Rust does not say where it is.
fn has_lld(target: &str) -> Option<bool> {
    let output = Command::new(env::var_os("RUSTC")?).args(["--print", "sysroot"]).output().ok()?;
    let sysroot = PathBuf::from(str::from_utf8(&output.stdout).ok()?.trim());
    Some(sysroot.join("lib/rustlib").join(target).join("bin/gcc-ld/ld.lld").exists())
}
