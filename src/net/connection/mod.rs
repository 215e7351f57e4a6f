//! One connection on its worker: read, hand every complete frame over, write all replies at once.
//!
//! A [`Driver`] is polled as one task. It never waits for one thing alone: while it may not read, because the peer does
//! not, or the lane is full, it still writes, and listens to the signals of others.

mod later;
mod open;
mod share;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use tokio::task::JoinSet;

use crate::remoting::frame;

use super::lane::Ticket;
use super::link::{Again, Connection, Signal};
use super::opening::Opening;
use super::outgoing::{Outgoing, WRITE_MAX};
use super::service::{CloseReason, Service, Step};
use super::stream::{READ_MAX, Stream};
use super::usage::{Load, Slot, count};
use super::worker::Worker;
use share::Share;

/// The worker's part of a connection.
pub(super) struct Driver<S: Service> {
    worker: Rc<Worker<S>>,
    stream: Stream,
    connection: Connection,
    /// What it speaks is not known yet.
    opening: Option<Opening>,
    /// It speaks TLS, and has not said anything else yet.
    is_shaking_hands: bool,
    partial: Partial,
    outgoing: Outgoing,
    /// A job that the lane has no room for yet; nothing more is read until it has.
    waiting: Option<Waiting<S::Job>>,
    /// Frames that are handled once more, before anything else; none most of the time.
    again: Option<Box<Again>>,
    /// Replies that are made by futures; none most of the time.
    laters: Option<JoinSet<()>>,
    /// It ran out of room for replies, and goes on when half of it is free.
    out_of_room: bool,
    /// No more is read; when every answer has left, it closes.
    draining: bool,
    waker: Waker,
    share: Share,
    reason: Option<CloseReason>,
    slot: Option<Slot>,
    _load: Load,
}

/// Bytes that have arrived and were not handled: a frame that is not complete, or frames that must wait.
#[derive(Default)]
struct Partial {
    bytes: BytesMut,
    /// What is counted for them.
    charge: usize,
    /// There may be a complete frame among them.
    unhandled: bool,
}

struct Waiting<J> {
    job: J,
    ticket: Pin<Box<dyn Future<Output = Ticket>>>,
    /// What is counted for the job, as a partial frame, until the lane counts it.
    charge: usize,
}

/// What came of looking at everything once.
enum Turn {
    /// Something was done; there may be more.
    Progress,
    /// The same, but the others come first.
    Yield,
    /// Whatever comes next will wake the task.
    Wait,
}

impl<S: Service> Driver<S> {
    pub(super) fn new(
        worker: Rc<Worker<S>>,
        stream: Stream,
        connection: Connection,
        (slot, load): (Slot, Load),
    ) -> Self {
        Self {
            worker,
            stream,
            connection,
            opening: Some(Opening::default()),
            is_shaking_hands: false,
            partial: Partial::default(),
            outgoing: Outgoing::default(),
            waiting: None,
            again: None,
            laters: None,
            out_of_room: false,
            draining: false,
            waker: Waker::noop().clone(),
            share: Share::default(),
            reason: None,
            slot: Some(slot),
            _load: load,
        }
    }

    fn look(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if !self.waker.will_wake(cx.waker()) {
            self.waker.clone_from(cx.waker());
            self.connection.link.set_waker(cx.waker().clone());
        }
        self.share = Share::begin(self.worker.traffic());
        for _ in 0..TURNS_MAX {
            match self.turn(cx) {
                Ok(Turn::Progress) => {}
                Ok(Turn::Yield) => break,
                Ok(Turn::Wait) => return Poll::Pending,
                Err(reason) => return Poll::Ready(reason),
            }
        }
        // There is more, but the other connections of this worker come first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Result<Turn, CloseReason> {
        if self.share.is_used_up(self.worker.traffic()) {
            return Ok(Turn::Yield);
        }
        if self.connection.link.has_mail() {
            let (signal, again) = self.connection.link.take_mail(&mut self.outgoing);
            self.handle_later(again);
            match signal {
                Some(Signal::Close(reason)) => {
                    // What came with it may still leave, if it leaves at once.
                    let _ = self.write_outgoing();
                    return Err(reason);
                }
                Some(Signal::Drain) => self.draining = true,
                None => {}
            }
            self.write_outgoing()?;
            return Ok(Turn::Progress);
        }
        if !self.outgoing.is_empty() && self.stream.poll_write_ready(cx)?.is_ready() {
            self.write_outgoing()?;
            return Ok(Turn::Progress);
        }
        self.reap_laters(cx)?;
        if self.poll_lane(cx) {
            return Ok(Turn::Progress);
        }
        if self.waiting.is_none() && self.handle_again()? {
            return Ok(Turn::Progress);
        }
        let may_handle = self.may_handle();
        if self.connection.link.watch(!may_handle || self.draining) {
            // Watched from now on; what was looked at before may have changed in between.
            return Ok(Turn::Progress);
        }
        if may_handle {
            if self.partial.unhandled {
                self.handle_partial()?;
                return Ok(Turn::Progress);
            }
            if !self.draining {
                return self.poll_read(cx);
            }
        }
        if self.draining && self.is_quiet() { Err(CloseReason::Stopping) } else { Ok(Turn::Wait) }
    }

    /// Whether there is room for what one more frame may bring.
    fn may_handle(&mut self) -> bool {
        let (link, config) = (&self.connection.link, &self.worker.shared.config);
        self.out_of_room = if self.out_of_room { !link.has_room_again() } else { !link.has_room() };
        self.waiting.is_none()
            && !self.share.is_used_up(self.worker.traffic())
            && !self.out_of_room
            && link.delayed() < config.delayed_replies_max
            && link.lane_bytes() < config.lane_bytes_max
    }

    /// Nothing is owed to the peer any more.
    fn is_quiet(&self) -> bool {
        let link = &self.connection.link;
        // In the order in which a job becomes a delayed reply, and that becomes bytes: what moves on meanwhile is seen.
        self.waiting.is_none()
            && !self.partial.unhandled
            && self.again.is_none()
            && link.lane_bytes() == 0
            && link.delayed() == 0
            && link.unsent() == 0
            && !link.has_mail()
    }

    // Reading.

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<Turn, CloseReason> {
        if !self.partial.bytes.is_empty() {
            return self.read_partial(cx);
        }
        // Taken and given back, so that what is handled lies where it was read.
        let mut buffer = self.worker.read_buffer.take();
        // From its beginning, unless somebody keeps what was read: so it stays in the processor's cache.
        if !buffer.try_reclaim(READ_MAX) && buffer.capacity() < READ_MIN {
            buffer.reserve(READ_MAX);
        }
        let read = self.stream.poll_read(cx, &mut buffer);
        let turn = self.after_read(read).and_then(|turn| {
            if let Turn::Progress = turn {
                self.partial.unhandled = self.handle(&mut buffer)?;
                self.keep(&buffer);
                self.charge_partial()?;
            }
            Ok(turn)
        });
        buffer.clear();
        self.worker.read_buffer.replace(buffer);
        turn
    }

    /// Reads more of what has arrived in part.
    fn read_partial(&mut self, cx: &mut Context<'_>) -> Result<Turn, CloseReason> {
        let free = self.partial.bytes.capacity() - self.partial.bytes.len();
        if free == 0 {
            // Grows with what has arrived, whatever length was claimed.
            self.partial.bytes.reserve(self.partial.bytes.len().clamp(PARTIAL_MIN, READ_MAX));
            self.charge_partial()?;
        }
        let read = self.stream.poll_read(cx, &mut self.partial.bytes);
        let turn = self.after_read(read)?;
        if let Turn::Progress = turn {
            self.handle_partial()?;
        }
        Ok(turn)
    }

    /// Whether a read brought bytes.
    fn after_read(&mut self, read: Poll<Result<usize, CloseReason>>) -> Result<Turn, CloseReason> {
        self.see_handshake();
        match read {
            Poll::Pending => {
                // A TLS session may hold more by now.
                self.charge_partial()?;
                Ok(Turn::Wait)
            }
            Poll::Ready(Ok(0)) => Err(CloseReason::Peer),
            Poll::Ready(Ok(_)) => {
                count(&self.worker.traffic().reads);
                self.touch();
                Ok(Turn::Progress)
            }
            Poll::Ready(Err(reason)) => Err(reason),
        }
    }

    /// Copies what could not be handled into a buffer of this connection's own; an empty one costs nothing.
    fn keep(&mut self, rest: &[u8]) {
        if !rest.is_empty() {
            self.partial.bytes = BytesMut::with_capacity(rest.len().max(PARTIAL_MIN));
            self.partial.bytes.extend_from_slice(rest);
        }
    }

    fn handle_partial(&mut self) -> Result<(), CloseReason> {
        let mut bytes = std::mem::take(&mut self.partial.bytes);
        let before = bytes.len();
        self.partial.unhandled = self.handle(&mut bytes)?;
        if bytes.len() < before && bytes.len() <= READ_MAX {
            // A small rest must not keep alive the buffer of the large frame before it.
            self.keep(&bytes);
        } else {
            self.partial.bytes = bytes;
        }
        self.charge_partial()
    }

    /// Counts what the partial frame holds by now. A large one may not grow when all together hold too much: waiting
    /// would not help, for nobody could finish.
    fn charge_partial(&mut self) -> Result<(), CloseReason> {
        let total = &self.connection.link.totals.partial;
        let (before, now) = (self.partial.charge, self.partial.bytes.capacity() + self.stream.held());
        if now == before {
            // Most of the time, and then nothing is touched that other workers count in, too.
            return Ok(());
        }
        self.partial.charge = now;
        if now < before {
            total.fetch_sub(before - now, Relaxed);
            return Ok(());
        }
        let sum = total.fetch_add(now - before, Relaxed) + (now - before);
        let fits = sum <= self.worker.shared.config.partial_bytes_total_max || now <= PARTIAL_FREE;
        if fits { Ok(()) } else { Err(CloseReason::PartialBytes) }
    }

    // Handling.

    /// Hands over the complete frames of `bytes`, as long as there is room, and sends their replies. What is left of
    /// `bytes` was not handled; true if a complete frame may be in it.
    fn handle(&mut self, bytes: &mut BytesMut) -> Result<bool, CloseReason> {
        if self.opening.is_some() && !self.open(bytes)? {
            return Ok(false);
        }
        self.in_batch(|driver, worker, out| driver.handle_frames(worker, bytes, out))
    }

    /// Lets the service handle something, and sends the replies.
    fn in_batch<T>(
        &mut self,
        handle: impl FnOnce(&mut Self, &Worker<S>, &mut BytesMut) -> Result<T, CloseReason>,
    ) -> Result<T, CloseReason> {
        let worker = Rc::clone(&self.worker);
        let mut out = worker.out.borrow_mut();
        out.clear();
        let begun = worker.with_service(S::look_around);
        let handled = begun.and_then(|()| handle(self, &worker, &mut out));
        let handled = worker.with_service(S::batch_end).and(handled);
        // The frames before a bad one are answered.
        let flushed = self.flush(&mut out);
        if out.capacity() > OUT_KEEP_MAX {
            *out = BytesMut::new();
        }
        let handled = handled?;
        flushed?;
        Ok(handled)
    }

    fn handle_frames(
        &mut self,
        worker: &Worker<S>,
        bytes: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<bool, CloseReason> {
        let config = &worker.shared.config;
        while let Some(length) = frame::split(bytes, config.frame_size_max)? {
            if !self.may_handle() {
                return Ok(true);
            }
            count(&worker.traffic().frames);
            let before = out.len();
            let call = || {
                let mut service = worker.service.borrow_mut();
                if service.recall(&bytes[..length], &self.connection, out) {
                    bytes.advance(length);
                    return Step::Done;
                }
                service.call(bytes.split_to(length).freeze(), &self.connection, out)
            };
            let step = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
                out.truncate(before);
                Step::Close(CloseReason::Panicked)
            });
            self.follow(step, out)?;
            if out.len() + self.connection.link.unsent() >= config.unsent_bytes_max {
                self.flush(out)?;
            }
        }
        Ok(false)
    }

    fn follow(&mut self, step: Step<S::Job>, out: &mut BytesMut) -> Result<(), CloseReason> {
        match step {
            Step::Done => {}
            Step::Body(body) => self.send_with_body(out, body)?,
            Step::Lane(job) => self.hand_to_lane(job),
            Step::Later(reply) => self.spawn_later(reply),
            Step::Close(reason) => return Err(reason),
        }
        Ok(())
    }

    fn hand_to_lane(&mut self, job: S::Job) {
        let (lane, link) = (&self.worker.shared.lane, &self.connection.link);
        let weight = lane.weigh(&job);
        if let Some(ticket) = lane.try_reserve(link, weight) {
            lane.push(job, ticket);
        } else {
            link.totals.partial.fetch_add(weight, Relaxed);
            self.waiting = Some(Waiting { job, ticket: Box::pin(lane.reserve(link, weight)), charge: weight });
        }
    }

    /// Whether the lane has taken the waiting job.
    fn poll_lane(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(waiting) = &mut self.waiting else { return false };
        let Poll::Ready(ticket) = waiting.ticket.as_mut().poll(cx) else { return false };
        if let Some(Waiting { job, charge, .. }) = self.waiting.take() {
            self.connection.link.totals.partial.fetch_sub(charge, Relaxed);
            self.worker.shared.lane.push(job, ticket);
        }
        true
    }

    // Writing.

    /// Sends the replies of a batch; what the socket does not take waits.
    fn flush(&mut self, out: &mut BytesMut) -> Result<(), CloseReason> {
        if out.is_empty() {
            return Ok(());
        }
        // Behind what waits already, or frames would be mixed.
        // A little more than is written at once leaves in one piece.
        let first = if out.len() > 2 * WRITE_MAX { &out[..WRITE_MAX] } else { &out[..] };
        let sent = if self.outgoing.is_empty() { self.stream.try_write(first)? } else { 0 };
        if sent > 0 {
            self.wrote(sent);
        }
        if sent < out.len() {
            self.connection.link.add_unsent(out.len() - sent);
            self.outgoing.push_rest(out, sent);
        }
        out.clear();
        Ok(())
    }

    fn send_with_body(&mut self, out: &mut BytesMut, body: Bytes) -> Result<(), CloseReason> {
        self.connection.link.add_unsent(out.len() + body.len());
        self.outgoing.push_rest(out, 0);
        self.outgoing.push(body);
        self.write_outgoing()
    }

    /// Sends as much of what waits as the socket takes in one write.
    fn write_outgoing(&mut self) -> Result<(), CloseReason> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        let sent = self.outgoing.write(&mut self.stream)?;
        if sent > 0 {
            self.wrote(sent);
            if self.connection.link.sent(sent) {
                self.worker.shared.lane.resume(self.connection.id());
            }
        }
        Ok(())
    }

    fn wrote(&mut self, sent: usize) {
        self.share.add_sent(sent);
        count(&self.worker.traffic().writes);
        self.touch();
    }

    fn touch(&self) {
        self.connection.link.active.store(self.worker.tick(), Relaxed);
    }
}

/// Serves the connection until it ends. By hand, because an `async fn` would keep the driver twice.
impl<S: Service> Future for Driver<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let looked = self.look(cx);
        self.worker.traffic().turns.end();
        looked.map(|reason| {
            self.stream.close();
            self.reason = Some(reason);
        })
    }
}

/// Nothing in it is pinned.
impl<S: Service> Unpin for Driver<S> {}

impl<S: Service> Drop for Driver<S> {
    /// Also when the task is aborted: what was counted is given back, and the lane hears of the close.
    fn drop(&mut self) {
        self.laters = None;
        let link = &self.connection.link;
        let waiting = self.waiting.take().map_or(0, |waiting| waiting.charge);
        link.totals.partial.fetch_sub(self.partial.charge + waiting, Relaxed);
        // Whether the lane waits for room no longer matters: after the close nothing does.
        let _ = link.sent(link.close());
        self.worker.forget(&self.connection, self.reason.as_ref());
        if let Some(slot) = self.slot.take() {
            self.worker.shared.lane.close(link, slot);
        }
    }
}

/// Reads and writes in a row before the other connections of the worker have their turn.
const TURNS_MAX: usize = 4;
/// With less than this left in it, the read buffer starts again.
const READ_MIN: usize = 16 * 1024;
/// The smallest buffer for a partial frame.
const PARTIAL_MIN: usize = 4 * 1024;
/// A partial frame this small is kept in any case.
const PARTIAL_FREE: usize = 16 * 1024;
/// A reply buffer that has grown beyond this is given back.
const OUT_KEEP_MAX: usize = 1024 * 1024;
