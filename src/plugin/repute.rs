//! What the host thinks of a plugin: whether it is entered, and whether its replies may be remembered.
//!
//! Replies that are remembered rest on it like on everything that was read: it has a version, from a counter that all
//! plugins of a server share. So whoever remembers sees by one number whether anything is thought otherwise of any.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::breaker::{Breaker, BreakerTerms, Moment, Pass, Verdict};

/// The reputes of all plugins of a server.
#[derive(Debug, Default)]
pub(crate) struct Reputes(AtomicU64);

/// That of one plugin.
#[derive(Debug)]
pub(crate) struct Repute {
    version: AtomicU64,
    breaker: Breaker,
    /// It promised to be pure, and is not.
    broke_its_promise: AtomicBool,
    all: Arc<Reputes>,
}

/// The right to one call, and the repute that its reply rests on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entrance {
    pub(crate) pass: Pass,
    pub(crate) version: u64,
}

impl Reputes {
    /// A number that changes whenever that of any plugin does.
    pub(crate) fn version(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Repute {
    pub(crate) fn new(all: &Arc<Reputes>) -> Self {
        let (version, breaker, broke_its_promise) = Default::default();
        Self { version, breaker, broke_its_promise, all: Arc::clone(all) }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The right to enter the plugin; none while it is out.
    pub(crate) fn enter(&self, now: impl FnOnce() -> Duration) -> Option<Entrance> {
        // First: if it is taken out in between, the reply rests on something that is no more.
        let version = self.version();
        self.breaker.pass(now).map(|pass| Entrance { pass, version })
    }

    /// The call went well. True when that brings the plugin back.
    pub(crate) fn went_well(&self, entrance: Entrance, now: impl FnOnce() -> Duration) -> bool {
        let is_back = self.breaker.went_well(entrance.pass, now);
        if is_back {
            self.changed();
        }
        is_back
    }

    /// The call failed, for this reason.
    pub(crate) fn failed(&self, entrance: Entrance, terms: BreakerTerms, at: Moment<'_>, why: &'static str) -> Verdict {
        let verdict = self.breaker.failed(entrance.pass, terms, at, why);
        if let Verdict::TakenOut(..) = verdict {
            self.changed();
        }
        verdict
    }

    /// Whether a call that begins now would not enter it.
    pub(crate) fn is_out(&self, now: impl FnOnce() -> Duration) -> bool {
        self.breaker.is_out(now)
    }

    /// Why it is out and for how long; none if it is not.
    pub(crate) fn out(&self, now: Duration) -> Option<(&'static str, Duration)> {
        self.breaker.out(now)
    }

    /// Why its last call failed that did.
    pub(crate) fn last_failure(&self) -> &'static str {
        self.breaker.why()
    }

    /// Whether its replies may be remembered, as far as is known.
    pub(crate) fn is_trusted(&self) -> bool {
        !self.broke_its_promise.load(Ordering::Relaxed)
    }

    /// Its replies are not remembered any more. True when they were until now.
    pub(crate) fn distrust(&self) -> bool {
        let was_trusted = !self.broke_its_promise.swap(true, Ordering::Relaxed);
        self.changed();
        was_trusted
    }

    fn changed(&self) {
        let version = self.all.0.fetch_add(1, Ordering::AcqRel) + 1;
        self.version.fetch_max(version, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: BreakerTerms = BreakerTerms {
        failures_max: 1,
        failures_per_second_max: 0,
        retry_after: Duration::ZERO,
        retry_after_max: Duration::ZERO,
    };

    #[test]
    fn whatever_changes_the_repute_of_a_plugin_gives_it_a_version_that_none_had() {
        let all = Arc::default();
        let (one, other) = (Repute::new(&all), Repute::new(&all));
        let now = || Duration::ZERO;
        let mut seen = vec![one.version()];
        let mut look = || {
            assert!(!seen.contains(&one.version()));
            assert_eq!(one.version(), all.version());
            seen.push(one.version());
        };

        let entrance = one.enter(now).unwrap();
        one.failed(entrance, TERMS, Moment { now: now(), calls: &|| 1 }, "it failed");
        look();
        assert!(other.distrust());
        let trial = one.enter(now).unwrap();
        assert!(one.went_well(trial, now));
        look();
        assert!(one.distrust() && !one.is_trusted());
        look();
        assert_eq!(entrance.version, 0);
        assert!(other.version() < one.version());
    }
}
