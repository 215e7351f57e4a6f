//! What the store asks of the file system, as a trait: tests count the operations, fail them, and crash between them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// What starting and a commit ask of the file system.
pub(super) trait Disk: Send + 'static {
    /// A file that is there to be read.
    type Content: io::Read;

    /// A file that was written and can still be forced to disk. The same handle does both, because the system reports a
    /// failed write-back to the handle that wrote.
    type File;

    /// Opens a file to be read, and says how many bytes it seems to hold.
    fn open(&mut self, path: &Path) -> io::Result<(Self::Content, u64)>;

    /// Whether a name is taken, be it by a link that leads nowhere.
    fn is_taken(&mut self, path: &Path) -> bool;

    /// Makes or overwrites a file, with the permissions of `like` if that exists. Nothing is durable yet.
    fn write_temporary(&mut self, path: &Path, like: &Path, bytes: &[u8]) -> io::Result<Self::File>;

    /// Forces the content of a file to disk.
    fn sync_file(&mut self, file: &Self::File) -> io::Result<()>;

    /// Gives a file a second name, which must be free.
    fn link(&mut self, original: &Path, link: &Path) -> io::Result<()>;

    /// Renames a file, replacing in one step what had the new name.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name.
    fn remove(&mut self, path: &Path) -> io::Result<()>;

    /// Forces the names in a directory to disk.
    fn sync_directory(&mut self, path: &Path) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Debug)]
pub(super) struct RealDisk;

impl Disk for RealDisk {
    type Content = File;
    type File = File;

    fn open(&mut self, path: &Path) -> io::Result<(File, u64)> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    fn is_taken(&mut self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok()
    }

    fn write_temporary(&mut self, path: &Path, like: &Path, bytes: &[u8]) -> io::Result<File> {
        let mut file = File::create(path)?;
        match fs::metadata(like) {
            Ok(metadata) => file.set_permissions(metadata.permissions())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        file.write_all(bytes)?;
        Ok(file)
    }

    fn sync_file(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn link(&mut self, original: &Path, link: &Path) -> io::Result<()> {
        fs::hard_link(original, link)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        // Elsewhere a directory cannot be opened as a file, and a rename is as durable as the system makes it.
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }
}
