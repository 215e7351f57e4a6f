//! Answering frames on the caller's own thread, with no socket: for benchmarks and simulations.
//!
//! A frame goes the way it goes on a connection: through the worker's half, and, when that hands it over, through the
//! write lane's half, here on the same thread. What is left out is the sockets, the event loop and the queue before the
//! lane.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::{Bytes, BytesMut};

use crate::dispatch::{Lane, Worker};
use crate::net::{CloseReason, Connection, LaneService, Service, Step};
use crate::parts::Parts;

/// One client of a name server, inside the server's process. Dropped, it is a connection that closed: the brokers that
/// it registered are forgotten.
pub struct Inline {
    pub(crate) desk: Desk,
    connection: Connection,
}

/// A worker and a thread of the write lane, for a caller who is both, and brings the connections.
pub(crate) struct Desk {
    pub(crate) worker: Worker,
    pub(crate) lane: Lane,
    /// Waits for replies that come from another thread.
    waiting: tokio::runtime::Runtime,
}

impl Inline {
    pub(crate) fn new(parts: &Parts) -> std::io::Result<Self> {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Ok(Self { desk: Desk::new(parts)?, connection: Connection::without_socket(peer) })
    }

    /// Answers one whole frame, and appends the reply to `out` if there is one. Waits for a reply that needs a disk or
    /// another name server, so it must not be called on a thread that runs an event loop.
    ///
    /// # Errors
    /// What would have closed the connection. The caller may go on with the next frame all the same.
    pub fn answer(&mut self, frame: Bytes, out: &mut BytesMut) -> Result<(), CloseReason> {
        self.desk.answer(frame, &self.connection, out)
    }
}

impl Desk {
    pub(crate) fn new(parts: &Parts) -> std::io::Result<Self> {
        let waiting = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(Self { worker: parts.worker_factory()(), lane: parts.lane_factory()(), waiting })
    }

    /// Answers one whole frame of a connection, as [`Inline::answer`] does.
    pub(crate) fn answer(
        &mut self,
        frame: Bytes,
        connection: &Connection,
        out: &mut BytesMut,
    ) -> Result<(), CloseReason> {
        self.worker.look_around();
        if self.worker.recall(&frame, connection, out) {
            self.worker.batch_end();
            return Ok(());
        }
        match self.worker.call(frame, connection, out) {
            Step::Done => {}
            Step::Body(body) => out.extend_from_slice(&body),
            Step::Lane(job) => {
                self.lane.run(job, connection.reply_sink());
                let replies = self.waiting.block_on(connection.delayed_replies());
                replies.iter().for_each(|reply| out.extend_from_slice(reply));
            }
            Step::Later(reply) => out.extend_from_slice(&self.waiting.block_on(reply)),
            Step::Close(reason) => return Err(reason),
        }
        self.worker.batch_end();
        Ok(())
    }

    /// A connection has closed.
    pub(crate) fn closed(&mut self, connection: &Connection) {
        self.lane.connection_closed(connection.id());
    }
}

impl Drop for Inline {
    fn drop(&mut self) {
        self.desk.closed(&self.connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remoting::{Command, Fields, RequestCode, SerializeType};
    use crate::server::tests::bound_in;

    fn frame(code: i32, fields: &[(&'static str, &'static str)]) -> Bytes {
        let fields = Fields::from_iter(fields.iter().copied());
        let request = Command { fields: Some(fields), ..Command::request(RequestCode(code), 7) };
        let mut out = BytesMut::new();
        request.encode(SerializeType::Json, &mut out).unwrap();
        out.freeze()
    }

    #[test]
    fn a_write_that_waits_for_the_disk_and_the_read_after_it_are_answered_on_the_callers_thread() {
        let home = tempfile::tempdir().unwrap();
        let server = bound_in(home.path());
        let mut client = server.inline().unwrap();
        let entry = [("namespace", "n"), ("key", "k"), ("value", "v")];
        let mut out = BytesMut::new();

        client.answer(frame(100, &entry), &mut out).unwrap();
        let written = Command::decode(out.split().freeze()).unwrap();
        client.answer(frame(101, &entry[..2]), &mut out).unwrap();
        let read = Command::decode(out.split().freeze()).unwrap();

        assert_eq!((written.code, written.opaque), (0, 7));
        assert_eq!(read.field("value").unwrap(), "v");
        assert!(client.answer(Bytes::from_static(&[0, 0, 0, 4, 0, 0, 0, 9]), &mut out).is_err());
    }
}
