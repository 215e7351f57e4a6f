//! How long the turns of a worker take: what else there is to do on it waits for so long.
//!
//! A turn is one poll of a connection, or one command that a worker obeys. Every turn counts. It is taken to begin when
//! the one before it ended, or when the worker woke up, so nothing that a worker does in between escapes, and a turn
//! costs one look at the clock.
//!
//! What counts is the CPU time: a worker that the system does not run is not at fault. To ask for that is a system call
//! and costs ten times as much, so it is asked for after [`CHECK_INTERVAL`] of work, and a turn took no more than it
//! grew by since. No turn is taken to be shorter than it was, and none longer than the wall says, or by more than that
//! interval.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::usage::Turns;
use crate::clock::Stopwatch;
use crate::tally::Counter;

/// The upper bounds of the histogram, in nanoseconds; whatever takes longer has a place behind them.
pub(super) const BOUNDS: [u64; 16] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
];

/// Work between two looks at the CPU time, as the wall measures it. Sleep is none: a worker with little to do would
/// else look at every turn.
const CHECK_INTERVAL: Duration = Duration::from_nanos(100_000);

/// What falling asleep and waking up may cost, beside the turns.
const WAIT_NANOS: u64 = 5_000;

/// The turns of one worker, written by it alone.
#[derive(Debug)]
pub(super) struct TurnClock {
    counts: [Counter; BOUNDS.len() + 1],
    nanos: Counter,
    watch: Stopwatch,
    /// On the watch: when what is under way began.
    began: AtomicU64,
    /// The CPU time when it was asked for.
    cpu: AtomicU64,
    /// The work since then.
    worked: AtomicU64,
}

impl TurnClock {
    pub(super) fn new() -> Self {
        Self {
            counts: Default::default(),
            nanos: Counter::default(),
            watch: Stopwatch::start(),
            began: AtomicU64::new(0),
            cpu: AtomicU64::new(0),
            worked: AtomicU64::new(0),
        }
    }

    /// The worker has slept, and goes on now.
    pub(super) fn wake_up(&self) {
        self.wake_up_at(self.watch.wall());
    }

    /// A turn ends, and the next one may begin.
    pub(super) fn end(&self) {
        self.end_at(self.watch.wall(), Stopwatch::thread_cpu);
    }

    fn wake_up_at(&self, now: u64) {
        self.worked.store(self.worked.load(Relaxed) + WAIT_NANOS, Relaxed);
        self.began.store(now, Relaxed);
    }

    fn end_at(&self, now: u64, thread_cpu: impl FnOnce() -> u64) {
        let mut took = now.saturating_sub(self.began.load(Relaxed));
        let mut worked = self.worked.load(Relaxed) + took;
        if worked >= CHECK_INTERVAL.as_nanos() as u64 {
            let cpu = thread_cpu();
            took = took.min(cpu.saturating_sub(self.cpu.load(Relaxed)));
            self.cpu.store(cpu, Relaxed);
            worked = 0;
        }
        self.worked.store(worked, Relaxed);
        self.began.store(now, Relaxed);
        self.note(took);
    }

    fn note(&self, nanos: u64) {
        self.counts[BOUNDS.partition_point(|bound| *bound < nanos)].count();
        self.nanos.add(nanos);
    }

    pub(super) fn add_to(&self, sum: &mut Turns) {
        sum.counts.iter_mut().zip(&self.counts).for_each(|(sum, count)| *sum += count.get());
        sum.nanos += self.nanos.get();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(turns: &TurnClock) -> Vec<usize> {
        let counted = turns.counts.iter().enumerate().filter(|(_, count)| count.get() > 0);
        counted.map(|(at, _)| at).collect()
    }

    #[test]
    fn a_turn_is_counted_at_the_first_bound_that_it_does_not_exceed() {
        let turns = TurnClock::new();

        for nanos in [0, 1_000, 1_001, 1_000_000, 1_000_001, 100_000_000, u64::MAX] {
            turns.note(nanos);
        }

        assert_eq!(places(&turns), [0, 1, 9, 10, 15, 16]);
        assert_eq!(turns.counts[0].get(), 2);
    }

    #[test]
    fn a_turn_that_the_system_held_up_took_as_long_as_it_ran() {
        let turns = TurnClock::new();

        turns.wake_up_at(0);
        turns.end_at(90_000, || unreachable!("too soon"));
        // Most of the CPU time was the turn's before it; more than a tenth of a millisecond never is.
        turns.end_at(40_090_000, || 97_000);

        assert_eq!(places(&turns), [6]);
        assert_eq!(turns.nanos.get(), 90_000 + 97_000);
    }

    #[test]
    fn a_worker_that_sleeps_between_its_turns_seldom_asks_for_its_cpu_time() {
        const TURN: u64 = 5_000;
        let turns = TurnClock::new();
        let asked = std::cell::Cell::new(0);

        for turn in 0..1_000 {
            let now = turn * 1_000_000;
            turns.wake_up_at(now);
            turns.end_at(now + TURN, || {
                asked.set(asked.get() + 1);
                (turn + 1) * TURN
            });
        }

        assert_eq!(asked.get(), 1_000 * (TURN + WAIT_NANOS) / 100_000);
        assert_eq!(turns.nanos.get(), 1_000 * TURN);
    }

    #[test]
    fn a_turn_that_works_for_long_is_not_missed_and_sleep_is_no_turn() {
        let turns = TurnClock::new();
        let mut sum = Turns::default();
        let watch = Stopwatch::start();
        let began = Stopwatch::thread_cpu();
        turns.end();

        turns.wake_up();
        while Stopwatch::thread_cpu() - began < 3_000_000 {
            std::hint::black_box(watch.wall());
        }
        turns.end();

        turns.add_to(&mut sum);
        // What the system may add to a turn is never taken away from it.
        assert_eq!(sum.counts.iter().sum::<u64>(), 2);
        assert!(sum.counts[11..].iter().sum::<u64>() >= 1, "{sum:?}");
    }
}
