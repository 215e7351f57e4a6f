//! Where the replies of one worker's memo are kept, and which of them makes room for another.
//!
//! # Invariants
//!
//! * An entry stands in the index under its hash, once; every place of the index has an entry.
//! * `bytes` is the sum of what the entries say they take, and at most `bytes_max` after an insertion.
//! * Whatever leaves gives its body back.

use std::hash::{BuildHasher, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::bodies::Bodies;
use super::reads::Fact;
use crate::plugin::Access;
use crate::remoting::Stencil;

/// A remembered reply.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) hash: u64,
    /// The request without its opaque.
    pub(super) key: Box<[u8]>,
    /// Where that stood.
    pub(super) cut: usize,
    pub(super) reply: Stencil,
    pub(super) facts: Box<[Fact]>,
    /// Who may have it.
    pub(super) access: Access,
    /// Which plugins answered.
    pub(super) generation: u32,
    /// Whether it is remembered only until the tables are published again, whatever changed in them.
    pub(super) is_of_all_tables: bool,
    /// The last moment at which its facts were found to hold.
    pub(super) moment: u32,
    /// Asked for since the hand came by.
    pub(super) is_used: bool,
}

impl Entry {
    fn bytes(&self) -> usize {
        // What an allocation takes beside what is asked for, and a place in the index.
        const OVERHEAD: usize = 4 * 16 + 8;
        size_of::<Self>()
            + self.key.len()
            + self.reply.head_len()
            + self.reply.body().len()
            + size_of_val::<[Fact]>(&self.facts)
            + OVERHEAD
    }
}

/// Entries by request, with a hand that goes around over them.
pub(super) struct Store {
    index: HashTable<u32>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    hasher: DefaultHashBuilder,
    hand: usize,
    bytes: usize,
    bytes_max: usize,
}

impl Store {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            index: HashTable::new(),
            entries: Vec::new(),
            free: Vec::new(),
            hasher: DefaultHashBuilder::default(),
            hand: 0,
            bytes: 0,
            bytes_max,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The hash of a request, given as what stands before and after its opaque.
    pub(super) fn hash(&self, before: &[u8], after: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(before);
        hasher.write(after);
        hasher.finish()
    }

    /// The entry of a request.
    pub(super) fn find(&self, hash: u64, before: &[u8], after: &[u8]) -> Option<u32> {
        let is_it = |index: &u32| {
            self.entries[*index as usize].as_ref().is_some_and(|entry| {
                entry.hash == hash && entry.cut == before.len() && {
                    let (first, second) = entry.key.split_at(entry.cut);
                    first == before && second == after
                }
            })
        };
        self.index.find(hash, is_it).copied()
    }

    /// The entry at an index that [`Store::find`] gave, while nothing was changed.
    pub(super) fn entry(&self, index: u32) -> &Entry {
        self.entries[index as usize].as_ref().expect("an index names an entry")
    }

    /// Whether there is an entry with this hash at an index.
    pub(super) fn is(&self, index: u32, hash: u64) -> bool {
        self.entries.get(index as usize).and_then(Option::as_ref).is_some_and(|entry| entry.hash == hash)
    }

    /// It was asked for, and holds at this moment.
    pub(super) fn use_again(&mut self, index: u32, moment: u32) {
        if let Some(entry) = &mut self.entries[index as usize] {
            entry.is_used = true;
            entry.moment = moment;
        }
    }

    /// Keeps an entry whose request is not known, if it fits at all; says how many had to make room.
    pub(super) fn insert(&mut self, entry: Entry, bodies: &Bodies) -> u64 {
        let size = entry.bytes();
        if size > self.bytes_max {
            bodies.release(entry.reply.into_body());
            return 0;
        }
        let mut evicted = 0;
        while self.bytes + size > self.bytes_max {
            self.evict(bodies);
            evicted += 1;
        }
        self.bytes += size;
        let hash = entry.hash;
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            (self.entries.len() - 1) as u32
        });
        self.entries[index as usize] = Some(entry);
        let entries = &self.entries;
        let hash_of = |index: &u32| entries[*index as usize].as_ref().map_or(0, |entry| entry.hash);
        self.index.insert_unique(hash, index, hash_of);
        evicted
    }

    pub(super) fn remove(&mut self, index: u32, bodies: &Bodies) {
        let Some(entry) = self.entries[index as usize].take() else { return };
        if let Ok(found) = self.index.find_entry(entry.hash, |other| *other == index) {
            found.remove();
        }
        self.bytes -= entry.bytes();
        self.free.push(index);
        bodies.release(entry.reply.into_body());
    }

    /// Forgets everything, and gives the memory back.
    pub(super) fn clear(&mut self, bodies: &Bodies) {
        for entry in self.entries.drain(..).flatten() {
            bodies.release(entry.reply.into_body());
        }
        *self = Self { hasher: self.hasher.clone(), ..Self::new(self.bytes_max) };
    }

    /// Removes an entry that was not asked for since the hand last came by; the first round takes the marks.
    fn evict(&mut self, bodies: &Bodies) {
        loop {
            self.hand = (self.hand + 1) % self.entries.len();
            match &mut self.entries[self.hand] {
                Some(entry) if entry.is_used => entry.is_used = false,
                Some(_) => return self.remove(self.hand as u32, bodies),
                None => {}
            }
        }
    }
}
