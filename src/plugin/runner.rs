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
use crate::memo::{Reads, Unfit};
use crate::net::LogLimit;
use crate::remoting::{Command, ResponseCode, SerializeType};

/// Lines about failing plugins in a second, on one thread.
const FAILURE_LINES_MAX: u32 = 10;

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
    /// A plugin that always fails must not fill the log.
    failures: LogLimit,
    /// What the next call reads into and builds up; one is made, and then used again and again.
    spare: Option<Box<Handling>>,
    /// What the plugins learned while they made the last reply.
    reads: Option<Box<Reads>>,
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
        let failures = LogLimit::new(FAILURE_LINES_MAX, Duration::from_secs(1));
        Self { catalogue, core, limits, instances, spare: None, reads: None, failures }
    }

    /// Appends a refusal.
    pub(crate) fn refuse(&self, code: ResponseCode, remark: &str, opaque: i32, out: &mut BytesMut) {
        encode::refuse(code, remark, opaque, self.limits.serialize_type, out);
    }

    /// Lets the plugin of `target` answer, and appends the reply to `out`.
    pub(crate) fn answer(&mut self, target: &Target, request: Request, out: &mut BytesMut) -> Answer {
        let opaque = request.command.opaque;
        let is_oneway = request.command.is_oneway();
        self.reads_mut().begin((!target.entry.pure).then_some(Unfit::NoPromise));
        let (request, mut handling) = self.process(target, request);
        let answer = if is_oneway { Answer::Done } else { self.reply(opaque, request, &mut handling, out) };
        handling.reset();
        self.spare = Some(handling);
        answer
    }

    /// What the plugins learned while they made the last reply.
    pub(crate) fn reads(&mut self) -> &Reads {
        self.reads_mut()
    }

    fn reads_mut(&mut self) -> &mut Reads {
        self.reads.get_or_insert_default()
    }

    fn reply(&mut self, opaque: i32, request: Request, handling: &mut Handling, out: &mut BytesMut) -> Answer {
        let serialize_type = self.limits.serialize_type;
        let wait = match &handling.draft {
            Draft { forward: Some(name), .. } => {
                detached(&request.command).map(|command| Wait::Upstream { name: name.clone(), command })
            }
            // Without a write there is nothing to wait for.
            Draft { when_durable: true, .. } => handling.writes.take().map(Wait::Durable),
            _ => None,
        };
        let Some(wait) = wait else {
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
        let reads = self.reads.take().unwrap_or_default();
        let (call, outcome) = self.enter(plugin, Call { request, reads, part: Part::Handle(handling) });
        let Call { request, reads, part: Part::Handle(mut handling) } = call else {
            unreachable!("a call keeps its part");
        };
        self.reads = Some(reads);
        if let Err(error) = outcome {
            let name = &self.catalogue.plugins()[plugin].name;
            let code = request.command.code;
            self.failures.note(|suppressed| {
                tracing::error!(
                    plugin = %name, code, peer = %request.caller.peer(), wrote = handling.wrote, suppressed,
                    "the plugin failed: {error}"
                );
            });
            let remark = format!("plugin {name} is unavailable: {}", public_reason(&error));
            self.reads_mut().spoil(Unfit::Failed);
            handling.draft = Draft::failure(ResponseCode::SYSTEM_BUSY.0, remark);
        }
        (request, handling)
    }

    /// Enters a plugin's instance, and drops the instance if it failed.
    fn enter(&mut self, plugin: usize, call: Call) -> (Call, Result<(), CallError>) {
        let known = &self.catalogue.plugins()[plugin];
        // Taken out, and put back only after a good call: neither a trap nor a panic in between leaves a broken one.
        let mut instance = match self.instances[plugin].take() {
            Some(instance) => instance,
            None => match known.prepared.instantiate(known.parts(&self.core)) {
                Ok(instance) => instance,
                Err(error) => return (call, Err(error)),
            },
        };
        // Reading the clock costs as much as half an entry.
        let began = known.is_timed().then(|| self.core.clock.monotonic());
        let (call, outcome) = instance.enter(call, self.limits.deadline);
        if let Some(began) = began {
            known.note_call(self.core.clock.monotonic().saturating_sub(began));
        }
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

    fn encode(&mut self, request: Request, handling: &Handling, out: &mut BytesMut) {
        let opaque = request.command.opaque;
        let serialize_type = self.limits.serialize_type;
        let draft = &handling.draft;
        let DraftBody::Route { route, style, order_topic_conf } = &draft.body else {
            return encode::reply(draft, opaque, serialize_type, out);
        };
        let route = handling.route(*route).expect("the handle was checked when it came");
        let order_topic_conf = order_topic_conf.as_deref();
        let active = self.catalogue.chain().iter().any(|slot| holds(&slot.condition, &request, &self.core));
        let head = encode::Head { opaque, serialize_type, style: *style, fields: draft.fields.as_ref() };
        if !active {
            return encode::route(&head, route, order_topic_conf, out);
        }
        match self.apply_policies(request, RouteView::new(route.clone())) {
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
            if !condition.pure {
                self.reads_mut().spoil(Unfit::NoPromise);
            }
            let before = view.clone();
            let reads = self.reads.take().unwrap_or_default();
            let call = Call { request, reads, part: Part::Select(Box::new(view)) };
            let (call, outcome) = self.enter(*plugin, call);
            let Call { request: returned, reads, part: Part::Select(selected) } = call else {
                unreachable!("a call keeps its part");
            };
            self.reads = Some(reads);
            request = returned;
            view = *selected;
            if let Err(error) = outcome {
                self.reads_mut().spoil(Unfit::Failed);
                let name = &catalogue.plugins()[*plugin].name;
                self.failures.note(|suppressed| {
                    let peer = request.caller.peer();
                    tracing::error!(policy = %name, %peer, ?on_failure, suppressed, "the policy failed: {error}");
                });
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

/// A copy with a buffer of its own: the command shares the read buffer of its worker, which must not wait with it.
fn detached(command: &Command) -> Option<Command> {
    let mut copy = BytesMut::new();
    command.encode(SerializeType::Json, &mut copy).ok()?;
    Command::decode(copy.freeze()).ok()
}

/// What a client may know of a plugin's failure; the log knows the rest.
fn public_reason(error: &CallError) -> &'static str {
    match error {
        CallError::Deadline => "it missed its deadline",
        CallError::Trap(_) | CallError::Spent => "it failed",
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
                    let remark = format!("not stored: {}", error.reason());
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
