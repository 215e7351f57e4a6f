//! What a run came to, and whether that is good enough.

use std::collections::BTreeMap;
use std::fmt;

use super::known::Known;
use super::play::Played;

/// Everything that was played.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sequences: usize,
    operations: BTreeMap<String, usize>,
    known: BTreeMap<&'static str, usize>,
    starts: usize,
    surveys: usize,
    pub(crate) unexplained: usize,
}

/// Fewer operations say nothing about how often something happens.
const ENOUGH: usize = 10_000;

/// In a run of this length every known difference shows, or its row is not needed.
const LONG: usize = 100_000;

impl Tally {
    pub(crate) fn add(&mut self, played: &Played) {
        self.sequences += 1;
        self.starts += played.starts;
        self.surveys += played.surveys;
        self.unexplained += usize::from(played.difference.is_some());
        for (name, count) in &played.operations {
            *self.operations.entry(name.clone()).or_default() += count;
        }
        for (name, count) in &played.known {
            *self.known.entry(name).or_default() += count;
        }
    }

    pub(crate) fn operations(&self) -> usize {
        self.operations.values().sum()
    }

    /// What is wrong with the run; empty when nothing is.
    pub(crate) fn problems(&self, known: &[Known]) -> Vec<String> {
        let mut problems = Vec::new();
        if self.unexplained > 0 {
            problems.push(format!("{} sequences differ and nothing explains it", self.unexplained));
        }
        for row in known {
            let count = self.count(row);
            let cap = row.cap * self.operations().max(ENOUGH) / ENOUGH;
            if count > cap {
                problems.push(format!("`{}` {count} times: more than {cap}, so its predicate is too wide", row.name));
            }
            if count == 0 && self.operations() >= LONG {
                problems.push(format!("`{}` never: it may not be needed any more", row.name));
            }
        }
        problems
    }

    fn count(&self, row: &Known) -> usize {
        self.known.get(row.name).copied().unwrap_or_default()
    }

    /// The known differences, as a table.
    pub(crate) fn known<'a>(&'a self, known: &'a [Known]) -> impl Iterator<Item = String> + 'a {
        known.iter().map(|row| {
            let count = self.count(row);
            let rate = count as f64 * 10_000.0 / self.operations().max(1) as f64;
            format!("{count:6}  {rate:6.1} of 10,000  {}", row.name)
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequences, starts, surveys, .. } = self;
        writeln!(
            f,
            "{} operations in {sequences} sequences, {starts} starts of both servers, {surveys} comparisons of everything",
            self.operations()
        )?;
        let kinds: Vec<String> = self.operations.iter().map(|(name, count)| format!("{name}: {count}")).collect();
        write!(f, "{}", kinds.join(", "))
    }
}
