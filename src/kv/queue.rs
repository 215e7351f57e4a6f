//! What waits for the disk, in order and bounded, and why a write fails.

use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::completion::Completion;
use super::{QUEUE_BYTES_MAX, QUEUE_WRITES_MAX};

/// How long the disk is kept waiting for the next of those who came together the last time.
const PATIENCE: Duration = Duration::from_micros(120);

/// For more than so many the disk does not wait.
const COMPANY_MAX: usize = 64;

/// Why a write is not on disk.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The disk is behind: too much waits already. Try again later.
    #[error("too many writes wait for the disk")]
    Busy,

    /// The store is closed, or was closed before it came to this write.
    #[error("the KV store is closed")]
    Closed,

    /// A name or a value is too long.
    #[error("{what} of {length} bytes, limit is {limit}")]
    TooLong {
        /// `namespace`, `key` or `value`.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The most that is accepted.
        limit: usize,
    },

    /// The file would become larger than one that can be read again.
    #[error("the KV store is full: its file may hold {limit} bytes")]
    Full {
        /// The size that the file may have.
        limit: usize,
    },

    /// The disk refused. Neither the file nor what readers see has changed, with one exception: when the last step, the
    /// fsync of the directory, failed and the previous content could not be put back either, both show the new content,
    /// of which nobody knows whether it survives a crash.
    #[error("cannot {action} {}: {source}", path.display())]
    Disk {
        /// What could not be done, a verb.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
}

impl WriteError {
    /// Why, for whoever asked for the write: in words that say nothing of this machine's files. The log says the rest.
    pub fn reason(&self) -> String {
        let Self::Disk { source, .. } = self else { return self.to_string() };
        let reason = match source.kind() {
            io::ErrorKind::StorageFull => "the disk is full",
            io::ErrorKind::QuotaExceeded => "the disk quota is used up",
            io::ErrorKind::FileTooLarge => "the file may not grow any further",
            io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
            io::ErrorKind::PermissionDenied => "the server may not write its file",
            io::ErrorKind::NotFound => "the directory of the file is gone",
            _ => "the disk failed",
        };
        reason.to_owned()
    }
}

/// One write, as it waits. Names are shared with the table that they end up in.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Put { namespace: Arc<str>, key: Arc<str>, value: Option<Arc<str>> },
    Delete { namespace: Arc<str>, key: Arc<str> },
}

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Self::Put { namespace, key, value } => {
                namespace.len() + key.len() + value.as_ref().map_or(0, |value| value.len())
            }
            Self::Delete { namespace, key } => namespace.len() + key.len(),
        }
    }
}

/// A change and who waits for it.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) change: Change,
    pub(super) done: Completion,
}

/// The writes that wait for the writer thread.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    patience: Duration,
    pub(super) done: Done,
}

impl Default for Queue {
    fn default() -> Self {
        Self::with_patience(PATIENCE)
    }
}

/// What the writer has done so far.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) writes: AtomicU64,
    pub(super) writes_failed: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) commits_failed: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    writes: Vec<Write>,
    bytes: usize,
    closed: bool,
    /// How many writes the writer sleeps for; fewer do not wake it.
    wanted: usize,
}

impl Queue {
    pub(super) fn with_patience(patience: Duration) -> Self {
        Self { waiting: Mutex::default(), arrived: Condvar::new(), patience, done: Done::default() }
    }

    /// Adds a write at the end. A refusal is returned and told to `done` as well.
    pub(super) fn push(&self, change: Change, done: Completion) -> Result<(), WriteError> {
        let mut waiting = self.lock();
        let bytes = waiting.bytes + change.bytes();
        let refusal = if waiting.closed {
            WriteError::Closed
        } else if waiting.writes.len() >= QUEUE_WRITES_MAX || bytes > QUEUE_BYTES_MAX {
            WriteError::Busy
        } else {
            waiting.bytes = bytes;
            waiting.writes.push(Write { change, done });
            if waiting.writes.len() >= waiting.wanted {
                self.arrived.notify_one();
            }
            return Ok(());
        };
        // Completions are never called under the lock: they may write.
        drop(waiting);
        done.refuse(refusal)
    }

    /// Waits for writes and takes all there are. None once the queue is closed and empty.
    ///
    /// `company` is how many came together the last time. They were answered at one moment, so if they go on they come
    /// back almost together; the first of them waits for the others for as long as more come, because whoever misses
    /// this turn of the disk waits for two.
    pub(super) fn take(&self, company: usize) -> Option<Vec<Write>> {
        let mut waiting = self.lock();
        while waiting.writes.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting.wanted = 1;
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.wanted = company.min(COMPANY_MAX);
        let mut here = 0;
        while here < waiting.writes.len() && waiting.writes.len() < waiting.wanted && !waiting.closed {
            here = waiting.writes.len();
            (waiting, _) = self.arrived.wait_timeout(waiting, self.patience).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.bytes = 0;
        Some(mem::take(&mut waiting.writes))
    }

    /// How many writes the writer sleeps for.
    #[cfg(test)]
    pub(super) fn wanted(&self) -> usize {
        self.lock().wanted
    }

    /// How many writes wait.
    pub(super) fn len(&self) -> usize {
        self.lock().writes.len()
    }

    /// Takes all there are, if there are any.
    pub(super) fn try_take(&self) -> Option<Vec<Write>> {
        let mut waiting = self.lock();
        waiting.bytes = 0;
        Some(mem::take(&mut waiting.writes)).filter(|writes| !writes.is_empty())
    }

    /// Refuses what comes from now on. What waits can still be taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Closes, and gives back what waits: nobody is left to take it.
    pub(super) fn abandon(&self) -> Vec<Write> {
        self.close();
        mem::take(&mut self.lock().writes)
    }

    /// No code of others runs under this lock, so a poisoned one still holds whole values.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
