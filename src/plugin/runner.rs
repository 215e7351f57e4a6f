//! Runs plugins on one thread: enters the processor, lets the policies look at a route, encodes the reply.
//!
//! Every worker and every thread of the write lane has a runner with instances of its own, made when first needed. An
//! instance that failed is dropped, and the next call gets a fresh one. When the catalogue is replaced, the instances
//! of plugins that stay are kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::core::Core;
use super::draft::{Draft, DraftBody};
use super::encode;
use super::glance::{Glance, Sight, Verdict};
use super::pending::{self, Pending};
use super::registry::{Catalogue, Plugin, PolicySlot, Target, Terms};
use super::request::Request;
use super::tally::{Outcome, Tally};
use super::view::RouteView;
use super::waiting::Wish;
use super::wasm::{Call, CallError, Gauge, Handling, Instance, Part};
use crate::config::{PolicyFailure, Snapshot};
use crate::memo::{Fact, Reads, Unfit};
use crate::net::{Connection, LogLimit, Occasion};
use crate::remoting::{Command, ResponseCode, SerializeType};
use crate::route::Route;
use crate::tally::Apart;

/// Lines about failing plugins in a second, on one thread.
const FAILURE_LINES_MAX: u32 = 10;

/// What does not change while the server runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunnerTerms {
    /// How replies are written.
    pub(crate) serialize_type: SerializeType,
    /// Whether this is the write lane.
    pub(crate) may_write: bool,
}

/// What plugins may use up on this thread.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The longest that one call may take.
    deadline: Duration,
    /// The longest body that a plugin may answer with, in bytes.
    reply_size_max: usize,
    serialize_type: SerializeType,
    may_write: bool,
}

/// The plugins of one thread.
pub(crate) struct Runner {
    catalogue: Arc<Catalogue>,
    core: Arc<Core>,
    limits: Limits,
    /// One place per plugin of the catalogue.
    instances: Vec<Option<Box<Instance>>>,
    /// A plugin that always fails must not fill the log.
    failures: LogLimit,
    /// What the next call reads into and builds up; one is made, and then used again and again.
    spare: Option<Box<Handling>>,
    /// What the plugins learned while they made the last reply.
    reads: Option<Box<Reads>>,
    /// A plugin failed while it made the last reply, and its caller is told so.
    failed: bool,
    /// Why the next request is answered.
    occasion: Occasion,
    tally: Arc<Apart<Tally>>,
}

/// What became of a request.
pub(crate) enum Answer {
    /// The reply is written, or nobody wants one.
    Done,
    /// The reply has to wait for a disk or for another name server.
    Later(Box<Pending>),
    /// The request has to wait until its wish comes true, and is then to be answered anew.
    Again(Box<Wish>, Bytes),
}

impl Runner {
    pub(crate) fn new(catalogue: Arc<Catalogue>, core: Arc<Core>, terms: RunnerTerms) -> Self {
        let limits = Limits::new(&catalogue, terms);
        let instances = std::iter::repeat_with(|| None).take(catalogue.plugins().len()).collect();
        let failures = LogLimit::new(FAILURE_LINES_MAX, Duration::from_secs(1));
        let tally = catalogue.tallies().join();
        let (spare, reads, failed, occasion) = Default::default();
        Self { catalogue, core, limits, instances, spare, reads, failed, occasion, failures, tally }
    }

    /// From the next call on, it is another catalogue that counts. Nothing is kept of plugins that are not in it.
    pub(crate) fn change_over(&mut self, catalogue: &Arc<Catalogue>) {
        let earlier = std::mem::replace(&mut self.catalogue, Arc::clone(catalogue));
        let mut instances: Vec<_> = earlier.plugins().iter().zip(self.instances.drain(..)).collect();
        let mut kept = |plugin: &Arc<Plugin>| {
            let same = instances.iter_mut().find(|(earlier, _)| Arc::ptr_eq(earlier, plugin));
            same.and_then(|(_, instance)| instance.take())
        };
        let kept = catalogue.plugins().iter().map(&mut kept).collect();
        drop(instances);
        self.instances = kept;
        let Limits { serialize_type, may_write, .. } = self.limits;
        self.limits = Limits::new(catalogue, RunnerTerms { serialize_type, may_write });
        self.spare = None;
        catalogue.tallies().join_again(&mut self.tally);
    }

    /// Where this thread counts.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Appends a refusal.
    pub(crate) fn refuse(&self, code: ResponseCode, remark: &str, opaque: i32, out: &mut BytesMut) {
        encode::refuse(code, remark, opaque, self.limits.serialize_type, out);
    }

    /// The next request to be answered has waited.
    pub(crate) fn on(&mut self, occasion: Occasion) {
        self.occasion = occasion;
    }

    /// Lets the plugin of `target` answer, and appends the reply to `out`.
    pub(crate) fn answer(
        &mut self,
        target: &Target,
        command: Command,
        caller: &Connection,
        out: &mut BytesMut,
    ) -> Answer {
        let opaque = command.opaque;
        let is_oneway = command.is_oneway();
        self.failed = false;
        self.reads_mut().begin((!target.entry.pure).then_some(Unfit::NoPromise));
        let command = match &target.glance {
            None => command,
            Some(glance) => match self.answer_at_a_glance(target.plugin, glance, command, caller, out) {
                None => {
                    self.count(target, ResponseCode::SUCCESS.0);
                    return Answer::Done;
                }
                Some(command) => command,
            },
        };
        let request = Request { command, caller: caller.clone() };
        let (request, mut handling) = self.process(target, request);
        let code = if is_oneway { ResponseCode::SUCCESS.0 } else { handling.draft.code };
        let answer = if is_oneway { Answer::Done } else { self.reply(opaque, request, &mut handling, out) };
        self.count(target, code);
        handling.reset();
        self.spare = Some(handling);
        answer
    }

    /// Counts a request that got this response code.
    fn count(&self, target: &Target, code: i32) {
        let outcome = match code {
            _ if self.failed => Outcome::Failed,
            _ if code == ResponseCode::SUCCESS.0 => Outcome::Success,
            _ => Outcome::Error,
        };
        self.tally.request(target.place, outcome);
    }

    /// What a plugin's instance on this thread has used; none before its first call. The last of a name is the one that
    /// is entered, if any is.
    pub(crate) fn gauge(&self, name: &str) -> Option<Gauge> {
        let at = self.catalogue.plugins().iter().rposition(|plugin| *plugin.name == *name)?;
        self.instances[at].as_ref().map(|instance| instance.gauge())
    }

    /// What the plugins learned while they made the last reply.
    pub(crate) fn reads(&mut self) -> &Reads {
        self.reads_mut()
    }

    fn reads_mut(&mut self) -> &mut Reads {
        self.reads.get_or_insert_default()
    }

    /// Lets a processor decide at a glance. Gives the command back when it wants to look closer.
    fn answer_at_a_glance(
        &mut self,
        plugin: usize,
        glance: &Glance,
        command: Command,
        caller: &Connection,
        out: &mut BytesMut,
    ) -> Option<Command> {
        let (opaque, is_oneway) = (command.opaque, command.is_oneway());
        // One moment for the marks, and for the conditions of the policies.
        let settings = self.core.settings.snapshot();
        match self.glance(plugin, glance, &command, &settings) {
            Ok(Verdict::LookCloser) => return Some(command),
            Ok(Verdict::Route(..)) if is_oneway => {}
            Ok(Verdict::Route(route, style)) => {
                let head = encode::Head { opaque, serialize_type: self.limits.serialize_type, style, fields: None };
                match self.first_policy(&command, &settings) {
                    None => encode::route(&head, &route, None, out),
                    Some(first) => {
                        let request = Request { command, caller: caller.clone() };
                        self.encode_view((first, &settings), request, &head, route, None, out);
                    }
                }
            }
            Err(error) => {
                self.reads_mut().spoil(Unfit::Failed);
                let request = Request { command, caller: caller.clone() };
                let remark = self.complain(plugin, &request, false, &error);
                if !is_oneway {
                    self.refuse(ResponseCode::SYSTEM_BUSY, &remark, opaque, out);
                }
            }
        }
        None
    }

    fn reply(&mut self, opaque: i32, request: Request, handling: &mut Handling, out: &mut BytesMut) -> Answer {
        let serialize_type = self.limits.serialize_type;
        if let Some(wish) = handling.draft.when_changed.take()
            && let Some(frame) = pending::detached_frame(&request.command)
        {
            return Answer::Again(Box::new(wish), frame);
        }
        let Some(wait) = pending::wait(handling, &request.command) else {
            self.encode(request, handling, out);
            return Answer::Done;
        };
        let mut reply = BytesMut::new();
        self.encode(request, handling, &mut reply);
        Answer::Later(Box::new(Pending { opaque, serialize_type, reply: reply.freeze(), wait }))
    }

    /// Enters the processor. A failure of the plugin becomes a reply that says so.
    fn process(&mut self, target: &Target, request: Request) -> (Request, Box<Handling>) {
        let plugin = target.plugin;
        let mut handling =
            self.spare.take().unwrap_or_else(|| Box::new(Handling::new(false, self.limits.reply_size_max)));
        // A plugin may still be in the lane with a code that asks for a worker; it must not lose a right later.
        handling.may_write = self.limits.may_write && !target.wants_worker();
        handling.occasion = self.occasion;
        let reads = self.reads.take().unwrap_or_default();
        let (call, outcome) = self.enter(plugin, Call { request, reads, part: Part::Handle(handling) });
        let Call { request, reads, part: Part::Handle(mut handling) } = call else {
            unreachable!("a call keeps its part");
        };
        self.reads = Some(reads);
        if let Err(error) = outcome {
            self.reads_mut().spoil(Unfit::Failed);
            let remark = self.complain(plugin, &request, handling.wrote, &error);
            handling.draft = Draft::failure(ResponseCode::SYSTEM_BUSY.0, remark);
        }
        (request, handling)
    }

    /// Tells the log why a plugin failed, and returns what the client is told.
    fn complain(&mut self, plugin: usize, request: &Request, wrote: bool, error: &CallError) -> String {
        self.failed = true;
        let name = &self.catalogue.plugins()[plugin].name;
        let code = request.command.code;
        self.failures.note(|suppressed| {
            let peer = request.caller.peer();
            tracing::error!(plugin = %name, code, %peer, wrote, suppressed, "the plugin failed: {error}");
        });
        format!("plugin {name} is unavailable: {}", public_reason(error))
    }

    /// Lets a processor decide at a glance, if it can.
    fn glance(
        &mut self,
        plugin: usize,
        glance: &Glance,
        command: &Command,
        settings: &Snapshot,
    ) -> Result<Verdict, CallError> {
        let sight = glance.look(command, settings, &self.core);
        if let Some(topic) = command.field(glance.field()) {
            self.reads_mut().note(|| Fact::route(topic, sight.route.as_ref()));
        }
        let looked = self.glance_at(plugin, sight, command);
        self.tally.call(self.catalogue.plugins()[plugin].place, looked.as_ref().map(drop));
        looked
    }

    fn glance_at(&mut self, plugin: usize, sight: Sight, command: &Command) -> Result<Verdict, CallError> {
        let mut instance = self.instance(plugin)?;
        let known = &self.catalogue.plugins()[plugin];
        let began = known.is_timed().then(|| self.core.clock.monotonic());
        let answer = instance.glance(sight.arguments(command), self.limits.deadline);
        if let Some(began) = began {
            known.note_call(self.core.clock.monotonic().saturating_sub(began));
        }
        let verdict = sight.verdict(answer?)?;
        if !instance.is_spent() {
            self.instances[plugin] = Some(instance);
        }
        Ok(verdict)
    }

    /// A plugin's instance, taken out. It is put back only after a good call: neither a trap nor a panic in between
    /// leaves a broken one.
    fn instance(&mut self, plugin: usize) -> Result<Box<Instance>, CallError> {
        let known = &self.catalogue.plugins()[plugin];
        match self.instances[plugin].take() {
            Some(instance) => Ok(instance),
            None => known.prepared.instantiate(known.parts(&self.core)).map(Box::new),
        }
    }

    /// Enters a plugin's instance, and drops the instance if it failed.
    fn enter(&mut self, plugin: usize, call: Call) -> (Call, Result<(), CallError>) {
        let mut instance = match self.instance(plugin) {
            Ok(instance) => instance,
            Err(error) => {
                self.tally.call(self.catalogue.plugins()[plugin].place, Err(&error));
                return (call, Err(error));
            }
        };
        let known = &self.catalogue.plugins()[plugin];
        // Reading the clock costs as much as half an entry.
        let began = known.is_timed().then(|| self.core.clock.monotonic());
        let (call, outcome) = instance.enter(call, self.limits.deadline);
        if let Some(began) = began {
            known.note_call(self.core.clock.monotonic().saturating_sub(began));
        }
        self.tally.call(known.place, outcome.as_ref().map(drop));
        match outcome {
            Ok(()) => self.instances[plugin] = Some(instance),
            Err(CallError::Spent) => {
                tracing::debug!(plugin = %known.name, "{}", CallError::Spent);
                return (call, Ok(()));
            }
            Err(_) => {}
        }
        (call, outcome)
    }

    fn encode(&mut self, request: Request, handling: &mut Handling, out: &mut BytesMut) {
        let opaque = request.command.opaque;
        let serialize_type = self.limits.serialize_type;
        let (draft, routes) = (&handling.draft, &mut handling.routes);
        let DraftBody::Route { route, style, order_topic_conf } = &draft.body else {
            return encode::reply(draft, opaque, serialize_type, out);
        };
        // The call is over, so nobody will name the handle again.
        let route = routes.swap_remove(*route as usize - 1);
        let head = encode::Head { opaque, serialize_type, style: *style, fields: draft.fields.as_ref() };
        let order_topic_conf = order_topic_conf.as_deref();
        let settings = self.core.settings.snapshot();
        match self.first_policy(&request.command, &settings) {
            None => encode::route(&head, &route, order_topic_conf, out),
            Some(first) => self.encode_view((first, &settings), request, &head, route, order_topic_conf, out),
        }
    }

    /// What a client is shown of a route, without an answer: for whoever looks at policies. The error is what the
    /// client would be told of a policy that failed.
    pub(crate) fn show(
        &mut self,
        command: Command,
        caller: &Connection,
        route: Route,
    ) -> Result<Box<RouteView>, String> {
        let settings = self.core.settings.snapshot();
        let Some(first) = self.first_policy(&command, &settings) else { return Ok(Box::new(RouteView::new(route))) };
        let request = Request { command, caller: caller.clone() };
        let shown = self.apply_policies(first, &settings, request, route);
        shown.map_err(|failure| failure.remark.unwrap_or_default().into_owned())
    }

    /// The first policy of the chain that has a say about a request.
    fn first_policy(&self, command: &Command, settings: &Snapshot) -> Option<usize> {
        self.catalogue.chain().iter().position(|slot| slot.condition.holds(command, settings))
    }

    /// Appends a reply with a route as the policies leave it.
    fn encode_view(
        &mut self,
        (first, settings): (usize, &Snapshot),
        request: Request,
        head: &encode::Head<'_>,
        route: Route,
        order_topic_conf: Option<&str>,
        out: &mut BytesMut,
    ) {
        match self.apply_policies(first, settings, request, route) {
            Ok(view) => encode::view(head, &view, order_topic_conf, out),
            Err(failure) => {
                self.failed = true;
                encode::reply(&failure, head.opaque, head.serialize_type, out);
            }
        }
    }

    /// Lets every policy whose condition holds look at the route, in the operator's order, from the `first` that does.
    fn apply_policies(
        &mut self,
        first: usize,
        settings: &Snapshot,
        mut request: Request,
        route: Route,
    ) -> Result<Box<RouteView>, Box<Draft>> {
        let catalogue = Arc::clone(&self.catalogue);
        let mut view = Box::new(RouteView::new(route));
        for PolicySlot { plugin, condition, pure, on_failure } in &catalogue.chain()[first..] {
            if !condition.holds(&request.command, settings) {
                continue;
            }
            if !pure {
                self.reads_mut().spoil(Unfit::NoPromise);
            }
            let before = view.changed().clone();
            let reads = self.reads.take().unwrap_or_default();
            let (call, outcome) = self.enter(*plugin, Call { request, reads, part: Part::Select(view) });
            let Call { request: returned, reads, part: Part::Select(selected) } = call else {
                unreachable!("a call keeps its part");
            };
            self.reads = Some(reads);
            (request, view) = (returned, selected);
            if let Err(error) = outcome {
                self.reads_mut().spoil(Unfit::Failed);
                let name = &catalogue.plugins()[*plugin].name;
                self.failures.note(|suppressed| {
                    let peer = request.caller.peer();
                    tracing::error!(policy = %name, %peer, ?on_failure, suppressed, "the policy failed: {error}");
                });
                match on_failure {
                    PolicyFailure::Skip => view.restore(before),
                    PolicyFailure::Close => {
                        let remark = format!("policy {name} is unavailable: {}", public_reason(&error));
                        return Err(Box::new(Draft::failure(ResponseCode::SYSTEM_BUSY.0, remark)));
                    }
                }
            }
        }
        Ok(view)
    }
}

impl Limits {
    fn new(catalogue: &Catalogue, RunnerTerms { serialize_type, may_write }: RunnerTerms) -> Self {
        let Terms { worker_deadline, lane_deadline, reply_size_max } = catalogue.terms();
        let deadline = if may_write { lane_deadline } else { worker_deadline };
        Self { deadline, reply_size_max, serialize_type, may_write }
    }
}

/// What a client may know of a plugin's failure; the log knows the rest.
fn public_reason(error: &CallError) -> &'static str {
    match error {
        CallError::Deadline => "it missed its deadline",
        CallError::Trap(_) | CallError::Spent => "it failed",
        CallError::Instantiate(_) => "it could not be started",
    }
}
