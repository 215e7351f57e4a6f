//! What is counted of requests, plugins and the writes that they lead to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::wasm::CallError;
use crate::remoting::ResponseCode;
use crate::tally::{Apart, Counter, PerThread};

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It was answered with code 0, or asked for no answer.
    Success,
    /// The same, without a plugin that failed: by the one that answered before it, or without a policy.
    Degraded,
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
    pub(crate) const ALL: [Self; 8] = [
        Self::Success,
        Self::Degraded,
        Self::Error,
        Self::Failed,
        Self::Denied,
        Self::Unsupported,
        Self::SentAway,
        Self::Busy,
    ];

    /// Its label in the metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Degraded => "degraded",
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

/// What all threads counted, and where they count what. It outlives every catalogue: a code or a plugin that goes and
/// comes back goes on where it was.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    places: Mutex<Places>,
    threads: PerThread<Tally>,
}

/// Who has which place among the counters of every thread. None is ever given to another.
#[derive(Debug, Default)]
struct Places {
    codes: Vec<i32>,
    plugins: Vec<Arc<str>>,
}

/// So many codes and plugins have counters of their own, whatever comes and goes; the others share one.
const PLACES_MAX: usize = 1024;

impl Tallies {
    /// Where requests of a code are counted. None is where all others are.
    pub(super) fn place_of_code(&self, code: i32) -> Option<usize> {
        place(&mut self.places().codes, |known| *known == code, || code)
    }

    /// Where calls of a plugin are counted. None is nowhere.
    pub(super) fn place_of_plugin(&self, name: &Arc<str>) -> Option<usize> {
        place(&mut self.places().plugins, |known| known == name, || Arc::clone(name))
    }

    /// Where one thread counts what has a place by now.
    pub(super) fn join(&self) -> Arc<Apart<Tally>> {
        let (codes, plugins) = self.sizes();
        self.threads.join(Tally::new(codes, plugins))
    }

    /// The same, for a thread that has counted before; what it counts in does if everything has a place there.
    pub(super) fn join_again(&self, mine: &mut Arc<Apart<Tally>>) {
        if self.sizes() != (mine.requests.len() - 1, mine.plugins.len()) {
            *mine = self.join();
        }
    }

    /// One number, over all threads.
    pub(crate) fn sum(&self, number: impl Fn(&Tally) -> u64) -> u64 {
        self.threads.sum(number)
    }

    fn sizes(&self) -> (usize, usize) {
        let places = self.places();
        (places.codes.len(), places.plugins.len())
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place<T>(known: &mut Vec<T>, is_it: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> Option<usize> {
    let found = known.iter().position(is_it);
    if found.is_none() && known.len() < PLACES_MAX {
        known.push(new());
        return Some(known.len() - 1);
    }
    found
}

/// What one thread counts.
#[derive(Debug)]
pub(crate) struct Tally {
    /// All others, and behind them by the place of the request code.
    requests: Box<[OfCode]>,
    /// By the place of the plugin.
    plugins: Box<[OfPlugin]>,
}

#[derive(Debug, Default)]
struct OfCode {
    /// In the order of [`Outcome::ALL`].
    outcomes: [Counter; Outcome::ALL.len()],
    times: Times,
}

#[derive(Debug, Default)]
struct OfPlugin {
    calls: Counter,
    times: Times,
    refusals: Counter,
    /// In the order of [`CallError::KINDS`].
    failures: [Counter; CallError::KINDS.len()],
}

/// How long something took that happens often. To ask for the time costs as much as a short call, so the first ones on
/// a thread are measured, and then one in so many, which counts for all of these.
#[derive(Debug, Default)]
pub(crate) struct Times {
    seen: Counter,
    counts: [Counter; Times::BOUNDS.len() + 1],
    nanos: Counter,
}

/// How many are measured before and in between.
const MEASURED_ONE_IN: u64 = 64;

/// How many one measurement stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Weight(u64);

impl Times {
    /// The upper bounds of the histogram, in nanoseconds; whatever takes longer has a place behind them.
    pub(crate) const BOUNDS: [u64; 18] = [
        500,
        1_000,
        2_000,
        5_000,
        10_000,
        20_000,
        50_000,
        100_000,
        200_000,
        500_000,
        1_000_000,
        2_000_000,
        5_000_000,
        10_000_000,
        50_000_000,
        100_000_000,
        1_000_000_000,
        5_000_000_000,
    ];

    /// One more begins; whether to measure it.
    fn begin(&self) -> Option<Weight> {
        let seen = self.seen.get();
        self.seen.count();
        match seen {
            ..MEASURED_ONE_IN => Some(Weight(1)),
            _ if seen.is_multiple_of(MEASURED_ONE_IN) => Some(Weight(MEASURED_ONE_IN)),
            _ => None,
        }
    }

    fn note(&self, Weight(weight): Weight, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts[Self::BOUNDS.partition_point(|bound| *bound < nanos)].add(weight);
        self.nanos.add(nanos.saturating_mul(weight));
    }

    /// How many took at most each bound and more than the one before it, and how many more than all.
    pub(crate) fn count(&self, bound: usize) -> u64 {
        self.counts.get(bound).map_or(0, Counter::get)
    }

    /// All of them together.
    pub(crate) fn nanos(&self) -> u64 {
        self.nanos.get()
    }
}

impl Tally {
    fn new(codes: usize, plugins: usize) -> Self {
        Self {
            requests: (0..=codes).map(|_| OfCode::default()).collect(),
            plugins: (0..plugins).map(|_| OfPlugin::default()).collect(),
        }
    }

    /// Counts a request, by the place of its code; none is a code that nobody answers.
    pub(crate) fn request(&self, place: Option<usize>, outcome: Outcome) {
        self.requests[row(place)].outcomes[outcome as usize].count();
    }

    /// A request begins, by the place of its code; whether to measure how long it takes.
    pub(super) fn request_begins(&self, place: Option<usize>) -> Option<Weight> {
        self.requests[row(place)].times.begin()
    }

    /// It took so long.
    pub(super) fn request_took(&self, place: Option<usize>, weight: Weight, took: Duration) {
        self.requests[row(place)].times.note(weight, took);
    }

    /// How long requests took, by the place of their code.
    pub(crate) fn request_times(&self, place: Option<usize>) -> Option<&Times> {
        self.requests.get(row(place)).map(|counters| &counters.times)
    }

    /// A call of the plugin at a place begins; whether to measure how long it takes.
    pub(super) fn call_begins(&self, place: Option<usize>) -> Option<Weight> {
        place.and_then(|place| self.plugins.get(place))?.times.begin()
    }

    /// It took so long.
    pub(super) fn call_took(&self, place: Option<usize>, weight: Weight, took: Duration) {
        if let Some(counters) = place.and_then(|place| self.plugins.get(place)) {
            counters.times.note(weight, took);
        }
    }

    /// How long calls of the plugin at a place took.
    pub(crate) fn call_times(&self, place: usize) -> Option<&Times> {
        self.plugins.get(place).map(|counters| &counters.times)
    }

    /// Counts a call of a plugin, by its place.
    pub(super) fn call(&self, place: Option<usize>, outcome: Result<(), &CallError>) {
        let Some(counters) = place.and_then(|place| self.plugins.get(place)) else { return };
        counters.calls.count();
        if let Err(error) = outcome
            && let Some(at) = CallError::KINDS.iter().position(|kind| *kind == error.kind())
        {
            counters.failures[at].count();
        }
    }

    /// Counts a call that was not made, because the plugin at a place is taken out.
    pub(crate) fn refusal(&self, place: Option<usize>) {
        if let Some(counters) = place.and_then(|place| self.plugins.get(place)) {
            counters.refusals.count();
        }
    }

    /// How many requests, by the place of their code, had this outcome.
    pub(crate) fn requests(&self, place: Option<usize>, outcome: Outcome) -> u64 {
        self.requests.get(row(place)).map_or(0, |counters| counters.outcomes[outcome as usize].get())
    }

    /// How many calls of the plugin at a place there were.
    pub(crate) fn calls(&self, place: usize) -> u64 {
        self.plugins.get(place).map_or(0, |counters| counters.calls.get())
    }

    /// How many calls of the plugin at a place were not made, because it was taken out.
    pub(crate) fn refusals(&self, place: usize) -> u64 {
        self.plugins.get(place).map_or(0, |counters| counters.refusals.get())
    }

    /// How many calls of a plugin failed in this one of [`CallError::KINDS`].
    pub(crate) fn failures(&self, place: usize, kind: usize) -> u64 {
        self.plugins.get(place).map_or(0, |counters| counters.failures[kind].get())
    }
}

fn row(place: Option<usize>) -> usize {
    place.map_or(0, |place| place + 1)
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

    #[test]
    fn a_code_and_a_plugin_keep_their_counters_whatever_comes_and_goes() {
        let tallies = Tallies::default();
        let (one, other) = (tallies.place_of_code(7), tallies.place_of_plugin(&"a".into()));
        let mut mine = tallies.join();
        mine.request(one, Outcome::Success);
        mine.call(other, Ok(()));

        let same = Arc::clone(&mine);
        tallies.join_again(&mut mine);
        assert!(Arc::ptr_eq(&same, &mine), "nothing new has a place");
        let new = tallies.place_of_code(8);
        tallies.join_again(&mut mine);
        mine.request(one, Outcome::Success);
        mine.request(new, Outcome::Success);

        assert_eq!((tallies.place_of_code(7), tallies.place_of_plugin(&"a".into())), (one, other));
        let requests = |place| tallies.sum(|tally| tally.requests(place, Outcome::Success));
        assert_eq!((requests(one), requests(new), tallies.sum(|tally| tally.calls(0))), (2, 1, 1));
    }

    #[test]
    fn the_first_ones_are_measured_and_then_one_for_many() {
        let times = Times::default();
        let long = Duration::from_millis(3);

        let measured =
            (0..1000).filter(|_| times.begin().inspect(|weight| times.note(*weight, long)).is_some()).count();

        assert_eq!(measured, 64 + 15);
        assert_eq!(times.count(Times::BOUNDS.partition_point(|bound| *bound < 3_000_000)), 64 + 15 * 64);
        assert_eq!(times.nanos(), 3_000_000 * (64 + 15 * 64));
    }

    #[test]
    fn what_comes_after_a_thousand_others_is_counted_among_all_others() {
        let tallies = Tallies::default();

        assert!((0..PLACES_MAX as i32).all(|code| tallies.place_of_code(code).is_some()));
        assert_eq!((tallies.place_of_code(-1), tallies.place_of_code(3)), (None, Some(3)));
    }
}
