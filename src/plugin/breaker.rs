//! Takes a plugin out that fails call after call, or hundreds of times in a second, and tries it again later.
//!
//! A breaker belongs to one plugin and is shared by all threads. What it costs a plugin that is well is one load for
//! each call.
//!
//! # Invariants
//!
//! * While a plugin is out, at most one call enters it in each pause: the trial. Only a trial brings it back.
//! * A pause is twice as long as the one before, if the plugin has not been well for as long as that one lasted.
//! * How a call went that began before the plugin was taken out changes nothing any more.
//! * Failures that are not in a row take it out only if they are at least half of its calls: who finds a request that
//!   fails must not be able to take a plugin from all others who ask it.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What `in_a_row` is while the plugin is out.
const OUT: u32 = u32::MAX;

/// In which failures are counted that are not in a row.
const WINDOW: Duration = Duration::from_secs(1);

/// When a plugin is taken out, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct BreakerTerms {
    /// So many failures in a row take it out; with 0, none do.
    pub(crate) failures_max: u32,
    /// So many in a second do, if they are half of its calls or more; with 0, none do.
    pub(crate) failures_per_second_max: u32,
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
    window: Window,
}

/// The failures of a second.
#[derive(Debug, Default)]
struct Window {
    /// When the first of them was; none before there was one.
    began: Option<Duration>,
    /// How many calls there had been until then.
    calls_before: u64,
    failures: u32,
}

/// When a call failed.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) now: Duration,
    /// How many calls of the plugin there have been until then. It is not asked for each.
    pub(crate) calls: &'a dyn Fn() -> u64,
}

/// Why a plugin is taken out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Offence {
    /// It failed so many times in a row.
    InARow(u32),
    /// Within a second so many calls failed, of so many.
    InASecond(u32, u64),
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InARow(failures) => write!(f, "it failed {failures} times in a row"),
            Self::InASecond(failures, calls) => write!(f, "{failures} of {calls} calls failed within a second"),
        }
    }
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
    /// It is taken out for so long.
    TakenOut(Duration, Offence),
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
    pub(crate) fn failed(&self, pass: Pass, terms: BreakerTerms, at: Moment<'_>, why: &'static str) -> Verdict {
        let now = at.now;
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
                let is_over = terms.failures_max > 0 && failures >= terms.failures_max;
                let in_a_row = is_over.then_some(Offence::InARow(failures));
                let in_a_second = pauses.window.another(terms.failures_per_second_max, at);
                let Some(offence) = in_a_row.or(in_a_second) else {
                    self.in_a_row.store(failures, Relaxed);
                    return Verdict::Stays;
                };
                pauses.window = Window::default();
                let last = pauses.last;
                let is_relapse = pauses.back_since.is_some_and(|since| now.saturating_sub(since) < last);
                let pause = pauses.next(terms, is_relapse);
                self.retry_at.store(nanos(now + pause), Relaxed);
                self.in_a_row.store(OUT, Relaxed);
                Verdict::TakenOut(pause, offence)
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

impl Window {
    /// One more; with these, is it enough?
    fn another(&mut self, max: u32, at: Moment<'_>) -> Option<Offence> {
        if max == 0 {
            return None;
        }
        if self.began.is_none_or(|began| at.now.saturating_sub(began) >= WINDOW) {
            let calls_before = (at.calls)().saturating_sub(1);
            *self = Self { began: Some(at.now), calls_before, failures: 0 };
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < max {
            return None;
        }
        let calls = (at.calls)().saturating_sub(self.calls_before);
        // Fewer calls than failures: nobody counts them.
        let failures = u64::from(self.failures);
        (failures..=failures * 2).contains(&calls).then_some(Offence::InASecond(self.failures, calls))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: BreakerTerms = BreakerTerms {
        failures_max: 3,
        failures_per_second_max: 0,
        retry_after: Duration::from_secs(1),
        retry_after_max: Duration::from_secs(10),
    };

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn fail(breaker: &Breaker, now: Duration) -> Verdict {
        let pass = breaker.pass(|| now).expect("it may be entered");
        breaker.failed(pass, TERMS, at(now), "it failed")
    }

    /// Where nobody counts calls.
    fn at(now: Duration) -> Moment<'static> {
        Moment { now, calls: &|| 0 }
    }

    fn succeed(breaker: &Breaker, now: Duration) -> bool {
        let pass = breaker.pass(|| now).expect("it may be entered");
        breaker.went_well(pass, || now)
    }

    /// A breaker that has just taken its plugin out.
    fn out_at(now: Duration) -> Breaker {
        let breaker = Breaker::default();
        assert_eq!([fail(&breaker, now), fail(&breaker, now)], [Verdict::Stays; 2]);
        assert_eq!(fail(&breaker, now), Verdict::TakenOut(secs(1), Offence::InARow(3)));
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
        assert_eq!(relapse(now + secs(9)), Verdict::TakenOut(secs(10), Offence::InARow(3)));
        now += secs(19);
        assert!(succeed(&breaker, now));
        assert_eq!(relapse(now + secs(10)), Verdict::TakenOut(secs(1), Offence::InARow(3)));
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
            assert_eq!(breaker.failed(pass, TERMS, at(secs(0)), "it failed"), Verdict::Stays);
        }
        assert!(breaker.is_out(|| secs(0)));
    }

    #[test]
    fn with_no_number_of_failures_a_plugin_is_never_taken_out() {
        let breaker = Breaker::default();
        let terms = BreakerTerms { failures_max: 0, ..TERMS };

        for _ in 0..1000 {
            let pass = breaker.pass(|| secs(0)).unwrap();
            assert_eq!(breaker.failed(pass, terms, at(secs(0)), "it failed"), Verdict::Stays);
        }
    }

    /// Calls in turn, of which so many fail and so many go well, until the plugin is taken out or time is over.
    fn mixed(fails: u64, goes_well: u64, between: Duration, until: Duration) -> Option<(Offence, Duration)> {
        let terms = BreakerTerms { failures_per_second_max: 10, ..TERMS };
        let (breaker, mut now, mut calls) = (Breaker::default(), Duration::ZERO, 0);
        while now < until {
            for call in 0..fails + goes_well {
                let pass = breaker.pass(|| now).expect("it may be entered");
                calls += 1;
                if call >= fails {
                    breaker.went_well(pass, || now);
                } else if let Verdict::TakenOut(_, offence) =
                    breaker.failed(pass, terms, Moment { now, calls: &|| calls }, "it failed")
                {
                    return Some((offence, now));
                }
                now += between;
            }
        }
        None
    }

    #[test]
    fn many_failures_in_a_second_take_a_plugin_out_as_well_if_they_are_half_of_its_calls() {
        let millis = Duration::from_millis;

        assert_eq!(mixed(2, 1, millis(1), secs(9)), Some((Offence::InASecond(10, 14), millis(13))));
        assert_eq!(mixed(1, 1, millis(1), secs(9)), Some((Offence::InASecond(10, 19), millis(18))));
        assert_eq!(mixed(1, 2, millis(1), secs(9)), None, "most are answered well");
        assert_eq!(mixed(1, 1, millis(100), secs(60)), None, "five in a second");
    }

    #[test]
    fn a_plugin_that_is_taken_out_for_many_failures_may_fail_again_when_it_is_back() {
        let terms = BreakerTerms { failures_max: 0, failures_per_second_max: 3, ..TERMS };
        let (breaker, calls) = (Breaker::default(), std::cell::Cell::new(0));
        let fail = |now: Duration| {
            let pass = breaker.pass(|| now).expect("it may be entered");
            calls.set(calls.get() + 1);
            breaker.failed(pass, terms, Moment { now, calls: &|| calls.get() }, "it failed")
        };
        assert_eq!([fail(secs(0)), fail(secs(0))], [Verdict::Stays; 2]);
        assert_eq!(fail(secs(0)), Verdict::TakenOut(secs(1), Offence::InASecond(3, 3)));
        assert!(succeed(&breaker, secs(1)));

        assert_eq!([fail(secs(1)), fail(secs(1))], [Verdict::Stays; 2]);
    }

    #[test]
    fn where_nobody_counts_calls_only_failures_in_a_row_take_a_plugin_out() {
        let terms = BreakerTerms { failures_max: 0, failures_per_second_max: 3, ..TERMS };
        let breaker = Breaker::default();

        for _ in 0..100 {
            let pass = breaker.pass(|| secs(0)).expect("it may be entered");
            assert_eq!(breaker.failed(pass, terms, at(secs(0)), "it failed"), Verdict::Stays);
        }
    }
}
