//! A set that is cheap to publish: many small hash tables behind one shared array, copied only where they are written.
//!
//! A reader owns a version of the whole set by holding one `Arc`. A writer copies the array of shards (some thousand
//! pointers, a few microseconds) and the shards it touches, so a change of one entry among 200,000 copies some two
//! hundred pointers, and a change of all of them copies each pointer once. A persistent tree would publish a single
//! change in fewer steps, but every lookup would pay for its depth, and lookups are what this server does all day.
//!
//! Entries are `Arc`s that carry their own key: copying a shard copies one counted pointer per entry, nothing else.
//!
//! # Invariants
//!
//! * An entry stands in the shard that its key's hash names, once.
//! * `sorted` is either empty or the entries of exactly this version. It is shared by versions with the same entries,
//!   so whoever changes an entry detaches it first.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, OnceLock};

use hashbrown::{DefaultHashBuilder, Equivalent, HashTable};

/// What a [`Sharded`] can hold: a value that knows its key.
pub(super) trait Keyed {
    /// What it is found by.
    type Key: ?Sized + Hash + Ord;

    /// The key; it must never change.
    fn key(&self) -> &Self::Key;
}

type Shard<T> = Arc<HashTable<Arc<T>>>;

/// A copy-on-write set of shared entries; a clone is a version of its own.
pub(super) struct Sharded<T> {
    shards: Arc<[Shard<T>]>,
    hasher: DefaultHashBuilder,
    len: usize,
    sorted: Arc<OnceLock<Arc<[Arc<T>]>>>,
}

impl<T: Keyed> Sharded<T> {
    /// An empty set over `shards` tables: about the square root of the number of entries to expect, so that copying
    /// the array and copying one shard cost the same.
    pub(super) fn new(shards: usize) -> Self {
        debug_assert!(shards.is_power_of_two(), "the shard is chosen with a mask");
        let empty = Arc::new(HashTable::new());
        Self {
            shards: std::iter::repeat_n(empty, shards).collect(),
            hasher: DefaultHashBuilder::default(),
            len: 0,
            sorted: Arc::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn get<Q: ?Sized + Hash + Equivalent<T::Key>>(&self, key: &Q) -> Option<&Arc<T>> {
        self.find(self.hasher.hash_one(key), key)
    }

    /// Every entry, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// Every entry, ascending by key: sorted by the first who asks, kept for as long as no entry changes.
    pub(super) fn sorted(&self) -> &Arc<[Arc<T>]> {
        self.sorted.get_or_init(|| {
            let mut entries: Vec<_> = self.iter().cloned().collect();
            entries.sort_unstable_by(|a, b| a.key().cmp(b.key()));
            entries.into()
        })
    }

    /// Puts `entry` in the place of the one with its key, if there is one.
    pub(super) fn insert(&mut self, entry: Arc<T>) {
        let hash = self.hasher.hash_one(entry.key());
        let old = self.find(hash, entry.key()).map(Arc::as_ptr);
        self.put(hash, old, entry);
    }

    /// Puts what `change` makes of the entry with this key in its place: an entry with the same key, or none to leave
    /// it. Says whether there was anything to put.
    pub(super) fn update(&mut self, key: &T::Key, change: impl FnOnce(Option<&T>) -> Option<T>) -> bool {
        // A registration comes here with thousands of keys, so each is hashed and compared once.
        let hash = self.hasher.hash_one(key);
        let old = self.find(hash, key);
        let Some(new) = change(old.map(|old| &**old)) else { return false };
        debug_assert!(new.key() == key, "the key never changes");
        let old = old.map(Arc::as_ptr);
        self.put(hash, old, Arc::new(new));
        true
    }

    pub(super) fn remove<Q: ?Sized + Hash + Equivalent<T::Key>>(&mut self, key: &Q) -> Option<Arc<T>> {
        // Looking first keeps a shard that has nothing to remove from being copied.
        self.get(key)?;
        let hash = self.hasher.hash_one(key);
        let found = self.shard_mut(hash).find_entry(hash, |entry| key.equivalent(entry.key())).ok()?;
        let (entry, _) = found.remove();
        self.len -= 1;
        Some(entry)
    }

    fn find<Q: ?Sized + Equivalent<T::Key>>(&self, hash: u64, key: &Q) -> Option<&Arc<T>> {
        self.shards[self.shard_of(hash)].find(hash, |entry| key.equivalent(entry.key()))
    }

    /// Puts an entry in the place of the one at the address `old`, if it has one; no key is looked at again.
    fn put(&mut self, hash: u64, old: Option<*const T>, entry: Arc<T>) {
        let hasher = self.hasher.clone();
        let shard = self.shard_mut(hash);
        match old.and_then(|old| shard.find_mut(hash, |entry| std::ptr::eq(Arc::as_ptr(entry), old))) {
            Some(place) => *place = entry,
            None => {
                shard.insert_unique(hash, entry, |other| hasher.hash_one(other.key()));
                self.len += 1;
            }
        }
    }

    fn shard_mut(&mut self, hash: u64) -> &mut HashTable<Arc<T>> {
        match Arc::get_mut(&mut self.sorted) {
            Some(cell) => drop(cell.take()),
            None => self.sorted = Arc::default(),
        }
        let at = self.shard_of(hash);
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[at])
    }

    fn shard_of(&self, hash: u64) -> usize {
        // A table uses the lowest bits for its bucket and the highest for its tag; those between are free.
        (hash >> 32) as usize & (self.shards.len() - 1)
    }
}

// Not derived: a derived `Clone` would ask for `T: Clone`.
impl<T> Clone for Sharded<T> {
    fn clone(&self) -> Self {
        Self {
            shards: Arc::clone(&self.shards),
            hasher: self.hasher.clone(),
            len: self.len,
            sorted: Arc::clone(&self.sorted),
        }
    }
}

impl<T> fmt::Debug for Sharded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharded").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Eq, PartialEq)]
    struct Word(String, u32);

    impl Keyed for Word {
        type Key = str;

        fn key(&self) -> &str {
            &self.0
        }
    }

    fn word(text: impl ToString, number: u32) -> Arc<Word> {
        Arc::new(Word(text.to_string(), number))
    }

    #[test]
    fn an_entry_is_found_replaced_and_removed_by_its_key() {
        let mut words = Sharded::new(8);
        words.insert(word("a", 1));
        words.insert(word("b", 2));
        words.insert(word("a", 3));

        assert_eq!(words.len(), 2);
        assert_eq!(words.get("a"), Some(&word("a", 3)));
        assert_eq!(words.remove("a"), Some(word("a", 3)));
        assert_eq!(words.remove("a"), None);
        assert_eq!(words.get("a"), None);
        assert_eq!(words.len(), 1);
        assert!(!words.is_empty());
    }

    #[test]
    fn a_clone_keeps_what_it_saw_while_the_original_changes() {
        let mut words = Sharded::new(4);
        for number in 0..100 {
            words.insert(word(number, number));
        }
        let before = words.clone();

        for number in 0..50 {
            words.remove(number.to_string().as_str());
        }
        words.insert(word("99", 0));

        assert_eq!(before.len(), 100);
        assert_eq!(before.iter().count(), 100);
        assert_eq!(before.get("99"), Some(&word("99", 99)));
        assert_eq!(words.len(), 50);
        assert_eq!(words.get("99"), Some(&word("99", 0)));
    }

    #[test]
    fn a_change_copies_only_the_shard_it_touches() {
        let mut words = Sharded::new(64);
        for number in 0..1000 {
            words.insert(word(number, number));
        }
        let before = words.clone();

        words.insert(word("new", 0));

        let copied = before.shards.iter().zip(words.shards.iter()).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert_eq!(copied, 1);
    }

    #[test]
    fn the_sorted_list_is_made_once_and_shared_until_an_entry_changes() {
        let mut words = Sharded::new(4);
        for text in ["b", "c", "a"] {
            words.insert(word(text, 0));
        }
        let sorted = Arc::clone(words.sorted());
        let same = words.clone();
        words.insert(word("d", 0));

        let keys = |list: &[Arc<Word>]| list.iter().map(|word| word.0.clone()).collect::<String>();
        assert_eq!(keys(&sorted), "abc");
        assert!(Arc::ptr_eq(&sorted, same.sorted()));
        assert_eq!(keys(words.sorted()), "abcd");
    }

    #[test]
    fn removing_what_is_not_there_copies_nothing() {
        let mut words = Sharded::new(4);
        words.insert(word("a", 0));
        let before = words.clone();

        words.remove("b");

        assert!(Arc::ptr_eq(&before.shards, &words.shards));
    }
}
