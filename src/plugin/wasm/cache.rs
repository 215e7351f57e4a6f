//! Compiled components, kept on disk so that a restart does not compile again.
//!
//! # Invariants
//!
//! * Compiled code is trusted like the program itself, so only this server writes it: the directory is private to the
//!   user (0700, owned by it), and nobody else can replace it or a parent of it; else it is not used. A file in it that
//!   others could have written is not read.
//! * An entry is named by the content of the component, and wasmtime refuses code that another version or configuration
//!   of the engine compiled. A digest in front of the code finds torn or damaged files.
//! * The cache only ever saves time: whatever is wrong with it, the component is compiled.
//! * It is bounded: what was not used for the longest time goes first.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File, Metadata};
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::atomic;
use crate::clock::{Clock, SystemClock};
use crate::plugin::place;

const DIGEST_SIZE: usize = 32;

/// What the files may be and take, together. A stock plugin compiles to less than half a megabyte.
const BOUND: Bound = Bound { files: 512, bytes: 256 << 20 };

/// A file in the making that is older than this was left by a crash.
const UNFINISHED_FOR: Duration = Duration::from_secs(60 * 60);

/// How much is kept.
#[derive(Clone, Copy, Debug)]
struct Bound {
    files: usize,
    bytes: u64,
}

/// A private directory of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    bound: Bound,
}

impl Cache {
    /// Opens the directory, making it if it is missing. None, with a line in the log, when it cannot be trusted.
    pub(crate) fn open(dir: &Path) -> Option<Self> {
        match place::make_private(dir) {
            Ok(()) => Some(Self { dir: dir.to_owned(), bound: BOUND }),
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "compiled plugins are not kept: the cache is not usable");
                None
            }
        }
    }

    /// The compiled form of a component, from the cache where it is there, and into it where it is not.
    pub(crate) fn component(&self, engine: &Engine, compiler: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
        let path = self.path(engine, bytes);
        if let Some(component) = load(&path).and_then(|compiled| deserialize(engine, &compiled).ok()) {
            return Ok(component);
        }
        let compiled = compiler.precompile_component(bytes)?;
        match store(&path, &compiled) {
            Ok(()) => self.prune(&path),
            Err(error) => tracing::warn!(path = %path.display(), %error, "a compiled plugin was not kept"),
        }
        deserialize(engine, &compiled)
    }

    fn path(&self, engine: &Engine, bytes: &[u8]) -> PathBuf {
        let mut compatibility = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut compatibility);
        let content = crate::config::Sha256::of(bytes).to_string();
        self.dir.join(format!("{}-{:016x}.cwasm", &content[..32], compatibility.finish()))
    }

    /// Removes what is too much, but not what has just come. Whatever cannot be removed stays.
    fn prune(&self, newest: &Path) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let mut kept = Vec::new();
        for entry in entries.filter_map(Result::ok) {
            let (path, metadata) = (entry.path(), entry.metadata());
            let Ok((metadata, used)) = metadata.and_then(|metadata| Ok((metadata.len(), metadata.modified()?))) else {
                continue;
            };
            if path.extension().is_some_and(|extension| extension == "cwasm") {
                kept.push((path == newest, used, metadata, path));
            } else if path.to_string_lossy().ends_with(atomic::UNFINISHED)
                && now().duration_since(used).is_ok_and(|age| age > UNFINISHED_FOR)
            {
                let _ = fs::remove_file(path);
            }
        }
        kept.sort_unstable_by(|one, other| other.cmp(one));
        let mut left = self.bound;
        for (at, (_, _, size, path)) in kept.into_iter().enumerate() {
            let fits = at < left.files && size <= left.bytes;
            if fits || at == 0 {
                left.bytes = left.bytes.saturating_sub(size);
            } else {
                left.bytes = 0;
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The compiled form of a component, made by an engine that compiles the same.
pub(super) fn compile(engine: &Engine, compiler: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    deserialize(engine, &compiler.precompile_component(bytes)?)
}

/// The code in a file; none for whatever is not there, not whole, or not ours.
fn load(path: &Path) -> Option<Vec<u8>> {
    let mut file = File::open(path).ok()?;
    let damaged = |what: &str| tracing::warn!(path = %path.display(), "{what} file of the plugin cache is made again");
    if !file.metadata().is_ok_and(|metadata| is_ours_alone(&metadata)) {
        damaged("a foreign");
        return None;
    }
    let (mut digest, mut compiled) = ([0; DIGEST_SIZE], Vec::new());
    let read = file.read_exact(&mut digest).and_then(|()| file.take(BOUND.bytes).read_to_end(&mut compiled));
    if read.is_err() || Sha256::digest(&compiled).as_slice() != digest {
        damaged("a damaged");
        return None;
    }
    // When it was last of use, for whoever prunes. Not worth more than a try.
    let _ = File::open(path).and_then(|file| file.set_modified(now()));
    Some(compiled)
}

/// As files have it, whatever a test's clock says.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(SystemClock::default().now())
}

fn is_ours_alone(metadata: &Metadata) -> bool {
    let me = rustix::process::geteuid().as_raw();
    metadata.is_file() && metadata.uid() == me && metadata.mode() & 0o022 == 0
}

#[allow(unsafe_code, reason = "compiled code can only be loaded as what it is: code")]
fn deserialize(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes come from this process, or from a file with a matching digest in a directory that only this
    // user can write, where only this program puts files. Wasmtime checks its version and configuration.
    unsafe { Component::deserialize(engine, compiled) }
}

/// Writes so that a reader sees the whole file or none.
fn store(path: &Path, compiled: &[u8]) -> io::Result<()> {
    atomic::replace_unsynced(path, &[&Sha256::digest(compiled), compiled], atomic::PRIVATE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::plugin::stock;

    /// The smallest stock plugin.
    fn component() -> &'static [u8] {
        stock::COMPONENTS.iter().map(|(_, bytes)| *bytes).min_by_key(|bytes| bytes.len()).unwrap()
    }

    fn cache(dir: &Path) -> Cache {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
        Cache::open(dir).unwrap()
    }

    fn files(dir: &Path) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    #[test]
    fn a_damaged_file_is_never_loaded_and_made_again() {
        let (home, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = cache(home.path());
        cache.component(&engine, &engine, component()).unwrap();
        let path = cache.path(&engine, component());
        let whole = fs::read(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);

        let last = whole.len() - 1;
        for at in [0, DIGEST_SIZE - 1, DIGEST_SIZE, whole.len() / 2, last] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(&path, &damaged).unwrap();
            assert!(load(&path).is_none(), "byte {at} of {last}");
        }
        for torn in [&whole[..last], &whole[..DIGEST_SIZE], &whole[..DIGEST_SIZE - 1], &[]] {
            fs::write(&path, torn).unwrap();
            assert!(load(&path).is_none_or(|compiled| compiled.is_empty() && torn.len() == DIGEST_SIZE));
        }
        cache.component(&engine, &engine, component()).unwrap();

        assert!(load(&path).is_some_and(|compiled| compiled == whole[DIGEST_SIZE..]));
        assert_eq!(files(home.path()), [path], "written under another name, and renamed");
    }

    #[test]
    fn code_of_another_engine_is_not_loaded() {
        let (home, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let other = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        let cache = cache(home.path());
        cache.component(&other, &other, component()).unwrap();
        let (path, others) = (cache.path(&engine, component()), cache.path(&other, component()));

        fs::rename(&others, &path).unwrap();
        cache.component(&engine, &engine, component()).unwrap();

        assert!(deserialize(&engine, &load(&path).unwrap()).is_ok(), "it was compiled again");
    }

    #[test]
    fn what_others_could_have_written_is_not_read() {
        let (home, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = cache(home.path());
        cache.component(&engine, &engine, component()).unwrap();
        let path = cache.path(&engine, component());
        let set = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();

        set(&path, 0o620);
        assert!(load(&path).is_none());
        cache.component(&engine, &engine, component()).unwrap();
        assert!(load(&path).is_some(), "it was replaced");
        for mode in [0o750, 0o701, 0o1777] {
            set(home.path(), mode);
            assert!(Cache::open(home.path()).is_none(), "{mode:o}");
        }
        set(home.path(), 0o700);
        let open = home.path().join("open");
        fs::create_dir(&open).unwrap();
        set(&open, 0o777);
        assert!(Cache::open(&open.join("cache")).is_none(), "anybody could put another directory there");
        symlink(home.path(), open.join("link")).unwrap();
        assert!(Cache::open(&open.join("link")).is_none(), "or another link");
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_makes_room() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache { bound: Bound { files: 3, bytes: 100 }, ..cache(home.path()) };
        let put = |name: &str, size: usize, age: u64| {
            let path = home.path().join(name);
            fs::write(&path, vec![0; size]).unwrap();
            let used = now() - Duration::from_secs(age);
            File::options().append(true).open(&path).unwrap().set_modified(used).unwrap();
            path
        };
        let left = |newest: &Path| {
            cache.prune(newest);
            let names = files(home.path()).into_iter().map(|path| path.file_name().unwrap().to_owned());
            names.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
        };
        put("left.cwasm.7-0.tmp", 9, 2 * 60 * 60);
        put("made.cwasm.8-0.tmp", 9, 0);
        let old = put("a.cwasm", 30, 500);
        for (name, age) in [("b.cwasm", 400), ("c.cwasm", 100), ("d.cwasm", 300)] {
            put(name, 30, age);
        }
        put("notes.txt", 1000, 9000);

        assert_eq!(left(&old), ["a.cwasm", "c.cwasm", "d.cwasm", "made.cwasm.8-0.tmp", "notes.txt"]);
        let newest = put("e.cwasm", 90, 0);
        assert_eq!(left(&newest), ["e.cwasm", "made.cwasm.8-0.tmp", "notes.txt"]);
        let large = put("f.cwasm", 900, 0);
        assert_eq!(left(&large), ["f.cwasm", "made.cwasm.8-0.tmp", "notes.txt"], "it is in use");
    }

    #[test]
    fn what_is_used_counts_as_new() {
        let (home, engine) = (tempfile::tempdir().unwrap(), Engine::default());
        let cache = cache(home.path());
        cache.component(&engine, &engine, component()).unwrap();
        let path = cache.path(&engine, component());
        let long_ago = now() - Duration::from_secs(1_000_000);
        File::options().append(true).open(&path).unwrap().set_modified(long_ago).unwrap();

        cache.component(&engine, &engine, component()).unwrap();

        assert!(fs::metadata(&path).unwrap().modified().unwrap() > long_ago + Duration::from_secs(1000));
    }
}
