//! What a running server is asked, kept for whoever asked for a record of it.
//!
//! A record is a file of cases that expects nothing: what tables and KV store held when it began ([`moment`]),
//! and then each request after its time, and each close of a connection, so that all of it can be asked elsewhere.
//!
//! # Invariants
//!
//! * While nobody records, a request costs one relaxed load of a flag that nobody writes.
//! * There is one record at a time. It is bounded in bytes and in time, and goes with the [`Recording`] of whoever
//!   began it.
//! * It ends with the first request that does not fit, and what comes then costs what it costs while nobody records.
//!   Before that the only requests that are not in it are those that might hold a signature, and what are none; they
//!   are counted. A connection that asked nothing since it began leaves no trace, not even its close.
//! * What was signed is kept without its signature ([`unsigned`]): neither who signed nor with what leaves the server.
//! * Requests of one connection are in their order. Those of several are so as far as anybody could tell.

mod moment;
mod unsigned;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::ByteSize;
use crate::net::Connection;
use crate::plugin::Core;
use crate::route::ConnectionId;

use self::moment::Moment;
use self::unsigned::unsigned;

/// The longest time of a record.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(600);

/// The largest record, as a file.
pub(crate) const BYTES_MAX: ByteSize = ByteSize::mib(16);

/// The place where workers leave what they are asked.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    is_on: AtomicBool,
    record: Mutex<Option<Record>>,
}

/// How long and how large a record may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) time: Duration,
    pub(crate) size: ByteSize,
}

/// Why there is no record.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum StartError {
    #[error("somebody records this server already, and one record is made at a time")]
    Busy,
    #[error("a record takes some time, and {} seconds at most", TIME_MAX.as_secs())]
    Time,
    #[error("a record has {BYTES_MAX} at most")]
    Size,
    #[error("what the tables and the KV store hold does not fit into a record, as it may have {size}")]
    NoRoom { size: ByteSize },
}

/// How far a record is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Progress {
    pub(crate) requests: u64,
    pub(crate) bytes: usize,
    /// One did not fit; neither that one nor anything after it is kept or counted.
    pub(crate) is_full: bool,
    /// Requests that might hold a signature where none belongs, or are no requests.
    pub(crate) unclear: u64,
    /// Entries of the KV store that might hold a signature.
    pub(crate) kv_left_out: usize,
    /// Nothing more is kept.
    pub(crate) is_over: bool,
}

/// What is kept.
#[derive(Debug)]
struct Record {
    ends: Duration,
    /// When the step before was.
    last: Duration,
    /// The steps, as a file has them.
    steps: String,
    bytes_max: usize,
    progress: Progress,
    /// Who asked, and is there still.
    peers: HashMap<ConnectionId, SocketAddr>,
}

/// A record that is being made. Dropped, it is forgotten.
#[derive(Debug)]
pub(crate) struct Recording {
    recorder: Arc<Recorder>,
    moment: Moment,
}

impl Recorder {
    /// Whether there is anything to do for those who are asked.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Begins a record of what `core` is asked.
    pub(crate) fn start(self: &Arc<Self>, core: &Core, limits: Limits) -> Result<Recording, StartError> {
        self.begin(core.clock.monotonic(), limits)?;
        // What is asked from here on is kept, and what was done before is found in the tables: between them nothing is
        // lost, and what is in both is said twice.
        let mut recording = Recording { recorder: Arc::clone(self), moment: Moment::default() };
        let moment = Moment::of(core, limits.size.as_usize());
        recording.moment =
            moment.filter(|moment| self.charge(moment)).ok_or(StartError::NoRoom { size: limits.size })?;
        Ok(recording)
    }

    fn begin(&self, now: Duration, limits: Limits) -> Result<(), StartError> {
        let mut record = self.lock();
        if record.is_some() {
            return Err(StartError::Busy);
        }
        if limits.time.is_zero() || limits.time > TIME_MAX {
            return Err(StartError::Time);
        }
        if limits.size > BYTES_MAX {
            return Err(StartError::Size);
        }
        *record = Some(Record {
            ends: now + limits.time,
            last: now,
            steps: String::new(),
            bytes_max: limits.size.as_usize(),
            progress: Progress::default(),
            peers: HashMap::new(),
        });
        self.is_on.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Keeps a request, if there is room and time for it.
    pub(crate) fn asked(&self, frame: &[u8], connection: &Connection, now: Duration) {
        // Before anything is made of it, which takes several times what it has.
        let mut has_room = false;
        self.at(now, |record| has_room = record.has_room(2 * frame.len()));
        if !has_room {
            return;
        }
        let request = unsigned(frame).map(|frame| request(connection.peer(), &frame));
        self.at(now, |record| match request {
            None => record.progress.unclear += 1,
            Some(request) => {
                if record.push(now, &request) {
                    record.progress.requests += 1;
                    record.peers.insert(connection.id(), connection.peer());
                }
            }
        });
    }

    /// Keeps that a connection has closed, if it asked anything.
    pub(crate) fn closed(&self, id: ConnectionId, now: Duration) {
        self.at(now, |record| {
            if let Some(peer) = record.peers.remove(&id) {
                record.push(now, &format!("close = \"{peer}\"\n"));
            }
        });
    }

    /// Counts what stands before the requests, and says whether it fits.
    fn charge(&self, moment: &Moment) -> bool {
        let mut record = self.lock();
        record.as_mut().is_some_and(|record| {
            record.progress.bytes += moment.text.len();
            record.progress.kv_left_out = moment.kv_left_out;
            record.progress.bytes < record.bytes_max
        })
    }

    /// Lets something be done to the record, unless there is none, it is full, or its time is over.
    fn at(&self, now: Duration, act: impl FnOnce(&mut Record)) {
        let mut record = self.lock();
        let Some(record) = record.as_mut() else { return };
        if !record.is_over(now) {
            act(record);
        }
        if record.is_over(now) {
            self.is_on.store(false, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Record>> {
        // Whoever panicked has kept a step or has not; half of one is none that can be read, and is told so.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn is_over(&self, now: Duration) -> bool {
        self.progress.is_full || now >= self.ends
    }

    /// Whether there is room for so many bytes more; if not, it is full for good.
    fn has_room(&mut self, bytes: usize) -> bool {
        self.progress.is_full |= self.progress.bytes.saturating_add(bytes) > self.bytes_max;
        !self.progress.is_full
    }

    /// Adds a step, and says whether there was room.
    fn push(&mut self, now: Duration, what: &str) -> bool {
        // Another worker may have looked at the clock later, and come first.
        let now = now.max(self.last);
        let waited = now.as_millis().saturating_sub(self.last.as_millis());
        let wait = if waited == 0 { String::new() } else { format!("wait = \"{waited}ms\"\n") };
        let step = ["[[case.step]]\n", &wait, what].concat();
        let has_room = self.has_room(step.len());
        if has_room {
            self.steps += &step;
            self.progress.bytes += step.len();
            self.last = now;
        }
        has_room
    }
}

impl Recording {
    /// How far it is at this time.
    pub(crate) fn progress(&self, now: Duration) -> Progress {
        let record = self.recorder.lock();
        let Some(record) = record.as_ref() else { return Progress::default() };
        Progress { is_over: record.is_over(now), ..record.progress.clone() }
    }

    /// Ends it, and hands it out as a file.
    pub(crate) fn finish(self, now: Duration) -> (Progress, String) {
        let progress = self.progress(now);
        let steps = self.recorder.lock().take().map(|record| record.steps).unwrap_or_default();
        (progress, [self.moment.text.as_str(), &steps].concat())
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.recorder.is_on.store(false, Ordering::Relaxed);
        *self.recorder.lock() = None;
    }
}

/// A request as a step has it.
fn request(from: SocketAddr, frame: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut text = String::with_capacity(2 * frame.len() + 96);
    text += &format!("request = {{ from = \"{from}\", frame-hex = \"");
    text.extend(frame.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
    text += "\" }\n";
    text
}

#[cfg(test)]
mod tests;
