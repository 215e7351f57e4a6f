//! Keeps strangers from filling the log.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock;

/// Lets a number of lines through per interval and counts the rest.
#[derive(Debug)]
pub(crate) struct LogLimit {
    interval: Duration,
    lines_max: u32,
    state: Mutex<State>,
}

impl LogLimit {
    pub(crate) const fn new(lines_max: u32, interval: Duration) -> Self {
        Self { interval, lines_max, state: Mutex::new(State { began: None, lines: 0, suppressed: 0 }) }
    }

    /// None if nothing may be logged now, else how many lines were suppressed since the last one.
    pub(crate) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = lock(&self.state);
        if state.began.is_none_or(|began| now.saturating_duration_since(began) >= self.interval) {
            state.began = Some(now);
            state.lines = 0;
        }
        if state.lines == self.lines_max {
            state.suppressed += 1;
            return None;
        }
        state.lines += 1;
        Some(std::mem::take(&mut state.suppressed))
    }

    /// Calls `log` with how many lines were suppressed before this one, unless this one is suppressed too.
    pub(crate) fn note(&self, log: impl FnOnce(u64)) {
        if let Some(suppressed) = self.admit(tokio::time::Instant::now().into_std()) {
            log(suppressed);
        }
    }
}

#[derive(Debug)]
struct State {
    began: Option<Instant>,
    lines: u32,
    suppressed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_limit_are_counted_and_told_with_the_next_one() {
        let limit = LogLimit::new(2, Duration::from_secs(1));
        let start = tokio::time::Instant::now().into_std();

        assert_eq!(limit.admit(start), Some(0));
        assert_eq!(limit.admit(start), Some(0));
        assert_eq!(limit.admit(start), None);
        assert_eq!(limit.admit(start + Duration::from_millis(999)), None);

        assert_eq!(limit.admit(start + Duration::from_secs(1)), Some(2));
        assert_eq!(limit.admit(start + Duration::from_secs(1)), Some(0));
        assert_eq!(limit.admit(start + Duration::from_secs(1)), None);
    }
}
