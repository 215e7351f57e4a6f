//! Whether somebody else could change what lies in a place: what is run is trusted only where nobody can.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

/// Why somebody other than this user and the administrator could put something else into a directory, or another
/// directory into its place; none if nobody can.
pub(super) fn shared(dir: &Path) -> io::Result<Option<String>> {
    let dir = fs::canonicalize(dir)?;
    if let Some(why) = writers(&fs::metadata(&dir)?) {
        return Ok(Some(format!("{} {why}", dir.display())));
    }
    shared_parent(&dir)
}

/// Why somebody else could put another directory into the place of one, whose path is canonical.
pub(super) fn shared_parent(dir: &Path) -> io::Result<Option<String>> {
    for parent in dir.ancestors().skip(1) {
        let metadata = fs::metadata(parent)?;
        // In a sticky one nobody moves what is another's.
        if let Some(why) = writers(&metadata).filter(|_| metadata.mode() & STICKY == 0 || !is_ours(&metadata)) {
            return Ok(Some(format!("{}, in which it is, {why}", parent.display())));
        }
    }
    Ok(None)
}

/// Who else could write a file or into a directory, as the rest of a sentence.
pub(super) fn writers(metadata: &Metadata) -> Option<String> {
    let mode = metadata.mode();
    if !is_ours(metadata) {
        return Some(format!("belongs to another user (number {})", metadata.uid()));
    }
    // A group with the user's own number is that user alone: many systems make one for everybody.
    let is_private_group = metadata.gid() == me();
    let others_write = mode & OTHERS_WRITE != 0 || mode & GROUP_WRITES != 0 && !is_private_group;
    others_write.then(|| format!("can be written by others (mode {:03o})", mode & 0o7777))
}

fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == me() || metadata.uid() == ROOT
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_place_that_others_may_write_or_replace_is_told_by_its_path_and_mode() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let set = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let shared = || shared(&inner).unwrap();

        assert_eq!(shared(), None);
        set(&inner, 0o757);
        assert!(shared().is_some_and(|why| why.contains("inner can be written by others (mode 757)")));
        set(&inner, 0o1757);
        assert!(shared().is_some(), "whoever may add a file need not move one");
        set(&inner, 0o755);
        set(home.path(), 0o777);
        assert!(shared().is_some_and(|why| why.contains("in which it is")));
        set(home.path(), 0o1777);
        assert_eq!(shared(), None);
    }
}
