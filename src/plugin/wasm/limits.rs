//! How much memory a plugin may use, over all of its instances.
//!
//! Every thread has an instance of its own, and a limit for each would let a plugin use as many times the limit as
//! there are threads. So all instances of a plugin draw on one count for what they grow by. What an instance begins
//! with is not counted, so that a machine with many cores can give one to every thread; it is only bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::ResourceLimiter;

/// Memories, tables and core instances of one component instance. Toolchains make a handful of each.
const PARTS_MAX: usize = 64;

/// What an entry of a table takes in the host's memory.
const TABLE_ENTRY_SIZE: usize = 16;

/// The memory of one plugin.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    used: AtomicUsize,
    /// What the instances began with.
    begun: AtomicUsize,
    max: usize,
    table_entries_max: usize,
}

impl SharedMemory {
    /// `max` bytes over all instances, and so many entries in any one table.
    pub(crate) fn new(max: usize, table_entries_max: usize) -> Self {
        Self { used: AtomicUsize::new(0), begun: AtomicUsize::new(0), max, table_entries_max }
    }

    /// What all instances have, in bytes.
    pub(crate) fn in_use(&self) -> usize {
        self.used.load(Ordering::Relaxed) + self.begun.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
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
    begun: usize,
    /// Linear memory, with what it began with.
    memory: usize,
    /// What was granted last; given back if the growth fails after all.
    pending: usize,
    refused: bool,
}

impl InstanceLimits {
    pub(super) fn new(shared: Arc<SharedMemory>) -> Self {
        Self { shared, held: 0, begun: 0, memory: 0, pending: 0, refused: false }
    }

    /// Whether something of `current` bytes may grow to `desired`.
    fn grow(&mut self, current: usize, desired: usize) -> bool {
        self.pending = 0;
        if current == 0 {
            let fits = desired <= self.shared.max;
            if fits {
                self.begun += desired;
                self.shared.begun.fetch_add(desired, Ordering::Relaxed);
            }
            return fits;
        }
        let bytes = desired.saturating_sub(current);
        let granted = self.shared.take(bytes);
        if granted {
            self.held += bytes;
            self.pending = bytes;
        } else {
            self.refused = true;
        }
        granted
    }

    /// How much linear memory it has, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// Whether it ever wanted more than there was.
    pub(super) fn was_refused(&self) -> bool {
        self.refused
    }

    fn growth_failed(&mut self) {
        let bytes = std::mem::take(&mut self.pending);
        self.held -= bytes;
        self.shared.give_back(bytes);
    }
}

impl ResourceLimiter for InstanceLimits {
    fn memory_growing(&mut self, current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let granted = self.grow(current, desired);
        if granted {
            self.memory += desired.saturating_sub(current);
        }
        Ok(granted)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory = self.memory.saturating_sub(self.pending);
        self.growth_failed();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.shared.table_entries_max {
            self.refused |= current > 0;
            return Ok(false);
        }
        Ok(self.grow(current.saturating_mul(TABLE_ENTRY_SIZE), desired.saturating_mul(TABLE_ENTRY_SIZE)))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.growth_failed();
        Ok(())
    }

    fn instances(&self) -> usize {
        PARTS_MAX
    }

    fn tables(&self) -> usize {
        PARTS_MAX
    }

    fn memories(&self) -> usize {
        PARTS_MAX
    }
}

impl Drop for InstanceLimits {
    fn drop(&mut self) {
        self.shared.give_back(self.held);
        self.shared.begun.fetch_sub(self.begun, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Room for so many bytes.
    fn shared(max: usize) -> Arc<SharedMemory> {
        Arc::new(SharedMemory::new(max, 1000))
    }

    #[test]
    fn instances_share_what_their_plugin_may_use_and_give_it_back() {
        let shared = shared(100);
        let mut first = InstanceLimits::new(Arc::clone(&shared));
        let mut second = InstanceLimits::new(Arc::clone(&shared));

        assert!(first.memory_growing(10, 70, None).unwrap());
        assert!(!second.memory_growing(10, 70, None).unwrap());
        drop(first);
        assert!(second.memory_growing(10, 70, None).unwrap());
    }

    #[test]
    fn what_an_instance_begins_with_is_bounded_but_not_counted_so_that_every_thread_gets_one() {
        let shared = shared(100);

        let mut instances: Vec<_> = (0..1000).map(|_| InstanceLimits::new(Arc::clone(&shared))).collect();

        assert!(instances.iter_mut().all(|instance| instance.memory_growing(0, 90, None).unwrap()));
        assert!(!instances[0].memory_growing(0, 101, None).unwrap());
        assert!(instances[0].memory_growing(90, 190, None).unwrap());
    }

    #[test]
    fn a_growth_that_fails_after_all_is_given_back() {
        let shared = shared(100);
        let mut instance = InstanceLimits::new(Arc::clone(&shared));

        for _ in 0..10 {
            assert!(instance.memory_growing(10, 90, None).unwrap());
            instance.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        }

        assert_eq!(instance.held, 0);
        assert!(instance.table_growing(1, 6, None).unwrap());
    }

    #[test]
    fn a_table_has_no_more_entries_than_it_may_however_much_memory_there_is() {
        let mut instance = InstanceLimits::new(shared(1 << 20));

        assert!(instance.table_growing(0, 1000, None).unwrap());
        assert!(!instance.table_growing(0, 1001, None).unwrap());
        assert!(!instance.was_refused(), "it never began");
        assert!(!instance.table_growing(1000, 1001, None).unwrap());
        assert!(instance.was_refused());
    }

    #[test]
    fn what_all_instances_have_is_told_and_less_when_they_go() {
        let shared = shared(100);
        let mut one = InstanceLimits::new(Arc::clone(&shared));
        let mut other = InstanceLimits::new(Arc::clone(&shared));

        assert!(one.memory_growing(0, 90, None).unwrap() && other.memory_growing(0, 80, None).unwrap());
        assert!(one.memory_growing(90, 100, None).unwrap());
        assert_eq!(shared.in_use(), 180);
        drop(one);
        assert_eq!(shared.in_use(), 80);
    }
}
