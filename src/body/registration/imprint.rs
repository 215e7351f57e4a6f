//! By what a registration body is known again, and its topics one by one.
//!
//! A broker sends its whole topic table whenever anything in it changes. Of a body an [`Imprint`] keeps a hash, and of
//! each topic another: eight bytes instead of some two hundred. A body with the same hash is the same body, and is not
//! read at all; of another, the topics that stand in it byte for byte as before are passed over.
//!
//! # Invariants
//!
//! * What is passed over was decoded once, from the same bytes, in the same form.
//! * A table that is told as a difference has each key once, and each is its topic's name. Where that is not certain,
//!   the table is decoded whole.
//! * The hashes are keyed anew in each process, so nobody can make two bodies of one hash on purpose; and by accident,
//!   two bodies meet in 128 bits, two states of a topic in 48 bits and their length.

use super::unique::Unique;
use super::{Body, Form};
use crate::route::{self, DataVersion, Millis, Name, Since, Told, TopicConfig, TopicTable};
use hashbrown::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};
use twox_hash::{XxHash3_64, XxHash3_128};

/// What is kept of one body.
#[derive(Debug)]
pub(super) struct Imprint {
    form: Form,
    body: u128,
    entries: Arc<[Entry]>,
    data_version: DataVersion,
    has_mappings: bool,
    filter_servers: Option<Vec<Name>>,
}

/// What is kept of one topic: 48 bits of the hash of its bytes, and their number in 16 bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Entry(u64);

/// A body with more filter servers is not known again.
const FILTER_SERVERS_MAX: usize = 16;

/// How many topics in a row may be gone before those behind them are no longer found.
const AHEAD_MAX: usize = 4;

impl Imprint {
    /// What the body says, if it is the one of this imprint.
    pub(super) fn again(shared: &route::Imprint, form: Form, body: u128) -> Option<Told> {
        let this = Self::of(shared, form).filter(|this| this.body == body)?;
        let table = TopicTable {
            data_version: this.data_version,
            filter_servers: this.filter_servers.clone(),
            ..TopicTable::default()
        };
        let since = this.since(shared, this.entries.len(), this.has_mappings);
        Some(Told { table, since: Some(since), imprint: Some(route::Imprint::clone(shared)) })
    }

    /// An imprint of this form.
    pub(super) fn of(shared: &route::Imprint, form: Form) -> Option<&Self> {
        shared.downcast_ref::<Self>().filter(|this| this.form == form)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn since(&self, shared: &route::Imprint, kept: usize, mappings_kept: bool) -> Since {
        Since { imprint: route::Imprint::clone(shared), kept, mappings_kept }
    }
}

/// Puts together what a body says and by what it is known again. None when it cannot be told as a difference.
pub(super) fn told(
    read: Body,
    (form, body, now): (Form, u128, Millis),
    before: Option<(&route::Imprint, &Imprint)>,
) -> Option<Told> {
    let Body { table, kept } = read;
    if kept.is_mixed {
        return None;
    }
    // A version without a time got this one, and will have another the next time.
    let is_named = i64::try_from(now) != Ok(table.data_version.timestamp);
    let is_small = table.filter_servers.as_ref().is_none_or(|servers| servers.len() <= FILTER_SERVERS_MAX);
    let same = before.filter(|(_, before)| table.topics.is_empty() && kept.count == before.entries.len());
    let entries = match same {
        Some((_, before)) => Some(Arc::clone(&before.entries)),
        None => kept.entries.map(Arc::from),
    };
    let imprint = entries.filter(|_| is_named && is_small).map(|entries| -> route::Imprint {
        Arc::new(Imprint {
            form,
            body,
            entries,
            data_version: table.data_version,
            has_mappings: !table.mappings.is_empty(),
            filter_servers: table.filter_servers.clone(),
        })
    });
    // With nothing in common, the table is told whole.
    let since = before.filter(|_| kept.count > 0).map(|(shared, before)| before.since(shared, kept.count, false));
    Some(Told { table, since, imprint })
}

/// The topics of one table while they are read, beside those of the table before.
pub(super) struct Topics<'a> {
    told: Unique<TopicConfig>,
    put: usize,
    /// None when nothing is to be known again.
    before: Option<&'a [Entry]>,
    /// Where in the table before the next topic should stand, and what of it is used up.
    at: usize,
    used: usize,
    /// What was made last of the topic that was not found there.
    seen: Option<Entry>,
    /// The hashes of the keys of what was passed over.
    kept: Vec<u64>,
    entries: Vec<Entry>,
    is_plain: bool,
}

/// What a table has in common with the one before.
#[derive(Default)]
pub(super) struct Kept {
    /// How many topics were passed over.
    pub(super) count: usize,
    /// Something told may be something passed over, under the same name.
    pub(super) is_mixed: bool,
    /// By what the topics are known again; none if they cannot be.
    entries: Option<Vec<Entry>>,
}

impl<'a> Topics<'a> {
    pub(super) fn new(before: Option<&'a [Entry]>) -> Self {
        Self {
            told: Unique::by(|topic: &TopicConfig| topic.key.as_ref().unwrap_or(&topic.name)),
            put: 0,
            before,
            at: 0,
            used: 0,
            seen: None,
            kept: Vec::new(),
            entries: Vec::new(),
            is_plain: true,
        }
    }

    /// The length of the topic that stands at the start of `bytes`, if it stood in the table before, just so. `ends`
    /// says whether a topic may end after so many bytes, `key` what of a topic's bytes is its key.
    pub(super) fn keep(
        &mut self,
        bytes: &[u8],
        ends: impl Fn(usize) -> bool,
        key: impl Fn(&[u8]) -> &[u8],
    ) -> Option<usize> {
        self.seen = None;
        let before = self.before.filter(|before| self.used < before.len())?;
        // Where it should be if topics only changed, if the last ones are new, or if some are gone.
        let places = std::iter::once(self.at).chain([self.used]).chain(self.at + 1..self.at + AHEAD_MAX);
        let seen = &mut self.seen;
        let found = places.filter_map(|place| Some((place, *before.get(place)?))).find(|(_, entry)| {
            let length = entry.length();
            if length > bytes.len() || !ends(length) {
                return false;
            }
            let here = seen.filter(|seen| seen.length() == length);
            *seen = here.or_else(|| Entry::of(&bytes[..length]));
            *seen == Some(*entry)
        });
        let (place, entry) = found?;
        (self.at, self.used) = (place + 1, place + 1);
        self.kept.push(hash(key(&bytes[..entry.length()])));
        self.entries.push(entry);
        Some(entry.length())
    }

    /// Takes a topic that was not to [keep](Self::keep), as it was decoded from the same place. It is `plain` if its
    /// key was written as it is, in double quotes or bare.
    pub(super) fn put(&mut self, topic: TopicConfig, bytes: &[u8], is_plain: bool) {
        if self.before.is_some() {
            self.at += 1;
            self.is_plain &= is_plain && topic.key.is_none();
            let seen = self.seen.filter(|seen| seen.length() == bytes.len());
            match seen.or_else(|| Entry::of(bytes)) {
                Some(entry) => self.entries.push(entry),
                None => self.is_plain = false,
            }
        }
        self.put += 1;
        self.told.put(topic);
    }

    pub(super) fn finish(self) -> (Vec<TopicConfig>, Kept) {
        let told = self.told.into_vec();
        let is_plain = self.is_plain && told.len() == self.put;
        let mut is_mixed = false;
        if !self.kept.is_empty() && !told.is_empty() {
            let keys: HashSet<u64> = told.iter().map(|topic| hash(topic.name.as_bytes())).collect();
            is_mixed = !is_plain || self.kept.iter().any(|key| keys.contains(key));
        }
        let entries = (self.before.is_some() && is_plain).then_some(self.entries);
        (told, Kept { count: self.kept.len(), is_mixed, entries })
    }
}

impl Entry {
    /// None when it is too long.
    fn of(bytes: &[u8]) -> Option<Self> {
        let length = u16::try_from(bytes.len()).ok()?;
        Some(Self(hash(bytes) & !0xffff | u64::from(length)))
    }

    fn length(self) -> usize {
        (self.0 & 0xffff) as usize
    }
}

/// The hash of a whole body.
pub(super) fn hash_body(bytes: &[u8]) -> u128 {
    XxHash3_128::oneshot_with_secret(&*SECRET, bytes).expect("the secret is long enough")
}

fn hash(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_secret(&*SECRET, bytes).expect("the secret is long enough")
}

/// Differs from process to process, and nobody is told.
static SECRET: LazyLock<[u8; 192]> = LazyLock::new(|| {
    let random = RandomState::new();
    let mut secret = [0; 192];
    for (number, part) in secret.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *part = random.hash_one(number).to_le_bytes();
    }
    secret
});
