//! `plugin bench`: what the calls of cases cost.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use lexopt::Parser;
use serde_json::{Value, json};

use super::cases::file::{Case, CaseFile, Step};
use super::cases::run::{self, address, before, frame};
use super::subject::{Cache, Subject};
use super::test::suites;
use super::{CASE, FILTER, JSON, print, progress};
use crate::cli::exit;
use crate::cli::words::{Given, Opt, value};
use crate::clock::Stopwatch;
use crate::plugin::Fuel;
use crate::workbench::{TemporaryHome, Workbench};

/// How long each case is measured if nothing is said.
const TIME: Duration = Duration::from_millis(300);

/// Rounds of which the median counts.
const ROUNDS: usize = 5;

/// A plugin from a file may run on a worker after a thousand fast calls in a row, and its memory has grown by then.
const WARM_UP: usize = 1100;

/// Calls whose fuel and host calls are counted.
const COUNTED: u64 = 128;

/// What one case costs, for each call.
struct Cost<'a> {
    case: &'a str,
    /// Of the median round, from frame to frame.
    nanoseconds: f64,
    calls: usize,
    host_calls: f64,
    fuel: f64,
    /// Bytes of linear memory in the end.
    memory: usize,
    /// Response code of the last answer.
    code: i32,
}

/// What it takes beside files.
pub(super) const OPTIONS: &[Opt] =
    &[CASE, FILTER, value("time", "DURATION", "how long each is measured; 300ms if nothing is said"), JSON];

pub(super) fn run(words: Parser) -> anyhow::Result<u8> {
    let given = Given::read(words, OPTIONS, (1, 1))?;
    answer(&given).map_err(anyhow::Error::msg)
}

fn answer(given: &Given) -> Result<u8, String> {
    let subject = Subject::read(&given.arguments[0])?;
    let suites = suites(given)?;
    let time = match given.text("time") {
        None => TIME,
        Some(text) => duration(&text).ok_or_else(|| format!("--time {text}: a time is as 300ms or 2s"))?,
    };
    let filter = given.text("filter").unwrap_or_default();
    // What is compiled with its fuel counted is of use to nobody else.
    let counted = Cache::Temporary(TemporaryHome::new().map_err(|error| error.to_string())?);
    let mut costs = Vec::new();
    for suite in &suites {
        for case in suite.file.cases.iter().filter(|case| case.name.contains(&filter)) {
            if !case.steps().iter().any(|step| step.request.is_some()) {
                continue;
            }
            progress(&format!("measuring {}", case.name));
            let cost = measure(&subject, &counted, &suite.file, case, time);
            costs.push(cost.map_err(|why| format!("{}, case {:?}: {why}", suite.origin, case.name))?);
        }
    }
    progress("");
    if costs.is_empty() {
        return Err("no case has a `request` that could be measured".to_owned());
    }
    print(&if given.has("json") { as_json(&costs) } else { as_text(&costs) });
    Ok(exit::OK)
}

fn duration(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit())?);
    let number: u64 = digits.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        _ => None,
    }
    .filter(|time| !time.is_zero() && *time <= Duration::from_secs(600))
}

fn measure<'a>(
    subject: &Subject,
    counted: &Cache,
    file: &CaseFile,
    case: &'a Case,
    time: Duration,
) -> Result<Cost<'a>, String> {
    let to_play = subject.to_play();
    let mut timed = Asking::begin(to_play, file, case, Fuel::Free)?;
    timed.ask(WARM_UP)?;
    let calls = timed.calibrate(time / ROUNDS as u32)?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rounds.push(timed.ask(calls)? as f64 / calls as f64);
    }
    rounds.sort_by(f64::total_cmp);
    let (memory, code) = (timed.bench.gauge(&timed.name).memory, timed.code()?);
    drop(timed);

    let to_play = run::Subject { cache_dir: counted.path(), ..to_play };
    let mut counting = Asking::begin(to_play, file, case, Fuel::Counted)?;
    counting.ask(WARM_UP)?;
    let earlier = counting.bench.gauge(&counting.name);
    counting.ask(COUNTED as usize)?;
    let later = counting.bench.gauge(&counting.name);
    // An instance that is replaced on the way begins anew, and its plugin is not one to be measured by the call.
    let each = |later: u64, earlier: u64| later.saturating_sub(earlier) as f64 / COUNTED as f64;
    Ok(Cost {
        case: &case.name,
        nanoseconds: rounds[ROUNDS / 2],
        calls: calls * ROUNDS,
        host_calls: each(later.host_calls, earlier.host_calls),
        fuel: each(later.fuel.unwrap_or_default(), earlier.fuel.unwrap_or_default()),
        memory,
        code,
    })
}

/// The last request of a case, to be asked again and again.
struct Asking {
    bench: Workbench,
    name: String,
    frame: Bytes,
    from: std::net::SocketAddr,
    out: BytesMut,
}

impl Asking {
    /// Plays a case up to its last request.
    fn begin(subject: run::Subject<'_>, file: &CaseFile, case: &Case, fuel: Fuel) -> Result<Self, String> {
        let (mut bench, name) = run::prepared(subject, file, fuel)?;
        let steps = case.steps();
        let last = steps.iter().rposition(|step| step.request.is_some()).ok_or("it has no `request`")?;
        for step in &steps[..last] {
            before(&mut bench, step)?;
            if let Some((frame, from)) = question(step)? {
                drop(bench.ask(frame, from));
            }
        }
        before(&mut bench, &steps[last])?;
        let (frame, from) = question(&steps[last])?.ok_or("it has no `request`")?;
        Ok(Self { bench, name, frame, from, out: BytesMut::new() })
    }

    /// Asks so often, and says how many nanoseconds that took.
    fn ask(&mut self, times: usize) -> Result<u64, String> {
        let stopwatch = Stopwatch::start();
        for _ in 0..times {
            self.out.clear();
            let answered = self.bench.ask_again(&self.frame, self.from, &mut self.out);
            answered.map_err(|reason| format!("the connection is closed: {reason:?}"))?;
        }
        Ok(stopwatch.wall())
    }

    /// How many calls take about so long.
    fn calibrate(&mut self, time: Duration) -> Result<usize, String> {
        let mut calls = 1;
        loop {
            let took = Duration::from_nanos(self.ask(calls)?);
            if took >= time / 4 {
                let times = time.as_secs_f64() / took.as_secs_f64().max(1e-9);
                return Ok(((calls as f64 * times) as usize).max(1));
            }
            calls *= 2;
        }
    }

    /// The response code of the last answer.
    fn code(&self) -> Result<i32, String> {
        if self.out.is_empty() {
            return Ok(0);
        }
        let reply = crate::remoting::Command::decode(self.out.clone().freeze());
        reply.map(|reply| reply.code).map_err(|error| error.to_string())
    }
}

fn question(step: &Step) -> Result<Option<(Bytes, std::net::SocketAddr)>, String> {
    let Some(request) = &step.request else { return Ok(None) };
    Ok(Some((frame(request)?, address(request.from.as_deref())?)))
}

fn as_text(costs: &[Cost<'_>]) -> String {
    let width = costs.iter().map(|cost| cost.case.chars().count()).max().unwrap_or_default().max(4);
    let mut lines = vec![format!(
        "{:width$}  {:>5}  {:>12}  {:>10}  {:>12}  {:>12}",
        "case", "code", "ns/call", "host calls", "fuel/call", "memory"
    )];
    for cost in costs {
        lines.push(format!(
            "{:width$}  {:>5}  {:>12.0}  {:>10.1}  {:>12.0}  {:>8} KiB",
            cost.case,
            cost.code,
            cost.nanoseconds,
            cost.host_calls,
            cost.fuel,
            cost.memory.div_ceil(1024)
        ));
    }
    lines.push(
        "\nns/call is the whole answer, from frame to frame, on one thread; fuel is about one for each instruction of \
         WebAssembly; host calls are those of the contract."
            .to_owned(),
    );
    lines.join("\n")
}

fn as_json(costs: &[Cost<'_>]) -> String {
    let of = |cost: &Cost<'_>| {
        json!({
            "case": cost.case, "code": cost.code, "calls": cost.calls, "ns_per_call": cost.nanoseconds,
            "host_calls_per_call": cost.host_calls, "fuel_per_call": cost.fuel, "memory_bytes": cost.memory,
        })
    };
    Value::Array(costs.iter().map(of).collect()).to_string()
}
