//! Route lookups over sockets: Fingerpost beside the Java NameServer and beside a floor, in one run.
//!
//! All servers run at the same time, each on core 0, and take turns under the same load from core 1; what else the machine
//! does hits all of them alike. See `benches/README.md` for the method.

#[path = "../common/mod.rs"]
mod common;
mod floor;
mod load;
mod process;
mod servers;
mod start;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use load::{Case, Run};
use servers::{Brokers, Kind, Running};

/// The cases, by connections and requests in flight on each.
const CASES: [Case; 4] = [
    Case { connections: 64, depth: 16 },
    Case { connections: 16, depth: 1 },
    Case { connections: 512, depth: 1 },
    Case { connections: 1, depth: 1 },
];

/// How long and how often.
struct Plan {
    rounds: usize,
    warm_up: Duration,
    run: Duration,
}

fn main() -> ExitCode {
    // The floor is this program, started again.
    if std::env::args().nth(1).as_deref() == Some(floor::ARGUMENT) {
        return floor::serve();
    }
    let plan = if common::is_quick() {
        Plan { rounds: 1, warm_up: Duration::from_millis(1500), run: Duration::from_millis(700) }
    } else {
        Plan { rounds: 5, warm_up: Duration::from_secs(6), run: Duration::from_millis(1500) }
    };
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let starts = start::measure(home.path(), if common::is_quick() { 2 } else { 5 });

    let mut servers = Vec::new();
    for kind in Kind::ALL {
        match servers::start(kind, home.path()) {
            Ok(server) => servers.push(server),
            Err(reason) => println!("SKIPPED {}: {reason}", kind.name()),
        }
    }
    // From here on, this thread is the load.
    process::stay_on(process::GENERATOR_CORE);
    let runs = measure(&mut servers, &plan);
    table::print(&runs, &starts);
    ExitCode::SUCCESS
}

fn measure(servers: &mut [Running], plan: &Plan) -> Vec<Run> {
    let mut held: Vec<_> = servers.iter().map(|server| Brokers::register(server.address)).collect();
    for server in servers.iter() {
        load::run(server, CASES[0], Duration::ZERO, plan.warm_up);
    }
    let mut runs = Vec::new();
    for round in 0..plan.rounds {
        for case in CASES {
            for turn in 0..servers.len() {
                // Whoever comes first this time comes last another time.
                let at = (turn + round) % servers.len();
                held[at].hold();
                let run = load::run(&servers[at], case, plan.warm_up / 15, plan.run);
                eprintln!("round {round}: {run}");
                runs.push(run);
            }
        }
    }
    runs
}
