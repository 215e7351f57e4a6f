//! Who is told when a write is on disk: one [`Completion`] per write, and [`Writes`] for several of one call.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::queue::WriteError;

type Callback = Box<dyn FnOnce(Result<(), WriteError>) + Send>;

/// What happens when one write is on disk, or has failed.
///
/// It is called exactly once: one that is dropped instead is told [`WriteError::Closed`], so that nobody waits for a
/// store that is gone.
#[must_use = "dropping a completion reports WriteError::Closed"]
pub struct Completion(Option<Callback>);

impl Completion {
    /// Calls `callback` with the outcome, on the writer thread; it must not block.
    pub fn new(callback: impl FnOnce(Result<(), WriteError>) + Send + 'static) -> Self {
        Self(Some(Box::new(callback)))
    }

    /// For a writer who does not want to know.
    pub fn ignore() -> Self {
        Self(None)
    }

    pub(super) fn complete(mut self, outcome: Result<(), WriteError>) {
        if let Some(callback) = self.0.take() {
            callback(outcome);
        }
    }

    /// Tells both who waits for the write and who asks for it.
    pub(super) fn refuse(self, refusal: WriteError) -> Result<(), WriteError> {
        self.complete(Err(refusal.clone()));
        Err(refusal)
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if let Some(callback) = self.0.take() {
            callback(Err(WriteError::Closed));
        }
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Completion").finish_non_exhaustive()
    }
}

/// The writes of one call, which are answered together.
///
/// Take a [`Completion`] from [`Writes::track`] for each write, then say with [`Writes::then`] what follows. Writes may
/// finish before, during or after `then`.
#[derive(Default)]
pub struct Writes(Arc<Mutex<Pending>>);

#[derive(Default)]
struct Pending {
    outstanding: usize,
    first_error: Option<WriteError>,
    then: Option<Callback>,
}

impl Writes {
    /// No writes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The completion of one more write.
    pub fn track(&self) -> Completion {
        lock(&self.0).outstanding += 1;
        let pending = self.0.clone();
        Completion::new(move |outcome| finish_one(&pending, outcome))
    }

    /// Calls `callback` once, when every tracked write is done: with the error that came first, if any did.
    ///
    /// If none is outstanding it is called here and now; otherwise on the thread that finishes the last one, where it
    /// must not block.
    pub fn then(self, callback: impl FnOnce(Result<(), WriteError>) + Send + 'static) {
        let mut pending = lock(&self.0);
        if pending.outstanding > 0 {
            pending.then = Some(Box::new(callback));
            return;
        }
        let outcome = pending.first_error.take().map_or(Ok(()), Err);
        drop(pending);
        callback(outcome);
    }
}

impl fmt::Debug for Writes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = lock(&self.0);
        formatter.debug_struct("Writes").field("outstanding", &pending.outstanding).finish_non_exhaustive()
    }
}

fn finish_one(pending: &Mutex<Pending>, outcome: Result<(), WriteError>) {
    let mut pending = lock(pending);
    pending.outstanding -= 1;
    if let Err(error) = outcome {
        pending.first_error.get_or_insert(error);
    }
    if pending.outstanding > 0 {
        return;
    }
    // Absent when `then` has not come yet; it will find nothing outstanding.
    let Some(callback) = pending.then.take() else { return };
    let outcome = pending.first_error.take().map_or(Ok(()), Err);
    // Called without the lock, which a stranger's code must not run under.
    drop(pending);
    callback(outcome);
}

/// No callback runs under this lock, so a poisoned one still holds whole values.
fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
