//! Takes a plugin out that fails call after call, and tries it again later.
//!
//! A breaker belongs to one plugin and is shared by all threads. What it costs a plugin that is well is one load for
//! each call.
//!
//! # Invariants
//!
//! * While a plugin is out, at most one call enters it in each pause: the trial. Only a trial brings it back.
//! * A pause is twice as long as the one before, if the plugin has not been well for as long as that one lasted.
//! * How a call went that began before the plugin was taken out changes nothing any more.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What `in_a_row` is while the plugin is out.
const OUT: u32 = u32::MAX;

/// When a plugin is taken out, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct BreakerTerms {
    /// So many failures in a row take it out; with 0, none do.
    pub(crate) failures_max: u32,
    /// The first pause.
    pub(crate) retry_after: Duration,
    /// The longest.
    pub(crate) retry_after_max: Duration,
}

/// The breaker of one plugin. Times are the server's monotonic ones.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Failures since a call went well, or [`OUT`].
    in_a_row: AtomicU32,
    /// When the next trial is due, in nanoseconds; means something while it is out.
    retry_at: AtomicU64,
    pauses: Mutex<Pauses>,
}

#[derive(Debug, Default)]
struct Pauses {
    last: Duration,
    /// When a trial brought it back.
    back_since: Option<Duration>,
    /// Why the last call failed that counted.
    why: &'static str,
}

/// The right to one call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pass {
    /// There had been so many failures in a row.
    Call(u32),
    /// It is out, and this call tries whether it is well again.
    Trial,
}

/// What a failure led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// It may go on.
    Stays,
    /// It is taken out for so long, after so many failures in a row.
    TakenOut(Duration, u32),
    /// It stays out for so long.
    StaysOut(Duration),
}

impl Breaker {
    /// A pass for a call that begins now; none while the plugin is out.
    pub(crate) fn pass(&self, now: impl FnOnce() -> Duration) -> Option<Pass> {
        match self.in_a_row.load(Relaxed) {
            OUT => self.trial(now()),
            failures => Some(Pass::Call(failures)),
        }
    }

    /// Whether a call that begins now would get no pass.
    pub(crate) fn is_out(&self, now: impl FnOnce() -> Duration) -> bool {
        self.in_a_row.load(Relaxed) == OUT && !self.is_due(now())
    }

    /// Why it is out, and how long until it is tried again; none if it is not.
    pub(crate) fn out(&self, now: Duration) -> Option<(&'static str, Duration)> {
        let pauses = self.pauses();
        let left = Duration::from_nanos(self.retry_at.load(Relaxed)).saturating_sub(now);
        (self.in_a_row.load(Relaxed) == OUT).then_some((pauses.why, left))
    }

    /// Why it is out, if it is.
    pub(crate) fn why(&self) -> &'static str {
        self.pauses().why
    }

    /// The call went well. True when that brings the plugin back.
    pub(crate) fn went_well(&self, pass: Pass, now: impl FnOnce() -> Duration) -> bool {
        match pass {
            Pass::Call(0) => false,
            Pass::Call(_) => {
                let _pauses = self.pauses();
                if self.in_a_row.load(Relaxed) != OUT {
                    self.in_a_row.store(0, Relaxed);
                }
                false
            }
            Pass::Trial => {
                let mut pauses = self.pauses();
                pauses.back_since = Some(now());
                self.in_a_row.swap(0, Relaxed) == OUT
            }
        }
    }

    /// The call failed.
    pub(crate) fn failed(&self, pass: Pass, terms: BreakerTerms, now: Duration, why: &'static str) -> Verdict {
        let mut pauses = self.pauses();
        let failures = self.in_a_row.load(Relaxed);
        match pass {
            Pass::Trial if failures == OUT => {
                let pause = pauses.next(terms, true);
                pauses.why = why;
                self.retry_at.store(nanos(now + pause), Relaxed);
                Verdict::StaysOut(pause)
            }
            Pass::Call(_) if failures == OUT => Verdict::Stays,
            _ => {
                let failures = failures.saturating_add(1).min(OUT - 1);
                pauses.why = why;
                if terms.failures_max == 0 || failures < terms.failures_max {
                    self.in_a_row.store(failures, Relaxed);
                    return Verdict::Stays;
                }
                let last = pauses.last;
                let is_relapse = pauses.back_since.is_some_and(|since| now.saturating_sub(since) < last);
                let pause = pauses.next(terms, is_relapse);
                self.retry_at.store(nanos(now + pause), Relaxed);
                self.in_a_row.store(OUT, Relaxed);
                Verdict::TakenOut(pause, failures)
            }
        }
    }

    fn is_due(&self, now: Duration) -> bool {
        nanos(now) >= self.retry_at.load(Relaxed)
    }

    /// The pass of a trial, for one caller in each pause. That one may never come back, so nobody waits for it.
    #[cold]
    fn trial(&self, now: Duration) -> Option<Pass> {
        if !self.is_due(now) {
            return None;
        }
        let pauses = self.pauses();
        if self.in_a_row.load(Relaxed) != OUT {
            return Some(Pass::Call(0));
        }
        if !self.is_due(now) {
            return None;
        }
        self.retry_at.store(nanos(now + pauses.last), Relaxed);
        Some(Pass::Trial)
    }

    fn pauses(&self) -> MutexGuard<'_, Pauses> {
        // Nobody panics between two numbers.
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pauses {
    /// The pause that begins now.
    fn next(&mut self, terms: BreakerTerms, is_longer: bool) -> Duration {
        let wanted = if is_longer { self.last.saturating_mul(2) } else { terms.retry_after };
        self.last = wanted.clamp(terms.retry_after, terms.retry_after_max.max(terms.retry_after));
        self.last
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: BreakerTerms =
        BreakerTerms { failures_max: 3, retry_after: Duration::from_secs(1), retry_after_max: Duration::from_secs(10) };

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn fail(breaker: &Breaker, now: Duration) -> Verdict {
        let pass = breaker.pass(|| now).expect("it may be entered");
        breaker.failed(pass, TERMS, now, "it failed")
    }

    fn succeed(breaker: &Breaker, now: Duration) -> bool {
        let pass = breaker.pass(|| now).expect("it may be entered");
        breaker.went_well(pass, || now)
    }

    /// A breaker that has just taken its plugin out.
    fn out_at(now: Duration) -> Breaker {
        let breaker = Breaker::default();
        assert_eq!([fail(&breaker, now), fail(&breaker, now)], [Verdict::Stays; 2]);
        assert_eq!(fail(&breaker, now), Verdict::TakenOut(secs(1), 3));
        breaker
    }

    #[test]
    fn failures_in_a_row_take_a_plugin_out_and_a_success_between_them_does_not_let_them_be_in_a_row() {
        let breaker = Breaker::default();
        for _ in 0..10 {
            assert_eq!([fail(&breaker, secs(0)), fail(&breaker, secs(0))], [Verdict::Stays; 2]);
            assert!(!succeed(&breaker, secs(0)));
        }

        let breaker = out_at(secs(0));

        assert!(breaker.is_out(|| secs(0)));
        assert_eq!(breaker.pass(|| secs(0)), None);
        assert_eq!(breaker.out(secs(0)), Some(("it failed", secs(1))));
    }

    #[test]
    fn one_call_in_each_pause_tries_and_brings_the_plugin_back_if_it_goes_well() {
        let breaker = out_at(secs(5));

        assert_eq!(breaker.pass(|| secs(6)), Some(Pass::Trial));
        assert_eq!(breaker.pass(|| secs(6)), None, "one at a time");
        assert_eq!(breaker.pass(|| secs(7)), Some(Pass::Trial), "the first one may never come back");
        assert!(breaker.went_well(Pass::Trial, || secs(7)));
        assert_eq!(breaker.pass(|| secs(7)), Some(Pass::Call(0)));
        assert!(!breaker.went_well(Pass::Trial, || secs(7)), "once");
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_the_plugin_was_well_for_long_enough() {
        let breaker = out_at(secs(0));
        let mut now = secs(0);
        for pause in [2, 4, 8, 10, 10] {
            now += secs(10);
            assert_eq!(fail(&breaker, now), Verdict::StaysOut(secs(pause)));
        }
        now += secs(10);
        assert!(succeed(&breaker, now));

        let relapse = |now: Duration| [fail(&breaker, now), fail(&breaker, now), fail(&breaker, now)][2];
        assert_eq!(relapse(now + secs(9)), Verdict::TakenOut(secs(10), 3));
        now += secs(19);
        assert!(succeed(&breaker, now));
        assert_eq!(relapse(now + secs(10)), Verdict::TakenOut(secs(1), 3));
    }

    #[test]
    fn calls_that_began_before_change_nothing_any_more() {
        let breaker = Breaker::default();
        let early = breaker.pass(|| secs(0)).unwrap();
        fail(&breaker, secs(0));
        let later = breaker.pass(|| secs(0)).unwrap();
        fail(&breaker, secs(0));
        fail(&breaker, secs(0));

        for pass in [early, later] {
            assert!(!breaker.went_well(pass, || secs(0)));
            assert_eq!(breaker.failed(pass, TERMS, secs(0), "it failed"), Verdict::Stays);
        }
        assert!(breaker.is_out(|| secs(0)));
    }

    #[test]
    fn with_no_number_of_failures_a_plugin_is_never_taken_out() {
        let breaker = Breaker::default();
        let terms = BreakerTerms { failures_max: 0, ..TERMS };

        for _ in 0..1000 {
            let pass = breaker.pass(|| secs(0)).unwrap();
            assert_eq!(breaker.failed(pass, terms, secs(0), "it failed"), Verdict::Stays);
        }
    }
}
