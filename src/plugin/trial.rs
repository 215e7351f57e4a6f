//! Whether the new content of a file is as good as the one before: its first calls decide.

use std::time::Duration;

use super::registry::Plugin;
use super::tally::Tallies;
use super::wasm::CallError;
use crate::config::PluginsConfig;

/// What was counted of a plugin's calls.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Counts {
    calls: u64,
    failures: u64,
}

/// How it went.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// There were too few calls to tell.
    Open,
    /// The content may stay.
    Good,
    /// It may not, for this reason.
    Bad(String),
}

/// By then every call of the content before it has ended, or is one that may never end. That one counts once at most.
const CALLS_END: Duration = Duration::from_secs(10);

/// The first calls of a new content.
#[derive(Debug)]
pub(super) struct Trial {
    /// The generation that the content came with.
    since: u64,
    /// When it was first looked at.
    first_look: Duration,
    /// What was counted before the first call that is its own: plugins of one name count together.
    before: Option<Counts>,
}

impl Counts {
    /// Those of a plugin until now. An instance that has to be replaced is no failure: its call was answered.
    pub(super) fn of(plugin: &Plugin, tallies: &Tallies) -> Self {
        let Some(place) = plugin.place else { return Self::default() };
        let failures = CallError::KINDS.iter().enumerate().filter(|(_, kind)| **kind != CallError::Spent.kind());
        Self {
            calls: tallies.sum(|tally| tally.calls(place)),
            failures: failures.map(|(at, _)| tallies.sum(|tally| tally.failures(place, at))).sum(),
        }
    }

    fn since(self, before: Self) -> Self {
        Self { calls: self.calls.saturating_sub(before.calls), failures: self.failures.saturating_sub(before.failures) }
    }
}

impl Trial {
    /// Of what came with the generation `since`.
    pub(super) fn new(since: u64, now: Duration) -> Self {
        Self { since, first_look: now, before: None }
    }

    /// Whether it is of what came with this generation.
    pub(super) fn is_of(&self, since: u64) -> bool {
        self.since == since
    }

    /// Whether it has waited for as long as it may for the calls of the content before it.
    pub(super) fn has_waited(&self, now: Duration) -> bool {
        now.saturating_sub(self.first_look) >= CALLS_END
    }

    /// Judges by what is counted now. Nothing counts until the content is alone: nobody calls the one before it.
    pub(super) fn judge(&mut self, now: Counts, is_alone: bool, config: &PluginsConfig) -> Verdict {
        let Some(before) = self.before else {
            self.before = is_alone.then_some(now);
            return Verdict::Open;
        };
        let Counts { calls, failures } = now.since(before);
        let (failures_max, calls_max) = (u64::from(config.rollback_failures), u64::from(config.rollback_calls));
        // There may have been many calls since the last look, so it is the share that counts.
        let is_bad = failures_max > 0
            && failures >= failures_max
            && failures.saturating_mul(calls_max) >= calls.saturating_mul(failures_max);
        if is_bad {
            return Verdict::Bad(format!("{failures} of its first {calls} calls failed"));
        }
        if calls >= calls_max || failures_max == 0 { Verdict::Good } else { Verdict::Open }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(trial: &mut Trial, calls: u64, failures: u64) -> Verdict {
        trial.judge(Counts { calls, failures }, true, &PluginsConfig::default())
    }

    fn begun(calls: u64, failures: u64) -> Trial {
        let mut trial = Trial::new(2, Duration::ZERO);
        assert_eq!(judged(&mut trial, calls, failures), Verdict::Open);
        trial
    }

    #[test]
    fn three_failures_among_the_first_twenty_calls_are_too_many() {
        let mut trial = begun(100, 50);

        assert_eq!(judged(&mut trial, 102, 52), Verdict::Open, "there could be a reason for two");
        assert_eq!(judged(&mut trial, 105, 53), Verdict::Bad("3 of its first 5 calls failed".to_owned()));
        assert!(matches!(judged(&mut begun(0, 0), 20, 3), Verdict::Bad(_)));
        assert_eq!(judged(&mut begun(0, 0), 20, 2), Verdict::Good);
        assert_eq!(judged(&mut begun(7, 7), 26, 7), Verdict::Open);
        assert_eq!(judged(&mut begun(7, 7), 27, 7), Verdict::Good);
    }

    #[test]
    fn of_many_calls_between_two_looks_the_share_counts() {
        assert!(matches!(judged(&mut begun(0, 0), 2000, 300), Verdict::Bad(_)));
        assert_eq!(judged(&mut begun(0, 0), 2000, 299), Verdict::Good);
    }

    #[test]
    fn what_calls_of_the_content_before_it_did_is_not_its_fault() {
        let mut trial = Trial::new(2, Duration::ZERO);
        let config = PluginsConfig::default();

        assert_eq!(trial.judge(Counts { calls: 5, failures: 5 }, false, &config), Verdict::Open);
        assert_eq!(trial.judge(Counts { calls: 9, failures: 9 }, true, &config), Verdict::Open);
        assert_eq!(trial.judge(Counts { calls: 11, failures: 11 }, true, &config), Verdict::Open);
        assert!(matches!(trial.judge(Counts { calls: 12, failures: 12 }, true, &config), Verdict::Bad(_)));
    }

    #[test]
    fn an_operator_who_wants_no_rollback_gets_none() {
        let config = PluginsConfig { rollback_failures: 0, ..PluginsConfig::default() };

        assert_eq!(begun(0, 0).judge(Counts { calls: 9, failures: 9 }, true, &config), Verdict::Good);
    }
}
