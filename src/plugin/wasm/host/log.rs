//! `log`: lines from plugins, bounded so that a chatty one cannot fill the disk.
//!
//! The bound is the plugin's, over all its instances: one that panics after every line has a fresh instance for each.

use std::sync::{Mutex, PoisonError};

use super::super::bindings::fingerpost::nameserver::log;
use super::super::state::PluginState;
use crate::plugin::tally::Count;
use crate::route::Millis;

pub(in super::super) const LINE_BYTES_MAX: usize = 2048;

/// How many lines may still be written in the current second.
#[derive(Debug, Default)]
pub(crate) struct LogBudget {
    lines_max: u32,
    second: Mutex<Second>,
    written: Count,
    dropped: Count,
}

#[derive(Debug, Default)]
struct Second {
    second: Millis,
    written: u32,
    dropped: u64,
}

impl LogBudget {
    /// So many lines in a second.
    pub(crate) fn new(lines_max: u32) -> Self {
        Self { lines_max, ..Self::default() }
    }

    /// How many lines were written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.get()
    }

    /// How many were not.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Whether a line may be written now; the count is of lines dropped before it, reported once.
    pub(crate) fn take(&self, now: Millis) -> Option<u64> {
        // Numbers are whole at every step.
        let taken = self.second.lock().unwrap_or_else(PoisonError::into_inner).take(now, self.lines_max);
        if taken.is_some() { &self.written } else { &self.dropped }.add(1);
        taken
    }
}

impl Second {
    fn take(&mut self, now: Millis, lines_max: u32) -> Option<u64> {
        if now / 1000 != self.second {
            self.second = now / 1000;
            self.written = 0;
        }
        if self.written >= lines_max {
            self.dropped += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

impl log::Host for PluginState {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.may_log()?;
        write_line(&self.name, &self.log, self.core.clock.now(), level, &message);
        Ok(())
    }
}

/// Writes a line of a plugin's, if it may write one now.
pub(in super::super) fn write_line(plugin: &str, budget: &LogBudget, now: Millis, level: log::Level, message: &str) {
    let Some(dropped) = budget.take(now) else { return };
    if dropped > 0 {
        tracing::warn!(plugin, "{dropped} lines of this plugin were dropped");
    }
    // A line break in a message must not look like another line of the log.
    let line = cut(message).escape_debug();
    match level {
        log::Level::Error => tracing::error!(plugin, "{line}"),
        log::Level::Warn => tracing::warn!(plugin, "{line}"),
        log::Level::Info => tracing::info!(plugin, "{line}"),
        log::Level::Debug => tracing::debug!(plugin, "{line}"),
    }
}

fn cut(message: &str) -> &str {
    let mut end = message.len().min(LINE_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chatty_plugin_is_cut_off_until_the_next_second_and_told_so() {
        let budget = LogBudget::new(100);

        let written = (0..250).filter(|_| budget.take(1_500).is_some()).count();

        assert_eq!(written, 100);
        assert_eq!(budget.take(2_000), Some(150));
        assert_eq!(budget.take(2_001), Some(0));
        assert_eq!((budget.written(), budget.dropped()), (102, 150));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let line = format!("{}é", "x".repeat(LINE_BYTES_MAX - 1));

        assert_eq!(cut(&line).len(), LINE_BYTES_MAX - 1);
    }
}
