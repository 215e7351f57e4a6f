//! The tables that the benchmark prints, and the figures behind them as JSON.

use serde_json::{Value, json};

use crate::CASES;
use crate::common::{median, report};
use crate::load::{Case, Run};
use crate::servers::Kind;
use crate::start::Starts;

pub(crate) fn print(runs: &[Run], starts: &Starts) {
    println!("| case | server | lookups/s | CPU µs/lookup | p50 µs | p99 µs | generator µs/lookup |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    for case in CASES {
        for kind in Kind::ALL {
            let cell = |figure: fn(&Run) -> f64, digits| spread(values(runs, case, kind, figure), digits);
            if runs.iter().any(|run| run.kind == kind) {
                println!(
                    "| {case} | {} | {} | {} | {} | {} | {} |",
                    kind.name(),
                    cell(|run| run.per_second, 0),
                    cell(|run| run.cpu_micros, 2),
                    cell(|run| run.p50_micros, 0),
                    cell(|run| run.p99_micros, 0),
                    cell(|run| run.own_micros, 2),
                );
            }
        }
    }
    println!("\n| case | lookups/s over java | CPU under java | CPU over floor |");
    println!("|---|---:|---:|---:|");
    for case in CASES {
        let ratio = |kind, other, figure| ratio(runs, case, (kind, other), figure);
        println!(
            "| {case} | {} | {} | {} |",
            ratio(Kind::Fingerpost, Kind::Java, |run| run.per_second),
            ratio(Kind::Java, Kind::Fingerpost, |run| run.cpu_micros),
            ratio(Kind::Fingerpost, Kind::Floor, |run| run.cpu_micros),
        );
    }
    print_starts(starts);
    report("lookups", &figures(runs, starts));
}

fn print_starts(starts: &Starts) {
    println!("\n| fingerpost | all cores | one core | mark |");
    println!("|---|---:|---:|---:|");
    let row = |name, free: &[f64], pinned: &[f64], mark| {
        println!("| {name} | {} | {} | {mark} |", spread(free.to_vec(), 0), spread(pinned.to_vec(), 0));
    };
    row("exec to first answer, nothing cached, ms", &starts.cold, &starts.cold_one_core, "< 600");
    row("exec to first answer, plugins cached, ms", &starts.cached, &starts.cached_one_core, "< 50");
    println!("\n| resident, all stock plugins, no topics | MiB | mark |");
    println!("|---|---:|---:|");
    println!("| started with the cache | {} | < 32 |", spread(starts.resident.clone(), 1));
    println!("| of that, not pages of files | {} | |", spread(starts.anonymous.clone(), 1));
    println!(
        "| started without it: the compiler's memory is given back late | {} | |",
        spread(starts.resident_cold.clone(), 1)
    );
}

fn values(runs: &[Run], case: Case, kind: Kind, figure: fn(&Run) -> f64) -> Vec<f64> {
    runs.iter().filter(|run| run.case == case && run.kind == kind).map(figure).collect()
}

/// The median, and between what it lies.
fn spread(mut values: Vec<f64>, digits: usize) -> String {
    if values.is_empty() {
        return "-".to_owned();
    }
    let middle = median(&mut values);
    let (least, most) = (values[0], values[values.len() - 1]);
    format!("{middle:.digits$} [{least:.digits$}..{most:.digits$}]")
}

/// Of the medians.
fn ratio(runs: &[Run], case: Case, (kind, other): (Kind, Kind), figure: fn(&Run) -> f64) -> String {
    let [mut above, mut below] = [kind, other].map(|kind| values(runs, case, kind, figure));
    if above.is_empty() || below.is_empty() {
        return "-".to_owned();
    }
    format!("× {:.2}", median(&mut above) / median(&mut below))
}

fn figures(runs: &[Run], starts: &Starts) -> Value {
    let run = |run: &Run| {
        json!({
            "server": run.kind.name(), "connections": run.case.connections, "depth": run.case.depth,
            "lookups": run.lookups, "per_second": run.per_second, "cpu_micros": run.cpu_micros,
            "p50_micros": run.p50_micros, "p99_micros": run.p99_micros, "generator_micros": run.own_micros,
        })
    };
    json!({
        "runs": runs.iter().map(run).collect::<Vec<_>>(),
        "start_millis": {
            "cold": starts.cold, "cold_one_core": starts.cold_one_core,
            "cached": starts.cached, "cached_one_core": starts.cached_one_core,
        },
        "resident_mib": { "cached": starts.resident, "anonymous": starts.anonymous, "cold": starts.resident_cold },
    })
}
