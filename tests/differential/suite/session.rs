//! The connections to both servers, over which both are asked the same.

use super::compare::Seen;
use super::play::Pair;
use super::request::{Request, Sequence, Wire};
use super::wire::{Answer, Wires};

/// Changes nothing, and is answered after every write to the tables before it.
pub(super) fn barrier() -> Request {
    Request::new(205).field("brokerName", "~")
}

/// The same for the KV store, whose writes wait for the disk.
fn store_barrier() -> Request {
    Request::new(102).field("namespace", "~").field("key", "~")
}

pub(super) struct Session {
    pub(super) ours: Wires,
    pub(super) java: Wires,
    opaque: i32,
}

impl Session {
    pub(super) fn start(pair: &mut Pair<'_>, sequence: &Sequence) -> Self {
        let ours = Wires::to(pair.ours.start(sequence));
        let java = Wires::to(pair.java.start(sequence));
        Self { ours, java, opaque: 1 }
    }

    /// Asks both everything in a row.
    pub(super) fn ask(&mut self, pair: &mut Pair<'_>, wire: Wire, requests: &[Request]) -> Vec<(Seen, Seen)> {
        let mut row: Vec<Request> = requests.to_vec();
        if !requests.iter().all(Request::is_answered) {
            let is_store = requests.iter().any(|request| matches!(request.code, 100 | 102));
            row.push(if is_store { store_barrier() } else { barrier() });
        }
        let first = self.opaque;
        let mut bytes = Vec::new();
        for request in &row {
            bytes.extend_from_slice(&request.frame(self.opaque));
            self.opaque = self.opaque.wrapping_add(1);
        }
        self.ours.send(wire, &bytes);
        self.java.send(wire, &bytes);
        let mut ours = receive(&mut self.ours, wire, &row, first);
        let mut java = receive(&mut self.java, wire, &row, first);
        row.iter().zip(&mut ours).for_each(|(request, seen)| pair.ours.meddle(request, seen));
        row.iter().zip(&mut java).for_each(|(request, seen)| pair.java.meddle(request, seen));
        // The barrier's answers are compared too: one of them stands for an answer that should not have come.
        if row.len() > requests.len() && ours.last() != java.last() {
            return vec![(ours.pop().unwrap_or(Seen::Nothing), java.pop().unwrap_or(Seen::Nothing))];
        }
        ours.into_iter().zip(java).take(requests.len()).collect()
    }
}

/// The answers to requests that were sent in a row with ascending opaques, in that order.
fn receive(wires: &mut Wires, wire: Wire, requests: &[Request], first: i32) -> Vec<Seen> {
    let mut seen: Vec<Option<Seen>> =
        requests.iter().map(|request| (!request.is_answered()).then_some(Seen::Nothing)).collect();
    while seen.iter().any(Option::is_none) {
        let answer = wires.receive(wire);
        let Answer::Frame(frame) = &answer else {
            let rest = Seen::of(&answer, 0, 0);
            return seen.into_iter().map(|seen| seen.unwrap_or_else(|| rest.clone())).collect();
        };
        // One that answers to nothing that was asked is given to the first that waits, where it will be seen.
        let at = frame.opaque().and_then(|opaque| usize::try_from(opaque.wrapping_sub(first)).ok());
        let at = at.filter(|at| seen.get(*at).is_some_and(Option::is_none));
        let at = at.or_else(|| seen.iter().position(Option::is_none)).unwrap_or_default();
        let offset = i32::try_from(at).unwrap_or_default();
        seen[at] = Some(Seen::of(&answer, requests[at].code, first.wrapping_add(offset)));
    }
    seen.into_iter().flatten().collect()
}
