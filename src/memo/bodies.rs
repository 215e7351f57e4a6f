//! Bodies of remembered replies, each kept once however many requests it answers.
//!
//! Clients of different versions and languages write different requests for the same route, and every worker remembers
//! for itself. What they remember has the same few bodies.

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use hashbrown::{DefaultHashBuilder, HashTable};

/// So many locks, so that workers hardly ever meet at one.
const SHARDS: usize = 64;

/// The bodies that some worker remembers. A body is in here for as long as anybody holds it.
#[derive(Debug)]
pub(super) struct Bodies {
    shards: Box<[Mutex<Shard>]>,
    hasher: DefaultHashBuilder,
}

type Shard = HashTable<(u64, Weak<[u8]>)>;

impl Default for Bodies {
    fn default() -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { shards, hasher: DefaultHashBuilder::default() }
    }
}

impl Bodies {
    /// The body with these bytes. Whoever has it gives it back by [`Bodies::release`].
    pub(super) fn share(&self, bytes: &[u8]) -> Arc<[u8]> {
        let hash = self.hasher.hash_one(bytes);
        let mut shard = self.shard(hash);
        let known = shard.find(hash, |(other, body)| *other == hash && body.upgrade().is_some_and(|b| *b == *bytes));
        if let Some(body) = known.and_then(|(_, body)| body.upgrade()) {
            return body;
        }
        let body: Arc<[u8]> = bytes.into();
        shard.insert_unique(hash, (hash, Arc::downgrade(&body)), |(hash, _)| *hash);
        body
    }

    /// Lets go of a body, and forgets it if nobody else holds it.
    pub(super) fn release(&self, body: Arc<[u8]>) {
        let hash = self.hasher.hash_one(&*body);
        let mut shard = self.shard(hash);
        let address = Arc::as_ptr(&body);
        // Under the lock, so that of the last two holders one sees that it is the last.
        drop(body);
        let is_gone =
            |(_, known): &(u64, Weak<[u8]>)| std::ptr::addr_eq(known.as_ptr(), address) && known.strong_count() == 0;
        if let Ok(found) = shard.find_entry(hash, is_gone) {
            found.remove();
        }
        // One that was large once gives its memory back.
        if shard.capacity() > 64 && shard.len() * 4 < shard.capacity() {
            shard.shrink_to_fit(|(hash, _)| *hash);
        }
    }

    /// How many there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        (0..SHARDS as u64).map(|at| self.shard(at << 32).len()).sum()
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // A table uses the lowest bits and the highest; those between are free. Whoever panics leaves it whole.
        self.shards[(hash >> 32) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bodies_are_one_and_go_with_their_last_holder() {
        let bodies = Bodies::default();
        let (one, other) = (bodies.share(b"a"), bodies.share(b"b"));
        let same = bodies.share(b"a");

        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &other));
        assert_eq!(bodies.len(), 2);
        bodies.release(one);
        assert_eq!(bodies.len(), 2);
        bodies.release(same);
        assert_eq!(bodies.len(), 1);
        bodies.release(other);
        assert_eq!(bodies.len(), 0);
    }

    #[test]
    fn holders_on_many_threads_leave_nothing_behind() {
        let bodies = Bodies::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..2000u32 {
                        let body = bodies.share(&(round % 7).to_be_bytes());
                        assert_eq!(*body, (round % 7).to_be_bytes());
                        bodies.release(body);
                    }
                });
            }
        });

        assert_eq!(bodies.len(), 0);
    }
}
