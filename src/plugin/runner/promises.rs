//! Who is to blame for a reply that came out differently although nothing had changed that it rests on.
//!
//! A processor and several policies may have had a say, and all of them promised to be pure. So the request is run
//! again, and what each of them says is compared: given the same, the first that says something else is not pure.

use bytes::BytesMut;

use super::{Answer, Runner};
use crate::memo::Fact;
use crate::net::Connection;
use crate::plugin::registry::Target;
use crate::remoting::Command;

/// What each plugin said that had a say, in their order.
pub(super) type Trace = Vec<(usize, String)>;

/// Between two runs, somebody may publish something; then they are run again.
const ATTEMPTS: usize = 3;

impl Runner {
    /// Notes what a plugin said, if somebody wants to know.
    pub(super) fn say(&mut self, plugin: usize, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push((plugin, what()));
        }
    }

    /// The plugins, by index, that are not pure: one, if it can be told, or all that may be. What came with the server
    /// is suspected only if nothing else can be.
    pub(crate) fn who_is_impure(&mut self, target: &Target, command: &Command, caller: &Connection) -> Vec<usize> {
        for _ in 0..ATTEMPTS {
            let [first, second] = [(); 2].map(|()| self.run_traced(target, command, caller));
            // A fresh instance knows nothing of the calls before.
            self.instances.iter_mut().for_each(|instance| drop(instance.take()));
            let third = self.run_traced(target, command, caller);
            let (Some(first), Some(second), Some(third)) = (first, second, third) else { continue };
            if first.facts != second.facts || first.facts != third.facts {
                continue;
            }
            if let Some(culprit) = first.differs_at(&second).or_else(|| first.differs_at(&third)) {
                return vec![culprit];
            }
            let suspects: Vec<_> = first.trace.iter().map(|(plugin, _)| *plugin).collect();
            let strangers = suspects.iter().copied().filter(|at| !self.catalogue.plugins()[*at].is_embedded());
            let strangers: Vec<_> = strangers.collect();
            return if strangers.is_empty() { suspects } else { strangers };
        }
        vec![target.plugin]
    }

    /// Answers for nobody. None when the reply cannot be remembered, so that it says nothing about promises.
    fn run_traced(&mut self, target: &Target, command: &Command, caller: &Connection) -> Option<Run> {
        let mut nowhere = BytesMut::new();
        self.trace = Some(Trace::new());
        let answer = self.answer(target, command.clone(), caller, false, &mut nowhere);
        let trace = self.trace.take()?;
        let facts = self.reads().facts().ok()?.to_vec();
        matches!(answer, Answer::Done).then_some(Run { trace, facts })
    }
}

/// What was said, and learned on the way.
struct Run {
    trace: Trace,
    facts: Vec<Fact>,
}

impl Run {
    /// The first plugin that said something else in another run.
    fn differs_at(&self, other: &Self) -> Option<usize> {
        let differs = |(one, other): &(&(usize, String), &(usize, String))| one != other;
        self.trace.iter().zip(&other.trace).find(differs).map(|(one, _)| one.0)
    }
}
