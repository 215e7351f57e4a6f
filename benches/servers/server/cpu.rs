//! What processes spend: the kernel's own accounting, user and system time of all threads.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// `/proc/PID/stat` counts in these; the same on every Linux that anybody runs.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of a process so far.
pub(crate) struct CpuTime {
    /// Of all threads that ever were, in whole ticks.
    ticks: Duration,
    /// Of each thread that is alive, to the nanosecond, where the kernel keeps it.
    threads: BTreeMap<u32, Duration>,
}

impl CpuTime {
    pub(crate) fn of(process: u32) -> Self {
        Self { ticks: ticks(process).expect("the process is running"), threads: threads(process).unwrap_or_default() }
    }

    pub(crate) fn of_myself() -> Self {
        Self::of(std::process::id())
    }

    /// What was spent since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let coarse = self.ticks - earlier.ticks;
        let before = |thread| earlier.threads.get(thread).copied().unwrap_or_default();
        let fine = self.threads.iter().map(|(thread, now)| now.saturating_sub(before(thread))).sum();
        // The fine count lacks threads that have ended meanwhile; the coarse one is wrong by a tick at either end.
        if coarse > fine + 2 * TICK { coarse } else { fine }
    }
}

/// What those threads of a process have spent whose names begin so, to the nanosecond.
pub(super) fn of_threads(process: u32, name: &str) -> Duration {
    let is_it = |thread: &u32| {
        let known = fs::read_to_string(format!("/proc/{process}/task/{thread}/comm"));
        known.is_ok_and(|known| known.starts_with(name))
    };
    threads(process).unwrap_or_default().into_iter().filter(|(thread, _)| is_it(thread)).map(|(_, spent)| spent).sum()
}

fn ticks(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before the parenthesis may hold anything; utime and stime are the 12th and 13th after it.
    let after_name = stat.rsplit(')').next()?;
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok());
    Some(TICK * ticks.sum::<u32>())
}

/// A thread that ends while it is looked at is left out.
fn threads(process: u32) -> Option<BTreeMap<u32, Duration>> {
    let entries = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let thread = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.ok()?.path();
        let spent = fs::read_to_string(path.join("schedstat")).ok()?;
        let nanos = spent.split_whitespace().next()?.parse().ok()?;
        Some((path.file_name()?.to_str()?.parse().ok()?, Duration::from_nanos(nanos)))
    };
    Some(entries.filter_map(thread).collect())
}
