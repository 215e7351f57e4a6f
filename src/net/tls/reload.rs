//! Looking at the files from time to time, so that a renewed certificate needs no restart.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::error::TlsError;
use super::material::{Contents, Digests};
use super::terms::{Source, Terms};

/// The files of a server's side, and what was made of them last.
pub struct Watch {
    source: Source,
    terms: Arc<Terms>,
    /// What is in use.
    used: Digests,
    /// What was seen last.
    seen: Digests,
}

/// What a look found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Looked {
    /// Nothing new.
    Same,
    /// The next handshake has the new ones.
    Replaced,
    /// One of certificate and key is new, and does not belong to the other; that one is awaited.
    Half,
    /// The new ones cannot be used; the old ones stay.
    Kept,
}

impl Watch {
    pub(super) fn new(source: Source, contents: &Contents, terms: Arc<Terms>) -> Self {
        Self { source, terms, used: contents.digests(), seen: contents.digests() }
    }

    /// Looks at the files once. A file that is not there is no change: somebody is replacing it.
    ///
    /// Java reloads when certificate and key have both changed, or the roots have. A certificate renewed for the same
    /// key counts here too; otherwise each waits for the other.
    pub fn look(&mut self) -> Looked {
        let contents = match self.source.paths.read() {
            Ok(contents) => contents,
            Err(error) => {
                debug!("{error}");
                return Looked::Same;
            }
        };
        let digests = contents.digests();
        if digests == self.seen {
            return Looked::Same;
        }
        self.seen = digests;
        if self.seen == self.used {
            info!("the TLS files are again what is in use");
            return Looked::Same;
        }
        match self.source.build(&contents) {
            Ok((config, summary)) => {
                self.terms.replace(config);
                self.used = self.seen.clone();
                info!("new connections have the new TLS certificate {summary}; those that are open keep theirs");
                Looked::Replaced
            }
            Err(TlsError::Mismatch { .. })
                if (self.seen.cert == self.used.cert) != (self.seen.key == self.used.key) =>
            {
                info!("one of TLS certificate and key has changed; both are used when the other belongs to it");
                Looked::Half
            }
            Err(error) => {
                warn!("the TLS files have changed and cannot be used, so what was read before stays: {error}");
                Looked::Kept
            }
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("paths", &self.source.paths).finish_non_exhaustive()
    }
}

/// The thread that looks. Dropping it stops it.
#[derive(Debug)]
pub struct Reload {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Reload {
    /// Looks at every `interval`.
    ///
    /// # Errors
    /// When the machine refuses a thread.
    pub fn start(mut watch: Watch, interval: Duration) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let run = move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                watch.look();
            }
        };
        let thread = std::thread::Builder::new().name("tls-reload".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Reload {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
