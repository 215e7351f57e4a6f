//! How long the turns of a worker take: what else there is to do on it waits for so long.
//!
//! A turn is one poll of a connection, or one command that a worker obeys. Every turn counts. It is taken to begin when
//! the one before it ended, or when the worker woke up, so nothing that a worker does in between escapes, and a turn
//! costs one look at the clock.
//!
//! What counts is the CPU time: a worker that the system does not run is not at fault. To ask for that costs ten times
//! as much, so it is asked for once in [`CHECK_INTERVAL`], and a turn took no more than it grew by since. No turn is
//! taken to be shorter than it was, and none longer than the wall says, or by more than that interval.

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

/// Wall time between two looks at the CPU time of a busy worker.
const CHECK_INTERVAL: Duration = Duration::from_nanos(100_000);

/// The turns of one worker, written by it alone.
#[derive(Debug)]
pub(super) struct TurnClock {
    counts: [Counter; BOUNDS.len() + 1],
    nanos: Counter,
    watch: Stopwatch,
    /// On the watch: when what is under way began.
    began: AtomicU64,
    /// On the watch, and the CPU time of that moment.
    checked: [AtomicU64; 2],
}

impl TurnClock {
    pub(super) fn new() -> Self {
        Self {
            counts: Default::default(),
            nanos: Counter::default(),
            watch: Stopwatch::start(),
            began: AtomicU64::new(0),
            checked: Default::default(),
        }
    }

    /// The worker has slept, and goes on now.
    pub(super) fn wake_up(&self) {
        self.began.store(self.watch.wall(), Relaxed);
    }

    /// A turn ends, and the next one may begin.
    pub(super) fn end(&self) {
        let now = self.watch.wall();
        let mut took = now.saturating_sub(self.began.load(Relaxed));
        let [checked, cpu_then] = &self.checked;
        if now.saturating_sub(checked.load(Relaxed)) >= CHECK_INTERVAL.as_nanos() as u64 {
            let cpu = Stopwatch::thread_cpu();
            took = took.min(cpu.saturating_sub(cpu_then.load(Relaxed)));
            checked.store(now, Relaxed);
            cpu_then.store(cpu, Relaxed);
        }
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
