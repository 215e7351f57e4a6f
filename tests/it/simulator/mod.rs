//! The whole server under a seeded scheduler: what can run next runs in every order that a seed can think of, and a
//! model says what comes of it.
//!
//! One thread runs everything: turns of connections, steps of lane threads, writes to the disk, the scan, the clock,
//! and what peers do, byte by byte. Whatever runs is chosen by the seed, so what fails once fails again: the failure
//! prints the seed, and `FINGERPOST_SIMULATOR_SEED` runs that seed alone. `FINGERPOST_SIMULATOR_RUNS` sets how many are
//! run.

pub(crate) mod model;
mod peer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fingerpost::by_hand::{ByHand, Fault, Step};
use fingerpost::clock::Clock;
use fingerpost::config::{ByteSize, Config, Grant, Loaded, Overlay, Settings};
use fingerpost::net::{Ran, Usage};
use fingerpost::server::{NameServer, Reloaded};

use self::model::Model;
use self::peer::Peer;
use crate::guests::{allow, component, drop_in_bytes, with_section};
use crate::harness;

/// Time as the scheduler says.
#[derive(Default)]
struct SimulatedClock(AtomicU64);

impl Clock for SimulatedClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.now())
    }

    fn runs_by_itself(&self) -> bool {
        false
    }
}

/// What the scheduler may choose.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Something inside the server.
    Server,
    Connect,
    /// A peer asks one more thing, which its next bytes begin to say.
    Ask,
    Send,
    Receive,
    /// A peer closes without waiting for its replies: all at once, or only its own direction.
    Reset,
    Finish,
    Time,
    Scan,
    /// The timer of idle connections.
    Ticks,
    /// Somebody changes what is in the plugins directory.
    Reload,
}

/// How often each is chosen, of all that can be.
const WEIGHTS: [(Event, u32); 11] = [
    (Event::Server, 900),
    (Event::Connect, 15),
    (Event::Ask, 250),
    (Event::Send, 300),
    (Event::Receive, 200),
    (Event::Reset, 2),
    (Event::Finish, 2),
    (Event::Time, 10),
    (Event::Scan, 10),
    (Event::Ticks, 1),
    (Event::Reload, 3),
];

/// Stock plugins of which variants come and go. All of what they answer runs in the lane, wherever they come from.
const STAND_INS: [&str; 2] = ["cluster", "topics"];

const PEERS_MAX: usize = 16;
const EVENTS: u32 = 2500;
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

struct Simulation {
    random: fastrand::Rng,
    server: ByHand,
    clock: Arc<SimulatedClock>,
    model: Model,
    peers: Vec<Peer>,
    /// The peer of each of the server's connections.
    peer_of: BTreeMap<usize, usize>,
    trace: Vec<String>,
    home: tempfile::TempDir,
}

/// What is wrong.
type Outcome = Result<(), String>;

impl Simulation {
    fn new(seed: u64, fault: Option<Fault>) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let home = fast_directory();
        let mut config = Config::default();
        harness::make_private(&mut config, home.path());
        configure(&mut config, &mut random);
        for name in STAND_INS {
            allow(&mut config, &format!("{name}.wasm"), true, &[Grant::RoutesWrite]);
        }
        let clock = Arc::new(SimulatedClock(AtomicU64::new(1_000_000)));
        let loaded = Loaded { config, overlay: Overlay::default(), extras: Default::default(), notices: Vec::new() };
        let settings = Settings::new(&loaded);
        let server = NameServer::by_hand(loaded.config, settings, clock.clone(), fault).expect("the server binds");
        let (model, peers, peer_of, trace) = Default::default();
        Self { random, server, clock, model, peers, peer_of, trace, home }
    }

    /// Everything that happened, if all of it was right.
    fn run(mut self) -> Result<Vec<String>, (String, Vec<String>)> {
        let outcome = (0..EVENTS).try_for_each(|_| self.event()).and_then(|()| self.end());
        match outcome {
            Ok(()) => Ok(self.trace),
            Err(wrong) => Err((wrong, self.trace)),
        }
    }

    fn event(&mut self) -> Outcome {
        let total: u32 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut at = self.random.u32(..total);
        let chosen = WEIGHTS.iter().find(|(_, weight)| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        match chosen.expect("the weights add up").0 {
            Event::Server => self.server_step().map(drop),
            Event::Connect => {
                self.connect();
                Ok(())
            }
            Event::Ask => self.with_peer(|peer, random| peer.ask(random)),
            Event::Send => self.with_peer(|peer, random| {
                let most = random.choice([1, 3, 40, 700, 100_000]).expect("there are some");
                peer.send(most)
            }),
            Event::Receive => self.with_peer(|peer, random| {
                let most = random.choice([1, 5, 100, 100_000]).expect("there are some");
                peer.receive(most)
            }),
            Event::Reset => self.with_peer(|peer, _| peer.reset()),
            Event::Finish => self.with_peer(|peer, _| peer.finish()),
            Event::Time => {
                let by = self.random.choice([1, 100, 500, 2_000, 130_000]).expect("there are some");
                self.clock.0.fetch_add(by, Ordering::Relaxed);
                self.trace.push(format!("time +{by}"));
                Ok(())
            }
            Event::Scan => self.scan(),
            Event::Reload => self.reload(),
            Event::Ticks => {
                let ticks = self.random.u32(1..60);
                (0..ticks).for_each(|_| self.server.tick());
                self.trace.push(format!("{ticks} ticks"));
                self.peers.iter_mut().for_each(|peer| peer.ticked(ticks));
                Ok(())
            }
        }
    }

    /// Runs one thing that can run; false when there is none.
    fn server_step(&mut self) -> Result<bool, String> {
        let Some(step) = self.random.choice(self.server.steps()) else { return Ok(false) };
        let ran = self.server.run(step);
        self.trace.push(format!("{step:?}: {ran:?}"));
        if step == Step::Disk {
            self.model.disk();
            self.model.compare_kv(&self.server.kv())?;
        }
        let now = self.clock.now();
        match ran {
            Ran::Opened { connection, peer } => {
                self.peer_of.insert(connection, usize::from(peer.port()));
            }
            Ran::Frames { connection, count } => {
                let at = self.peer_of[&connection];
                (0..count).try_for_each(|_| self.peers[at].handled(&mut self.model, now))?;
            }
            Ran::Job { connection } => {
                let at = self.peer_of[&connection];
                self.peers[at].job_ran(&mut self.model, now)?;
                self.model.compare(&self.server.tables())?;
            }
            Ran::Close { connection } => {
                let at = self.peer_of[&connection];
                self.peers[at].closed()?;
                self.model.disconnect(at);
                self.model.compare(&self.server.tables())?;
            }
            _ => {}
        }
        Ok(true)
    }

    fn connect(&mut self) {
        if self.peers.len() == PEERS_MAX {
            return;
        }
        let at = self.peers.len();
        let capacity = self.random.choice([50, 1000, 100_000]).expect("there are some");
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(at).expect("few peers")));
        let pipe = self.server.connect(address, capacity).expect("there is room for few connections");
        self.peers.push(Peer::new(at, pipe));
        self.trace.push(format!("peer {at} connects, {capacity} bytes at a time"));
    }

    /// Lets a random peer that is there do something.
    fn with_peer(
        &mut self,
        act: impl FnOnce(&mut Peer, &mut fastrand::Rng) -> Result<Option<String>, String>,
    ) -> Outcome {
        let there: Vec<usize> = (0..self.peers.len()).filter(|at| self.peers[*at].is_there()).collect();
        let Some(at) = self.random.choice(there) else { return Ok(()) };
        let done = act(&mut self.peers[at], &mut self.random)?;
        self.trace.extend(done.map(|done| format!("peer {at} {done}")));
        Ok(())
    }

    fn scan(&mut self) -> Outcome {
        let forgotten = self.model.expire(self.clock.now());
        let count = self.server.scan();
        self.trace.push(format!("scan: {count} forgotten"));
        // Their connections are closed, which is right.
        forgotten.iter().for_each(|at| self.peers[*at].may_be_closed());
        if count != forgotten.len() {
            return Err(format!("the scan forgot {count} brokers, the model {}", forgotten.len()));
        }
        self.model.compare(&self.server.tables())
    }

    /// Another plugin that does the same takes over what the model knows the answers of, or gives it back: a request
    /// is answered by one of them, and by it alone.
    fn reload(&mut self) -> Outcome {
        let name = *self.random.choice(&STAND_INS).expect("there are some");
        let file = format!("{name}.wasm");
        let variant = self.random.u32(..3);
        if variant == 0 {
            // It may not have been there.
            let _ = std::fs::remove_file(self.home.path().join("plugins").join(&file));
        } else {
            drop_in_bytes(self.home.path(), &file, &with_section(component(name), &variant.to_string()));
        }
        let reloaded = self.server.reload_plugins();
        self.trace.push(format!("{file} is variant {variant}: {reloaded:?}"));
        if reloaded == Reloaded::Failed { Err("the reload failed".to_owned()) } else { Ok(()) }
    }

    /// Lets everything that was begun come to its end, and then everybody leave.
    fn end(&mut self) -> Outcome {
        self.trace.push("everything ends".to_owned());
        self.settle()?;
        self.peers.iter().try_for_each(Peer::owes_nothing)?;
        self.peers.iter_mut().try_for_each(|peer| peer.reset().map(drop))?;
        self.settle()?;
        let Usage { reads, writes, frames, .. } = self.server.usage();
        let expected = Usage { reads, writes, frames, ..Usage::default() };
        if self.server.usage() != expected {
            return Err(format!("something is still held: {:?}", self.server.usage()));
        }
        let (_, draining) = self.server.plugin_generations();
        if draining > 0 {
            return Err(format!("{draining} generations of plugins are still in use"));
        }
        let left = (self.server.tables().counts(), self.server.registrants(), self.model.brokers());
        if left != Default::default() {
            return Err(format!("something is left: {left:?}"));
        }
        Ok(())
    }

    /// Runs what can run, and lets peers send and receive, until nothing moves.
    fn settle(&mut self) -> Outcome {
        loop {
            while self.server_step()? {}
            let mut moved = false;
            for peer in self.peers.iter_mut().filter(|peer| peer.is_there()) {
                moved |= peer.send(usize::MAX)?.is_some();
                moved |= peer.receive(usize::MAX)?.is_some();
            }
            if !moved && self.server.steps().is_empty() {
                return Ok(());
            }
        }
    }
}

/// Where the KV file may be: nothing here is about the speed of disks.
fn fast_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory")
}

/// Limits that are met.
fn configure(config: &mut Config, random: &mut fastrand::Rng) {
    let mut bytes = || ByteSize::new(random.choice([300, 2_000, 1 << 20]).expect("there are some"));
    config.net.reply_bytes_waiting_max = bytes();
    config.net.outgoing_bytes_max = bytes();
    config.net.lane_bytes_per_connection_max = bytes();
    config.net.lane_bytes_max = bytes();
    config.net.idle_timeout = IDLE_TIMEOUT;
    config.net.workers = random.u16(1..3);
    config.net.lane_threads = random.u16(2..4);
}

/// Runs one seed; a failure is the seed, what was wrong, and what happened last.
fn simulate(seed: u64, fault: Option<Fault>) -> Result<Vec<String>, String> {
    Simulation::new(seed, fault).run().map_err(|(wrong, trace)| {
        let last = &trace[trace.len().saturating_sub(60)..];
        format!("seed {seed}: {wrong}\n  the last of {} events:\n    {}", trace.len(), last.join("\n    "))
    })
}

fn number_from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

#[test]
fn a_server_does_what_the_model_does_in_every_order_that_a_seed_can_think_of() {
    if let Some(seed) = number_from_environment("FINGERPOST_SIMULATOR_SEED") {
        simulate(seed, None).unwrap_or_else(|failure| panic!("{failure}"));
        return;
    }
    let runs = number_from_environment("FINGERPOST_SIMULATOR_RUNS").unwrap_or(200);
    // Half of them are always the same, the others never.
    let first_random = fastrand::u64(..) >> 1;
    println!("seeds 0 to {} and from {first_random}", runs / 2);
    for seed in (0..runs / 2).chain((first_random..).take((runs - runs / 2) as usize)) {
        simulate(seed, None).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn the_same_seed_does_the_same_again() {
    for seed in 0..5 {
        let (first, second) = (simulate(seed, None).unwrap(), simulate(seed, None).unwrap());

        assert!(first.len() > 1000, "something happened");
        assert_eq!(first, second);
        assert_ne!(first, simulate(seed + 1, None).unwrap());
    }
}

#[test]
fn a_lane_that_breaks_its_order_or_forgets_an_answer_is_found_out() {
    for fault in [Fault::SwapsJobs, Fault::ClosesFirst, Fault::ForgetsAnswers] {
        let found: Vec<String> = (0..20).filter_map(|seed| simulate(seed, Some(fault)).err()).collect();

        assert!(found.len() > 10, "{fault:?} was found by {} seeds of 20 only", found.len());
    }
}
