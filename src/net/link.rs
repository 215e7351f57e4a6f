//! What other threads may touch of a connection: a flag, a few counters, and the replies that come from elsewhere.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use std::time::Instant;

use bytes::Bytes;

use super::config::NetConfig;
use super::lock;
use super::service::{CloseReason, Occasion};
use super::usage::Totals;
use crate::route::ConnectionId;

/// A connection as services see it; cheap to clone, and it may be kept after the connection has closed.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(super) link: Arc<Link>,
    /// Who is at the other end, which the first bytes may tell better than the socket.
    pub(super) peer: SocketAddr,
}

impl Connection {
    /// A connection that no socket stands behind: for a caller in this process. It stays open until it is dropped.
    pub fn without_socket(peer: SocketAddr) -> Self {
        let opened_at = tokio::time::Instant::now().into_std();
        Self { link: Link::new(opened_at, &NetConfig::default(), &Arc::new(Totals::new(0))), peer }
    }

    /// Where a job of this connection sends its reply.
    #[cfg(feature = "server")]
    pub(crate) fn reply_sink(&self) -> ReplySink {
        ReplySink::new(&self.link)
    }

    /// The replies that were sent through sinks, in order, once no sink is left. Only for a connection without a
    /// socket: any other has a worker that takes them.
    #[cfg(feature = "server")]
    pub(crate) async fn delayed_replies(&self) -> Vec<Bytes> {
        std::future::poll_fn(|cx| {
            self.link.set_waker(cx.waker().clone());
            // The wish before the look, as the other side does the reverse.
            let _ = self.link.watch(true);
            if self.link.delayed() > 0 { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
        })
        .await;
        let mut replies = Vec::new();
        // Nobody signals a connection that no worker knows.
        drop(self.link.take_mail(&mut replies));
        // No lane queue waits for room here.
        let _ = self.link.sent(replies.iter().map(Bytes::len).sum());
        replies
    }

    /// Never used twice in the life of a process.
    pub fn id(&self) -> ConnectionId {
        self.link.id
    }

    /// The other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// When it was accepted.
    pub fn opened_at(&self) -> Instant {
        self.link.opened_at
    }

    /// Whether it is still open. Once false, it stays so.
    pub fn is_open(&self) -> bool {
        self.link.open.is_open()
    }

    /// The same answer, without the rest of the connection.
    pub fn open_flag(&self) -> OpenFlag {
        self.link.open.clone()
    }
}

/// Says whether a connection is still open.
#[derive(Clone, Debug)]
pub struct OpenFlag(Arc<AtomicBool>);

impl OpenFlag {
    /// Once false, it stays so.
    pub fn is_open(&self) -> bool {
        self.0.load(Acquire)
    }
}

/// Where the reply to one job goes, from whichever thread has it. Dropped unsent, there is no reply.
#[derive(Debug)]
pub struct ReplySink {
    link: Arc<Link>,
}

impl ReplySink {
    pub(super) fn new(link: &Arc<Link>) -> Self {
        link.delayed.fetch_add(1, SeqCst);
        link.totals.delayed.fetch_add(1, Relaxed);
        Self { link: Arc::clone(link) }
    }

    /// Sends the reply, or forgets it when the connection has closed. Empty bytes are no reply.
    pub fn send(self, reply: Bytes) {
        self.link.post([reply, Bytes::new()]);
    }

    /// Sends a reply whose body is shared with others, without copying it.
    pub fn send_parts(self, head: Bytes, body: Bytes) {
        self.link.post([head, body]);
    }

    /// Has a frame of this connection handled once more, by [`Service::call_again`], which makes the reply; nothing
    /// happens when the connection has closed.
    ///
    /// [`Service::call_again`]: super::Service::call_again
    pub fn again(self, frame: Bytes, occasion: Occasion) {
        self.link.post_again(frame, occasion);
    }

    /// Which connection asked.
    pub fn connection(&self) -> ConnectionId {
        self.link.id
    }
}

impl Drop for ReplySink {
    fn drop(&mut self) {
        self.link.totals.delayed.fetch_sub(1, Relaxed);
        self.link.delayed.fetch_sub(1, SeqCst);
        self.link.wake_if_watched();
    }
}

/// The shared part of a connection. Its worker owns the rest.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: ConnectionId,
    pub(super) totals: Arc<Totals>,
    /// The worker's tick at the last byte read or written.
    pub(super) active: AtomicU32,
    /// The tick at which the first bytes came, while what it speaks is not settled; else [`NO_TICK`].
    opening: AtomicU32,
    opened_at: Instant,
    open: OpenFlag,
    unsent_max: usize,
    unsent_resume: usize,
    unsent_total_max: usize,
    /// Reply bytes that have not reached the socket, here or in the worker's queue.
    unsent: AtomicUsize,
    /// Reply sinks that exist.
    delayed: AtomicUsize,
    /// Bytes of its jobs in the lane.
    lane_bytes: AtomicUsize,
    /// The lane holds a job back until fewer bytes are unsent.
    lane_waits: AtomicBool,
    /// The worker waits for `delayed` or `lane_bytes` to fall, which is not worth a wake-up otherwise.
    watched: AtomicBool,
    /// There is something in the inbox.
    mail: AtomicBool,
    inbox: Mutex<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    replies: Vec<Bytes>,
    /// Frames that are handled once more; few connections ever have any.
    again: Option<Box<Again>>,
    signal: Option<Signal>,
    waker: Option<Waker>,
    closed: bool,
}

/// Frames that are handled once more, and why.
pub(super) type Again = VecDeque<(Bytes, Occasion)>;

/// What a connection is told to do.
#[derive(Clone, Debug)]
pub(super) enum Signal {
    /// Close now.
    Close(CloseReason),
    /// Read no more, and close when every answer has left.
    Drain,
}

impl Link {
    pub(super) fn new(opened_at: Instant, config: &NetConfig, totals: &Arc<Totals>) -> Arc<Self> {
        // Not per server: a process may listen twice, and registrations of both meet in one table.
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: ConnectionId(NEXT_ID.fetch_add(1, Relaxed)),
            totals: Arc::clone(totals),
            active: AtomicU32::new(0),
            opening: AtomicU32::new(NO_TICK),
            opened_at,
            open: OpenFlag(Arc::new(AtomicBool::new(true))),
            unsent_max: config.unsent_bytes_max,
            unsent_resume: config.unsent_bytes_resume.min(config.unsent_bytes_max),
            unsent_total_max: config.unsent_bytes_total_max,
            unsent: AtomicUsize::new(0),
            delayed: AtomicUsize::new(0),
            lane_bytes: AtomicUsize::new(0),
            lane_waits: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            mail: AtomicBool::new(false),
            inbox: Mutex::default(),
        })
    }

    // Replies and signals, from anywhere.

    fn post(&self, parts: [Bytes; 2]) {
        let size = parts[0].len() + parts[1].len();
        let mut inbox = lock(&self.inbox);
        if size == 0 || inbox.closed {
            return;
        }
        // Counted under the lock, so that a close that follows gives back exactly what was counted.
        self.add_unsent(size);
        inbox.replies.extend(parts.into_iter().filter(|part| !part.is_empty()));
        self.notify(inbox);
    }

    fn post_again(&self, frame: Bytes, occasion: Occasion) {
        let mut inbox = lock(&self.inbox);
        if inbox.closed {
            return;
        }
        inbox.again.get_or_insert_default().push_back((frame, occasion));
        self.notify(inbox);
    }

    /// The first close wins; a close replaces a drain.
    pub(super) fn signal(&self, signal: Signal) {
        let mut inbox = lock(&self.inbox);
        if !matches!(inbox.signal, Some(Signal::Close(_))) {
            inbox.signal = Some(signal);
        }
        self.notify(inbox);
    }

    fn notify(&self, inbox: MutexGuard<'_, Inbox>) {
        self.mail.store(true, Release);
        let waker = inbox.waker.clone();
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn wake_if_watched(&self) {
        if self.watched.load(SeqCst) {
            let waker = lock(&self.inbox).waker.clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    // The worker's side.

    pub(super) fn set_waker(&self, waker: Waker) {
        lock(&self.inbox).waker = Some(waker);
    }

    pub(super) fn has_mail(&self) -> bool {
        self.mail.load(Acquire)
    }

    /// Moves the replies out; they stay unsent until [`Link::sent`] says otherwise.
    pub(super) fn take_mail(&self, replies: &mut impl Extend<Bytes>) -> (Option<Signal>, Option<Box<Again>>) {
        let mut inbox = lock(&self.inbox);
        self.mail.store(false, Relaxed);
        replies.extend(inbox.replies.drain(..));
        // An idle connection keeps no buffer.
        inbox.replies.shrink_to(8);
        (inbox.signal.take(), inbox.again.take())
    }

    /// From now on replies are forgotten. What is unsent must be given back with [`Link::sent`].
    pub(super) fn close(&self) -> usize {
        self.open.0.store(false, Release);
        let mut inbox = lock(&self.inbox);
        inbox.closed = true;
        inbox.waker = None;
        inbox.replies = Vec::new();
        inbox.again = None;
        self.unsent.load(SeqCst)
    }

    /// Whether the worker is to be woken when `delayed` or `lane_bytes` fall. True if that is new: then they must be
    /// looked at again, because they may have fallen before anybody knew of the wish.
    #[must_use]
    pub(super) fn watch(&self, watched: bool) -> bool {
        let new = self.watched.load(Relaxed) != watched;
        if new {
            self.watched.store(watched, SeqCst);
        }
        new && watched
    }

    /// The first bytes have come at this tick, and do not settle what it speaks. Only the first call counts.
    pub(super) fn began_to_open(&self, tick: u32) {
        if self.opening.load(Relaxed) == NO_TICK {
            self.opening.store(tick % NO_TICK, Relaxed);
        }
    }

    /// It is settled what it speaks.
    pub(super) fn opened(&self) {
        self.opening.store(NO_TICK, Relaxed);
    }

    /// For how many ticks it has been settling that; none when it has not begun, or is done.
    pub(super) fn opening_for(&self, now: u32) -> Option<u32> {
        let since = self.opening.load(Relaxed);
        (since != NO_TICK).then(|| now.wrapping_sub(since))
    }

    // What waits.

    pub(super) fn add_unsent(&self, size: usize) {
        self.unsent.fetch_add(size, SeqCst);
        self.totals.unsent.fetch_add(size, Relaxed);
    }

    /// Bytes have left. True if the lane waits for that and should look again.
    #[must_use]
    pub(super) fn sent(&self, size: usize) -> bool {
        self.totals.unsent.fetch_sub(size, Relaxed);
        self.unsent.fetch_sub(size, SeqCst);
        self.lane_waits.load(SeqCst) && self.has_room() && self.lane_waits.swap(false, SeqCst)
    }

    pub(super) fn unsent(&self) -> usize {
        self.unsent.load(SeqCst)
    }

    /// Whether more replies may be made. With nothing unsent always, so that the peers that read are served however
    /// much waits for those that do not.
    pub(super) fn has_room(&self) -> bool {
        self.has_room_below(self.unsent_max)
    }

    /// The same, for one that ran out of room: much of it must be free again, or it would stop at every frame.
    pub(super) fn has_room_again(&self) -> bool {
        self.has_room_below(self.unsent_resume)
    }

    fn has_room_below(&self, limit: usize) -> bool {
        let unsent = self.unsent.load(SeqCst);
        unsent == 0 || unsent < limit && self.totals.unsent.load(Relaxed) < self.unsent_total_max
    }

    /// For the lane: false if a job must wait, and then [`Link::sent`] says when to look again.
    ///
    /// The wish is stored before the bytes are looked at, and `sent` does the reverse, so one of them sees the other.
    pub(super) fn has_room_or_call(&self) -> bool {
        self.lane_waits.store(true, SeqCst);
        let room = self.has_room();
        if room {
            self.lane_waits.store(false, SeqCst);
        }
        room
    }

    pub(super) fn delayed(&self) -> usize {
        self.delayed.load(SeqCst)
    }

    pub(super) fn lane_bytes(&self) -> usize {
        self.lane_bytes.load(SeqCst)
    }

    pub(super) fn add_lane_bytes(&self, size: usize) {
        self.lane_bytes.fetch_add(size, SeqCst);
        self.totals.lane_bytes.fetch_add(size, Relaxed);
        self.totals.lane_jobs.fetch_add(1, Relaxed);
    }

    pub(super) fn sub_lane_bytes(&self, size: usize) {
        self.totals.lane_jobs.fetch_sub(1, Relaxed);
        self.totals.lane_bytes.fetch_sub(size, Relaxed);
        self.lane_bytes.fetch_sub(size, SeqCst);
        self.wake_if_watched();
    }
}

/// A tick that never comes: the one before it counts twice, which nobody can measure.
const NO_TICK: u32 = u32::MAX;
