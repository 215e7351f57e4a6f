//! Which catalogue counts now, and how every thread changes over to the next one.
//!
//! # Invariants
//!
//! * A thread changes over between two requests: a [`Follower`] is asked before the first one of a read, which costs a
//!   single load. A request that a worker has begun with a catalogue is finished with it, in the write lane as well.
//! * A catalogue is active when every thread uses it, and gone when the last request that began with it has ended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;

use super::registry::Catalogue;

/// The catalogues of a server: the one that counts, and those that requests still end with.
pub(crate) struct Generations {
    current: ArcSwap<Catalogue>,
    /// That of `current`, stored after it.
    number: AtomicU64,
    /// What each thread uses.
    followers: Mutex<Vec<Weak<AtomicU64>>>,
    before: Mutex<Vec<Weak<Catalogue>>>,
}

/// A thread's place among those that change over.
pub(crate) struct Follower {
    generations: Arc<Generations>,
    uses: Arc<AtomicU64>,
}

impl Generations {
    pub(crate) fn new(first: Catalogue) -> Self {
        let number = AtomicU64::new(first.number());
        let (followers, before) = Default::default();
        Self { current: ArcSwap::from_pointee(first), number, followers, before }
    }

    /// The catalogue that counts for whoever begins now.
    pub(crate) fn current(&self) -> Arc<Catalogue> {
        self.current.load_full()
    }

    /// From now on this one counts.
    pub(super) fn publish(&self, next: Catalogue) {
        let number = next.number();
        let last = self.current.swap(Arc::new(next));
        // Whoever sees the number finds the catalogue.
        self.number.store(number, Ordering::Release);
        let mut before = lock(&self.before);
        before.retain(|catalogue| catalogue.strong_count() > 0);
        before.push(Arc::downgrade(&last));
    }

    /// The newest generation that every thread has changed over to.
    pub(crate) fn active(&self) -> u64 {
        let mut followers = lock(&self.followers);
        followers.retain(|follower| follower.strong_count() > 0);
        let used = followers.iter().filter_map(Weak::upgrade).map(|uses| uses.load(Ordering::Acquire));
        used.min().unwrap_or_else(|| self.number.load(Ordering::Acquire))
    }

    /// The earlier catalogues that somebody still uses.
    pub(crate) fn draining(&self) -> Vec<Arc<Catalogue>> {
        lock(&self.before).iter().filter_map(Weak::upgrade).collect()
    }

    /// One more thread, and what it begins with.
    pub(crate) fn follow(self: &Arc<Self>) -> (Follower, Arc<Catalogue>) {
        let mut followers = lock(&self.followers);
        let catalogue = self.current();
        let uses = Arc::new(AtomicU64::new(catalogue.number()));
        followers.push(Arc::downgrade(&uses));
        (Follower { generations: Arc::clone(self), uses }, catalogue)
    }
}

impl Follower {
    /// The catalogue that counts now, if it is not the one that the thread has.
    pub(crate) fn newer(&self, than: &Catalogue) -> Option<Arc<Catalogue>> {
        if self.generations.number.load(Ordering::Acquire) == than.number() {
            return None;
        }
        Some(self.generations.current())
    }

    /// The thread has changed over, and has nothing of any earlier one.
    pub(crate) fn uses(&self, catalogue: &Catalogue) {
        self.uses.store(catalogue.number(), Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panics leaves a list whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
