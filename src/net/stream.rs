//! The bytes of a connection, wherever they come from: a socket, or a pipe in memory, with TLS over it or without.
//!
//! A stream is asked as a socket is: what can be had at once is had with one call, and whoever must wait leaves a
//! waker. It holds no buffer, so an idle connection costs what its socket costs.

use std::io::{self, IoSlice};
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{BufMut, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::memory::MemoryStream;
use super::service::CloseReason;
use super::tls::Session;

/// The most that one read brings, whatever room there is: the buffer of a large frame has megabytes, and filling them
/// takes a millisecond.
pub(super) const READ_MAX: usize = 64 * 1024;

/// What a worker is given to serve.
#[derive(Debug)]
pub(super) enum Accepted {
    Socket(std::net::TcpStream),
    Memory(MemoryStream),
}

/// A connection's stream, on its worker.
#[derive(Debug)]
pub(super) struct Stream {
    transport: Transport,
    /// What is spoken over it; none is plain frames. Boxed, because most connections have none.
    tls: Option<Box<Session>>,
}

impl Stream {
    pub(super) fn new(accepted: Accepted) -> io::Result<Self> {
        let transport = match accepted {
            Accepted::Socket(socket) => Transport::Socket(TcpStream::from_std(socket)?),
            Accepted::Memory(memory) => Transport::Memory(memory),
        };
        Ok(Self { transport, tls: None })
    }

    /// From now on TLS is spoken.
    pub(super) fn begin_tls(&mut self, session: Session) {
        self.tls = Some(Box::new(session));
    }

    /// A TLS handshake is under way.
    pub(super) fn is_opening(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_opening())
    }

    /// Memory that it holds for this connection alone.
    pub(super) fn held(&self) -> usize {
        self.tls.as_ref().map_or(0, |tls| tls.held())
    }

    /// Appends what one read brings to `buffer`, which has room; zero is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<Result<usize, CloseReason>> {
        match &mut self.tls {
            None => self.transport.poll_read(cx, buffer).map_err(CloseReason::from),
            Some(tls) => tls.poll_read(&mut self.transport, cx, buffer),
        }
    }

    /// Ready when a write may take something.
    pub(super) fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_write_ready(cx)
    }

    /// One write; returns how much was taken, zero if nothing can be taken now. What was not taken is offered again
    /// before anything else.
    pub(super) fn try_write(&mut self, bytes: &[u8]) -> Result<usize, CloseReason> {
        match &mut self.tls {
            None => Ok(self.transport.try_write(bytes)?),
            Some(tls) => tls.try_write(&mut self.transport, &[IoSlice::new(bytes)]),
        }
    }

    /// The same, of several pieces.
    pub(super) fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, CloseReason> {
        match &mut self.tls {
            None => Ok(self.transport.try_write_vectored(slices)?),
            Some(tls) => tls.try_write(&mut self.transport, slices),
        }
    }

    /// Says goodbye where that is the custom.
    pub(super) fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close(&mut self.transport);
        }
    }
}

/// What carries the bytes.
#[derive(Debug)]
pub(super) enum Transport {
    Socket(TcpStream),
    Memory(MemoryStream),
}

impl Transport {
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(socket) => pin!(socket.read_buf(&mut buffer.limit(READ_MAX))).poll(cx),
            Self::Memory(memory) => memory.poll_read(cx, buffer),
        }
    }

    pub(super) fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Socket(socket) => socket.poll_write_ready(cx),
            Self::Memory(memory) => memory.poll_write_ready(cx),
        }
    }

    pub(super) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => taken(socket.try_write(bytes)),
            Self::Memory(memory) => memory.try_write(&[IoSlice::new(bytes)]),
        }
    }

    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => taken(socket.try_write_vectored(slices)),
            Self::Memory(memory) => memory.try_write(slices),
        }
    }
}

/// A socket that takes nothing now has taken nothing; that is no error.
fn taken(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        result => result,
    }
}
