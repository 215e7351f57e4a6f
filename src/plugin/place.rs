//! Whether somebody else could change what lies in a place: what is run is trusted only where nobody can.
//!
//! A path is followed link by link, as the system follows it: whoever may write in a directory on the way, or put
//! another link into one, decides what is found at the end.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::accounts;

const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

/// The system follows no more links than this either.
const LINKS_MAX: u32 = 40;

/// Why somebody other than this user and the administrator could put something else into a directory, or another
/// directory into its place; none if nobody can.
pub(crate) fn shared(dir: &Path) -> io::Result<Option<String>> {
    match follow(dir)? {
        Followed::Replaceable(why) => Ok(Some(why)),
        Followed::To(dir) => Ok(writers(&fs::metadata(&dir)?).map(|why| format!("{} {why}", dir.display()))),
    }
}

/// Why somebody else could put something else into the place of what is at the end of a path.
pub(super) fn replaceable(path: &Path) -> io::Result<Option<String>> {
    match follow(path)? {
        Followed::Replaceable(why) => Ok(Some(why)),
        Followed::To(_) => Ok(None),
    }
}

/// Makes a directory for this user alone, and refuses one that somebody else could read, write, or put another in the
/// place of.
pub(super) fn make_private(dir: &Path) -> io::Result<()> {
    let refused = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let metadata = fs::metadata(dir)?;
    if !metadata.is_dir() || metadata.uid() != me() || metadata.mode() & 0o077 != 0 {
        return refused(format!("{} must be a directory of this user, and of nobody else (mode 0700)", dir.display()));
    }
    replaceable(dir)?.map_or(Ok(()), refused)
}

/// Who else could write a file or into a directory, as the rest of a sentence.
pub(super) fn writers(metadata: &Metadata) -> Option<String> {
    let mode = metadata.mode();
    if !is_ours(metadata) {
        return Some(format!("belongs to another user (number {})", metadata.uid()));
    }
    let by_group = mode & GROUP_WRITES != 0 && !accounts::is_group_of_one(metadata.gid(), me());
    (mode & OTHERS_WRITE != 0 || by_group).then(|| format!("can be written by others (mode {:03o})", mode & 0o7777))
}

/// Where following a path led.
enum Followed {
    /// To this file or directory, whose path has no link in it.
    To(PathBuf),
    /// To a place that somebody else could put something else into, and no further.
    Replaceable(String),
}

fn follow(path: &Path) -> io::Result<Followed> {
    let steps =
        |path: &Path| -> Vec<OsString> { path.components().rev().map(|step| step.as_os_str().into()).collect() };
    // The next one last.
    let mut left = steps(&std::path::absolute(path)?);
    let (mut here, mut links) = (PathBuf::from("/"), 0);
    while let Some(step) = left.pop() {
        match step.to_str() {
            Some("/") => here = PathBuf::from("/"),
            Some(".") => {}
            Some("..") => drop(here.pop()),
            _ => {
                let next = here.join(&step);
                let entry = fs::symlink_metadata(&next)?;
                if let Some(why) = replacers(&fs::metadata(&here)?, &entry) {
                    return Ok(Followed::Replaceable(format!(
                        "{}, in which {} is, {why}",
                        here.display(),
                        step.display()
                    )));
                }
                if !entry.is_symlink() {
                    here = next;
                    continue;
                }
                links += 1;
                if links > LINKS_MAX {
                    return Err(io::Error::other(format!("{} leads through too many links", path.display())));
                }
                left.extend(steps(&fs::read_link(&next)?));
            }
        }
    }
    Ok(Followed::To(here))
}

/// Who else could put something else into the place of an entry of a directory.
fn replacers(dir: &Metadata, entry: &Metadata) -> Option<String> {
    // In a sticky one nobody moves what is another's.
    let stays = dir.mode() & STICKY != 0 && is_ours(dir) && is_ours(entry);
    writers(dir).filter(|_| !stays)
}

fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == me() || metadata.uid() == ROOT
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_place_that_others_may_write_or_replace_is_told_by_its_path_and_mode() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let shared = || shared(&inner).unwrap();

        assert_eq!(shared(), None);
        set(&inner, 0o757);
        assert!(shared().is_some_and(|why| why.contains("inner can be written by others (mode 757)")));
        set(&inner, 0o1757);
        assert!(shared().is_some(), "whoever may add a file need not move one");
        set(&inner, 0o755);
        set(home.path(), 0o777);
        assert!(shared().is_some_and(|why| why.contains("in which inner is, can be written")));
        set(home.path(), 0o1777);
        assert_eq!(shared(), None);
    }

    #[test]
    fn a_link_on_the_way_counts_as_the_place_it_lies_in() {
        let home = tempfile::tempdir().unwrap();
        let [open, target] = ["open", "target"].map(|name| home.path().join(name));
        [&open, &target].iter().for_each(|dir| fs::create_dir(dir).unwrap());
        fs::create_dir(target.join("plugins")).unwrap();
        symlink("../target", open.join("link")).unwrap();
        // Both ends are fine; who may put another link in between decides what is found.
        let path = open.join("link/plugins");
        assert_eq!(shared(&path).unwrap(), None);

        set(&open, 0o777);

        let why = shared(&path).unwrap().unwrap();
        assert!(why.contains("open, in which link is, can be written by others (mode 777)"), "{why}");
        assert!(replaceable(&path).unwrap().is_some());
        set(&open, 0o1777);
        assert_eq!(shared(&path).unwrap(), None, "nobody moves a link of ours");
        assert_eq!(shared(&target.join("plugins")).unwrap(), None);
    }

    #[test]
    fn links_that_lead_nowhere_or_in_a_circle_are_errors() {
        let home = tempfile::tempdir().unwrap();
        symlink("b", home.path().join("a")).unwrap();
        symlink("a", home.path().join("b")).unwrap();
        symlink("nothing", home.path().join("c")).unwrap();

        assert!(shared(&home.path().join("a")).unwrap_err().to_string().contains("too many links"));
        assert_eq!(shared(&home.path().join("c")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
