//! What plugins may use up: what counts for all of them, and what for one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::PluginsConfig;
use crate::config::ByteSize;

/// What one plugin may use up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Time of the processor for one call on a worker.
    pub worker_deadline: Duration,
    /// Time of the processor for one call in the write lane.
    pub lane_deadline: Duration,
    /// What its instances may grow by, together.
    pub memory_max: ByteSize,
    /// Entries of one table of an instance.
    pub table_entries_max: u32,
    /// The largest body that it may answer.
    pub reply_size_max: ByteSize,
    /// Calls of host functions in one call.
    pub host_calls_max: u32,
    /// Lines in the log, in a second.
    pub log_lines_max: u32,
    /// So many failures in a row take it out.
    pub failures_max: u32,
    /// So many failures in a second do, if they are half of its calls or more.
    pub failures_per_second_max: u32,
}

/// `limits` of one plugin: those that are others for it than for all.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct OwnLimits {
    /// As [`Limits::worker_deadline`].
    #[serde(with = "humantime_serde")]
    pub worker_deadline: Option<Duration>,
    /// As [`Limits::lane_deadline`].
    #[serde(with = "humantime_serde")]
    pub lane_deadline: Option<Duration>,
    /// As [`Limits::memory_max`].
    pub memory_max: Option<ByteSize>,
    /// As [`Limits::table_entries_max`].
    pub table_entries_max: Option<u32>,
    /// As [`Limits::reply_size_max`].
    pub reply_size_max: Option<ByteSize>,
    /// As [`Limits::host_calls_max`].
    pub host_calls_max: Option<u32>,
    /// As [`Limits::log_lines_max`].
    pub log_lines_max: Option<u32>,
    /// As [`Limits::failures_max`].
    pub failures_max: Option<u32>,
    /// As [`Limits::failures_per_second_max`].
    pub failures_per_second_max: Option<u32>,
}

impl Limits {
    /// What counts for a plugin of which nothing else is said.
    pub fn of_all(plugins: &PluginsConfig) -> Self {
        Self {
            worker_deadline: plugins.worker_deadline,
            lane_deadline: plugins.lane_deadline,
            memory_max: plugins.memory_max,
            table_entries_max: plugins.table_entries_max,
            reply_size_max: plugins.reply_size_max,
            host_calls_max: plugins.host_calls_max,
            log_lines_max: plugins.log_lines_max,
            failures_max: plugins.failures_max,
            failures_per_second_max: plugins.failures_per_second_max,
        }
    }
}

impl From<Limits> for OwnLimits {
    fn from(limits: Limits) -> Self {
        Self {
            worker_deadline: Some(limits.worker_deadline),
            lane_deadline: Some(limits.lane_deadline),
            memory_max: Some(limits.memory_max),
            table_entries_max: Some(limits.table_entries_max),
            reply_size_max: Some(limits.reply_size_max),
            host_calls_max: Some(limits.host_calls_max),
            log_lines_max: Some(limits.log_lines_max),
            failures_max: Some(limits.failures_max),
            failures_per_second_max: Some(limits.failures_per_second_max),
        }
    }
}

impl OwnLimits {
    /// These, and those of all where there are none.
    pub fn or(&self, all: Limits) -> Limits {
        Limits {
            worker_deadline: self.worker_deadline.unwrap_or(all.worker_deadline),
            lane_deadline: self.lane_deadline.unwrap_or(all.lane_deadline),
            memory_max: self.memory_max.unwrap_or(all.memory_max),
            table_entries_max: self.table_entries_max.unwrap_or(all.table_entries_max),
            reply_size_max: self.reply_size_max.unwrap_or(all.reply_size_max),
            host_calls_max: self.host_calls_max.unwrap_or(all.host_calls_max),
            log_lines_max: self.log_lines_max.unwrap_or(all.log_lines_max),
            failures_max: self.failures_max.unwrap_or(all.failures_max),
            failures_per_second_max: self.failures_per_second_max.unwrap_or(all.failures_per_second_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_one_plugin_counts_for_it_and_the_rest_is_as_for_all() {
        let all = Limits::of_all(&PluginsConfig::default());
        let own = OwnLimits { host_calls_max: Some(3), ..OwnLimits::default() };

        assert_eq!(own.or(all), Limits { host_calls_max: 3, ..all });
        assert_eq!(OwnLimits::from(all).or(Limits { host_calls_max: 3, ..all }), all);
    }
}
