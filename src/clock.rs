//! The one place that asks what time it is. Everything else is told.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::route::Millis;

/// Where time comes from; tests bring their own.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01 UTC.
    fn now(&self) -> Millis;

    /// Time since some moment in the past, which only ever grows: for measuring.
    fn monotonic(&self) -> Duration;

    /// Whether it goes on while somebody works. If not, no deadline of a plugin ever passes: how long a call takes on
    /// the machine is no part of that time.
    fn runs_by_itself(&self) -> bool {
        true
    }
}

/// How long work takes on this machine: for figures that are shown, and nothing that depends on them.
#[cfg(feature = "net")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

#[cfg(feature = "net")]
impl Stopwatch {
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since it was started.
    pub(crate) fn wall(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds that this thread has run.
    pub(crate) fn thread_cpu() -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl Default for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    fn default() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Millis {
        // A machine set before 1970 is at 0.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}
