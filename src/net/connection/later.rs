//! What comes later: replies that futures make, and frames that are handled once more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::super::link::{Again, ReplySink};
use super::super::service::{CloseReason, Service, Step};
use super::super::usage::count;
use super::Driver;

impl<S: Service> Driver<S> {
    pub(super) fn spawn_later(&mut self, reply: Pin<Box<dyn Future<Output = Bytes>>>) {
        let sink = ReplySink::new(&self.connection.link);
        self.laters.get_or_insert_default().spawn_local(async move { sink.send(reply.await) });
    }

    /// Forgets the futures that have ended. One that panicked closes the connection.
    pub(super) fn reap_laters(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        let Some(laters) = &mut self.laters else { return Ok(()) };
        loop {
            match laters.poll_join_next(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Some(Ok(()))) => {}
                Poll::Ready(Some(Err(_))) => return Err(CloseReason::Panicked),
                Poll::Ready(None) => break,
            }
        }
        self.laters = None;
        Ok(())
    }

    /// Keeps the frames that are to be handled once more.
    pub(super) fn handle_later(&mut self, frames: Option<Box<Again>>) {
        match (&mut self.again, frames) {
            (Some(again), Some(frames)) => again.extend(*frames),
            (again, frames) => *again = again.take().or(frames),
        }
    }

    /// Handles one of them, if there is one. Whether there is room for its reply was decided when it came.
    pub(super) fn handle_again(&mut self) -> Result<bool, CloseReason> {
        let Some(again) = &mut self.again else { return Ok(false) };
        let next = again.pop_front();
        if again.is_empty() {
            self.again = None;
        }
        let Some((frame, occasion)) = next else { return Ok(true) };
        self.in_batch(|driver, worker, out| {
            count(&worker.traffic().frames);
            let before = out.len();
            let call = || worker.service.borrow_mut().call_again(frame, occasion, &driver.connection, out);
            let step = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
                out.truncate(before);
                Step::Close(CloseReason::Panicked)
            });
            driver.follow(step, out)
        })?;
        Ok(true)
    }
}
