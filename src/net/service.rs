//! What the sockets ask of those who understand the frames.

use std::borrow::Cow;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};

use super::link::{Connection, ReplySink};
use crate::remoting::FrameError;
use crate::route::ConnectionId;

/// Understands frames. Each worker makes its own, on its own thread, so it need not be `Send`.
pub trait Service: 'static {
    /// What this service hands to the write lane.
    type Job: LaneJob;

    /// Handles one complete frame; an answer given at once is appended to `out`.
    ///
    /// `frame` shares the worker's read buffer and keeps all of it alive: whoever keeps a small frame beyond this call
    /// copies it. A panic is taken back: what this call appended is cut off, and the connection is closed.
    fn call(&mut self, frame: Bytes, connection: &Connection, out: &mut BytesMut) -> Step<Self::Job>;

    /// Handles a frame once more, because somebody [asked](ReplySink::again) for it.
    fn call_again(
        &mut self,
        frame: Bytes,
        _occasion: Occasion,
        connection: &Connection,
        out: &mut BytesMut,
    ) -> Step<Self::Job> {
        self.call(frame, connection, out)
    }

    /// Appends the reply to one complete frame if it is known without handling the frame; false leaves `out` alone, and
    /// the frame is then handled.
    fn recall(&mut self, _frame: &[u8], _connection: &Connection, _out: &mut BytesMut) -> bool {
        false
    }

    /// The frames of one read are about to be handled, or somebody asked for it by [`Connections::look_around`]: what
    /// changes between requests and never within one changes now.
    ///
    /// [`Connections::look_around`]: super::Connections::look_around
    fn look_around(&mut self) {}

    /// All complete frames of one read have been handled; their replies are about to leave.
    fn batch_end(&mut self) {}
}

/// What becomes of a frame.
pub enum Step<J> {
    /// It was answered into `out`, or there is nothing to answer.
    Done,
    /// It was answered: what was appended to `out`, and then these bytes, which are sent without being copied.
    Body(Bytes),
    /// It is run in the write lane, in this connection's order.
    Lane(J),
    /// It is answered when the future ends, which runs on this worker; empty bytes are no answer. The future is
    /// dropped when the connection closes.
    Later(Pin<Box<dyn Future<Output = Bytes>>>),
    /// The connection is closed, with no reply to this frame.
    Close(CloseReason),
}

/// On what occasion a frame is handled.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Occasion {
    /// It has arrived.
    #[default]
    Arrived,
    /// It waited for something, which has happened.
    Happened,
    /// It has waited for as long as it may.
    TimedOut,
    /// It has waited, and the server stops.
    Stopping,
}

/// A job of the write lane.
pub trait LaneJob: Send + 'static {
    /// The bytes it holds while it waits.
    fn weight(&self) -> usize;

    /// Whether others have written what it runs, so that it may take long: one thread never runs such a job.
    fn is_guest(&self) -> bool {
        false
    }

    /// It is a guest's and has waited in vain, or may not wait: it is run to be refused.
    fn refuse(&mut self) {}
}

/// Runs jobs. Each lane thread makes its own, on its own thread.
pub trait LaneService: 'static {
    /// What the workers hand over.
    type Job: LaneJob;

    /// Runs one job. The reply may be sent now, kept and sent later by any thread, or dropped when there is none.
    ///
    /// A panic closes the job's connection; this service goes on with the next job.
    fn run(&mut self, job: Self::Job, reply: ReplySink);

    /// A connection has closed. Called once for each, after all of its jobs.
    fn connection_closed(&mut self, id: ConnectionId);

    /// Somebody asked for it by [`Connections::look_around`], and no job is run.
    ///
    /// [`Connections::look_around`]: super::Connections::look_around
    fn look_around(&mut self) {}
}

/// Why a connection ended.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CloseReason {
    /// The peer closed it.
    #[error("closed by the peer")]
    Peer,
    /// The socket failed.
    #[error("socket: {0}")]
    Io(std::io::ErrorKind),
    /// The next frame cannot be found.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The service could not read a frame.
    #[error("{0}")]
    Undecodable(Cow<'static, str>),
    /// Its first bytes are no frame, and tell what it speaks instead.
    #[error("{0}")]
    Stranger(Cow<'static, str>),
    /// A proxy did not say who is there as it must, or somebody did who is none.
    #[error("PROXY protocol: {0}")]
    Proxy(Cow<'static, str>),
    /// It wanted to speak TLS, which failed.
    #[error("TLS: {0}")]
    Tls(Cow<'static, str>),
    /// Its first bytes came, and the rest of what must precede the first frame did not come in time.
    #[error("its first bytes did not become complete in time")]
    Opening,
    /// Frames that have arrived in part hold more memory than they may.
    #[error("no memory left for partial frames")]
    PartialBytes,
    /// Neither side said anything for too long.
    #[error("idle")]
    Idle,
    /// Somebody asked for it by [`Connections::close`](super::Connections::close).
    #[error("closed on request")]
    Requested,
    /// The service panicked on one of its frames.
    #[error("its request caused a panic")]
    Panicked,
    /// The server stops.
    #[error("server stops")]
    Stopping,
}

impl CloseReason {
    /// What [`kind`](Self::kind) may say, and [`LOST`](Self::LOST).
    pub const KINDS: [&'static str; 14] = [
        "peer",
        "io",
        "frame",
        "undecodable",
        "stranger",
        "proxy",
        "tls",
        "opening",
        "partial-bytes",
        "idle",
        "requested",
        "panicked",
        "stopping",
        Self::LOST,
    ];

    /// The kind of those that ended without a reason: their task was aborted, or panicked itself.
    pub const LOST: &'static str = "lost";

    /// In one word, without what differs from one to the next.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Io(_) => "io",
            Self::Frame(_) => "frame",
            Self::Undecodable(_) => "undecodable",
            Self::Stranger(_) => "stranger",
            Self::Proxy(_) => "proxy",
            Self::Tls(_) => "tls",
            Self::Opening => "opening",
            Self::PartialBytes => "partial-bytes",
            Self::Idle => "idle",
            Self::Requested => "requested",
            Self::Panicked => "panicked",
            Self::Stopping => "stopping",
        }
    }

    /// Whether an operator should hear of it, because somebody did something wrong.
    pub(super) fn is_fault(&self) -> bool {
        match self {
            Self::Frame(_) | Self::Undecodable(_) | Self::Tls(_) | Self::Opening => true,
            Self::Stranger(_) | Self::Proxy(_) => true,
            Self::PartialBytes | Self::Panicked => true,
            Self::Peer | Self::Io(_) | Self::Idle | Self::Requested | Self::Stopping => false,
        }
    }
}

impl From<std::io::Error> for CloseReason {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.kind())
    }
}
