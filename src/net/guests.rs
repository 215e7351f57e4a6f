//! The jobs of guests in a lane: how many are run at a time, and which connections wait for that.
//!
//! A guest's job may take long, so all threads of the lane but one run such jobs at a time. The others wait, without a
//! thread: not too many, not too much of them, and not too long.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::route::ConnectionId;

/// So many connections whose next job is a guest's may wait for each thread that runs such jobs.
const WAITING_PER_THREAD: usize = 64;

/// And so many in all.
const WAITING_MAX: usize = 512;

/// A connection that waits may have so much in the lane, however little that holds.
const BYTES_MIN: usize = 64 << 10;

/// Who waits, and for what.
pub(super) struct Guests {
    running: usize,
    running_max: usize,
    /// In the order in which they came.
    waiting: VecDeque<(ConnectionId, Instant)>,
    waiting_max: usize,
    /// Of one connection that waits, in the lane: half of what the lane holds is for others.
    bytes_max: usize,
    patience: Duration,
    ended: u64,
}

/// Why a connection waits no longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turned {
    /// A job may be run.
    Free,
    /// It has waited for as long as it may.
    Late,
}

impl Guests {
    pub(super) fn new(lane_threads: usize, lane_bytes_max: usize, patience: Duration) -> Self {
        let running_max = lane_threads - 1;
        let waiting_max = (running_max * WAITING_PER_THREAD).min(WAITING_MAX);
        let bytes_max = (lane_bytes_max / 2 / waiting_max.max(1)).max(BYTES_MIN);
        let (running, waiting, ended) = Default::default();
        Self { running, running_max, waiting, waiting_max, bytes_max, patience, ended }
    }

    /// Whether a job may be run at once: nobody is to be overtaken.
    pub(super) fn is_free(&self) -> bool {
        self.running < self.running_max && self.waiting.is_empty()
    }

    /// Whether a connection with so many bytes in the lane may begin to wait.
    pub(super) fn may_wait(&self, bytes: usize) -> bool {
        self.waiting.len() < self.waiting_max && self.may_hold(bytes)
    }

    /// Whether one that waits may go on with so many.
    pub(super) fn may_hold(&self, bytes: usize) -> bool {
        bytes <= self.bytes_max
    }

    pub(super) fn wait(&mut self, id: ConnectionId) {
        self.waiting.push_back((id, Instant::now()));
    }

    /// It waits no more, for whatever reason.
    pub(super) fn forget(&mut self, id: ConnectionId) {
        self.waiting.retain(|(waits, _)| *waits != id);
    }

    /// Who waits no longer, if anybody.
    pub(super) fn next(&mut self) -> Option<(ConnectionId, Turned)> {
        let turned = self.turned()?;
        self.waiting.pop_front().map(|(id, _)| (id, turned))
    }

    /// Whether somebody waits no longer.
    #[cfg(feature = "server")]
    pub(super) fn has_next(&self) -> bool {
        self.turned().is_some()
    }

    fn turned(&self) -> Option<Turned> {
        let (_, since) = self.waiting.front()?;
        if self.running < self.running_max {
            return Some(Turned::Free);
        }
        (since.elapsed() >= self.patience).then_some(Turned::Late)
    }

    /// Until when nobody has waited for too long; none when nobody waits.
    pub(super) fn until(&self) -> Option<Instant> {
        self.waiting.front().map(|(_, since)| *since + self.patience)
    }

    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn begins(&mut self) {
        self.running += 1;
    }

    pub(super) fn ends(&mut self) {
        self.running -= 1;
        self.ended += 1;
    }

    /// How many have ended: whoever waited in vain need not wait again until it is another number.
    pub(super) fn ended(&self) -> u64 {
        self.ended
    }

    /// The lane has given up.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
