//! How much one body may hold.

use super::DecodeError;

/// Bounds on what is made out of one body. The size of a frame bounds the bytes, but not what they expand to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes that a compressed body may inflate to.
    pub inflated_max: u64,
    /// How many times longer than its compressed form a body may be, once it is longer than 1 MiB. Topic tables are 10
    /// to 50 times longer; zlib itself could make 1032 bytes of zeros out of one.
    pub inflate_ratio_max: u64,
    /// Topics, mappings, queues of mappings, queue entries and filter servers that a body may hold together.
    pub entries_max: u64,
    /// How deep its JSON may nest.
    pub depth_max: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self { inflated_max: 64 << 20, inflate_ratio_max: 200, entries_max: 500_000, depth_max: 64 }
    }
}

impl Limits {
    /// The bytes that a compressed body of `length` may inflate to.
    pub(super) fn inflated_max_of(&self, length: usize) -> u64 {
        // A small body may be nothing but repetition, and does no harm.
        const RATIO_FLOOR: u64 = 1 << 20;
        let by_ratio = (length as u64).saturating_mul(self.inflate_ratio_max);
        self.inflated_max.min(by_ratio.max(RATIO_FLOOR))
    }
}

/// Counts the entries of one body, wherever in it they stand.
///
/// Of what a body expands to, this is the part that the size of a frame does not bound: an entry of six bytes becomes a
/// hundred in memory.
#[derive(Debug)]
pub(super) struct Entries {
    count: u64,
    limit: u64,
}

impl Entries {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { count: 0, limit: limits.entries_max }
    }

    /// Counts an entry that is about to be kept.
    pub(super) fn add(&mut self) -> Result<(), DecodeError> {
        self.announced(1)?;
        self.count += 1;
        Ok(())
    }

    /// Refuses a body at once that announces more entries than it may hold.
    pub(super) fn announced(&self, entries: u64) -> Result<(), DecodeError> {
        if entries > self.limit - self.count {
            return Err(DecodeError::TooLarge(format!("more than {} entries", self.limit)));
        }
        Ok(())
    }
}
