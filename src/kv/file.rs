//! The data file and its neighbours: found, locked and loaded at the start, replaced by every commit.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::format::{self, Damage};
use super::table::Table;
use super::{FILE_SIZE_MAX, KvConfig, OnDamage};

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another server uses the same file.
    #[error(
        "{} is in use by another server, which holds {}: stop that one, or give this one a kv.path of its own",
        path.display(), lock.display()
    )]
    Locked {
        /// The data file.
        path: PathBuf,
        /// The file that is locked.
        lock: PathBuf,
    },

    /// The file cannot be understood.
    #[error(
        "{} is damaged at line {line}, column {column}: {reason}; repair it (what it held before its last write may be \
         in {}.bak), or set kv.on-damage = \"set-aside\" to keep it under another name and start empty",
        path.display(), path.display()
    )]
    Damaged {
        /// The data file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes; 0 is before the first.
        column: usize,
        /// What is wrong there.
        reason: String,
    },

    /// The file is larger than any that is read.
    #[error("{} holds {size} bytes, limit is {limit}", path.display())]
    TooLarge {
        /// The data file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The most that is read.
        limit: usize,
    },

    /// The path is that of a directory, a device or a pipe.
    #[error("{} is not a regular file: kv.path must name the file itself", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },

    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What could not be done, a verb.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What [`open`] hands to the store.
pub(super) struct Opened<D> {
    pub(super) table: Table,
    pub(super) file: DataFile<D>,
}

/// Finds, locks and reads the file.
pub(super) fn open<D: Disk>(config: &KvConfig, mut disk: D) -> Result<Opened<D>, OpenError> {
    let paths = Paths::of(&config.path)?;
    let lock = lock(&paths)?;
    // A crash leaves them behind; nobody else can be writing them, because the lock is ours.
    for leftover in [&paths.temporary, &paths.backup_temporary] {
        remove_if_there(&mut disk, leftover).map_err(|source| OpenError::Io {
            action: "remove",
            path: leftover.clone(),
            source,
        })?;
    }
    let table = match format::parse(&read(&paths.data, &mut disk)?) {
        Ok(table) => table,
        Err(damage) => {
            recover(&paths, damage, config.on_damage, &mut disk)?;
            Table::default()
        }
    };
    Ok(Opened { table, file: DataFile { disk, paths, backup_failing: false, _lock: lock } })
}

/// The data file and its neighbours.
#[derive(Debug)]
struct Paths {
    data: PathBuf,
    directory: PathBuf,
    temporary: PathBuf,
    backup: PathBuf,
    backup_temporary: PathBuf,
    lock: PathBuf,
}

impl Paths {
    /// Resolves links first: the rename must replace the file and not a link to it, two names of one file must meet at
    /// one lock, and the process may change its directory later.
    fn of(path: &Path) -> Result<Self, OpenError> {
        let not_a_file = || OpenError::NotAFile { path: path.to_owned() };
        let name = path.file_name().ok_or_else(not_a_file)?;
        let parent = parent_of(path);
        create_directories(parent).map_err(|source| OpenError::Io {
            action: "create the directory",
            path: parent.to_owned(),
            source,
        })?;
        let find = |source| OpenError::Io { action: "find", path: path.to_owned(), source };
        let data = match fs::canonicalize(path) {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::canonicalize(parent).map_err(find)?.join(name),
            Err(error) => return Err(find(error)),
        };
        if fs::metadata(&data).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(not_a_file());
        }
        Ok(Self {
            directory: parent_of(&data).to_owned(),
            temporary: sibling(&data, ".tmp"),
            backup: sibling(&data, ".bak"),
            backup_temporary: sibling(&data, ".bak.tmp"),
            lock: sibling(&data, ".lock"),
            data,
        })
    }
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Creates what is missing, and makes the new names durable: a file is no safer than the directories that lead to it.
fn create_directories(directory: &Path) -> io::Result<()> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = directory.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(directory)?;
    for created in missing.into_iter().rev() {
        super::disk::RealDisk.sync_directory(parent_of(created))?;
    }
    Ok(())
}

/// The lock stands beside the data file, because every commit replaces the data file and a lock on it with it. Its file
/// is never removed: a server that had opened it before would hold a lock that the next one does not see.
fn lock(paths: &Paths) -> Result<File, OpenError> {
    let refused = |source| OpenError::Io { action: "lock", path: paths.lock.clone(), source };
    let file = File::options().write(true).create(true).truncate(false).open(&paths.lock).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: paths.data.clone(), lock: paths.lock.clone() }),
        Err(TryLockError::Error(source)) => Err(refused(source)),
    }
}

/// The content of the file; none when there is no file.
fn read<D: Disk>(path: &Path, disk: &mut D) -> Result<Vec<u8>, OpenError> {
    let refused = |source| OpenError::Io { action: "read", path: path.to_owned(), source };
    let (file, size) = match disk.open(path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refused(error)),
    };
    let too_large = |size| OpenError::TooLarge { path: path.to_owned(), size, limit: FILE_SIZE_MAX };
    let limit = FILE_SIZE_MAX as u64;
    if size > limit {
        return Err(too_large(size));
    }
    let mut bytes = Vec::new();
    // The size may have been true a moment ago only.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() > FILE_SIZE_MAX {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// Does with a damaged file what the operator wants.
fn recover<D: Disk>(paths: &Paths, damage: Damage, on_damage: OnDamage, disk: &mut D) -> Result<(), OpenError> {
    let Damage { line, column, reason } = damage;
    let path = paths.data.clone();
    match on_damage {
        OnDamage::Refuse => Err(OpenError::Damaged { path, line, column, reason }),
        OnDamage::SetAside => {
            let aside = set_aside(paths, disk).map_err(|source| OpenError::Io {
                action: "set aside the damaged",
                path,
                source,
            })?;
            tracing::warn!(
                path = %paths.data.display(), aside = %aside.display(), line, column, reason,
                "the KV file is damaged; it was set aside, and the store starts empty"
            );
            Ok(())
        }
    }
}

/// Gives the file the first name of its kind that is free.
fn set_aside<D: Disk>(paths: &Paths, disk: &mut D) -> io::Result<PathBuf> {
    let aside = (1..=u32::MAX)
        .map(|n| sibling(&paths.data, &format!(".damaged-{n}")))
        .find(|path| !disk.is_taken(path))
        .ok_or(io::ErrorKind::AlreadyExists)?;
    // No server can take the name in between, because the lock is ours.
    disk.rename(&paths.data, &aside)?;
    disk.sync_directory(&paths.directory)?;
    Ok(aside)
}

fn remove_if_there<D: Disk>(disk: &mut D, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The data file of a running server. Whoever holds it holds the lock.
#[derive(Debug)]
pub(super) struct DataFile<D> {
    disk: D,
    paths: Paths,
    backup_failing: bool,
    _lock: File,
}

/// A commit that did not reach its end.
#[derive(Debug)]
pub(super) struct CommitError {
    /// Whether the data file has the new content nevertheless; then only the last step failed.
    pub(super) replaced: bool,
    pub(super) action: &'static str,
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

impl<D: Disk> DataFile<D> {
    pub(super) fn path(&self) -> &Path {
        &self.paths.data
    }

    /// Replaces the content, and keeps the previous one as the backup. `Ok` means that it survives a crash.
    pub(super) fn commit(&mut self, bytes: &[u8]) -> Result<(), CommitError> {
        self.prepare(bytes)?;
        self.back_up();
        self.swap()
    }

    /// Puts previous content back after a commit that failed too late. The backup stays: what stands in the file was
    /// refused, and nobody will want it.
    pub(super) fn restore(&mut self, bytes: &[u8]) -> Result<(), CommitError> {
        self.prepare(bytes)?;
        self.swap()
    }

    fn prepare(&mut self, bytes: &[u8]) -> Result<(), CommitError> {
        let Paths { temporary, data, .. } = &self.paths;
        let disk = &mut self.disk;
        let written = disk
            .write_temporary(temporary, data, bytes)
            .map_err(|source| ("write", source))
            .and_then(|file| disk.sync_file(&file).map_err(|source| ("sync", source)));
        written.map_err(|(action, source)| {
            self.discard_temporary();
            CommitError { replaced: false, action, path: self.paths.temporary.clone(), source }
        })
    }

    /// A backup that fails does not fail the write: it is a convenience, the rename is what keeps the data whole.
    // Java: MixAll.string2File
    fn back_up(&mut self) {
        let Paths { data, backup, backup_temporary, .. } = &self.paths;
        let disk = &mut self.disk;
        // By way of another name, so that there is a backup at every moment. That name may be taken: a rename between
        // two links to one file leaves both, and a crash can have made the backup a link to the data file.
        let linked = remove_if_there(disk, backup_temporary).and_then(|()| match disk.link(data, backup_temporary) {
            Ok(()) => disk.rename(backup_temporary, backup),
            // The first commit of all: there is nothing to keep.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        });
        if let Err(error) = &linked
            && !self.backup_failing
        {
            tracing::warn!(path = %backup.display(), %error, "cannot keep the previous KV file as a backup");
        }
        self.backup_failing = linked.is_err();
    }

    fn swap(&mut self) -> Result<(), CommitError> {
        if let Err(source) = self.disk.rename(&self.paths.temporary, &self.paths.data) {
            self.discard_temporary();
            let path = self.paths.data.clone();
            return Err(CommitError { replaced: false, action: "replace", path, source });
        }
        self.disk.sync_directory(&self.paths.directory).map_err(|source| {
            let path = self.paths.directory.clone();
            CommitError { replaced: true, action: "sync the directory", path, source }
        })
    }

    fn discard_temporary(&mut self) {
        // Not worth a word of its own: what failed before is reported, and the next commit overwrites it.
        let _ = self.disk.remove(&self.paths.temporary);
    }
}
