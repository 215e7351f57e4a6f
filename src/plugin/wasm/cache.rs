//! Compiled components, kept on disk so that a restart does not compile again.
//!
//! # Invariants
//!
//! * Compiled code is trusted like the program itself, so only this server writes it: the directory is private to the
//!   user (0700, owned by it), and nobody else can replace it or a parent of it; else it is not used.
//! * An entry is named by the content of the component, and wasmtime refuses code that another version or configuration
//!   of the engine compiled. A digest in front of the code finds torn or damaged files.
//! * The cache only ever saves time: whatever is wrong with it, the component is compiled.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::plugin::place::shared_parent;

const DIGEST_SIZE: usize = 32;

/// A private directory of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// Opens the directory, making it if it is missing. None, with a line in the log, when it cannot be trusted.
    pub(crate) fn open(dir: &Path) -> Option<Self> {
        match make_private(dir) {
            Ok(()) => Some(Self { dir: dir.to_owned() }),
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "compiled plugins are not kept: the cache is not usable");
                None
            }
        }
    }

    /// The compiled form of a component, from the cache where it is there, and into it where it is not.
    pub(crate) fn component(&self, engine: &Engine, compiler: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
        let path = self.path(engine, bytes);
        if let Some(component) = load(engine, &path) {
            return Ok(component);
        }
        let compiled = compiler.precompile_component(bytes)?;
        if let Err(error) = store(&path, &compiled) {
            tracing::warn!(path = %path.display(), %error, "a compiled plugin was not kept");
        }
        deserialize(engine, &compiled)
    }

    fn path(&self, engine: &Engine, bytes: &[u8]) -> PathBuf {
        use std::hash::{Hash, Hasher};
        let mut compatibility = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut compatibility);
        let content = hex(&Sha256::digest(bytes)[..16]);
        self.dir.join(format!("{content}-{:016x}.cwasm", compatibility.finish()))
    }
}

/// The compiled form of a component, made by an engine that compiles the same.
pub(super) fn compile(engine: &Engine, compiler: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    deserialize(engine, &compiler.precompile_component(bytes)?)
}

/// None for whatever is not there, not whole, or not for this engine.
fn load(engine: &Engine, path: &Path) -> Option<Component> {
    let file = fs::read(path).ok()?;
    let (digest, compiled) = file.split_at_checked(DIGEST_SIZE)?;
    if Sha256::digest(compiled).as_slice() != digest {
        tracing::warn!(path = %path.display(), "a damaged file of the plugin cache is made again");
        return None;
    }
    deserialize(engine, compiled).ok()
}

#[allow(unsafe_code, reason = "compiled code can only be loaded as what it is: code")]
fn deserialize(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes come from this process, or from a file with a matching digest in a directory that only this
    // user can write, where only this program puts files. Wasmtime checks its version and configuration.
    unsafe { Component::deserialize(engine, compiled) }
}

/// Writes so that a reader sees the whole file or none.
fn store(path: &Path, compiled: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = (|| {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(&Sha256::digest(compiled))?;
        file.write_all(compiled)?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Makes the directory, and refuses one that somebody else could write to or put another in the place of.
fn make_private(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let dir = fs::canonicalize(dir)?;
    let me = rustix::process::geteuid().as_raw();
    let metadata = fs::metadata(&dir)?;
    if !metadata.is_dir() || metadata.uid() != me || metadata.mode() & 0o077 != 0 {
        let text = format!("{} must be a directory of this user, and of nobody else (mode 0700)", dir.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    match shared_parent(&dir)? {
        None => Ok(()),
        Some(why) => Err(io::Error::new(io::ErrorKind::PermissionDenied, why)),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}
