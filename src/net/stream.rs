//! The bytes of a connection, wherever they come from: a socket, or a pipe in memory.
//!
//! A stream is asked as a socket is: what can be had at once is had with one call, and whoever must wait leaves a
//! waker. It holds no buffer, so an idle connection costs what its socket costs.

use std::io::{self, IoSlice};
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::memory::MemoryStream;

/// What a worker is given to serve.
#[derive(Debug)]
pub(super) enum Accepted {
    Socket(std::net::TcpStream),
    Memory(MemoryStream),
}

/// A connection's stream, on its worker.
#[derive(Debug)]
pub(super) enum Stream {
    Socket(TcpStream),
    Memory(MemoryStream),
}

impl Stream {
    pub(super) fn new(accepted: Accepted) -> io::Result<Self> {
        Ok(match accepted {
            Accepted::Socket(socket) => Self::Socket(TcpStream::from_std(socket)?),
            Accepted::Memory(memory) => Self::Memory(memory),
        })
    }

    /// Appends what one read brings to `buffer`, which has room; zero is the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        match self {
            Self::Socket(socket) => pin!(socket.read_buf(buffer)).poll(cx),
            Self::Memory(memory) => memory.poll_read(cx, buffer),
        }
    }

    /// Ready when a write may take something.
    pub(super) fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Socket(socket) => socket.poll_write_ready(cx),
            Self::Memory(memory) => memory.poll_write_ready(cx),
        }
    }

    /// One write; returns how much was taken, zero if nothing can be taken now.
    pub(super) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => taken(socket.try_write(bytes)),
            Self::Memory(memory) => memory.try_write(&[IoSlice::new(bytes)]),
        }
    }

    /// The same, of several pieces.
    pub(super) fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
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
