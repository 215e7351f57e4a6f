//! The KV store: namespaces of keys and values, and the one file that holds them.
//!
//! ```text
//!  put, delete ─▶ queue ─▶ writer thread: apply to a copy ─▶ temporary file ─▶ fsync ─▶ rename ─▶ fsync directory
//!                                                                                                     │
//!  get, namespace, snapshot ◀──────────────── the published table ◀───────────────────────────────────┤
//!                                                            every completion of the batch is called ◀┘
//! ```
//!
//! [`KvStore`] is the only way in. `table` is plain data that knows nothing of threads or disks, `format` turns it into
//! bytes and back, `file` finds, locks, loads and replaces the file, `queue` and `writer` order the writes, and
//! `completion` tells who waits for them. All files but the lock are read and written through `disk`, so that tests can
//! fail any operation.
//!
//! # Invariants
//!
//! * What readers see is what the file holds. A write is published after it is on disk and before its completion is
//!   called; a batch that failed is not published at all.
//! * Writes are applied in the order in which they were queued, by one thread. Whatever waits shares one replacement of
//!   the file.
//! * Every completion is called exactly once, whatever happens.
//! * The data file always holds one whole table: it is replaced by a rename, never written in place.
//! * Everything is bounded: a name, a value, what waits, and the file.
//!
//! # Files
//!
//! Beside `<path>` stand `<path>.lock` (held while a server runs; stays), `<path>.bak` (the content before the last
//! write, a hard link made just before the rename, as far as the file system has hard links), and during a commit
//! `<path>.tmp` and `<path>.bak.tmp`. `<path>.damaged-<n>` are files that were set aside.
//!
//! # Not here
//!
//! No request codes, no clock, no `await`, no JSON but that of the file. Who may write what is decided by the caller.

mod completion;
mod disk;
mod file;
pub mod format;
mod queue;
mod table;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use self::disk::{Disk, RealDisk};
use self::queue::{Change, Queue};
use self::writer::Writer;

pub use self::completion::{Completion, Writes};
pub use self::file::OpenError;
pub use self::queue::WriteError;
pub use self::table::{Namespace, Table};

/// The longest namespace or key that is accepted, in bytes.
pub const NAME_LEN_MAX: usize = 64 << 10;

/// The longest value that is accepted, in bytes.
pub const VALUE_LEN_MAX: usize = 1 << 20;

/// The largest file that is read, and the largest that a write may lead to, in bytes.
pub const FILE_SIZE_MAX: usize = 256 << 20;

/// Writes that may wait for the disk; one more is [`WriteError::Busy`].
pub const QUEUE_WRITES_MAX: usize = 16 << 10;

/// Bytes of names and values that may wait for the disk. As many again may be on their way to it.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// `[kv]`: where the KV store lives.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct KvConfig {
    /// The file. Java: `kvConfigPath`.
    pub path: PathBuf,

    /// What to do when the file cannot be understood.
    pub on_damage: OnDamage,
}

impl Default for KvConfig {
    /// Where Java keeps it. The configuration replaces `~`; a store does not.
    fn default() -> Self {
        Self { path: PathBuf::from("~/namesrv/kvConfig.json"), on_damage: OnDamage::default() }
    }
}

/// `kv.on-damage`: what to do when the file cannot be understood.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDamage {
    /// Do not start: somebody should look. This is what Java does.
    #[default]
    Refuse,
    /// Rename it to `<path>.damaged-<n>` and start empty.
    SetAside,
}

/// The KV store of one server. Reads never wait; writes are queued and complete when they are on disk.
///
/// Dropping it is [`KvStore::close`].
#[derive(Debug)]
pub struct KvStore {
    table: Arc<ArcSwap<Table>>,
    queue: Arc<Queue>,
    writer_id: ThreadId,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl KvStore {
    /// Locks and loads the file, creating its directory if need be, and starts the writer thread.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]; nothing is left running, and the lock is released.
    pub fn open(config: KvConfig) -> Result<Self, OpenError> {
        Self::open_on(config, RealDisk)
    }

    /// [`KvStore::open`], with the commits made on `disk`.
    fn open_on<D: Disk>(config: KvConfig, disk: D) -> Result<Self, OpenError> {
        let (table, queue, writer) = Self::parts(&config, disk)?;
        let path = writer.path().to_owned();
        let handle = thread::Builder::new()
            .name("kv-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io { action: "start the writer of", path, source })?;
        Ok(Self { table, queue, writer_id: handle.thread().id(), writer: Mutex::new(Some(handle)) })
    }

    /// [`KvStore::open`], without a thread: what is queued waits until the caller writes it.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open_by_hand(config: &KvConfig) -> Result<(Self, HandWriter), OpenError> {
        let (table, queue, writer) = Self::parts(config, RealDisk)?;
        let store = Self { table, queue, writer_id: thread::current().id(), writer: Mutex::new(None) };
        Ok((store, HandWriter(writer)))
    }

    fn parts<D: Disk>(config: &KvConfig, disk: D) -> Result<Parts<D>, OpenError> {
        let opened = file::open(config, disk)?;
        let table = Arc::new(ArcSwap::from_pointee(opened.table));
        let queue = Arc::new(Queue::default());
        let writer = Writer::new(queue.clone(), table.clone(), opened.file);
        Ok((table, queue, writer))
    }

    /// The value of a key, or none.
    pub fn get(&self, namespace: &str, key: &str) -> Option<Arc<str>> {
        self.table.load().get(namespace, key).cloned()
    }

    /// One namespace as it is on disk, or none when it does not exist. An emptied namespace exists.
    pub fn namespace(&self, namespace: &str) -> Option<Arc<Namespace>> {
        self.table.load().namespace(namespace).cloned()
    }

    /// Which publication everything is of, without taking hold of it.
    pub fn version(&self) -> u64 {
        self.table.load().version()
    }

    /// Everything, as of one moment.
    pub fn snapshot(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// What the writer has done since the store was opened.
    pub fn counts(&self) -> Counts {
        let done = &self.queue.done;
        Counts {
            writes: done.writes.load(Relaxed),
            writes_failed: done.writes_failed.load(Relaxed),
            commits: done.commits.load(Relaxed),
            commits_failed: done.commits_failed.load(Relaxed),
        }
    }

    /// Queues a value for a key; without one, makes sure that the namespace exists and that the key does not.
    ///
    /// `done` is called exactly once: on the writer thread when the write is on disk and published, or has failed; or
    /// at once, on this thread, when the write is refused here. It must not block.
    ///
    /// # Errors
    ///
    /// The write was refused and changes nothing; `done` was told the same.
    // Java: KVConfigManager.putKVConfig stores null for a missing value, which neither its file nor any reply shows.
    pub fn put(&self, namespace: &str, key: &str, value: Option<&str>, done: Completion) -> Result<(), WriteError> {
        let parts = [
            ("namespace", namespace, NAME_LEN_MAX),
            ("key", key, NAME_LEN_MAX),
            ("value", value.unwrap_or_default(), VALUE_LEN_MAX),
        ];
        if let Err(refusal) = check_lengths(&parts) {
            return done.refuse(refusal);
        }
        let change = Change::Put { namespace: namespace.into(), key: key.into(), value: value.map(Arc::from) };
        self.queue.push(change, done)
    }

    /// Queues the removal of a key; its namespace stays. Removing what is not there succeeds.
    ///
    /// `done` is called as by [`KvStore::put`].
    ///
    /// # Errors
    ///
    /// The write was refused and changes nothing; `done` was told the same.
    // Java: KVConfigManager.deleteKVConfig
    pub fn delete(&self, namespace: &str, key: &str, done: Completion) -> Result<(), WriteError> {
        if let Err(refusal) = check_lengths(&[("namespace", namespace, NAME_LEN_MAX), ("key", key, NAME_LEN_MAX)]) {
            return done.refuse(refusal);
        }
        self.queue.push(Change::Delete { namespace: namespace.into(), key: key.into() }, done)
    }

    /// Refuses further writes, waits until those that are queued are on disk, and releases the file.
    ///
    /// Reads go on. A completion may call this, or drop the store; then nothing is waited for, because the thread that
    /// would be waited for is the one that asks.
    pub fn close(&self) {
        self.queue.close();
        if thread::current().id() == self.writer_id {
            return;
        }
        // Held while joining, so that whoever closes second waits as well.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = writer.take()
            && handle.join().is_err()
        {
            tracing::error!("the KV writer thread panicked; the writes that waited for it were refused");
        }
    }
}

/// What the writer of a store has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Writes that are on disk, or had nothing to change.
    pub writes: u64,
    /// Writes whose clients were told that they are not.
    pub writes_failed: u64,
    /// Files that were written and synced; many writes may share one.
    pub commits: u64,
    /// Files that could not be.
    pub commits_failed: u64,
}

type Parts<D> = (Arc<ArcSwap<Table>>, Arc<Queue>, Writer<D>);

/// The writer of a store without a thread.
#[derive(Debug)]
pub struct HandWriter(Writer<RealDisk>);

impl HandWriter {
    /// How many writes wait.
    pub fn waiting(&self) -> usize {
        self.0.waiting()
    }

    /// Brings what waits to disk as one batch, publishes it and calls its completions.
    pub fn write(&mut self) {
        self.0.write_waiting();
    }
}

impl Drop for KvStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// Before anything is copied: lengths come from strangers.
fn check_lengths(parts: &[(&'static str, &str, usize)]) -> Result<(), WriteError> {
    match parts.iter().find(|(_, text, limit)| text.len() > *limit) {
        Some(&(what, text, limit)) => Err(WriteError::TooLong { what, length: text.len(), limit }),
        None => Ok(()),
    }
}
