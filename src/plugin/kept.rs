//! What plugins keep from one call to the next (`wit/state.wit`): in memory, bounded, found by the plugin's name.
//!
//! # Invariants
//!
//! * It belongs to a name, so it survives the reload, the replacement and the removal of a file, and ends with the
//!   server.
//! * From the first write of a generation on, an older one overwrites nothing; it may still add to a number that is
//!   there.
//! * What is kept, and [`ENTRY_COST`] for each key, is no more than the quota. If that becomes smaller, what there is
//!   stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest key, in bytes.
const KEY_MAX: usize = 256;

/// What a key takes beside itself and its value, roughly.
const ENTRY_COST: usize = 64;

/// So many names that no plugin in use has may keep what they kept.
const UNUSED_NAMES_MAX: usize = 64;

/// What one plugin keeps, for all of its instances.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    values: HashMap<Box<str>, Box<[u8]>>,
    bytes: usize,
    quota: usize,
    /// The newest generation that has written.
    newest: u64,
}

/// Why a write changed nothing.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum KeptError {
    /// The key or the value is not acceptable.
    #[error("{0}")]
    Invalid(String),
    /// There is no room.
    #[error("{wanted} bytes would be kept, and `plugins.state-max` allows {quota}")]
    Full { wanted: usize, quota: usize },
    /// A newer generation has written.
    #[error("a newer generation of the plugin has written")]
    Outdated,
}

impl Kept {
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.lock().values.get(key).map(|value| value.to_vec())
    }

    /// Stores a value, or removes the key, on behalf of a generation.
    pub(crate) fn put(&self, generation: u64, key: &str, value: Option<Vec<u8>>) -> Result<(), KeptError> {
        check(key)?;
        let mut inner = self.lock();
        inner.begin(generation)?;
        inner.set(key, value)
    }

    /// The same, if what is there is `expected`; returns whether it was.
    pub(crate) fn compare_and_swap(
        &self,
        generation: u64,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<Vec<u8>>,
    ) -> Result<bool, KeptError> {
        check(key)?;
        let mut inner = self.lock();
        inner.begin(generation)?;
        if inner.values.get(key).map(|there| &**there) != expected {
            return Ok(false);
        }
        inner.set(key, value).map(|()| true)
    }

    /// Adds to a number, and returns the sum.
    pub(crate) fn increment(&self, generation: u64, key: &str, by: i64) -> Result<i64, KeptError> {
        check(key)?;
        let mut inner = self.lock();
        let there = inner.values.get(key);
        // Whoever adds overwrites nothing, so nothing is lost of requests that began before a reload.
        if there.is_none() || generation >= inner.newest {
            inner.begin(generation)?;
        }
        let number =
            inner.values.get(key).map_or(Some(0), |value| std::str::from_utf8(value).ok()?.parse::<i64>().ok());
        let Some(number) = number else {
            return Err(KeptError::Invalid(format!("the value of {key:?} is not a number")));
        };
        let sum = number.saturating_add(by);
        inner.set(key, Some(sum.to_string().into_bytes())).map(|()| sum)
    }

    /// There may be so many bytes from now on.
    pub(crate) fn set_quota(&self, quota: usize) {
        self.lock().quota = quota;
    }

    /// What it takes up.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in it can panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// A generation writes, if it may.
    fn begin(&mut self, generation: u64) -> Result<(), KeptError> {
        if generation < self.newest {
            return Err(KeptError::Outdated);
        }
        self.newest = generation;
        Ok(())
    }

    fn set(&mut self, key: &str, value: Option<Vec<u8>>) -> Result<(), KeptError> {
        let cost = |value: &[u8]| key.len() + value.len() + ENTRY_COST;
        let before = self.values.get(key).map_or(0, |value| cost(value));
        let after = value.as_ref().map_or(0, |value| cost(value));
        let wanted = self.bytes - before + after;
        // Whoever keeps less than before may, whatever the quota says by now.
        if wanted > self.quota && after > before {
            return Err(KeptError::Full { wanted, quota: self.quota });
        }
        self.bytes = wanted;
        match value {
            Some(value) => drop(self.values.insert(key.into(), value.into())),
            None => drop(self.values.remove(key)),
        }
        Ok(())
    }
}

fn check(key: &str) -> Result<(), KeptError> {
    match key.len() {
        1..=KEY_MAX => Ok(()),
        length => Err(KeptError::Invalid(format!("a key of {length} bytes; it has 1 to {KEY_MAX}"))),
    }
}

/// What every plugin keeps, by its name.
#[derive(Debug, Default)]
pub(crate) struct KeptByName(Mutex<Vec<(Arc<str>, Arc<Kept>)>>);

impl KeptByName {
    /// What the plugin of this name keeps: nothing, before it has a quota.
    pub(crate) fn of(&self, name: &Arc<str>) -> Arc<Kept> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.iter().position(|(other, _)| other == name).unwrap_or_else(|| {
            forget_unused(&mut known);
            known.push((Arc::clone(name), Arc::default()));
            known.len() - 1
        });
        Arc::clone(&known[at].1)
    }
}

/// Makes room for one more that nobody uses: the oldest goes.
fn forget_unused(known: &mut Vec<(Arc<str>, Arc<Kept>)>) {
    let unused = |(_, kept): &(Arc<str>, Arc<Kept>)| Arc::strong_count(kept) == 1;
    if known.iter().filter(|one| unused(one)).count() > UNUSED_NAMES_MAX
        && let Some(oldest) = known.iter().position(unused)
    {
        known.remove(oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &KeptByName, name: &str, quota: usize) -> Arc<Kept> {
        let kept = all.of(&name.into());
        kept.set_quota(quota);
        kept
    }

    fn kept() -> Arc<Kept> {
        of(&KeptByName::default(), "a", 1000)
    }

    fn value(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    #[test]
    fn a_plugin_finds_what_it_kept_under_its_name_and_nobody_elses() {
        let all = KeptByName::default();
        of(&all, "a", 1000).put(1, "key", value("one")).unwrap();

        assert_eq!(of(&all, "a", 1000).get("key"), value("one"));
        assert_eq!(of(&all, "b", 1000).get("key"), None);
    }

    #[test]
    fn an_older_generation_overwrites_nothing_once_a_newer_one_has_written() {
        let kept = kept();
        kept.put(1, "key", value("old")).unwrap();
        kept.put(1, "other", value("old")).unwrap();

        kept.put(2, "key", value("new")).unwrap();

        assert_eq!(kept.put(1, "key", value("late")), Err(KeptError::Outdated));
        assert_eq!(kept.put(1, "other", None), Err(KeptError::Outdated));
        assert_eq!(kept.compare_and_swap(1, "key", Some(b"new"), None), Err(KeptError::Outdated));
        assert_eq!((kept.get("key"), kept.get("other")), (value("new"), value("old")));
    }

    #[test]
    fn an_older_generation_still_adds_to_a_number_but_does_not_bring_one_back() {
        let kept = kept();
        kept.increment(1, "count", 2).unwrap();

        assert_eq!(kept.increment(2, "count", 1), Ok(3));
        assert_eq!(kept.increment(1, "count", 1), Ok(4));
        kept.put(2, "count", None).unwrap();
        assert_eq!(kept.increment(1, "count", 1), Err(KeptError::Outdated));
        assert_eq!(kept.get("count"), None);
    }

    #[test]
    fn a_number_is_text_that_stays_within_what_fits() {
        let kept = kept();

        assert_eq!(kept.increment(1, "n", i64::MAX), Ok(i64::MAX));
        assert_eq!(kept.increment(1, "n", 1), Ok(i64::MAX));
        assert_eq!(kept.get("n"), value("9223372036854775807"));
        kept.put(1, "n", value("-7")).unwrap();
        assert_eq!(kept.increment(1, "n", -1), Ok(-8));
        kept.put(1, "n", value("seven")).unwrap();
        assert!(matches!(kept.increment(1, "n", 1), Err(KeptError::Invalid(_))));
    }

    #[test]
    fn a_swap_happens_only_if_what_is_there_is_what_was_expected() {
        let kept = kept();

        assert_eq!(kept.compare_and_swap(1, "k", Some(b"a"), value("b")), Ok(false));
        assert_eq!(kept.compare_and_swap(1, "k", None, value("a")), Ok(true));
        assert_eq!(kept.compare_and_swap(1, "k", None, value("b")), Ok(false));
        assert_eq!(kept.compare_and_swap(1, "k", Some(b"a"), None), Ok(true));
        assert_eq!(kept.get("k"), None);
        assert_eq!(kept.bytes(), 0);
    }

    #[test]
    fn nobody_keeps_more_than_the_quota_and_everybody_may_keep_less() {
        let all = KeptByName::default();
        let kept = of(&all, "a", 3 * (1 + ENTRY_COST));
        for key in ["a", "b", "c"] {
            kept.put(1, key, value("")).unwrap();
        }

        let full = KeptError::Full { wanted: 4 * (1 + ENTRY_COST), quota: 3 * (1 + ENTRY_COST) };
        assert_eq!(kept.put(1, "d", value("")), Err(full));
        assert!(kept.put(1, "a", value("x")).is_err());
        of(&all, "a", 1);
        assert_eq!(kept.put(1, "a", value("")), Ok(()), "no more than before");
        assert_eq!(kept.put(1, "a", None), Ok(()));
        assert_eq!(kept.bytes(), 2 * (1 + ENTRY_COST));
        for key in ["", &"k".repeat(KEY_MAX + 1)] {
            assert!(matches!(kept.put(1, key, None), Err(KeptError::Invalid(_))), "{key:?}");
        }
    }

    #[test]
    fn what_nobody_uses_any_more_is_forgotten_when_there_is_too_much_of_it() {
        let all = KeptByName::default();
        let used = of(&all, "used", 1000);
        for name in 0..1000 {
            of(&all, &name.to_string(), 1000);
        }

        assert!(all.0.lock().unwrap().len() <= UNUSED_NAMES_MAX + 3);
        assert!(Arc::ptr_eq(&used, &of(&all, "used", 1000)));
    }
}
