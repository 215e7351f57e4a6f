//! What the server embeds: the components of the stock plugins, and what `fingerpost plugin …` has for authors.
//!
//! The components are the committed ones of `plugins/`, or those of the directory that `FINGERPOST_TEST_GUESTS` names.
//! The second is for CI, where another compiler than the one of `plugins/plugins.lock` may have made other bytes of the
//! same sources (`plugins/build --check` leaves them in `target/guest/rebuilt`): every test then runs on a server that
//! embeds those, in the very place of the committed ones.
//!
//! It also has the linker keep one of functions that are the same instructions, which is 3 % of the binary, and write
//! briefly which addresses the loader has to move, which is 7 %.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// What authors get, by the name of the group, and where it lies.
const FOR_AUTHORS: [(&str, &str); 4] =
    [("conformance", "tests/conformance"), ("sdk", "plugins/sdk"), ("templates", "examples/templates"), ("wit", "wit")];

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
    pack(&here);
    shrink();
}

/// Where Rust links with an lld of its own, as rustup's does here, and nobody says otherwise: other linkers may not know
/// the options.
fn shrink() {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let target = variable("TARGET");
    let is_usual = variable("HOST") == target
        && target == "x86_64-unknown-linux-gnu"
        && variable("RUSTC_LINKER").is_empty()
        && !variable("CARGO_ENCODED_RUSTFLAGS").contains("link");
    if is_usual && has_lld(&target) == Some(true) {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
        if has_new_loader() {
            println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        }
    }
}

/// Whether programs are loaded here by a glibc that knows packed relocations, as those since 2.36 do. An older one
/// would refuse the binary and name `GLIBC_ABI_DT_RELR`.
fn has_new_loader() -> bool {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let version = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let mut numbers = version.trim().trim_start_matches("glibc ").split('.').map(|number| number.parse::<u32>());
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (2, 36))
}

/// None when Rust does not say where it is.
fn has_lld(target: &str) -> Option<bool> {
    let output = Command::new(env::var_os("RUSTC")?).args(["--print", "sysroot"]).output().ok()?;
    let sysroot = PathBuf::from(str::from_utf8(&output.stdout).ok()?.trim());
    Some(sysroot.join("lib/rustlib").join(target).join("bin/gcc-ld/ld.lld").exists())
}

/// Packs what authors get into one file: for each file its path and its text, each after its length, and all of it
/// deflated.
fn pack(here: &Path) {
    let mut packed = Vec::new();
    for (group, folder) in FOR_AUTHORS {
        println!("cargo:rerun-if-changed={folder}");
        let mut files = Vec::new();
        collect(&here.join(folder), &mut files);
        files.sort();
        for file in files {
            let below = file.strip_prefix(here.join(folder)).expect("it was found there");
            let path = format!("{group}/{}", below.display());
            let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            for text in [path, text] {
                packed.extend(u32::try_from(text.len()).expect("a small file").to_be_bytes());
                packed.extend(text.as_bytes());
            }
        }
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says")).join("authors.bin");
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::best());
    let packed = deflated.write_all(&packed).and_then(|()| deflated.finish());
    fs::write(&out, packed.expect("memory takes it")).expect("cargo's folder is writable");
}

/// Every file below a folder, but for what a build leaves there.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("it can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match path.is_dir() {
            true if matches!(name, "target" | "build" | "node_modules" | "__pycache__") => {}
            true => collect(&path, files),
            false => files.push(path),
        }
    }
}
