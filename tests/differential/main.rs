//! Sends the same bytes to Fingerpost and to the Java NameServer, and compares what they answer. `run` starts it, and
//! README.md tells what it does.

#[path = "../it/harness.rs"]
#[allow(dead_code, reason = "the other tests use what this one does not")]
mod harness;
mod java;
mod options;
#[allow(dead_code, reason = "its own tests use what this one does not")]
mod suite;

use std::process::ExitCode;

use fingerpost::clock::{Clock, SystemClock};
use java::{Java, Setup};
use options::Options;
use suite::known::KNOWN;
use suite::ours::Ours;
use suite::play::{Difference, PATIENCE, PATIENCE_OF_SHRINKER, Pair, play};
use suite::request::Sequence;
use suite::tally::Tally;
use suite::{generate, report, shrink};

/// After so many failures the rest is not looked at.
const FAILURES_MAX: usize = 5;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    let setup = match Setup::from_env() {
        Ok(setup) => setup,
        Err(missing) => {
            println!(
                "SKIPPED: the differential test needs the Java NameServer: {missing}; tests/differential/run gets it"
            );
            return if std::env::var("CI").as_deref() == Ok("true") { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let mut ours = Ours::new(options.memo);
    let clock = SystemClock::default();
    let mut tally = Tally::default();
    for seed in &options.seeds {
        // Every NameServer that Java stops leaves a thread behind, which wakes up once a second.
        let mut java = Java::launch(&setup).expect("java runs");
        let mut pair = Pair { ours: &mut ours, java: &mut java, patience: PATIENCE };
        run_seed(&mut pair, *seed, &options, &mut tally);
        let so_far = tally.operations();
        println!("seed {seed}: {so_far} operations so far, {} unexplained, {:?}", tally.unexplained, clock.monotonic());
    }
    println!("{tally}\nin {:?}", clock.monotonic());
    println!("{} of Fingerpost's replies were remembered ones", ours.hits());
    tally.known(KNOWN).for_each(|line| println!("{line}"));
    let problems = tally.problems(KNOWN);
    problems.iter().for_each(|problem| println!("FAILED: {problem}"));
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays sequences of a seed until there are enough operations.
fn run_seed(pair: &mut Pair<'_>, seed: u64, options: &Options, tally: &mut Tally) {
    let until = tally.operations() + options.operations;
    let mut index = options.sequence.unwrap_or_default();
    while tally.operations() < until && tally.unexplained < FAILURES_MAX {
        let sequence = generate::sequence(seed, index);
        let played = play(pair, &sequence, KNOWN);
        tally.add(&played);
        if let Some(difference) = played.difference {
            println!("=== seed {seed}, sequence {index}");
            println!("{}", explain(pair, sequence, &difference));
        }
        if options.sequence.is_some() {
            return;
        }
        index += 1;
    }
}

/// The smallest sequence that still differs, in words and in bytes; all of it, if it is a matter of luck.
fn explain(pair: &mut Pair<'_>, mut sequence: Sequence, first_seen: &Difference) -> String {
    sequence.steps.truncate(first_seen.step + 1);
    pair.patience = PATIENCE_OF_SHRINKER;
    let small = shrink::shrink(sequence.clone(), &mut |smaller| play(pair, smaller, KNOWN).difference.is_some());
    pair.patience = PATIENCE;
    match play(pair, &small, KNOWN).difference {
        Some(difference) => report::describe(&small, &difference),
        None => format!("not every time; when it did differ:\n{}", report::describe(&sequence, first_seen)),
    }
}
