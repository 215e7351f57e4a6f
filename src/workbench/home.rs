//! A directory of one's own for a while.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// So many names are tried; all of them are taken only by somebody who does that on purpose.
const ATTEMPTS_MAX: u32 = 1000;

/// Below the system's directory for temporary files, for this user alone. Dropped, it is gone with all that is in it.
#[derive(Debug)]
pub(crate) struct TemporaryHome(PathBuf);

impl TemporaryHome {
    /// # Errors
    /// When no directory can be made there.
    pub(crate) fn new() -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let base = std::env::temp_dir();
        let mut last = io::Error::other("no name was free");
        for _ in 0..ATTEMPTS_MAX {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("fingerpost-{}-{number}", std::process::id()));
            // Fails where somebody else has put something, which is left alone.
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
            }
        }
        Err(last)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryHome {
    fn drop(&mut self) {
        // Whatever is left is in a directory for what nobody needs.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn each_home_is_its_owners_alone_and_goes_with_what_is_in_it() {
        let (one, other) = (TemporaryHome::new().unwrap(), TemporaryHome::new().unwrap());
        let path = one.path().to_owned();

        fs::write(path.join("file"), "x").unwrap();

        assert_ne!(path, other.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(one);
        assert!(!path.exists());
    }
}
