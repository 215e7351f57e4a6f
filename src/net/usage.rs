//! What is held for whom, counted exactly, and what the workers did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::service::CloseReason;
use super::turns::{BOUNDS, TurnClock};
use crate::tally::Counter;

/// What the sockets hold at one moment, and what they did so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Connections that are open, or whose close the lane has yet to handle.
    pub connections: usize,
    /// Reply bytes that wait for their peers.
    pub unsent_bytes: usize,
    /// Memory of frames that have arrived in part or wait for room.
    pub partial_bytes: usize,
    /// Replies under way elsewhere: in the lane, on the disk, upstream.
    pub delayed_replies: usize,
    /// Jobs in the lane.
    pub lane_jobs: usize,
    /// Bytes of the jobs in the lane.
    pub lane_bytes: usize,
    /// Reads that brought bytes.
    pub reads: u64,
    /// Writes that took bytes.
    pub writes: u64,
    /// Frames handled.
    pub frames: u64,
    /// Connections closed at once because there were too many.
    pub refused: u64,
}

/// What one worker did so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct WorkerUsage {
    /// Reads that brought bytes.
    pub reads: u64,
    /// Writes that took bytes.
    pub writes: u64,
    /// Frames handled.
    pub frames: u64,
}

/// How long the turns of all workers took.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Turns {
    /// How many took at most each of [`Turns::BOUNDS`] and more than the bound before it, and how many more than all.
    pub counts: [u64; BOUNDS.len() + 1],
    /// All of them together.
    pub nanos: u64,
}

impl Turns {
    /// In nanoseconds.
    pub const BOUNDS: [u64; BOUNDS.len()] = BOUNDS;
}

/// The counters behind [`Usage`].
#[derive(Debug)]
pub(super) struct Totals {
    pub(super) connections: AtomicUsize,
    pub(super) unsent: AtomicUsize,
    pub(super) partial: AtomicUsize,
    pub(super) delayed: AtomicUsize,
    pub(super) lane_jobs: AtomicUsize,
    pub(super) lane_bytes: AtomicUsize,
    pub(super) refused: AtomicU64,
    /// In the order of [`CloseReason::KINDS`].
    closed: [AtomicU64; CloseReason::KINDS.len()],
    /// One for each worker, written by it alone.
    pub(super) traffic: Box<[Traffic]>,
}

impl Totals {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            connections: AtomicUsize::new(0),
            unsent: AtomicUsize::new(0),
            partial: AtomicUsize::new(0),
            delayed: AtomicUsize::new(0),
            lane_jobs: AtomicUsize::new(0),
            lane_bytes: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            closed: Default::default(),
            traffic: (0..workers).map(|_| Traffic::new()).collect(),
        }
    }

    /// A connection has ended, without a reason if its task did not get so far.
    pub(super) fn count_closed(&self, reason: Option<&CloseReason>) {
        let kind = reason.map_or(CloseReason::LOST, CloseReason::kind);
        if let Some(at) = CloseReason::KINDS.iter().position(|one| *one == kind) {
            self.closed[at].fetch_add(1, Relaxed);
        }
    }

    /// How many connections ended, by reason.
    pub(super) fn closed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CloseReason::KINDS.into_iter().zip(self.closed.iter().map(|count| count.load(Relaxed)))
    }

    pub(super) fn turns(&self) -> Turns {
        let mut sum = Turns::default();
        self.traffic.iter().for_each(|one| one.turns.add_to(&mut sum));
        sum
    }

    pub(super) fn usage(&self) -> Usage {
        let sum = |counter: fn(&Traffic) -> &Counter| self.traffic.iter().map(|one| counter(one).get()).sum();
        Usage {
            connections: self.connections.load(Relaxed),
            unsent_bytes: self.unsent.load(Relaxed),
            partial_bytes: self.partial.load(Relaxed),
            delayed_replies: self.delayed.load(Relaxed),
            lane_jobs: self.lane_jobs.load(Relaxed),
            lane_bytes: self.lane_bytes.load(Relaxed),
            reads: sum(|traffic| &traffic.reads),
            writes: sum(|traffic| &traffic.writes),
            frames: sum(|traffic| &traffic.frames),
            refused: self.refused.load(Relaxed),
        }
    }
}

/// What one worker did. Aligned, so that no worker writes a cache line that another one reads.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Traffic {
    pub(super) reads: Counter,
    pub(super) writes: Counter,
    pub(super) frames: Counter,
    pub(super) turns: TurnClock,
}

impl Traffic {
    fn new() -> Self {
        let (reads, writes, frames) = Default::default();
        Self { reads, writes, frames, turns: TurnClock::new() }
    }

    pub(super) fn usage(&self) -> WorkerUsage {
        WorkerUsage { reads: self.reads.get(), writes: self.writes.get(), frames: self.frames.get() }
    }
}

/// Counts one up, by the thread that writes this counter.
pub(super) fn count(counter: &Counter) {
    counter.count();
}

/// A counted place among the connections, given back on drop.
#[derive(Debug)]
pub(super) struct Slot {
    totals: Arc<Totals>,
}

impl Slot {
    /// None when `limit` are taken.
    pub(super) fn take(totals: &Arc<Totals>, limit: usize) -> Option<Self> {
        let add = |taken| (taken < limit).then_some(taken + 1);
        totals.connections.fetch_update(Relaxed, Relaxed, add).ok()?;
        Some(Self { totals: Arc::clone(totals) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.totals.connections.fetch_sub(1, Relaxed);
    }
}

/// One connection in the load of a worker, taken away on drop.
#[derive(Debug)]
pub(super) struct Load(Arc<AtomicUsize>);

impl Load {
    pub(super) fn add(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
