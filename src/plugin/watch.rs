//! The thread that looks for changes of plugins.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::reload::{Reloaded, Reloader};
use crate::clock::{Clock, SystemClock};

/// How much more willingly the thread that compiles yields than the workers do: beside one that is never idle it has a
/// quarter of the processor, so that a plugin is there within two seconds.
const NICENESS: i32 = 5;

/// The thread. Dropping this stops it.
pub(crate) struct Watch {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Looks at every `interval`, and calls `changed` after each new generation.
    ///
    /// # Errors
    /// When the machine refuses a thread.
    pub(crate) fn start(
        reloader: Arc<Mutex<Reloader>>,
        interval: Duration,
        changed: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let run = move || {
            // Compiling can wait, requests cannot. Not worth more than a try.
            let _ = rustix::process::nice(NICENESS);
            let clock = SystemClock::default();
            let mut pause = interval;
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let looked = reloader.lock().unwrap_or_else(PoisonError::into_inner).look();
                if let Reloaded::Generation(_) = looked {
                    changed();
                }
                // A file settles while what it holds is made ready.
                let began = clock.monotonic();
                let foresaw = reloader.lock().unwrap_or_else(PoisonError::into_inner).foresee();
                let spent = if foresaw { clock.monotonic() - began } else { Duration::ZERO };
                pause = interval.saturating_sub(spent);
            }
        };
        let thread = std::thread::Builder::new().name("plugins".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
