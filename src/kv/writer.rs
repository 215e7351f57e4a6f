//! The writer thread: takes what waits as one batch, commits it, publishes it, tells everyone.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arc_swap::ArcSwap;

use super::completion::Completion;
use super::disk::Disk;
use super::file::{CommitError, DataFile};
use super::format;
use super::queue::{Queue, Write, WriteError};
use super::table::Table;

/// What the writer thread owns: the right to publish, and the file with its lock.
#[derive(Debug)]
pub(super) struct Writer<D> {
    queue: Arc<Queue>,
    table: Arc<ArcSwap<Table>>,
    file: DataFile<D>,
    /// Whether the file is known to survive a crash as it is. Not so at the start: the server before may have died
    /// between its rename and its fsync. While it is not, a batch that changes nothing is committed like any other.
    settled: bool,
    /// Whether the last commit failed; the log has it once, not once for each client that tries.
    failing: bool,
}

impl<D: Disk> Writer<D> {
    pub(super) fn new(queue: Arc<Queue>, table: Arc<ArcSwap<Table>>, file: DataFile<D>) -> Self {
        Self { queue, table, file, settled: false, failing: false }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let queue = AbandonedOnExit(self.queue.clone());
        let mut company = 0;
        while let Some(batch) = queue.0.take(company) {
            company = batch.len();
            self.write(batch);
        }
    }

    /// Where it writes.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// How many writes wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Takes what waits, if anything does, as one batch.
    pub(super) fn write_waiting(&mut self) {
        if let Some(batch) = self.queue.try_take() {
            self.write(batch);
        }
    }

    fn write(&mut self, batch: Vec<Write>) {
        let current = self.table.load_full();
        let mut next = Table::clone(&current);
        let version = current.version() + 1;
        let applied: Vec<_> = batch.iter().map(|write| next.apply(&write.change, version)).collect();
        let stored = self.store(&current, next);
        let done = &self.queue.done;
        for (write, applied) in batch.into_iter().zip(applied) {
            let outcome = applied.and(stored.clone());
            let counter = if outcome.is_ok() { &done.writes } else { &done.writes_failed };
            counter.fetch_add(1, Relaxed);
            tell(write.done, outcome);
        }
    }

    /// Brings `next` to disk and publishes it.
    fn store(&mut self, current: &Table, next: Table) -> Result<(), WriteError> {
        let changed = next.version() != current.version();
        if self.settled && !changed {
            return Ok(());
        }
        let committed = self.file.commit(&format::encode(&next));
        let done = &self.queue.done;
        let counter = if committed.is_ok() { &done.commits } else { &done.commits_failed };
        counter.fetch_add(1, Relaxed);
        match committed {
            Ok(()) => {
                self.settled = true;
                if changed {
                    self.table.store(Arc::new(next));
                }
                if self.failing {
                    self.failing = false;
                    tracing::info!(path = %self.file.path().display(), "the KV file can be written again");
                }
                Ok(())
            }
            Err(failure) => {
                if failure.replaced {
                    self.take_back(current, next);
                }
                Err(self.report(failure))
            }
        }
    }

    /// The new content is in the file, but nobody knows whether it will stay. Puts back what was there, so that what
    /// was refused does not come to light at the next start; failing that, shows it to readers, too.
    fn take_back(&mut self, current: &Table, next: Table) {
        match self.file.restore(&format::encode(current)) {
            Ok(()) => self.settled = true,
            Err(failure) => {
                self.settled = false;
                if !failure.replaced {
                    self.table.store(Arc::new(next));
                }
            }
        }
    }

    fn report(&mut self, failure: CommitError) -> WriteError {
        let CommitError { action, path, source, .. } = failure;
        let error = WriteError::Disk { action, path, source: Arc::new(source) };
        if !self.failing {
            self.failing = true;
            tracing::error!(%error, "KV writes fail, and their clients are told so");
        }
        error
    }
}

/// A completion is a stranger's code: its panic must not end the thread that everybody's writes need.
fn tell(done: Completion, outcome: Result<(), WriteError>) {
    if panic::catch_unwind(AssertUnwindSafe(|| done.complete(outcome))).is_err() {
        tracing::error!("a completion of a KV write panicked");
    }
}

/// Refuses what waits when the thread ends before its time, so that nobody waits for it for ever.
struct AbandonedOnExit(Arc<Queue>);

impl Drop for AbandonedOnExit {
    fn drop(&mut self) {
        for write in self.0.abandon() {
            tell(write.done, Err(WriteError::Closed));
        }
    }
}
