//! Time that stands still until it is moved.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::route::Millis;

/// The deadlines of plugins are measured by the machine all the same: a plugin that loops must end.
pub(super) struct HandClock {
    now: AtomicU64,
    began: Millis,
    system: SystemClock,
}

impl HandClock {
    pub(super) fn at(now: Millis) -> Self {
        Self { now: AtomicU64::new(now), began: now, system: SystemClock::default() }
    }

    pub(super) fn advance(&self, by: Duration) {
        self.now.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Millis {
        self.now.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic() + Duration::from_millis(self.now().saturating_sub(self.began))
    }
}
