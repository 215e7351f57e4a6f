//! How much memory a plugin may use, over all of its instances.
//!
//! Every thread has an instance of its own, and a limit for each would let a plugin use as many times the limit as there
//! are threads. So all instances of a plugin draw on one count.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::ResourceLimiter;

/// Tables (of functions, of resources) of one instance hold at most this many entries.
const TABLE_ENTRIES_MAX: usize = 100_000;

/// The memory of one plugin.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    used: AtomicUsize,
    max: usize,
    /// How often an instance was refused.
    refusals: AtomicUsize,
}

impl SharedMemory {
    /// `max` bytes, over all instances.
    pub(crate) fn new(max: usize) -> Self {
        Self { used: AtomicUsize::new(0), max, refusals: AtomicUsize::new(0) }
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.max);
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if !taken {
            self.refusals.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The limits of one instance, which gives its memory back when it goes.
#[derive(Debug)]
pub(super) struct InstanceLimits {
    shared: Arc<SharedMemory>,
    held: usize,
    refusals_before: usize,
}

impl InstanceLimits {
    pub(super) fn new(shared: Arc<SharedMemory>) -> Self {
        let refusals_before = shared.refusals.load(Ordering::Relaxed);
        Self { shared, held: 0, refusals_before }
    }

    /// Whether this or another instance was refused memory since this one began. Linear memory never shrinks, so what
    /// one holds the others lack until it goes.
    pub(super) fn is_short(&self) -> bool {
        self.shared.refusals.load(Ordering::Relaxed) != self.refusals_before
    }
}

impl ResourceLimiter for InstanceLimits {
    fn memory_growing(&mut self, current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = desired.saturating_sub(current);
        let granted = self.shared.take(bytes);
        if granted {
            self.held += bytes;
        }
        Ok(granted)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ENTRIES_MAX)
    }
}

impl Drop for InstanceLimits {
    fn drop(&mut self) {
        self.shared.give_back(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_share_what_their_plugin_may_use_and_give_it_back() {
        let shared = Arc::new(SharedMemory::new(100));
        let mut first = InstanceLimits::new(Arc::clone(&shared));
        let mut second = InstanceLimits::new(Arc::clone(&shared));

        assert!(first.memory_growing(0, 60, None).unwrap());
        assert!(!first.is_short());
        assert!(!second.memory_growing(0, 60, None).unwrap());
        assert!(first.is_short() && second.is_short());
        drop(first);
        assert!(second.memory_growing(0, 60, None).unwrap());
        assert!(!InstanceLimits::new(shared).is_short());
    }
}
