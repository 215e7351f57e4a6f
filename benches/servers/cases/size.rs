//! The binary, without symbols.

use std::fs;
use std::process::Command;

use super::Bench;
use crate::report::{Bound, Figure, Mark, Part, Report, Section};

const SIZE: Figure = Figure::new("megabytes", "MB", 1);

pub(crate) fn run(bench: &Bench, report: &mut Report) {
    let mut section = Section::new("size", "The binary", &[SIZE]);
    let built = env!("CARGO_BIN_EXE_fingerpost");
    let megabytes = |path: &str| fs::metadata(path).expect("the binary is built").len() as f64 / 1e6;
    section.add("as built", "fingerpost", 0, vec![(SIZE, megabytes(built))]);
    let stripped = bench.yard.directory("size").join("fingerpost").display().to_string();
    let done = Command::new("strip").args(["-o", &stripped, built]).status();
    if done.is_ok_and(|status| status.success()) {
        section.add("stripped", "fingerpost", 0, vec![(SIZE, megabytes(&stripped))]);
    } else {
        println!("SKIPPED the stripped binary: this machine has no `strip`");
    }
    let found = section.records.values("stripped", "fingerpost", SIZE);
    report.find(Mark::Binary, Part::new(found, Bound::AtMost(24.0), 1, "MB"));
    report.add(section);
}
