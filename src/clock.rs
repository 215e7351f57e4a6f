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
