//! Reply bytes that the socket did not take at once.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

use super::service::CloseReason;
use super::stream::Stream;

/// What waits to be written, in order. Empty, it holds no memory worth mentioning.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    queue: VecDeque<Bytes>,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.queue.push_back(bytes);
        }
    }

    /// Moves out what is left of `out`, of which the first `written` bytes are gone, and leaves `out` empty.
    ///
    /// A small rest is copied, because it would keep the whole buffer alive; a large one takes the buffer along.
    pub(super) fn push_rest(&mut self, out: &mut BytesMut, written: usize) {
        if out.len() - written <= COPY_MAX {
            self.push(Bytes::copy_from_slice(&out[written..]));
            out.clear();
        } else {
            let mut rest = std::mem::take(out).freeze();
            rest.advance(written);
            self.push(rest);
        }
    }

    /// One write of as much as the socket takes, and no more than [`WRITE_MAX`]. Returns how much that was, zero if it
    /// takes nothing now.
    pub(super) fn write(&mut self, stream: &mut Stream) -> Result<usize, CloseReason> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let (mut filled, mut room) = (0, WRITE_MAX);
        for (bytes, slice) in self.queue.iter().zip(&mut slices) {
            if room == 0 {
                break;
            }
            let part = &bytes[..bytes.len().min(room)];
            *slice = IoSlice::new(part);
            (filled, room) = (filled + 1, room - part.len());
        }
        let written = stream.try_write_vectored(&slices[..filled])?;
        self.advance(written);
        Ok(written)
    }

    fn advance(&mut self, mut written: usize) {
        while written > 0 {
            let first = self.queue.front_mut().expect("no more is written than was there");
            if first.len() > written {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.queue.pop_front();
        }
        if self.queue.is_empty() {
            self.queue.shrink_to(8);
        }
    }
}

impl Extend<Bytes> for Outgoing {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, bytes: I) {
        bytes.into_iter().for_each(|bytes| self.push(bytes));
    }
}

/// Bytes that a socket is offered at once. It would take megabytes, and a worker a millisecond to copy them.
pub(super) const WRITE_MAX: usize = 256 * 1024;
const COPY_MAX: usize = 64 * 1024;
const SLICES_MAX: usize = 32;
