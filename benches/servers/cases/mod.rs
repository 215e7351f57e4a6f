//! The cases, in groups that share servers. Each group takes a minute or two, and can be run alone.

pub(crate) mod disk_floor;
mod heartbeats;
mod kv;
mod large;
mod longest_turn;
mod lookups;
mod memory;
mod registrations;
mod reload;
mod size;
mod start;
mod storm;
mod traps;
mod writers;

use std::time::Duration;

use crate::common::cluster::{Sender, THOUSAND};
use crate::load::lookups::{Draw, Lookups, Says};
use crate::load::{self, Shape};
use crate::options::Options;
use crate::report::Report;
use crate::server::{Server, Yard, process};

/// Cases that are run together.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Bench, &mut Report),
}

pub(crate) const GROUPS: [Group; 14] = [
    Group {
        name: "lookups",
        about: "1,000 topics on 4 brokers, by connections, depth, header, topics",
        run: lookups::run,
    },
    Group { name: "two-cores", about: "the same with nothing pinned", run: lookups::run_on_all_cores },
    Group { name: "large", about: "200,000 topics, each looked up", run: large::run },
    Group {
        name: "registrations",
        about: "20,000 topics of a broker: the same, a new version, new queues",
        run: registrations::run,
    },
    Group { name: "writers", about: "lookups while brokers register", run: writers::run },
    Group { name: "turns", about: "the longest turn of a worker, under all of it at once", run: longest_turn::run },
    Group { name: "memory", about: "idle, with 100,000 topics, with 20,000 connections", run: memory::run },
    Group { name: "start", about: "from exec to the first answer", run: start::run },
    Group { name: "reload", about: "a component is copied into the plugins directory", run: reload::run },
    Group { name: "traps", about: "a plugin that fails ten thousand times in a second", run: traps::run },
    Group { name: "storm", about: "10 brokers and 900 clients come back at once", run: storm::run },
    Group { name: "kv", about: "writes of the KV store beside a floor of fsyncs", run: kv::run },
    Group { name: "heartbeats", about: "heartbeats of brokers", run: heartbeats::run },
    Group { name: "size", about: "the binary", run: size::run },
];

/// How long and how often.
pub(crate) struct Plan {
    /// Of cases whose figures are compared with a floor.
    pub(crate) rounds: usize,
    /// Of cases that take long, or whose figures hardly differ.
    pub(crate) few_rounds: usize,
    /// For each server, before the first round: a JVM takes its time.
    pub(crate) warm_up: Duration,
    /// At the begin of each run, not counted.
    pub(crate) ramp: Duration,
    pub(crate) run: Duration,
    /// Of what happens once a second.
    pub(crate) long_run: Duration,
}

impl Plan {
    const SURE: Self = Self {
        rounds: 5,
        few_rounds: 3,
        warm_up: Duration::from_secs(6),
        ramp: Duration::from_millis(400),
        run: Duration::from_millis(1500),
        long_run: Duration::from_secs(4),
    };
    const QUICK: Self = Self {
        rounds: 1,
        few_rounds: 1,
        warm_up: Duration::from_millis(1500),
        ramp: Duration::from_millis(100),
        run: Duration::from_millis(500),
        long_run: Duration::from_secs(2),
    };
}

/// What every group needs.
pub(crate) struct Bench {
    pub(crate) plan: Plan,
    pub(crate) yard: Yard,
    seed: u64,
    /// How many files a process may have open here.
    pub(crate) files_max: usize,
}

impl Bench {
    pub(crate) fn new(options: &Options) -> Self {
        let plan = if options.quick { Plan::QUICK } else { Plan::SURE };
        let files_max = process::raise_files_limit();
        Self { plan, yard: Yard::new(&options.others), seed: options.seed, files_max }
    }

    /// The same for every server of a round.
    fn random(&self, round: usize) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_mul(1_000_003).wrapping_add(round as u64))
    }

    /// Lookups until compilers and caches have seen them. The server knows [`THOUSAND`].
    fn warm_up(&self, server: &Server) {
        let mut work = Lookups::new(THOUSAND, &[Sender::NEW], Draw::uniform(&THOUSAND), says(server), self.random(0));
        load::measure(server, DEEP, &mut work, Duration::ZERO, self.plan.warm_up);
    }
}

const DEEP: Shape = Shape::new(64, 16);
const PLAIN: Shape = Shape::new(16, 1);

/// In which order servers have their turns: whoever comes first this time comes last another time.
fn turns(round: usize, servers: usize) -> impl Iterator<Item = usize> {
    (0..servers).map(move |turn| (turn + round) % servers)
}

fn says(server: &Server) -> Says {
    if server.knows_routes() { Says::Routes } else { Says::Canned }
}
