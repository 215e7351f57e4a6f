//! `plugin test`: plays cases, and shows what is not as expected.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::Parser;
use serde_json::{Value, json};

use super::cases::file::{Case, CaseFile, files_of};
use super::cases::run::{Failure, play};
use super::conformance;
use super::subject::Subject;
use super::{CASE, FILTER, JSON, print, progress};
use crate::cli::exit;
use crate::cli::words::{Given, Opt, switch, value};
use crate::clock::Stopwatch;
use crate::config::LogConfig;
use crate::telemetry;

/// Cases with the name of where they are from.
pub(super) struct Suite {
    pub(super) origin: String,
    pub(super) file: CaseFile,
}

/// What became of a case.
struct Played<'a> {
    origin: &'a str,
    case: &'a Case,
    failures: Vec<Failure>,
}

/// What it takes beside files.
pub(super) const OPTIONS: &[Opt] = &[
    CASE,
    value("conformance", "PLUGIN", "what a stand-in for this stock plugin has to pass; may be given again"),
    FILTER,
    switch("verbose", "show what the server and the plugin log"),
    JSON,
];

pub(super) fn run(words: Parser) -> anyhow::Result<u8> {
    let given = Given::read(words, OPTIONS, (1, 1))?;
    answer(&given).map_err(anyhow::Error::msg)
}

fn answer(given: &Given) -> Result<u8, String> {
    if given.has("verbose") {
        let log = LogConfig { filter: "fingerpost=info".to_owned(), ..LogConfig::default() };
        telemetry::start(&log).map_err(|error| error.to_string())?;
    }
    let subject = Subject::read(&given.arguments[0])?;
    let suites = suites(given)?;
    let filter = given.text("filter").unwrap_or_default();
    let cases = suites.iter().flat_map(|suite| suite.file.cases.iter().map(move |case| (suite, case)));
    let cases: Vec<_> = cases.filter(|(_, case)| case.name.contains(&filter)).collect();
    if cases.is_empty() {
        return Err(format!("no case has {filter:?} in its name"));
    }
    let stopwatch = Stopwatch::start();
    let mut played = Vec::new();
    for (at, (suite, case)) in cases.iter().enumerate() {
        progress(&format!("{} of {}: {}", at + 1, cases.len(), case.name));
        let failures = play(subject.to_play(), &suite.file, case);
        let failures = failures.map_err(|why| {
            progress("");
            format!("{}: {why}\n`fingerpost plugin check {}` tells more", suite.origin, subject.path.display())
        })?;
        played.push(Played { origin: &suite.origin, case, failures });
    }
    progress("");
    let took = Duration::from_nanos(stopwatch.wall());
    let failed = played.iter().filter(|played| !played.failures.is_empty()).count();
    if given.has("json") {
        print(&as_json(&subject.path, &played).to_string());
    } else {
        print(&as_text(&played, failed, took));
    }
    Ok(if failed == 0 { exit::OK } else { exit::NO })
}

/// The cases that were asked for.
pub(super) fn suites(given: &Given) -> Result<Vec<Suite>, String> {
    let mut suites = Vec::new();
    for path in given.values("case") {
        for path in files_of(Path::new(path))? {
            let file = CaseFile::read(&path)?;
            suites.push(Suite { origin: path.display().to_string(), file });
        }
    }
    for name in given.values("conformance") {
        suites.push(conformance::suite(&name.to_string_lossy())?);
    }
    if suites.is_empty() {
        let beside = PathBuf::from(&given.arguments[0]).with_file_name("cases.toml");
        let hint = if beside.exists() { format!(" {}", beside.display()) } else { " CASES.toml".to_owned() };
        return Err(format!("which cases? Name them: --case{hint}"));
    }
    Ok(suites)
}

fn as_text(played: &[Played<'_>], failed: usize, took: Duration) -> String {
    let mut lines = Vec::new();
    for Played { origin, case, failures } in played {
        match &failures[..] {
            [] => lines.push(format!("ok      {}", case.name)),
            failures => {
                lines.push(format!("FAILED  {} ({origin})", case.name));
                let steps = case.steps().len();
                for Failure { step, difference } in failures {
                    let at = if steps > 1 { format!("step {step}\n    ") } else { String::new() };
                    let text = format!("{at}{difference}");
                    lines.extend(text.lines().map(|line| format!("  {line}")));
                }
            }
        }
    }
    let count = played.len();
    let seconds = took.as_secs_f64();
    lines.push(match failed {
        0 => format!("\n{count} cases, all as expected, in {seconds:.1} s"),
        failed => format!("\n{count} cases, {failed} FAILED, in {seconds:.1} s"),
    });
    lines.join("\n")
}

fn as_json(path: &Path, played: &[Played<'_>]) -> Value {
    let of = |played: &Played<'_>| {
        let failure = |failure: &Failure| {
            json!({
                "step": failure.step, "place": failure.difference.place,
                "expected": failure.difference.expected, "found": failure.difference.found,
            })
        };
        json!({
            "case": played.case.name, "from": played.origin, "ok": played.failures.is_empty(),
            "differences": played.failures.iter().map(failure).collect::<Vec<_>>(),
        })
    };
    json!({
        "file": path.display().to_string(),
        "ok": played.iter().all(|played| played.failures.is_empty()),
        "cases": played.iter().map(of).collect::<Vec<_>>(),
    })
}
