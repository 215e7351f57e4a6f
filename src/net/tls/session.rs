//! TLS on one connection: records in, bytes out, and the reverse.
//!
//! It stands between a driver and its transport and behaves as a transport does, but for one thing: a record that the
//! transport took in part must be finished before the next one, so bytes count as written only when their records have
//! left. The caller offers again what did not count, as with a socket, and this knows that it is sealed already.
//!
//! Reading and writing use buffers that all sessions of a worker share. A session holds bytes of its own only while a
//! record has arrived, or has left, in part.

use std::cell::RefCell;
use std::fmt;
use std::io::IoSlice;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{Error, ServerConfig};

use super::super::service::CloseReason;
use super::super::stream::Transport;

/// What the sessions of one worker share. Nobody keeps it over an `await`.
#[derive(Debug, Default)]
pub(in crate::net) struct Scratch {
    arrived: RefCell<BytesMut>,
    sealed: RefCell<Vec<u8>>,
}

/// One side of TLS, ours.
pub(in crate::net) struct Session {
    tls: UnbufferedServerConnection,
    scratch: Rc<Scratch>,
    /// Records that have arrived in part.
    incoming: BytesMut,
    /// Records that the transport has not taken.
    outgoing: BytesMut,
    /// How many of the bytes that the caller offers first are sealed in `outgoing`.
    sealed: usize,
    /// The handshake is not over.
    is_opening: bool,
    /// There is something in `incoming` that was not looked at.
    fresh: bool,
    /// The other side says that nothing more comes.
    ended: bool,
    /// Something that arrived was wrong. The library must not be asked again: it remembers a place in bytes that are
    /// gone.
    has_failed: bool,
}

impl Session {
    /// A session that begins with what has arrived already.
    pub(in crate::net) fn new(
        config: Arc<ServerConfig>,
        scratch: Rc<Scratch>,
        arrived: BytesMut,
    ) -> Result<Self, CloseReason> {
        Ok(Self {
            tls: UnbufferedServerConnection::new(config)?,
            scratch,
            incoming: arrived,
            outgoing: BytesMut::new(),
            sealed: 0,
            is_opening: true,
            fresh: true,
            ended: false,
            has_failed: false,
        })
    }

    /// The handshake is not over.
    pub(in crate::net) fn is_opening(&self) -> bool {
        self.is_opening
    }

    /// Memory of records that have arrived or left in part.
    pub(in crate::net) fn held(&self) -> usize {
        self.incoming.capacity() + self.outgoing.capacity()
    }

    // Reading.

    /// Appends what has arrived to `out`; zero is the end. Shakes hands first, as far as that goes.
    pub(in crate::net) fn poll_read(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
        out: &mut BytesMut,
    ) -> Poll<Result<usize, CloseReason>> {
        let scratch = Rc::clone(&self.scratch);
        let before = out.len();
        for _ in 0..READS_MAX {
            let mut arrived = scratch.arrived.borrow_mut();
            arrived.clear();
            arrived.extend_from_slice(&self.incoming);
            if !self.fresh {
                arrived.reserve(READ_SIZE);
                match transport.poll_read(cx, &mut arrived)? {
                    Poll::Ready(0) => return Poll::Ready(Ok(0)),
                    Poll::Ready(_) => {}
                    Poll::Pending => {
                        self.flush(transport, cx)?;
                        return Poll::Pending;
                    }
                }
            }
            self.fresh = false;
            let used = self.open_records(&mut arrived, out);
            self.has_failed = used.is_err();
            // Also when it failed: what is to be said about that leaves, if it leaves at once.
            self.send(transport)?;
            let rest = &arrived[used?..];
            self.incoming = if rest.is_empty() { BytesMut::new() } else { BytesMut::from(rest) };
            if rest.len() > INCOMING_MAX {
                return Poll::Ready(Err(CloseReason::Tls("a handshake message is too long".into())));
            }
            if out.len() > before {
                return Poll::Ready(Ok(out.len() - before));
            }
            if self.ended {
                return Poll::Ready(Ok(0));
            }
        }
        // Records without content. The other connections of this worker come first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Decrypts every whole record; returns how many bytes these were.
    fn open_records(&mut self, arrived: &mut [u8], out: &mut BytesMut) -> Result<usize, CloseReason> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(&mut arrived[used..]);
            let done = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        out.extend_from_slice(record.payload);
                    }
                    false
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.outgoing, |room| match data.encode(room) {
                        Err(EncodeError::InsufficientSize(size)) => Err(Some(size.required_size)),
                        Err(EncodeError::AlreadyEncoded) => Err(None),
                        Ok(size) => Ok(size),
                    })?;
                    false
                }
                // It leaves with what follows; nothing overtakes it.
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    false
                }
                Ok(ConnectionState::WriteTraffic(_)) => {
                    self.is_opening = false;
                    true
                }
                Ok(ConnectionState::BlockedHandshake) => true,
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.ended = true;
                    true
                }
                Ok(_) => return Err(CloseReason::Tls("early data, which was not offered".into())),
                Err(error) => {
                    self.gather_alert(&mut arrived[used + discard..]);
                    return Err(error.into());
                }
            };
            used += discard;
            if done {
                return Ok(used);
            }
        }
    }

    /// After a failure the library has a word for the other side.
    fn gather_alert(&mut self, rest: &mut [u8]) {
        while let UnbufferedStatus { state: Ok(ConnectionState::EncodeTlsData(mut data)), .. } =
            self.tls.process_tls_records(rest)
        {
            let encoded = append(&mut self.outgoing, |room| match data.encode(room) {
                Err(EncodeError::InsufficientSize(size)) => Err(Some(size.required_size)),
                Err(EncodeError::AlreadyEncoded) => Err(None),
                Ok(size) => Ok(size),
            });
            if encoded.is_err() {
                return;
            }
        }
    }

    // Writing.

    /// Seals what is offered and sends as much as the transport takes in one write. Returns how much of what is offered
    /// has left; the rest must be offered again.
    pub(in crate::net) fn try_write(
        &mut self,
        transport: &mut Transport,
        slices: &[IoSlice<'_>],
    ) -> Result<usize, CloseReason> {
        if !self.outgoing.is_empty() {
            return self.send(transport);
        }
        if self.is_opening || self.has_failed {
            return Ok(0);
        }
        let scratch = Rc::clone(&self.scratch);
        let mut records = scratch.sealed.borrow_mut();
        records.clear();
        let mut sealed = 0;
        for slice in slices {
            let part = &slice[..slice.len().min(WRITE_MAX - sealed)];
            self.seal(part, &mut records)?;
            sealed += part.len();
        }
        let sent = transport.try_write(&records)?;
        if sent == records.len() {
            return Ok(sealed);
        }
        self.outgoing = BytesMut::from(&records[sent..]);
        self.sealed = sealed;
        Ok(self.count_left(sent))
    }

    fn seal(&mut self, bytes: &[u8], records: &mut Vec<u8>) -> Result<(), CloseReason> {
        // The records in part are offered too: the library remembers where in them it is.
        let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut self.incoming);
        let Ok(ConnectionState::WriteTraffic(mut traffic)) = state else {
            return Err(CloseReason::Tls("the session cannot be written to".into()));
        };
        let start = records.len();
        let records_max = bytes.len() / RECORD_MAX + 2;
        records.resize(start + bytes.len() + records_max * RECORD_OVERHEAD, 0);
        loop {
            match traffic.encrypt(bytes, &mut records[start..]) {
                Ok(size) => {
                    records.truncate(start + size);
                    return Ok(());
                }
                Err(EncryptError::InsufficientSize(size)) => records.resize(start + size.required_size, 0),
                Err(EncryptError::EncryptExhausted) => {
                    return Err(CloseReason::Tls("its keys have sealed as much as they may".into()));
                }
            }
        }
    }

    /// One write of what waits; returns how much of what was offered has left with it.
    fn send(&mut self, transport: &mut Transport) -> Result<usize, CloseReason> {
        if self.outgoing.is_empty() {
            return Ok(0);
        }
        let sent = transport.try_write(&self.outgoing)?;
        self.outgoing.advance(sent);
        if self.outgoing.is_empty() {
            self.outgoing = BytesMut::new();
        }
        Ok(self.count_left(sent))
    }

    /// Of the bytes that are sealed, no more have left than bytes of their records; and all, when nothing waits.
    fn count_left(&mut self, sent: usize) -> usize {
        let left = if self.outgoing.is_empty() { self.sealed } else { sent.min(self.sealed.saturating_sub(1)) };
        self.sealed -= left;
        left
    }

    /// Sends what waits and belongs to nothing that was offered: the handshake's own records.
    fn flush(&mut self, transport: &mut Transport, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        while self.sealed == 0 && !self.outgoing.is_empty() && transport.poll_write_ready(cx)?.is_ready() {
            self.send(transport)?;
        }
        Ok(())
    }

    /// Says goodbye, if that can be said at once.
    pub(in crate::net) fn close(&mut self, transport: &mut Transport) {
        if !self.outgoing.is_empty() || self.has_failed {
            return;
        }
        let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut self.incoming);
        let Ok(ConnectionState::WriteTraffic(mut traffic)) = state else { return };
        let mut goodbye = [0; 2 * RECORD_OVERHEAD];
        if let Ok(size) = traffic.queue_close_notify(&mut goodbye) {
            // Whoever does not take it now is left without.
            let _ = transport.try_write(&goodbye[..size]);
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("is_opening", &self.is_opening).finish_non_exhaustive()
    }
}

/// Appends what `encode` writes; it is asked without room first, and says how much it needs.
fn append(
    buffer: &mut BytesMut,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), CloseReason> {
    let start = buffer.len();
    let needed = match encode(&mut []) {
        Ok(_) => return Ok(()),
        Err(needed) => needed.unwrap_or_default(),
    };
    buffer.resize(start + needed, 0);
    match encode(&mut buffer[start..]) {
        Ok(size) => {
            buffer.truncate(start + size);
            Ok(())
        }
        Err(_) => Err(CloseReason::Tls("a record of the handshake could not be written".into())),
    }
}

impl From<Error> for CloseReason {
    fn from(error: Error) -> Self {
        Self::Tls(error.to_string().into())
    }
}

/// Reads in a row that bring records and no content.
const READS_MAX: usize = 4;
/// What one read brings at most.
const READ_SIZE: usize = 64 * 1024;
/// The longest message of a handshake, which may be cut into several records, and a record.
const INCOMING_MAX: usize = (64 + 17) * 1024;
/// What is sealed at once: no more than this waits for a peer that does not read, beside what it was made of.
const WRITE_MAX: usize = 128 * 1024;
/// The content of one record.
const RECORD_MAX: usize = 16 * 1024;
/// What a record is longer than its content, in every version and suite.
const RECORD_OVERHEAD: usize = 64;
