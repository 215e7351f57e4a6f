//! The threads that run services, and how a server ends that has one which never comes back: a native plugin may be in
//! a call that nothing can end.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, warn};

use super::lock;

/// What has been told to give up needs no more than this for it, unless it is inside a call.
const GRACE: Duration = Duration::from_secs(1);

/// Some of them.
#[derive(Default)]
pub(super) struct Threads {
    handles: Vec<JoinHandle<()>>,
    alive: Arc<Alive>,
}

/// How many have not ended.
#[derive(Default)]
struct Alive {
    count: Mutex<usize>,
    one_ended: Condvar,
}

/// A thread that has not ended.
struct Life(Arc<Alive>);

impl Life {
    fn begin(alive: &Arc<Alive>) -> Self {
        *lock(&alive.count) += 1;
        Self(Arc::clone(alive))
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        *lock(&self.0.count) -= 1;
        self.0.one_ended.notify_all();
    }
}

impl Threads {
    /// Starts one more.
    pub(super) fn spawn(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let life = Life::begin(&self.alive);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            // After all that the thread has, and when it panics too.
            let _life = life;
            run();
        })?;
        self.handles.push(thread);
        Ok(())
    }

    /// Joins them, who have been told to give up at `deadline`. Those that are still inside a call a little later are
    /// left to themselves: they end when it does, or with the process.
    pub(super) fn join(&mut self, deadline: Instant) {
        let left = (deadline + GRACE).saturating_duration_since(Instant::now());
        let count = lock(&self.alive.count);
        let waited = self.alive.one_ended.wait_timeout_while(count, left, |count| *count > 0);
        let all_ended = *waited.unwrap_or_else(PoisonError::into_inner).0 == 0;
        for handle in self.handles.drain(..) {
            let name = handle.thread().name().unwrap_or_default().to_owned();
            if !all_ended && !handle.is_finished() {
                warn!("stopping without thread {name}, which is still inside a call");
            } else if handle.join().is_err() {
                error!("thread {name} panicked");
            }
        }
        // Whoever was left is nobody's any more.
        self.alive = Arc::default();
    }
}
