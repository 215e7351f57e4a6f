//! A list that is a map: a later entry takes the place of an earlier one with the same key, the order is kept.

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};
use std::hash::BuildHasher;

/// What Java decodes into a map, here in the order sent.
pub(super) struct Unique<T> {
    entries: Vec<T>,
    /// The hash of each key and the index of its entry. The hash is kept, so that growing touches no key.
    places: HashTable<(u64, usize)>,
    hasher: DefaultHashBuilder,
    key: fn(&T) -> &str,
}

impl<T> Unique<T> {
    pub(super) fn by(key: fn(&T) -> &str) -> Self {
        Self { entries: Vec::new(), places: HashTable::new(), hasher: DefaultHashBuilder::default(), key }
    }

    pub(super) fn put(&mut self, entry: T) {
        let Self { entries, places, hasher, key } = self;
        let hash = hasher.hash_one(key(&entry));
        let is_same = |place: &(u64, usize)| place.0 == hash && key(&entries[place.1]) == key(&entry);
        match places.entry(hash, is_same, |place| place.0) {
            Entry::Occupied(place) => entries[place.get().1] = entry,
            Entry::Vacant(vacancy) => {
                vacancy.insert((hash, entries.len()));
                entries.push(entry);
            }
        }
    }

    pub(super) fn into_vec(self) -> Vec<T> {
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entry_of_a_key_takes_the_place_of_the_first() {
        let mut unique = Unique::by(|(key, _): &(&str, i32)| key);
        for entry in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            unique.put(entry);
        }

        assert_eq!(unique.into_vec(), [("a", 3), ("b", 2), ("c", 4)]);
    }
}
