//! Does the steps of a sequence to two servers and compares what they answer.
//!
//! # Invariants
//!
//! * What is not equal is a known difference, or the end.
//! * After a known difference the states are compared: either they are equal, or both servers are started anew.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use fingerpost::clock::{Clock, SystemClock};

use super::compare::{Reply, Seen};
use super::known::{Event, Known, Rule, Scene};
use super::probes;
use super::request::{Body, Request, Sequence, Step, Wire};
use super::session::{Session, barrier};
use super::state::State;
use super::wire::Wires;

/// A server of one kind, which can be started anew as often as it takes.
pub(crate) trait Side {
    /// Stops what runs, and starts a server that knows nothing, with the settings of a sequence.
    fn start(&mut self, sequence: &Sequence) -> SocketAddr;

    /// Lets time pass.
    fn age(&mut self, millis: u64);

    /// Looks for silent brokers now.
    fn scan(&mut self);

    /// Waits until what was accepted has been carried out.
    fn settle(&mut self) {}

    /// What the predicates of known differences may look at.
    fn state(&mut self) -> State {
        State::default()
    }

    /// How many connections it has, if it can tell.
    fn connections(&self) -> Option<usize> {
        None
    }

    /// Where a test makes a good answer bad.
    fn meddle(&mut self, _request: &Request, _answer: &mut Seen) {}
}

/// The two servers.
pub(crate) struct Pair<'a> {
    pub(crate) ours: &'a mut dyn Side,
    pub(crate) java: &'a mut dyn Side,
    /// What is asynchronous in a server has happened after this.
    pub(crate) patience: Duration,
}

/// Long enough for a machine that has much else to do. Nobody waits so long but for a difference.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A sequence that fails fails again and again while it is made smaller.
pub(crate) const PATIENCE_OF_SHRINKER: Duration = Duration::from_millis(200);

/// Where the two differ.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// The step after which it showed.
    pub(crate) step: usize,
    /// What was asked: a request of that step, or one of the questions after it.
    pub(crate) request: Request,
    pub(crate) ours: Seen,
    pub(crate) java: Seen,
    /// Known differences that might have explained others after this step.
    pub(crate) suspects: Vec<&'static str>,
}

/// What a sequence came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Played {
    /// Operations by what they are.
    pub(crate) operations: BTreeMap<String, usize>,
    /// How often each known difference showed.
    pub(crate) known: BTreeMap<&'static str, usize>,
    pub(crate) starts: usize,
    /// Comparisons of everything.
    pub(crate) surveys: usize,
    pub(crate) difference: Option<Box<Difference>>,
}

impl Played {
    fn count(&mut self, step: &Step) {
        let mut count = |name: String| *self.operations.entry(name).or_default() += 1;
        match step {
            Step::Ask { requests, .. } => requests.iter().for_each(|request| count(request.kind())),
            Step::Spoil { .. } => count("malformed frame".to_owned()),
            Step::Close { .. } => count("close".to_owned()),
            Step::Age { .. } => count("time passes".to_owned()),
            Step::Scan => count("scan".to_owned()),
        }
    }
}

/// A connection of its own for questions between the steps.
const PROBES: Wire = Wire::MAX;

/// Steps after which everything is compared, whatever happened.
const SURVEY_EVERY: usize = 25;

/// And so many comparisons: a machine that stood still itself gave nobody time.
const PATIENCE_IN_SURVEYS: usize = 100;

/// What a known difference keeps from happening is not waited for so long.
const SETTLED_SOON: Duration = Duration::from_millis(40);

/// Plays a sequence to its end, or to the first difference that is not known.
pub(crate) fn play(pair: &mut Pair<'_>, sequence: &Sequence, known: &'static [Known]) -> Played {
    let session = Session::start(pair, sequence);
    let probes = probes::of(sequence);
    let mut player = Player { pair, sequence, known, probes, session, at: 0, played: Played::default() };
    player.played.starts = 1;
    let outcome = player.run();
    Played { difference: outcome.err(), ..player.played }
}

type Outcome = Result<(), Box<Difference>>;
type Differing = (Request, Seen, Seen);

/// The known difference that makes differ everything that does.
fn explanation(suspects: &[&'static Known], differing: &[Differing]) -> Option<&'static Known> {
    suspects.iter().copied().find(|known| match known.rule {
        Rule::Drift(_, codes, _) => differing.iter().all(|(request, ..)| codes.contains(&request.code)),
        _ => false,
    })
}

struct Player<'a, 'b> {
    pair: &'a mut Pair<'b>,
    sequence: &'a Sequence,
    known: &'static [Known],
    probes: Vec<Request>,
    session: Session,
    at: usize,
    played: Played,
}

impl Player<'_, '_> {
    fn run(&mut self) -> Outcome {
        for (at, step) in self.sequence.steps.iter().enumerate() {
            self.at = at;
            self.played.count(step);
            self.step(step)?;
            if at % SURVEY_EVERY == SURVEY_EVERY - 1 {
                self.agree_anyway()?;
            }
        }
        self.at = self.sequence.steps.len();
        self.agree_anyway()
    }

    /// Compares everything although nothing in particular happened.
    fn agree_anyway(&mut self) -> Outcome {
        self.agree(&[])
    }

    fn step(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Ask { wire, requests } => self.ask(*wire, requests),
            Step::Spoil { wire, bytes } => self.spoil(*wire, bytes),
            Step::Close { wire } => self.leave(*wire),
            Step::Age { millis } => {
                self.pair.ours.age(*millis);
                self.pair.java.age(*millis);
                Ok(())
            }
            Step::Scan => self.scan(),
        }
    }

    /// A row of requests; one by one, where that matters to a known difference.
    fn ask(&mut self, wire: Wire, requests: &[Request]) -> Outcome {
        let state = self.state_for(requests);
        let port = self.session.java.port(wire);
        let is_suspect = |request: &Request| {
            let scene = Scene { event: Event::Request(request), port, state: &state };
            self.known.iter().any(|known| known.suspects(&scene))
        };
        if requests.len() > 1 && (requests.iter().any(is_suspect) || names_repeat(requests)) {
            return requests.iter().try_for_each(|request| self.ask(wire, std::slice::from_ref(request)));
        }
        let answers = self.session.ask(self.pair, wire, requests);
        if requests.iter().any(has_no_version) {
            let_a_millisecond_pass();
        }
        if requests.iter().any(|request| request.code == UNREGISTER) {
            self.pair.ours.settle();
            self.pair.java.settle();
        }
        let mut suspects = Vec::new();
        for (request, (ours, java)) in requests.iter().zip(answers) {
            let scene = Scene { event: Event::Request(request), port, state: &state };
            suspects.extend(self.known.iter().filter(|known| known.suspects(&scene)));
            if ours != java {
                match self.known.iter().find(|known| known.excuses(&scene, &ours, &java)) {
                    Some(known) => {
                        *self.played.known.entry(known.name).or_default() += 1;
                        if matches!(known.rule, Rule::Outcome(_)) {
                            self.start_anew();
                            return Ok(());
                        }
                        suspects.push(known);
                    }
                    None => return Err(self.difference((request.clone(), ours, java), &suspects)),
                }
            }
        }
        if suspects.is_empty() { Ok(()) } else { self.agree(&suspects) }
    }

    fn state_for(&mut self, requests: &[Request]) -> State {
        match requests.iter().any(|request| STATEFUL.contains(&request.code)) {
            true => self.pair.java.state(),
            false => State::default(),
        }
    }

    fn spoil(&mut self, wire: Wire, bytes: &[u8]) -> Outcome {
        let request = Request { verbatim: Some(bytes.to_vec()), ..Request::new(0) };
        let before = self.before(wire);
        self.session.ours.send(wire, bytes);
        self.session.java.send(wire, bytes);
        let ours = Seen::of(&self.session.ours.receive(wire), 0, 0);
        let java = Seen::of(&self.session.java.receive(wire), 0, 0);
        if ours != java {
            let scene = Scene { event: Event::Request(&request), port: 0, state: &State::default() };
            let Some(known) = self.known.iter().find(|known| known.excuses(&scene, &ours, &java)) else {
                return Err(self.difference((request, ours, java), &[]));
            };
            *self.played.known.entry(known.name).or_default() += 1;
            self.start_anew();
            return Ok(());
        }
        self.gone(wire, before)
    }

    fn leave(&mut self, wire: Wire) -> Outcome {
        let before = self.before(wire);
        self.gone(wire, before)
    }

    fn before(&mut self, wire: Wire) -> (u16, State) {
        let port = self.session.java.port(wire);
        (port, if port == 0 { State::default() } else { self.pair.java.state() })
    }

    /// A connection has closed, or closes now.
    fn gone(&mut self, wire: Wire, (port, state): (u16, State)) -> Outcome {
        self.session.ours.close(wire);
        self.session.java.close(wire);
        self.await_closes();
        // Whoever registered nothing leaves nothing.
        if port == 0 || !state.live.iter().any(|live| live.port == port) {
            return Ok(());
        }
        let scene = Scene { event: Event::Close, port, state: &state };
        let suspects: Vec<&Known> = self.known.iter().filter(|known| known.suspects(&scene)).collect();
        self.await_notice(port, &state, &suspects);
        self.agree_soon(&suspects)
    }

    /// Until the servers that can tell have noticed, and have done what follows from it.
    fn await_closes(&mut self) {
        let clock = SystemClock::default();
        let is_behind =
            |side: &dyn Side, wires: &Wires| side.connections().is_some_and(|count| count > wires.all().len());
        while clock.monotonic() < self.pair.patience
            && (is_behind(self.pair.ours, &self.session.ours) || is_behind(self.pair.java, &self.session.java))
        {
            std::thread::yield_now();
        }
        self.session.ask(self.pair, PROBES, &[barrier()]);
    }

    /// Until Java has noticed the end of a connection: before that the two may well agree.
    fn await_notice(&mut self, port: u16, before: &State, suspects: &[&Known]) {
        let patience = if suspects.is_empty() { self.pair.patience } else { SETTLED_SOON };
        let left = |state: &State| state.live.iter().filter(|live| live.port == port).count();
        let clock = SystemClock::default();
        while clock.monotonic() < patience && left(&self.pair.java.state()) == left(before) {
            std::thread::yield_now();
        }
    }

    fn scan(&mut self) -> Outcome {
        let state = self.pair.java.state();
        let scene = Scene { event: Event::Scan, port: 0, state: &state };
        let suspects: Vec<&Known> = self.known.iter().filter(|known| known.suspects(&scene)).collect();
        self.pair.ours.scan();
        self.pair.java.scan();
        self.agree_soon(&suspects)?;
        // Both have closed the connections of those who were silent.
        for wire in self.session.java.all() {
            let ping = [barrier()];
            let answers = self.session.ask(self.pair, wire, &ping);
            for (ours, java) in answers {
                if ours != java {
                    return Err(self.difference((barrier(), ours, java), &suspects));
                }
                if ours == Seen::Closed {
                    self.session.ours.close(wire);
                    self.session.java.close(wire);
                }
            }
        }
        Ok(())
    }

    /// What happens by itself has happened before long.
    fn agree_soon(&mut self, suspects: &[&'static Known]) -> Outcome {
        let clock = SystemClock::default();
        for surveys in 1.. {
            let differing = self.survey();
            let (patience, least) = match explanation(suspects, &differing) {
                Some(_) => (SETTLED_SOON, 1),
                None => (self.pair.patience, PATIENCE_IN_SURVEYS),
            };
            if differing.is_empty() || (clock.monotonic() >= patience && surveys >= least) {
                break;
            }
            std::thread::yield_now();
        }
        self.pair.ours.settle();
        self.pair.java.settle();
        self.agree(suspects)
    }

    /// Everything is equal, or what differs is what one of these makes differ.
    fn agree(&mut self, suspects: &[&'static Known]) -> Outcome {
        let differing = self.survey();
        if differing.is_empty() {
            // What does not show yet may come to light later, when nothing would explain it.
            let may_show_later = suspects.iter().any(|known| !matches!(known.rule, Rule::Leftover(..)));
            if self.has_leftovers() || may_show_later {
                self.start_anew();
            }
            return Ok(());
        }
        match explanation(suspects, &differing) {
            Some(known) => {
                *self.played.known.entry(known.name).or_default() += 1;
                self.start_anew();
                Ok(())
            }
            None => Err(self.difference(differing.into_iter().next().expect("it is not empty"), suspects)),
        }
    }

    /// Whether Java's tables hold what ours have forgotten.
    fn has_leftovers(&mut self) -> bool {
        let state = self.pair.java.state();
        let leftover =
            self.known.iter().find(|known| matches!(known.rule, Rule::Leftover(_, is_left, _) if is_left(&state)));
        if let Some(known) = leftover {
            *self.played.known.entry(known.name).or_default() += 1;
        }
        leftover.is_some()
    }

    /// Asks everything; what differs.
    fn survey(&mut self) -> Vec<Differing> {
        self.played.surveys += 1;
        let probes = std::mem::take(&mut self.probes);
        let answers = self.session.ask(self.pair, PROBES, &probes);
        let pairs = probes.iter().zip(answers).filter(|(_, (ours, java))| ours != java);
        let mut differing: Vec<Differing> =
            pairs.map(|(request, (ours, java))| (request.clone(), ours, java)).collect();
        self.probes = probes;
        if !differing.is_empty() {
            let state = self.pair.java.state();
            differing.retain(|(request, ours, java)| !self.is_known_answer(request, &state, ours, java));
        }
        differing
    }

    /// Whether an answer may differ although the states are equal.
    fn is_known_answer(&mut self, request: &Request, state: &State, ours: &Seen, java: &Seen) -> bool {
        let scene = Scene { event: Event::Request(request), port: 0, state };
        let is_answer = |known: &Known| matches!(known.rule, Rule::Answer(_) | Rule::Leftover(..));
        let known = self.known.iter().find(|known| is_answer(known) && known.excuses(&scene, ours, java));
        match known {
            Some(Known { rule: Rule::Leftover(..), .. }) => true, // counted when both servers start anew
            Some(known) => {
                *self.played.known.entry(known.name).or_default() += 1;
                true
            }
            None => false,
        }
    }

    fn start_anew(&mut self) {
        self.played.starts += 1;
        self.session = Session::start(self.pair, self.sequence);
    }

    fn difference(&self, (request, ours, java): Differing, suspects: &[&'static Known]) -> Box<Difference> {
        let suspects = suspects.iter().map(|known| known.name).collect();
        Box::new(Difference { step: self.at, request, ours, java, suspects })
    }
}

impl Known {
    /// Whether the states may drift apart now.
    fn suspects(&self, scene: &Scene<'_>) -> bool {
        matches!(self.rule, Rule::Drift(may, ..) | Rule::Leftover(may, ..) if may(scene))
    }

    /// Whether these two answers may differ as they do.
    fn excuses(&self, scene: &Scene<'_>, ours: &Seen, java: &Seen) -> bool {
        let replies = |rule: &dyn Fn(&Reply, &Reply) -> bool| {
            ours.reply().zip(java.reply()).is_some_and(|(ours, java)| rule(ours, java))
        };
        match self.rule {
            Rule::Answer(rule) | Rule::Leftover(_, _, rule) => replies(&|ours, java| rule(scene, ours, java)),
            Rule::Outcome(rule) => rule(scene, ours, java),
            Rule::Drift(may_drift, _, rule) => may_drift(scene) && replies(&rule),
        }
    }
}

const REGISTER: i32 = 103;
const UNREGISTER: i32 = 104;

/// Codes whose known differences depend on what Java's tables hold; 318 among them, because a switch that hides routes
/// may have hidden what now comes to light.
const STATEFUL: [i32; 8] = [REGISTER, UNREGISTER, 216, 217, 311, 312, 313, 318];

/// Whether two requests of a row are about one broker or address, so that the second needs the state after the first.
fn names_repeat(requests: &[Request]) -> bool {
    let registrations = requests.iter().filter(|request| STATEFUL.contains(&request.code));
    let mut known = HashSet::new();
    registrations
        .flat_map(|request| [request.value("brokerName"), request.value("brokerAddr")])
        .any(|name| !known.insert(name))
}

/// Whether its data version is the moment at which it comes: to Java, two of the same millisecond are one.
fn has_no_version(request: &Request) -> bool {
    matches!(&request.body, Body::Registration(registration) if registration.version.is_none())
}

fn let_a_millisecond_pass() {
    let clock = SystemClock::default();
    let before = clock.now();
    while clock.now() == before {
        std::thread::yield_now();
    }
}
