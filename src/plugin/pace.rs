//! How a plugin earns its place on the workers.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// After this many fast calls in the lane, a plugin that is not embedded may run on the workers.
const FAST_CALLS_BEFORE_WORKER: u32 = 1000;

/// What counts as fast.
const FAST_CALL: Duration = Duration::from_micros(200);

/// What is known about how fast a plugin is.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// How many calls were fast since the last slow one.
    fast_calls: AtomicU32,
}

impl Pace {
    /// Whether it has shown that it does not hold a worker up.
    pub(crate) fn is_fast(&self) -> bool {
        self.fast_calls.load(Ordering::Relaxed) >= FAST_CALLS_BEFORE_WORKER
    }

    /// Notes how long a call took. One slow call, and it has to show again that it is fast.
    pub(crate) fn note(&self, took: Duration) {
        if took > FAST_CALL {
            self.fast_calls.store(0, Ordering::Relaxed);
        } else if !self.is_fast() {
            self.fast_calls.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_fast_calls_in_a_row_make_a_plugin_fast_and_one_slow_call_ends_it() {
        let pace = Pace::default();
        let note = |times: u32, took: Duration| (0..times).for_each(|_| pace.note(took));

        note(999, FAST_CALL);
        assert!(!pace.is_fast());
        note(1, FAST_CALL);
        assert!(pace.is_fast());
        note(5_000, FAST_CALL);
        note(1, FAST_CALL * 2);
        assert!(!pace.is_fast());
        note(999, FAST_CALL);
        assert!(!pace.is_fast());
        note(1, FAST_CALL);
        assert!(pace.is_fast());
    }
}
