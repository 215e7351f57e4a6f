//! How a plugin is entered on one thread: who may be, what a call may use up, and what comes of one that fails.

use std::time::Duration;

use super::{Runner, public_reason};
use crate::config::Snapshot;
use crate::memo::Fact;
use crate::plugin::breaker::{Moment, Verdict as Sentence};
use crate::plugin::code::Instance;
use crate::plugin::glance::{Glance, Sight, Verdict};
use crate::plugin::registry::Target;
use crate::plugin::repute::Entrance;
use crate::plugin::request::Request;
use crate::plugin::tally::Weight;
use crate::plugin::wasm::{Allowance, Call, CallError, Handling, Part};
use crate::remoting::Command;

impl Runner {
    /// Enters the processor.
    pub(super) fn process(
        &mut self,
        target: &Target,
        request: Request,
    ) -> (Request, Box<Handling>, Result<(), CallError>) {
        let reply_size_max = self.catalogue.terms(target.plugin).reply_size_max;
        let mut handling = self.spare.take().unwrap_or_else(|| Box::new(Handling::new(false, reply_size_max)));
        handling.reply_size_max = reply_size_max;
        // A plugin may still be in the lane with a code that asks for a worker; it must not lose a right later.
        handling.may_write = self.terms.may_write && !target.wants_worker();
        handling.occasion = self.occasion;
        let reads = self.reads.take().unwrap_or_default();
        let (call, outcome) = self.enter(target.plugin, Call { request, reads, part: Part::Handle(handling) });
        let Call { request, reads, part: Part::Handle(handling) } = call else {
            unreachable!("a call keeps its part");
        };
        self.reads = Some(reads);
        (request, handling, outcome)
    }

    /// Lets a processor decide at a glance, if it can.
    pub(super) fn glance(
        &mut self,
        plugin: usize,
        glance: &Glance,
        command: &Command,
        settings: &Snapshot,
    ) -> Result<Verdict, CallError> {
        let entrance = self.entrance(plugin)?;
        let sight = glance.look(command, settings, &self.core);
        let reads = self.reads_mut();
        reads.note(|| repute_of(plugin, entrance));
        if let Some(topic) = command.field(glance.field()) {
            reads.note(|| Fact::route(topic, sight.route.as_ref()));
        }
        let looked = self.glance_at(plugin, sight, command);
        self.judge(plugin, entrance, looked.as_ref().map(drop));
        looked
    }

    fn glance_at(&mut self, plugin: usize, sight: Sight, command: &Command) -> Result<Verdict, CallError> {
        let allowance = self.allowance(plugin);
        let timing = self.begin_timing(plugin);
        let mut instance = self.instance(plugin, allowance)?;
        let answer = instance.glance(sight.arguments(command), allowance);
        self.end_timing(plugin, timing);
        let verdict = sight.verdict(answer?)?;
        if !instance.is_spent() {
            self.instances[plugin] = Some(instance);
        }
        Ok(verdict)
    }

    /// Enters a plugin's instance, and drops the instance if it failed.
    pub(super) fn enter(&mut self, plugin: usize, mut call: Call) -> (Call, Result<(), CallError>) {
        let entrance = match self.entrance(plugin) {
            Ok(entrance) => entrance,
            Err(error) => return (call, Err(error)),
        };
        call.reads.note(|| repute_of(plugin, entrance));
        let allowance = self.allowance(plugin);
        // What it takes to make an instance counts, too.
        let timing = self.begin_timing(plugin);
        let mut instance = match self.instance(plugin, allowance) {
            Ok(instance) => instance,
            Err(error) => {
                self.judge(plugin, entrance, Err(&error));
                return (call, Err(error));
            }
        };
        let (call, outcome) = instance.enter(call, allowance);
        self.end_timing(plugin, timing);
        self.judge(plugin, entrance, outcome.as_ref().map(drop));
        match outcome {
            Ok(()) => self.instances[plugin] = Some(instance),
            Err(CallError::Spent) => {
                let known = &self.catalogue.plugins()[plugin];
                tracing::debug!(plugin = %known.name, "{}", CallError::Spent);
                return (call, Ok(()));
            }
            Err(_) => {}
        }
        (call, outcome)
    }

    /// When a call began and what it stands for, if somebody wants to know how long it takes. Reading the clock costs
    /// as much as half an entry.
    fn begin_timing(&self, plugin: usize) -> Option<(Duration, Option<Weight>)> {
        let known = &self.catalogue.plugins()[plugin];
        let weight = self.tally.call_begins(known.place);
        (weight.is_some() || known.is_timed()).then(|| (self.core.clock.monotonic(), weight))
    }

    fn end_timing(&self, plugin: usize, timing: Option<(Duration, Option<Weight>)>) {
        let Some((began, weight)) = timing else { return };
        let known = &self.catalogue.plugins()[plugin];
        let took = self.core.clock.monotonic().saturating_sub(began);
        if known.is_timed() {
            known.pace.note(took);
        }
        if let Some(weight) = weight {
            self.tally.call_took(known.place, weight, took);
        }
    }

    /// The right to enter a plugin, unless it is taken out.
    fn entrance(&mut self, plugin: usize) -> Result<Entrance, CallError> {
        let known = &self.catalogue.plugins()[plugin];
        let entrance = known.repute.enter(|| self.core.clock.monotonic());
        entrance.ok_or_else(|| {
            self.tally.refusal(known.place);
            CallError::Out
        })
    }

    fn allowance(&self, plugin: usize) -> Allowance {
        let terms = self.catalogue.terms(plugin);
        let deadline = if self.terms.may_write { terms.lane_deadline } else { terms.worker_deadline };
        Allowance { deadline, host_calls: terms.host_calls_max }
    }

    /// A plugin's instance, taken out. It is put back only after a good call: neither a trap nor a panic in between
    /// leaves a broken one.
    fn instance(&mut self, plugin: usize, allowance: Allowance) -> Result<Box<Instance>, CallError> {
        let known = &self.catalogue.plugins()[plugin];
        match self.instances[plugin].take() {
            Some(instance) => Ok(instance),
            None => known.prepared.instantiate(known.parts(&self.core), allowance.deadline).map(Box::new),
        }
    }

    /// Counts a call, and takes the plugin out or back in if it is time for that.
    fn judge(&mut self, plugin: usize, entrance: Entrance, outcome: Result<(), &CallError>) {
        let known = &self.catalogue.plugins()[plugin];
        self.tally.call(known.place, outcome);
        let name = &known.name;
        let error = match outcome {
            Ok(()) | Err(CallError::Spent) => {
                if known.repute.went_well(entrance, || self.core.clock.monotonic()) {
                    tracing::info!(plugin = %name, "the plugin is back: it answered again");
                }
                return;
            }
            Err(error) => error,
        };
        let terms = self.catalogue.terms(plugin).breaker;
        let calls = || known.place.map_or(0, |place| self.catalogue.tallies().sum(|tally| tally.calls(place)));
        let at = Moment { now: self.core.clock.monotonic(), calls: &calls };
        match known.repute.failed(entrance, terms, at, public_reason(error)) {
            Sentence::Stays => {}
            Sentence::TakenOut(pause, offence) => {
                tracing::error!(plugin = %name, "the plugin is taken out for {pause:?}: {offence}: {error}");
            }
            Sentence::StaysOut(pause) => {
                tracing::warn!(plugin = %name, "the plugin stays out for {pause:?}: it was tried again: {error}");
            }
        }
    }
}

fn repute_of(plugin: usize, entrance: Entrance) -> Fact {
    Fact::Repute { plugin: plugin as u32, version: entrance.version }
}
