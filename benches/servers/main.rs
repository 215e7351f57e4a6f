//! Servers under load, in one run: Fingerpost beside the Java NameServer, a floor that does nothing but sockets, and
//! any other of the command line.
//!
//! All servers of a case run at the same time, each on core 0, and take turns under the same load from core 1; what
//! else the machine does hits all of them alike. `benches/README.md` explains the method, and has the tables of the
//! last run.

mod brokers;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod load;
mod options;
mod report;
mod server;

use std::process::ExitCode;

use cases::{Bench, disk_floor};
use options::{Asked, Options};
use report::{Report, page};
use server::{Cores, floor, process};

fn main() -> ExitCode {
    // Both floors are this program, started again.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(floor::ARGUMENT) => return floor::serve(&arguments[1]),
        Some(disk_floor::ARGUMENT) => return disk_floor::serve(&arguments[1..]),
        _ => {}
    }
    let options = match Options::read() {
        Ok(Asked::Run(options)) => options,
        Ok(Asked::Help(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    let bench = Bench::new(&options);
    // From here on, this thread is the load.
    process::move_to(Cores::Generator);
    let mut report = Report::new(&options);
    for group in &options.groups {
        (group.run)(&bench, &mut report);
    }
    println!("\n{}", report.marks());
    println!("Also in {}.", report.save().display());
    if options.write_page
        && let Err(reason) = page::write(&report.markdown())
    {
        eprintln!("{reason}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
