//! How long a call may take: so much time of the processor.
//!
//! On a machine that has too much to do, a call that was not given the processor is not a stuck plugin. So what counts
//! is the time in which the call's thread ran. To ask for that costs as much as a short call. So nothing is asked when
//! a call begins: the first tick of the epoch within it begins to count, and what came before is less than a tick.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// By the clock a call may take so many times its deadline, so that one that waits in the host ends as well.
const WALL_FACTOR: u32 = 20;

/// But no more than this on top of its deadline: it holds a thread that others wait for.
const WALL_SURPLUS_MAX: Duration = Duration::from_secs(5);

/// Watches one call after the other.
pub(super) struct Meter {
    deadline: Duration,
    /// What the clocks showed at the first tick of the call.
    first_tick: Option<Clocks>,
}

/// What two clocks of the machine show. They are not the host's, which may stand still.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// Time that this thread has had the processor.
    processor: Duration,
    wall: Duration,
}

impl Clocks {
    pub(super) fn now() -> Self {
        let [processor, wall] = [ClockId::ThreadCPUTime, ClockId::Monotonic].map(|clock| {
            let time = clock_gettime(clock);
            // Neither part is ever negative, or beyond its type.
            let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
            Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
        });
        Self { processor, wall }
    }
}

impl Meter {
    pub(super) fn new(deadline: Duration) -> Self {
        Self { deadline, first_tick: None }
    }

    /// A call begins.
    pub(super) fn begin(&mut self, deadline: Duration) {
        *self = Self::new(deadline);
    }

    /// A tick within a call: whether it may go on.
    pub(super) fn may_go_on(&mut self, now: Clocks) -> bool {
        let first = *self.first_tick.get_or_insert(now);
        let surplus = self.deadline.saturating_mul(WALL_FACTOR - 1).min(WALL_SURPLUS_MAX);
        now.processor.saturating_sub(first.processor) < self.deadline
            && now.wall.saturating_sub(first.wall) < self.deadline.saturating_add(surplus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_millis(50);

    /// How many ticks a call may go on for in which it gets `processor` of each `wall`.
    fn ticks(meter: &mut Meter, processor: Duration, wall: Duration) -> u32 {
        // Neither clock begins at 0.
        let began = Clocks { processor: Duration::from_secs(3), wall: Duration::from_secs(7) };
        let after = |ticks| Clocks { processor: began.processor + processor * ticks, wall: began.wall + wall * ticks };
        (0..).find(|count| !meter.may_go_on(after(*count))).expect("every call ends")
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_call_ends_when_it_has_had_its_time_of_the_processor_however_long_that_took() {
        for wall in [10, 20, 80, 190] {
            assert_eq!(ticks(&mut Meter::new(DEADLINE), millis(10), millis(wall)), 5, "10 ms in {wall}");
        }
    }

    #[test]
    fn a_call_that_waits_ends_too() {
        assert_eq!(ticks(&mut Meter::new(DEADLINE), millis(0), millis(10)), 100);
        assert_eq!(ticks(&mut Meter::new(millis(5000)), millis(0), millis(100)), 100, "five seconds on top, at most");
    }

    #[test]
    fn each_call_has_time_of_its_own() {
        let mut meter = Meter::new(DEADLINE);
        ticks(&mut meter, millis(10), millis(10));

        meter.begin(millis(20));

        assert_eq!(ticks(&mut meter, millis(10), millis(10)), 2);
    }

    #[test]
    fn a_thread_that_computes_is_seen_to_have_the_processor() {
        let before = Clocks::now();
        let mut meter = Meter::new(millis(1));

        while meter.may_go_on(Clocks::now()) {}

        assert!(Clocks::now().wall > before.wall);
    }
}
