//! What is counted of requests, plugins and the writes that they lead to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::wasm::CallError;
use crate::remoting::ResponseCode;
use crate::tally::Counter;

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It was answered with code 0, or asked for no answer.
    Success,
    /// It was answered with another code, which is the plugin's to choose.
    Error,
    /// The plugin or a policy failed.
    Failed,
    /// Whoever asked may not ask that.
    Denied,
    /// Nobody answers such a code.
    Unsupported,
    /// The server stops, and whoever asked was sent away.
    SentAway,
    /// Too many calls were under way.
    Busy,
}

impl Outcome {
    /// All, in the order of their counters.
    pub(crate) const ALL: [Self; 7] =
        [Self::Success, Self::Error, Self::Failed, Self::Denied, Self::Unsupported, Self::SentAway, Self::Busy];

    /// Its label in the metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Failed => "failed",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
            Self::SentAway => "sent-away",
            Self::Busy => "busy",
        }
    }

    /// What the server itself means when it refuses a request with this code.
    pub(crate) fn of_refusal(code: ResponseCode) -> Self {
        match code {
            ResponseCode::NO_PERMISSION => Self::Denied,
            ResponseCode::REQUEST_CODE_NOT_SUPPORTED => Self::Unsupported,
            ResponseCode::GO_AWAY => Self::SentAway,
            ResponseCode::SYSTEM_BUSY => Self::Busy,
            _ => Self::Failed,
        }
    }
}

/// What one thread counts.
#[derive(Debug)]
pub(crate) struct Tally {
    /// By the place of the request code in the catalogue, and behind them all others.
    requests: Box<[[Counter; Outcome::ALL.len()]]>,
    /// By the place of the plugin in the catalogue.
    plugins: Box<[OfPlugin]>,
}

#[derive(Debug, Default)]
struct OfPlugin {
    calls: Counter,
    /// In the order of [`CallError::KINDS`].
    failures: [Counter; CallError::KINDS.len()],
}

impl Tally {
    pub(super) fn new(codes: usize, plugins: usize) -> Self {
        Self {
            requests: (0..=codes).map(|_| Default::default()).collect(),
            plugins: (0..plugins).map(|_| OfPlugin::default()).collect(),
        }
    }

    /// Counts a request, by the place of its code; none is a code that nobody answers.
    pub(crate) fn request(&self, place: Option<usize>, outcome: Outcome) {
        let others = self.requests.len() - 1;
        self.requests[place.unwrap_or(others)][outcome as usize].count();
    }

    /// Counts a call of a plugin.
    pub(super) fn call(&self, plugin: usize, outcome: Result<(), &CallError>) {
        let counters = &self.plugins[plugin];
        counters.calls.count();
        if let Err(error) = outcome
            && let Some(at) = CallError::KINDS.iter().position(|kind| *kind == error.kind())
        {
            counters.failures[at].count();
        }
    }

    /// How many requests, by the place of their code, had this outcome.
    pub(crate) fn requests(&self, place: Option<usize>, outcome: Outcome) -> u64 {
        self.requests[place.unwrap_or(self.requests.len() - 1)][outcome as usize].get()
    }

    pub(crate) fn calls(&self, plugin: usize) -> u64 {
        self.plugins[plugin].calls.get()
    }

    /// How many calls of a plugin failed in this one of [`CallError::KINDS`].
    pub(crate) fn failures(&self, plugin: usize, kind: usize) -> u64 {
        self.plugins[plugin].failures[kind].get()
    }
}

/// Changes to the tables. They are rare, so all threads share the counters.
#[derive(Debug, Default)]
pub struct Changes {
    pub(crate) registered: Count,
    pub(crate) refused: Count,
    pub(crate) unregistered: Count,
    pub(crate) disconnected: Count,
    pub(crate) expired: Count,
}

/// A number that many threads write, seldom.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_counter_and_a_label_of_its_own() {
        let tally = Tally::new(1, 0);

        for (at, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at);
            assert_eq!(Outcome::ALL.iter().filter(|other| other.label() == outcome.label()).count(), 1);
            tally.request(Some(0), outcome);
            assert_eq!((tally.requests(Some(0), outcome), tally.requests(None, outcome)), (1, 0));
        }
    }
}
