//! Numbers that threads count without waiting for each other: each writes its own, and whoever asks adds them up.
//!
//! A part that counts on several threads keeps a [`PerThread`] of a struct of [`Counter`]s. Each of its threads
//! [joins](PerThread::join) once and counts in what it got; the metrics [sum](PerThread::sum) over all that joined.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// A number that only grows. One thread writes it, any may read it.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// By the only thread that writes it: a load and a store cost less than an addition that others may see.
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// The same, for one more.
    pub(crate) fn count(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What each thread of a kind counts for itself.
#[derive(Debug)]
pub(crate) struct PerThread<T> {
    all: Mutex<Vec<Arc<Apart<T>>>>,
}

/// Aligned, so that no thread writes a cache line that another one uses.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(T);

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Default for PerThread<T> {
    fn default() -> Self {
        Self { all: Mutex::default() }
    }
}

impl<T> PerThread<T> {
    /// Where one thread counts. What it counted stays when it is gone.
    pub(crate) fn join(&self, counters: T) -> Arc<Apart<T>> {
        let mine = Arc::new(Apart(counters));
        self.lock().push(Arc::clone(&mine));
        mine
    }

    /// One number, over all threads.
    pub(crate) fn sum(&self, number: impl Fn(&T) -> u64) -> u64 {
        self.lock().iter().map(|one| number(one)).fold(0, u64::wrapping_add)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Apart<T>>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_thread_counted_is_summed_also_after_it_has_ended() {
        let all = PerThread::<[Counter; 2]>::default();

        std::thread::scope(|scope| {
            for thread in 1..=3 {
                let mine = all.join(Default::default());
                scope.spawn(move || {
                    mine[0].count();
                    mine[1].add(thread);
                });
            }
        });

        assert_eq!((all.sum(|one| one[0].get()), all.sum(|one| one[1].get())), (3, 6));
    }
}
