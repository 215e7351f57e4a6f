//! Replacing a file whole: whoever reads it, and whatever crashes, finds the old content or the new one.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the names of files in the making end with: one that is found later was left by a crash.
pub(crate) const UNFINISHED: &str = ".tmp";

/// Whoever may read the file, as far as the umask allows.
pub(crate) const FOR_ALL: u32 = 0o666;

/// Only this user.
#[cfg_attr(not(feature = "server"), allow(dead_code, reason = "what the server keeps to itself"))]
pub(crate) const PRIVATE: u32 = 0o600;

/// Puts `content` in the place of what a file holds; when this returns, a crash cannot lose it.
pub(crate) fn replace(path: &Path, content: &[&[u8]], mode: u32) -> io::Result<()> {
    replace_how(path, content, mode, true)?;
    // The rename itself is on disk only when its directory is.
    File::open(directory(path))?.sync_all()
}

/// The same, for what can be made again: after a crash it may be torn or missing.
#[cfg_attr(not(feature = "server"), allow(dead_code, reason = "what the server can make again"))]
pub(crate) fn replace_unsynced(path: &Path, content: &[&[u8]], mode: u32) -> io::Result<()> {
    replace_how(path, content, mode, false)
}

/// Where a file lies.
pub(crate) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn replace_how(path: &Path, content: &[&[u8]], mode: u32, is_synced: bool) -> io::Result<()> {
    let temporary = temporary(path);
    let written = (|| {
        let mut file = File::options().write(true).create_new(true).mode(mode).open(&temporary)?;
        content.iter().try_for_each(|part| file.write_all(part))?;
        if is_synced {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A name that no other thread and no other process that runs has.
fn temporary(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(path);
    name.push(format!(".{}-{}{UNFINISHED}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let name = PathBuf::from(name);
    // Left by a process of the same number: it is over.
    let _ = fs::remove_file(&name);
    name
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        replace(&path, &[b"old"], FOR_ALL).unwrap();
        let mut opened = File::open(&path).unwrap();

        replace(&path, &[b"n", b"ew"], PRIVATE).unwrap();

        let mut old = String::new();
        io::Read::read_to_string(&mut opened, &mut old).unwrap();
        assert_eq!((old.as_str(), fs::read_to_string(&path).unwrap().as_str()), ("old", "new"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, PRIVATE);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        let nowhere = home.path().join("file/below-a-file");
        assert!(replace(&nowhere, &[b"x"], PRIVATE).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
