//! Runs plugins on one thread: enters the processor, lets the policies look at a route, encodes the reply.
//!
//! Every worker and every thread of the write lane has a runner with instances of its own, made when first needed. An
//! instance that failed is dropped, and the next call gets a fresh one.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::core::Core;
use super::draft::{Draft, DraftBody};
use super::encode;
use super::manifest::Condition;
use super::registry::{Catalogue, PolicySlot, Target};
use super::request::Request;
use super::view::RouteView;
use super::wasm::{Call, CallError, Handling, Instance, Part};
use crate::config::PolicyFailure;
use crate::kv::Writes;
use crate::remoting::{Command, ResponseCode, SerializeType};

/// What plugins may use up on this thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunnerLimits {
    /// The longest that one call may take.
    pub(crate) deadline: Duration,
    /// The longest body that a plugin may answer with, in bytes.
    pub(crate) reply_size_max: usize,
    /// How replies are written.
    pub(crate) serialize_type: SerializeType,
    /// Whether this is the write lane.
    pub(crate) may_write: bool,
}

/// The plugins of one thread.
pub(crate) struct Runner {
    catalogue: Arc<Catalogue>,
    core: Arc<Core>,
    limits: RunnerLimits,
    /// One place per plugin of the catalogue.
    instances: Vec<Option<Instance>>,
}

/// What became of a request.
pub(crate) enum Answer {
    /// The reply is written, or nobody wants one.
    Done,
    /// The reply has to wait for a disk or for another name server.
    Later(Box<Pending>),
}

/// A reply that waits. No thread does.
pub(crate) struct Pending {
    opaque: i32,
    serialize_type: SerializeType,
    /// What is sent when all goes well (the disk), or when it does not (the upstream).
    reply: Bytes,
    wait: Wait,
}

enum Wait {
    Durable(Writes),
    Upstream { name: String, command: Command },
}

impl Runner {
    pub(crate) fn new(catalogue: Arc<Catalogue>, core: Arc<Core>, limits: RunnerLimits) -> Self {
        let instances = std::iter::repeat_with(|| None).take(catalogue.plugins().len()).collect();
        Self { catalogue, core, limits, instances }
    }

    /// Lets the plugin of `target` answer, and appends the reply to `out`.
    pub(crate) fn answer(&mut self, target: &Target, request: Request, out: &mut BytesMut) -> Answer {
        let opaque = request.command.opaque;
        let is_oneway = request.command.is_oneway();
        let (request, draft, writes) = self.process(target, request);
        if is_oneway {
            return Answer::Done;
        }
        let serialize_type = self.limits.serialize_type;
        let wait = match &draft {
            Draft { forward: Some(name), .. } => {
                Some(Wait::Upstream { name: name.clone(), command: request.command.clone() })
            }
            // Without a write there is nothing to wait for.
            Draft { when_durable: true, .. } => writes.map(Wait::Durable),
            _ => None,
        };
        let Some(wait) = wait else {
            self.encode(request, draft, out);
            return Answer::Done;
        };
        let mut reply = BytesMut::new();
        self.encode(request, draft, &mut reply);
        Answer::Later(Box::new(Pending { opaque, serialize_type, reply: reply.freeze(), wait }))
    }

    /// Enters the processor. A failure of the plugin becomes a reply that says so.
    fn process(&mut self, target: &Target, request: Request) -> (Request, Draft, Option<Writes>) {
        let plugin = target.plugin;
        let handling = Handling {
            draft: Draft::default(),
            // A code for a worker may run in the lane for a while; what is denied there must be denied here.
            may_write: self.limits.may_write && !target.wants_worker(),
            wrote: false,
            tables: None,
            routes: Vec::new(),
            writes: None,
            reply_size_max: self.limits.reply_size_max,
        };
        let call = Call { request, part: Part::Handle(Box::new(handling)) };
        let (call, outcome) = self.enter(plugin, call);
        let Call { request, part: Part::Handle(handling) } = call else {
            unreachable!("a call keeps its part");
        };
        match outcome {
            Ok(()) => (request, handling.draft, handling.writes),
            Err(error) => {
                let name = &self.catalogue.plugins()[plugin].name;
                let code = request.command.code;
                if self.may_tell(plugin) {
                    let (peer, wrote) = (request.caller.peer(), handling.wrote);
                    tracing::error!(plugin = %name, code, %peer, wrote, "the plugin failed: {error}");
                }
                let remark = format!("plugin {name} is unavailable: {}", public_reason(&error));
                (request, Draft::failure(ResponseCode::SYSTEM_BUSY.0, remark), handling.writes)
            }
        }
    }

    /// Enters a plugin's instance, and drops the instance if it failed.
    fn enter(&mut self, plugin: usize, call: Call) -> (Call, Result<(), CallError>) {
        let known = &self.catalogue.plugins()[plugin];
        let slot = &mut self.instances[plugin];
        let instance = match slot {
            Some(instance) => instance,
            None => match known.prepared.instantiate(known.parts(&self.core)) {
                Ok(instance) => slot.insert(instance),
                Err(error) => return (call, Err(error)),
            },
        };
        let began = self.core.clock.monotonic();
        let (call, outcome) = instance.enter(call, self.limits.deadline);
        known.note_call(self.core.clock.monotonic().saturating_sub(began));
        if outcome.is_err() || instance.is_spent() {
            *slot = None;
        }
        (call, outcome)
    }

    /// Whether a failure may be logged: one that every request brings about must not fill the disk.
    fn may_tell(&self, plugin: usize) -> bool {
        let known = &self.catalogue.plugins()[plugin];
        let untold = known.failures.take(self.core.clock.now());
        if let Some(untold @ 1..) = untold {
            tracing::warn!(plugin = %known.name, "{untold} failures of this plugin were not told");
        }
        untold.is_some()
    }

    fn encode(&mut self, request: Request, draft: Draft, out: &mut BytesMut) {
        let opaque = request.command.opaque;
        let serialize_type = self.limits.serialize_type;
        let DraftBody::Route { route, style, order_topic_conf } = draft.body else {
            return encode::reply(&draft, opaque, serialize_type, out);
        };
        let order_topic_conf = order_topic_conf.as_deref();
        let active = self.catalogue.chain().iter().any(|slot| holds(&slot.condition, &request, &self.core));
        let head = encode::Head { opaque, serialize_type, style, fields: draft.fields.as_ref() };
        if !active {
            return encode::route(&head, &route, order_topic_conf, out);
        }
        match self.apply_policies(request, RouteView::new(route)) {
            Ok(view) => encode::view(&head, &view, order_topic_conf, out),
            Err(failure) => encode::reply(&failure, opaque, serialize_type, out),
        }
    }

    /// Lets every policy whose condition holds look at the route, in the operator's order.
    fn apply_policies(&mut self, mut request: Request, mut view: RouteView) -> Result<RouteView, Box<Draft>> {
        let catalogue = Arc::clone(&self.catalogue);
        for PolicySlot { plugin, condition, on_failure } in catalogue.chain() {
            if !holds(condition, &request, &self.core) {
                continue;
            }
            let before = view.clone();
            let call = Call { request, part: Part::Select(Box::new(view)) };
            let (call, outcome) = self.enter(*plugin, call);
            let Call { request: returned, part: Part::Select(selected) } = call else {
                unreachable!("a call keeps its part");
            };
            request = returned;
            view = *selected;
            if let Err(error) = outcome {
                let name = &catalogue.plugins()[*plugin].name;
                if self.may_tell(*plugin) {
                    let peer = request.caller.peer();
                    tracing::error!(policy = %name, %peer, ?on_failure, "the policy failed: {error}");
                }
                match on_failure {
                    PolicyFailure::Skip => view = before,
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

/// What a client may know of a plugin's failure; the log knows the rest.
fn public_reason(error: &CallError) -> &'static str {
    match error {
        CallError::Deadline => "it missed its deadline",
        CallError::Trap(_) => "it failed",
        CallError::Instantiate(_) => "it could not be started",
    }
}

/// Whether a policy has a say about this request.
fn holds(condition: &Condition, request: &Request, core: &Core) -> bool {
    let setting = condition.when_setting.as_deref().is_none_or(|key| core.settings.flag(key));
    setting
        && condition.when_field.as_ref().is_none_or(|wanted| {
            let value = request.field(&wanted.name);
            value.is_some_and(|value| {
                wanted.equals_ignore_case.as_deref().is_none_or(|wanted| value.eq_ignore_ascii_case(wanted))
            })
        })
}

impl Pending {
    /// Calls `done` with the reply, once, when there is one: at once on this thread, or later on another.
    pub(crate) fn then(self, core: &Core, done: impl FnOnce(Bytes) + Send + 'static) {
        let Self { opaque, serialize_type, reply, wait } = self;
        let encoded = move |draft: &Draft| {
            let mut out = BytesMut::new();
            encode::reply(draft, opaque, serialize_type, &mut out);
            out.freeze()
        };
        match wait {
            Wait::Durable(writes) => writes.then(move |outcome| match outcome {
                Ok(()) => done(reply),
                Err(error) => {
                    let remark = format!("not stored: {error}");
                    done(encoded(&Draft::failure(ResponseCode::SYSTEM_ERROR.0, remark)));
                }
            }),
            Wait::Upstream { name, command } => {
                let answered = move |answer: Option<Command>| match answer {
                    None => done(reply),
                    Some(answer) => done(encode::relay(&answer, opaque, serialize_type)),
                };
                core.upstreams.ask(name, command, Box::new(answered));
            }
        }
    }
}
