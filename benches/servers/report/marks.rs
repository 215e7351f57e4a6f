//! The marks: what was promised, what was found, and whether that is enough.

use serde_json::{Value, json};

use super::figures::cell;
use crate::common::median;

/// A row of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mark {
    Deep,
    Plain,
    Wide,
    Alone,
    Large,
    MemoOff,
    Turn,
    Registration,
    Writers,
    Memory,
    FirstAnswer,
    Reload,
    Traps,
    Storm,
    Kv,
    Binary,
}

use Mark::{
    Alone, Binary, Deep, FirstAnswer, Kv, Large, MemoOff, Memory, Plain, Registration, Reload, Storm, Traps, Turn,
    Wide, Writers,
};

/// Each with its case and its mark, in words.
const MARKS: [(Mark, &str, &str); 16] = [
    (Deep, "C=64 D=16 lookups, 1,000 topics x 4 brokers", "rate at least 12 x Java; CPU at most 1.6 x the floor"),
    (Plain, "C=16 D=1", "rate at least 4 x Java; CPU at most 1.25 x the floor"),
    (Wide, "C=512 D=1", "rate at least 2.2 x Java; CPU at most 1.25 x the floor"),
    (Alone, "C=1 D=1 p50", "at most 1.15 x the floor"),
    (
        Large,
        "200,000 topics, C=64 D=16, uniform, both JSON styles, every topic looked up",
        "rate at least 80 % of the 1,000-topic rate or CPU at most 2 µs; RSS in that state at most 450 MiB",
    ),
    (MemoOff, "memo off: component against native reference, D=1 / D=16", "at least 95 % / 85 % of its throughput"),
    (Turn, "longest turn of a worker under any mix of the cases", "below 1 ms of CPU at p99.99"),
    (Registration, "registration, 20,000 topics: identical / version / all queues, CPU", "1.5 / 5 / 15 ms"),
    (
        Writers,
        "lookups while 4 brokers register 20,000 topics once a second each",
        "CPU per lookup within 10 % of quiet; rate at least 80 % of (quiet less the writers' CPU)",
    ),
    (
        Memory,
        "memory: idle / 100,000 topics before lookups / silent connection",
        "20 / 64 MiB / 2 KiB; 20,000 connections held and answered",
    ),
    (FirstAnswer, "first answer, cached / cold", "15 / 500 ms"),
    (
        Reload,
        "a component is copied into the plugins directory: copy's end to first answer / lookups meanwhile",
        "at most 400 ms for 100 KiB / CPU of the worker within 10 % of quiet",
    ),
    (
        Traps,
        "a plugin that traps at up to 10,000 calls/s: never taken out / answers one in five / fails all",
        "others lose at most a third of a core / the same / nothing measurable",
    ),
    (Storm, "storm: 10 brokers x 1,000 topics and 900 clients at once", "at most half of Java's time"),
    (Kv, "KV puts, 16 clients", "at least 0.8 x the floor of 16 grouped fsyncing writers"),
    (Binary, "binary, stripped", "at most 24 MB"),
];

/// What sockets cannot show.
const ELSEWHERE: [(Mark, &str); 1] = [(MemoOff, "in process: `cargo bench --bench call_shapes`")];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// One figure of a mark.
pub(crate) struct Part {
    /// By round. The median counts.
    values: Vec<f64>,
    bound: Bound,
    digits: usize,
    /// What it is, after the number.
    what: &'static str,
    /// Why it cannot be told from these figures whether the mark is met.
    open: Option<String>,
}

impl Part {
    pub(crate) fn new(values: Vec<f64>, bound: Bound, digits: usize, what: &'static str) -> Self {
        Self { values, bound, digits, what, open: None }
    }

    pub(crate) fn open_because(self, reason: Option<String>) -> Self {
        Self { open: reason, ..self }
    }

    fn median(&self) -> Option<f64> {
        (!self.values.is_empty()).then(|| median(&mut self.values.clone()))
    }

    fn is_met(&self) -> Option<bool> {
        let found = self.median().filter(|_| self.open.is_none())?;
        Some(match self.bound {
            Bound::AtLeast(least) => found >= least,
            Bound::AtMost(most) => found <= most,
        })
    }

    fn text(&self) -> String {
        let found =
            if self.values.is_empty() { "nothing to compare:".to_owned() } else { cell(&self.values, self.digits) };
        let why = self.open.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("{found} {}{why}", self.what)
    }

    fn json(&self) -> Value {
        let (bound, limit) = match self.bound {
            Bound::AtLeast(least) => ("at least", least),
            Bound::AtMost(most) => ("at most", most),
        };
        json!({
            "figure": self.what, "values": self.values, "median": self.median(), "bound": bound, "limit": limit,
            "met": self.is_met(), "open": self.open,
        })
    }
}

/// What was found for each mark: of all of these, one each must be met.
#[derive(Default)]
pub(super) struct Findings(Vec<(Mark, Vec<Part>)>);

impl Findings {
    pub(super) fn add(&mut self, mark: Mark, either: Vec<Part>) {
        self.0.push((mark, either));
    }

    fn of(&self, mark: Mark) -> impl Iterator<Item = &Vec<Part>> {
        self.0.iter().filter(move |(found, _)| *found == mark).map(|(_, either)| either)
    }

    pub(super) fn table(&self) -> String {
        let mut text = "| case | mark | figure | met |\n|---|---|---|---|\n".to_owned();
        for (mark, case, promised) in MARKS {
            let figures: Vec<_> =
                self.of(mark).map(|either| either.iter().map(Part::text).collect::<Vec<_>>().join(" or ")).collect();
            let verdicts: Vec<_> = self.of(mark).map(|either| word(is_any_met(either))).collect();
            let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == mark).map(|(_, where_)| *where_);
            let figure =
                if figures.is_empty() { elsewhere.unwrap_or("not in this run").to_owned() } else { figures.join("; ") };
            text += &format!("| {case} | {promised} | {figure} | {} |\n", verdicts.join("; "));
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let mark = |(mark, case, promised): &(Mark, &str, &str)| {
            let found = self.of(*mark).map(|either| either.iter().map(Part::json).collect::<Vec<_>>());
            json!({ "case": case, "mark": promised, "all_of_either": found.collect::<Vec<_>>() })
        };
        MARKS.iter().map(mark).collect()
    }
}

fn is_any_met(either: &[Part]) -> Option<bool> {
    let verdicts: Vec<_> = either.iter().map(Part::is_met).collect();
    if verdicts.contains(&Some(true)) {
        Some(true)
    } else if verdicts.contains(&None) {
        None
    } else {
        Some(false)
    }
}

fn word(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "open",
    }
}
