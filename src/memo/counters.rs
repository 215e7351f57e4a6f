//! What the memo of one worker did, counted by it alone and read by anybody.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::reads::Unfit;

/// Counters of one worker; aligned, so that no worker writes a cache line that another one writes.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    pub(super) hits: AtomicU64,
    pub(super) compared: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) stale: AtomicU64,
    pub(super) unlike: AtomicU64,
    pub(super) unfit: [AtomicU64; Unfit::ALL.len()],
    pub(super) recomputed: AtomicU64,
    pub(super) broken: AtomicU64,
    pub(super) inserted: AtomicU64,
    pub(super) evicted: AtomicU64,
    pub(super) entries: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// The counters of all workers of a server.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Vec<Arc<Counters>>>);

/// What the memos of all workers did so far, and hold now.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MemoUsage {
    /// Requests that were answered from memory.
    pub hits: u64,
    /// Remembered replies of which it was found out anew whether they hold, because something had been published.
    pub compared: u64,
    /// Requests that no remembered reply was made for; those for which none can be are not counted here.
    pub unknown: u64,
    /// Requests whose remembered reply rested on something that had changed.
    pub stale: u64,
    /// Requests that are written in an unusual way: larger than a key may be, or without a plain opaque.
    pub unlike: u64,
    /// Replies that were not remembered, by reason.
    pub unfit: Vec<(&'static str, u64)>,
    /// Hits that were made again by the plugin, for comparison.
    pub recomputed: u64,
    /// Of those, how many came out differently: a broken promise.
    pub broken: u64,
    /// Replies that were remembered.
    pub inserted: u64,
    /// Replies that made room for others.
    pub evicted: u64,
    /// Replies that are remembered now.
    pub entries: u64,
    /// What they take, in bytes. A body that several share counts for each.
    pub bytes: u64,
}

impl Tally {
    /// Counters for one more worker.
    pub(crate) fn add(&self) -> Arc<Counters> {
        let counters = Arc::<Counters>::default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        counters
    }

    /// The sum over the workers.
    pub(crate) fn usage(&self) -> MemoUsage {
        Counters::sum(self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|counters| &**counters))
    }
}

impl Counters {
    pub(super) fn unfit(&self, why: Unfit) {
        count(&self.unfit[why as usize]);
    }

    fn sum<'a>(all: impl IntoIterator<Item = &'a Self>) -> MemoUsage {
        let mut sum =
            MemoUsage { unfit: Unfit::ALL.iter().map(|why| (why.name(), 0)).collect(), ..MemoUsage::default() };
        for one in all {
            sum.hits += one.hits.load(Relaxed);
            sum.compared += one.compared.load(Relaxed);
            sum.unknown += one.unknown.load(Relaxed);
            sum.stale += one.stale.load(Relaxed);
            sum.unlike += one.unlike.load(Relaxed);
            for ((_, sum), counter) in sum.unfit.iter_mut().zip(&one.unfit) {
                *sum += counter.load(Relaxed);
            }
            sum.recomputed += one.recomputed.load(Relaxed);
            sum.broken += one.broken.load(Relaxed);
            sum.inserted += one.inserted.load(Relaxed);
            sum.evicted += one.evicted.load(Relaxed);
            sum.entries += one.entries.load(Relaxed);
            sum.bytes += one.bytes.load(Relaxed);
        }
        sum
    }
}

/// Counts one up, by the only thread that writes it.
pub(super) fn count(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}
