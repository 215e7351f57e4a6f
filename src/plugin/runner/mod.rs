//! Runs plugins on one thread: enters the processor, lets the policies look at a route, encodes the reply.
//!
//! Every worker and every thread of the write lane has a runner with instances of its own, made when first needed. An
//! instance that failed is dropped, and the next call gets a fresh one. When the catalogue is replaced, the instances
//! of plugins that stay are kept.
//!
//! [`enter`] is how a plugin is entered, [`policies`] what the chain makes of a route, and [`promises`] who is to blame
//! for a reply that came out differently.

mod enter;
mod policies;
mod promises;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::code::Instance;
use super::core::Core;
use super::draft::DraftBody;
use super::encode;
use super::glance::{Glance, Verdict};
use super::pending::{self, Pending};
use super::registry::{Catalogue, Plugin, Target};
use super::request::Request;
use super::tally::{Outcome, Tally};
use super::waiting::Wish;
use super::wasm::{CallError, Gauge, Handling};
use crate::memo::{Reads, Unfit};
use crate::net::{Connection, LogLimit, Occasion};
use crate::remoting::{Command, ResponseCode, SerializeType};
use crate::tally::Apart;

use self::promises::Trace;

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

/// The plugins of one thread.
pub(crate) struct Runner {
    catalogue: Arc<Catalogue>,
    core: Arc<Core>,
    terms: RunnerTerms,
    /// One place per plugin of the catalogue.
    instances: Vec<Option<Box<Instance>>>,
    /// A plugin that always fails must not fill the log.
    failures: LogLimit,
    /// What the next call reads into and builds up; one is made, and then used again and again.
    spare: Option<Box<Handling>>,
    /// What the plugins learned while they made the last reply.
    reads: Option<Box<Reads>>,
    /// What failing plugins did to the last reply.
    fate: Fate,
    /// Why the next request is answered.
    occasion: Occasion,
    /// What each plugin said, while somebody wants to know.
    trace: Option<Trace>,
    tally: Arc<Apart<Tally>>,
}

/// What failing plugins did to a reply.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Fate {
    /// None failed.
    #[default]
    Whole,
    /// One did, and the reply is as good as it can be without.
    Degraded,
    /// One did, and its caller is told so.
    Failed,
}

/// What came of a first look at a request.
enum Glanced {
    /// It is answered.
    Answered,
    /// The processor looks closer.
    LooksCloser(Command),
    /// The plugin failed, or is taken out.
    Failed(Command, CallError),
}

/// What became of a request.
pub(crate) enum Answer {
    /// The reply is written, or nobody wants one.
    Done,
    /// The plugin failed before it changed anything, and who answers instead is to be asked.
    Fallback(Command),
    /// The reply has to wait for a disk or for another name server.
    Later(Box<Pending>),
    /// The request has to wait until its wish comes true, and is then to be answered anew.
    Again(Box<Wish>, Bytes),
}

impl Runner {
    pub(crate) fn new(catalogue: Arc<Catalogue>, core: Arc<Core>, terms: RunnerTerms) -> Self {
        let instances = std::iter::repeat_with(|| None).take(catalogue.plugins().len()).collect();
        let failures = LogLimit::new(FAILURE_LINES_MAX, Duration::from_secs(1));
        let tally = catalogue.tallies().join();
        let (spare, reads, fate, occasion, trace) = Default::default();
        Self { catalogue, core, terms, instances, spare, reads, fate, occasion, trace, failures, tally }
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
        self.spare = None;
        catalogue.tallies().join_again(&mut self.tally);
    }

    /// Where this thread counts.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Appends a refusal.
    pub(crate) fn refuse(&self, code: ResponseCode, remark: &str, opaque: i32, out: &mut BytesMut) {
        encode::refuse(code, remark, opaque, self.terms.serialize_type, out);
    }

    /// The next request to be answered has waited.
    pub(crate) fn on(&mut self, occasion: Occasion) {
        self.occasion = occasion;
    }

    /// Lets the plugin of `target` answer, and appends the reply to `out`. It may stand in for another that failed.
    pub(crate) fn answer(
        &mut self,
        target: &Target,
        command: Command,
        caller: &Connection,
        stands_in: bool,
        out: &mut BytesMut,
    ) -> Answer {
        let Some(weight) = self.tally.request_begins(target.place) else {
            return self.answer_untimed(target, command, caller, stands_in, out);
        };
        let began = self.core.clock.monotonic();
        let answer = self.answer_untimed(target, command, caller, stands_in, out);
        let took = self.core.clock.monotonic().saturating_sub(began);
        self.tally.request_took(target.place, weight, took);
        answer
    }

    fn answer_untimed(
        &mut self,
        target: &Target,
        command: Command,
        caller: &Connection,
        stands_in: bool,
        out: &mut BytesMut,
    ) -> Answer {
        let opaque = command.opaque;
        let is_oneway = command.is_oneway();
        self.fate = if stands_in { Fate::Degraded } else { Fate::Whole };
        let promises = target.entry.pure && self.catalogue.plugins()[target.plugin].repute.is_trusted();
        let unfit = if stands_in { Some(Unfit::Failed) } else { (!promises).then_some(Unfit::NoPromise) };
        self.reads_mut().begin(unfit);
        let command = match &target.glance {
            None => command,
            Some(glance) => match self.answer_at_a_glance(target.plugin, glance, command, caller, out) {
                Glanced::Answered => {
                    self.count(target, ResponseCode::SUCCESS.0);
                    return Answer::Done;
                }
                Glanced::LooksCloser(command) => command,
                Glanced::Failed(command, error) => {
                    return self.after_failure(target, (command, caller), false, &error, out);
                }
            },
        };
        let request = Request { command, caller: caller.clone() };
        let (request, mut handling, outcome) = self.process(target, request);
        let answer = match outcome {
            Ok(()) => {
                let code = if is_oneway { ResponseCode::SUCCESS.0 } else { handling.draft.code };
                self.say(target.plugin, || format!("{:?}", handling.draft));
                let answer = if is_oneway { Answer::Done } else { self.reply(opaque, request, &mut handling, out) };
                self.count(target, code);
                answer
            }
            Err(error) => self.after_failure(target, (request.command, caller), handling.wrote, &error, out),
        };
        handling.reset();
        self.spare = Some(handling);
        answer
    }

    /// The plugin of `target` failed: somebody else answers, or nobody does.
    fn after_failure(
        &mut self,
        target: &Target,
        (command, caller): (Command, &Connection),
        wrote: bool,
        error: &CallError,
        out: &mut BytesMut,
    ) -> Answer {
        self.reads_mut().spoil(Unfit::Failed);
        if !matches!(error, CallError::Out) {
            let (name, peer) = (&self.catalogue.plugins()[target.plugin].name, caller.peer());
            self.failures.note(|suppressed| {
                tracing::error!(
                    plugin = %name, code = command.code, %peer, wrote, suppressed, "the plugin failed: {error}"
                );
            });
        }
        let may_have = !matches!(error, CallError::Out) && self.catalogue.plugins()[target.plugin].may_reach_out();
        if target.fallback.is_some() && !wrote && !may_have {
            return Answer::Fallback(command);
        }
        self.refuse_for(target, &command, error, out);
        Answer::Done
    }

    /// Tells whoever asked that the plugin of `target` is not there for it.
    pub(crate) fn refuse_for(&mut self, target: &Target, command: &Command, error: &CallError, out: &mut BytesMut) {
        self.fate = Fate::Failed;
        self.count(target, ResponseCode::SYSTEM_BUSY.0);
        if !command.is_oneway() {
            let plugin = &self.catalogue.plugins()[target.plugin];
            let remark = format!("plugin {} is unavailable: {}", plugin.name, told_of(error, plugin));
            self.refuse(ResponseCode::SYSTEM_BUSY, &remark, command.opaque, out);
        }
    }

    /// Counts a request that got this response code.
    fn count(&self, target: &Target, code: i32) {
        let outcome = match code {
            _ if self.fate == Fate::Failed => Outcome::Failed,
            _ if code != ResponseCode::SUCCESS.0 => Outcome::Error,
            _ if self.fate == Fate::Degraded => Outcome::Degraded,
            _ => Outcome::Success,
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

    /// Lets a processor decide at a glance.
    fn answer_at_a_glance(
        &mut self,
        plugin: usize,
        glance: &Glance,
        command: Command,
        caller: &Connection,
        out: &mut BytesMut,
    ) -> Glanced {
        let (opaque, is_oneway) = (command.opaque, command.is_oneway());
        // One moment for the marks, and for the conditions of the policies.
        let settings = self.core.settings.snapshot();
        match self.glance(plugin, glance, &command, &settings) {
            Ok(Verdict::LookCloser) => return Glanced::LooksCloser(command),
            Ok(Verdict::Route(..)) if is_oneway => {}
            Ok(Verdict::Route(route, style)) => {
                self.say(plugin, || format!("{style:?}"));
                let head = encode::Head { opaque, serialize_type: self.terms.serialize_type, style, fields: None };
                match self.first_policy(&command, &settings) {
                    None => encode::route(&head, &route, None, out),
                    Some(first) => {
                        let request = Request { command, caller: caller.clone() };
                        self.encode_view((first, &settings), request, &head, route, None, out);
                    }
                }
            }
            Err(error) => return Glanced::Failed(command, error),
        }
        Glanced::Answered
    }

    fn reply(&mut self, opaque: i32, request: Request, handling: &mut Handling, out: &mut BytesMut) -> Answer {
        let serialize_type = self.terms.serialize_type;
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

    fn encode(&mut self, request: Request, handling: &mut Handling, out: &mut BytesMut) {
        let opaque = request.command.opaque;
        let serialize_type = self.terms.serialize_type;
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
}

/// What a client may know of a plugin's failure; the log knows the rest.
fn public_reason(error: &CallError) -> &'static str {
    match error {
        CallError::Deadline => "it missed its deadline",
        CallError::Trap(_) | CallError::Spent | CallError::Out => "it failed",
        CallError::Memory(_) => "it ran out of memory",
        CallError::Reply(_) => "it gave a bad reply",
        CallError::HostCalls(_) => "it asked the server too often",
        CallError::Instantiate(_) => "it could not be started",
    }
}

/// The same, and why a plugin is taken out.
fn told_of(error: &CallError, plugin: &Plugin) -> String {
    match error {
        CallError::Out => {
            format!("it is taken out for a while, because too often {}", plugin.repute.last_failure())
        }
        _ => public_reason(error).to_owned(),
    }
}
