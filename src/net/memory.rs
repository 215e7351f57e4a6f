//! Connections without a socket: a pipe in memory, with a peer in this process.
//!
//! They are for callers that must decide themselves what happens when: nothing here waits for the kernel.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};

use super::lock;

/// The server's end.
#[derive(Debug)]
pub(super) struct MemoryStream {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

/// The other end. It never waits: it is told how much could be done. Dropped, it closes both directions.
#[derive(Debug)]
pub struct MemoryPeer {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

/// Two ends of a connection that holds `capacity` bytes in each direction.
pub(super) fn pair(capacity: usize) -> (MemoryStream, MemoryPeer) {
    let pipe = || Arc::new(Pipe(Mutex::new(State { capacity, ..State::default() })));
    let (to_server, to_peer) = (pipe(), pipe());
    let peer = MemoryPeer { incoming: Arc::clone(&to_peer), outgoing: Arc::clone(&to_server) };
    (MemoryStream { incoming: to_server, outgoing: to_peer }, peer)
}

impl MemoryPeer {
    /// Sends what there is room for, and says how much that was.
    ///
    /// # Errors
    /// When the server has closed the connection.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.write(&[IoSlice::new(bytes)])
    }

    /// Takes what has arrived, up to `max` bytes; nothing if nothing has.
    pub fn receive(&self, max: usize) -> BytesMut {
        let mut received = BytesMut::new();
        self.incoming.read(&mut received, max);
        received
    }

    /// Whether the server has closed the connection, and everything it sent was received.
    pub fn is_at_end(&self) -> bool {
        let state = lock(&self.incoming.0);
        state.closed && state.bytes.is_empty()
    }

    /// Sends nothing more; what the server sends can still be received.
    pub fn finish(&self) {
        self.outgoing.close();
    }
}

impl Drop for MemoryPeer {
    fn drop(&mut self) {
        self.outgoing.close();
        self.incoming.close();
    }
}

impl MemoryStream {
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.incoming.0);
        if state.bytes.is_empty() && !state.closed {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(state);
        let room = buffer.capacity() - buffer.len();
        Poll::Ready(Ok(self.incoming.read(buffer, room)))
    }

    pub(super) fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = lock(&self.outgoing.0);
        if state.bytes.len() >= state.capacity && !state.closed {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.outgoing.write(slices)
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.outgoing.close();
        self.incoming.close();
    }
}

/// One direction.
#[derive(Debug)]
struct Pipe(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    bytes: BytesMut,
    capacity: usize,
    closed: bool,
    /// Whoever waits for bytes.
    reader: Option<Waker>,
    /// Whoever waits for room.
    writer: Option<Waker>,
}

impl Pipe {
    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = lock(&self.0);
        if state.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let before = state.bytes.len();
        for slice in slices {
            let room = state.capacity - state.bytes.len();
            state.bytes.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        let written = state.bytes.len() - before;
        let reader = state.reader.take_if(|_| written > 0);
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Ok(written)
    }

    fn read(&self, buffer: &mut BytesMut, max: usize) -> usize {
        let mut state = lock(&self.0);
        let size = state.bytes.len().min(max);
        buffer.extend_from_slice(&state.bytes[..size]);
        state.bytes.advance(size);
        let writer = state.writer.take_if(|_| size > 0);
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        size
    }

    fn close(&self) {
        let mut state = lock(&self.0);
        state.closed = true;
        let waiting = [state.reader.take(), state.writer.take()];
        drop(state);
        waiting.into_iter().flatten().for_each(Waker::wake);
    }
}
