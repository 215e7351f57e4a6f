//! What the benchmarks share: the cluster they look up, and how they count and report.
#![allow(dead_code, reason = "each benchmark is a program of its own, and uses its part")]

pub(crate) mod cluster;

use std::path::{Path, PathBuf};

/// Whether to be quick rather than sure.
pub(crate) fn is_quick() -> bool {
    std::env::args().any(|argument| argument == "--quick")
}

/// The number after an option of the command line.
pub(crate) fn number_after(option: &str) -> Option<usize> {
    let number = std::env::args().skip_while(|argument| argument != option).nth(1)?;
    Some(number.parse().unwrap_or_else(|_| panic!("{option} needs a number")))
}

/// The value below which `share` of them lie. There must be one.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

/// Keeps the figures in the target directory, for whoever compares runs, and says where.
pub(crate) fn report(name: &str, figures: &serde_json::Value) {
    println!("\nAlso in {}.", save(name, figures).display());
}

/// The same in silence.
pub(crate) fn save(name: &str, figures: &serde_json::Value) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(figures).expect("figures are JSON");
    std::fs::write(&path, text).expect("the target directory is writable");
    path
}
