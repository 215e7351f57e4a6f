//! What became of a topic table, so that the next one may be told as a difference.
//!
//! A table that is told as a difference leaves out the topics that stand in it as they stood in the one before. That is
//! enough only while the entries which the one before made are still there, as it made them. Others change them too: an
//! administrator, a member of the same group, a departure. Each of them leaves a stamp on the group, so one comparison
//! tells whether any of them did.

use super::tables::Tables;
use super::types::{Imprint, Told};

/// What a live broker's last table did to the topics.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    /// Which table that was.
    pub(super) imprint: Imprint,
    /// None when the broker does not speak for its group, and the table did nothing.
    entries: Option<Entries>,
}

/// The entries of a group as one table left them.
#[derive(Clone, Debug)]
pub(super) struct Entries {
    /// The group's stamp when they were made.
    pub(super) stamp: Option<u64>,
    /// How many topics the table has.
    pub(super) topics: usize,
    /// They say what the table says, as far as `keep` lets them. Otherwise each topic of the table has an entry, and no
    /// more is known: with an unchanged data version entries are not brought up to date.
    pub(super) exact: bool,
    /// The bits of a permission that count.
    pub(super) keep: i32,
    /// The group has no other entries.
    pub(super) complete: bool,
}

impl Applied {
    pub(super) fn new(imprint: &Imprint, entries: Option<Entries>) -> Self {
        Self { imprint: Imprint::clone(imprint), entries }
    }

    /// The entries of the table that `told` is told against, if they are as that table left them.
    pub(super) fn untouched(&self, told: &Told, tables: &Tables, broker_name: &str) -> Option<&Entries> {
        let since = told.since.as_ref()?;
        // The address alone is compared: an imprint that is alive shares it with no other.
        let is_same = std::ptr::addr_eq(Imprint::as_ptr(&self.imprint), Imprint::as_ptr(&since.imprint));
        let entries = self.entries.as_ref().filter(|_| is_same)?;
        (entries.stamp == tables.stamp(broker_name)).then_some(entries)
    }
}
