//! What a connection may have of its worker before the others have their turn.
//!
//! It is measured by what was done, not by the time it took, so that the same requests are always cut the same way.

use super::super::outgoing::WRITE_MAX;
use super::super::usage::Traffic;

/// Frames in a row. With ten microseconds each, which two policies take, they are well below a millisecond.
const FRAMES_MAX: u64 = 64;

/// Bytes sent in a row: routes of thousands of brokers are hundreds of KiB, and half a millisecond, each.
const SENT_MAX: usize = WRITE_MAX;

/// What one connection had since its turn began.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// What the worker's frames were then.
    frames_before: u64,
    sent: usize,
}

impl Share {
    /// A turn begins on a worker that has done so much so far.
    pub(super) fn begin(worker: &Traffic) -> Self {
        Self { frames_before: worker.frames.get(), sent: 0 }
    }

    pub(super) fn add_sent(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    /// Whether the others come first, now that the worker has done so much.
    pub(super) fn is_used_up(&self, worker: &Traffic) -> bool {
        worker.frames.get().wrapping_sub(self.frames_before) >= FRAMES_MAX || self.sent >= SENT_MAX
    }
}
