//! `plugin replay`: the requests of a record are asked of a candidate and of what is in use without it, and what
//! differs in the answers is shown.
//!
//! A record is a file of cases that expects nothing, so that what was recorded can be looked at and shortened by hand.
//! With `--record`, a running server makes one.

use std::collections::BTreeMap;
use std::path::Path;

use lexopt::Parser;
use serde_json::{Map, Value, json};

use super::cases::file::{CaseFile, Step};
use super::cases::matching::{Difference, of_json};
use super::cases::run::{self, address, before, frame};
use super::cases::unordered::sorted;
use super::subject::Subject;
use super::{JSON, OF_CONFIG, SOCKET, print, progress};
use crate::cli::control::{self, FOR, FORCE, MAX_SIZE};
use crate::cli::exit;
use crate::cli::words::{Given, Opt, value};
use crate::config::Grant;
use crate::plugin::Fuel;
use crate::remoting::Command;
use crate::workbench::{Outcome, Workbench};

/// What it takes beside a record.
pub(super) const OPTIONS: &[Opt] = &[
    value(
        "against",
        "FILE",
        "the candidate; it may take over what it answers, and write tables, KV store and settings",
    ),
    value("baseline", "FILE", "what it is compared with; the embedded plugins if nothing is said"),
    value("record", "FILE", "make a record of what a running server is asked, in place of asking it of anybody"),
    FOR,
    MAX_SIZE,
    FORCE,
    SOCKET,
    OF_CONFIG,
    JSON,
];

/// What belongs to a record that is made, and to one that is replayed.
const OF_RECORDING: [&str; 5] = [FOR.name, MAX_SIZE.name, FORCE.name, SOCKET.name, OF_CONFIG.name];
const OF_REPLAYING: [&str; 2] = ["against", "baseline"];

/// Differences that are shown whole; more are counted.
const SHOWN_MAX: usize = 10;

/// How often the person who waits is told.
const PROGRESS_EVERY: usize = 500;

pub(super) fn run(words: Parser) -> anyhow::Result<u8> {
    let given = Given::read(words, OPTIONS, (0, 1))?;
    let surplus = |names: &[&str]| names.iter().find(|name| given.has(name)).map(|name| format!("--{name}"));
    let wrong = |text: String| Err(lexopt::Error::from(text).into());
    if let Some(file) = given.value("record") {
        let argument = given.arguments.first().map(|argument| argument.to_string_lossy().into_owned());
        return match surplus(&OF_REPLAYING).or(argument) {
            Some(surplus) => wrong(format!("--record FILE makes a record, and asks nobody: {surplus} is too much")),
            None => control::record(Path::new(file), &given),
        };
    }
    if let Some(surplus) = surplus(&OF_RECORDING) {
        return wrong(format!("{surplus} is for --record FILE"));
    }
    let Some(record) = given.arguments.first() else {
        return wrong("something is missing: a record, or --record FILE, which makes one".to_owned());
    };
    let Some(against) = given.value("against") else {
        return Err(lexopt::Error::from("--against FILE says which component is to be tried").into());
    };
    let candidate = Subject::read(against).map_err(anyhow::Error::msg)?;
    let baseline = given.value("baseline").map(Subject::read).transpose().map_err(anyhow::Error::msg)?;
    let mut record = CaseFile::read(Path::new(record)).map_err(anyhow::Error::msg)?;
    record.plugin.overrides = true;
    record.plugin.grants =
        [Grant::RoutesWrite, Grant::KvWrite(None), Grant::SettingsWrite, Grant::Clocks, Grant::Random].into();
    let compared = compare(&candidate, baseline.as_ref(), &record).map_err(anyhow::Error::msg)?;
    print(&if given.has("json") { compared.as_json().to_string() } else { compared.as_text() });
    Ok(if compared.differing == 0 { exit::OK } else { exit::NO })
}

/// What came of a record.
#[derive(Default)]
struct Compared {
    asked: usize,
    differing: usize,
    /// By request code: how many were asked, and how many of those were answered otherwise.
    by_code: BTreeMap<i32, (usize, usize)>,
    /// The first of them: which request, and what is different.
    shown: Vec<(String, Vec<Difference>)>,
}

fn compare(candidate: &Subject, baseline: Option<&Subject>, record: &CaseFile) -> Result<Compared, String> {
    let mut compared = Compared::default();
    for case in &record.cases {
        let (mut new, _) = run::prepared(candidate.to_play(), record, Fuel::Free)?;
        let mut old = match baseline {
            Some(baseline) => run::prepared(baseline.to_play(), record, Fuel::Free)?.0,
            None => run::without_a_file(candidate.cache_dir(), record)?,
        };
        for (step, at) in case.steps().iter().zip(1..) {
            if at % PROGRESS_EVERY == 0 {
                progress(&format!("{at} requests of {}", case.name));
            }
            let (Some(one), Some(other)) = (ask(&mut old, step)?, ask(&mut new, step)?) else { continue };
            compared.add(&format!("{}, request {at}", case.name), step, &one, &other);
        }
    }
    progress("");
    Ok(compared)
}

fn ask(bench: &mut Workbench, step: &Step) -> Result<Option<Outcome>, String> {
    before(bench, step)?;
    let Some(request) = &step.request else { return Ok(None) };
    Ok(Some(bench.ask(frame(request)?, address(request.from.as_deref())?)))
}

impl Compared {
    fn add(&mut self, place: &str, step: &Step, old: &Outcome, new: &Outcome) {
        let request = step.request.as_ref().and_then(|request| Command::decode(frame(request).ok()?).ok());
        let code = request.as_ref().map_or(0, |request| request.code);
        let differences = differences(old, new);
        let (asked, differing) = self.by_code.entry(code).or_default();
        *asked += 1;
        self.asked += 1;
        if differences.is_empty() {
            return;
        }
        *differing += 1;
        self.differing += 1;
        if self.shown.len() < SHOWN_MAX {
            let fields = request.iter().flat_map(|request| request.fields.iter()).flat_map(|fields| fields.iter());
            let fields = fields.map(|(name, value)| format!(" {name}={value}")).collect::<String>();
            self.shown.push((format!("{place}: {code}{fields}"), differences));
        }
    }

    fn as_text(&self) -> String {
        let mut lines = Vec::new();
        for (place, differences) in &self.shown {
            lines.push(place.clone());
            // What was, stands where cases have what is expected.
            let told = differences.iter().map(Difference::to_string);
            let told = told.map(|text| {
                text.replace("\n    expected  ", "\n    before  ").replace("\n    found     ", "\n    now     ")
            });
            lines.extend(told.flat_map(|text| text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>()));
        }
        if self.differing > self.shown.len() {
            lines.push(format!("… and {} more", self.differing - self.shown.len()));
        }
        for (code, (asked, differing)) in &self.by_code {
            lines.push(format!("code {code}: {asked} asked, {differing} answered otherwise"));
        }
        lines.push(match self.differing {
            0 => format!("{} requests, all answered as before", self.asked),
            differing => format!("{} requests, {differing} answered otherwise", self.asked),
        });
        lines.join("\n")
    }

    fn as_json(&self) -> Value {
        let difference = |one: &Difference| json!({ "place": one.place, "before": one.expected, "now": one.found });
        let shown = |(place, differences): &(String, Vec<Difference>)| {
            let differences: Vec<_> = differences.iter().map(difference).collect();
            json!({ "request": place, "differences": differences })
        };
        let by_code = self
            .by_code
            .iter()
            .map(|(code, (asked, differing))| (code.to_string(), json!({ "asked": asked, "differing": differing })));
        json!({
            "asked": self.asked, "differing": self.differing, "codes": Value::Object(by_code.collect()),
            "first": self.shown.iter().map(shown).collect::<Vec<_>>(),
        })
    }
}

/// What is different in two answers, as far as it means anything: sets have no order.
fn differences(old: &Outcome, new: &Outcome) -> Vec<Difference> {
    let (old, new) = (parts(old), parts(new));
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    let text = |value: Option<&Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    let differing = names.filter(|name| old.get(*name) != new.get(*name));
    differing.map(|name| Difference::new(name, text(old.get(name)), text(new.get(name)))).collect()
}

fn parts(outcome: &Outcome) -> Map<String, Value> {
    let Outcome::Reply(reply) = outcome else {
        return [("reply".to_owned(), Value::String(run::told(outcome)))].into_iter().collect();
    };
    let mut parts = Map::new();
    parts.insert("code".to_owned(), reply.code.to_string().into());
    if let Some(remark) = &reply.remark {
        parts.insert("remark".to_owned(), remark.to_string().into());
    }
    for (name, value) in reply.fields.iter().flat_map(|fields| fields.iter()) {
        parts.insert(format!("fields.{name}"), value.to_string().into());
    }
    if !reply.body.is_empty() {
        let text = || Value::String(String::from_utf8_lossy(&reply.body).into_owned());
        parts.insert("body".to_owned(), of_json(&reply.body).map_or_else(|_| text(), sorted));
    }
    parts
}
