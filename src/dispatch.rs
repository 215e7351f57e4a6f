//! From a frame to whoever answers it.
//!
//! A worker decodes the frame, asks who may ask ([`Gate`]), and either lets the plugin answer on the spot or hands the
//! request to the write lane. Nothing here knows what a request code means: the plugins' manifests say who answers it,
//! who may ask, and where it runs.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::config::Networks;
use crate::memo::{Memo, Promise};
use crate::net::{CloseReason, Connection, LaneJob, LaneService, LogLimit, Occasion, ReplySink, Service, Step};
use crate::plugin::{
    Access, Answer, CallError, Catalogue, Core, Follower, Outcome, Pending, Request, Runner, Target, detached_frame,
    refuse,
};
use crate::readiness::ReadinessCell;
use crate::recording::Recorder;
use crate::remoting::{Command, FrameError, ResponseCode, SerializeType, VERSION_BEFORE_GO_AWAY};
use crate::route::ConnectionId;

/// Who may ask: the same for every thread.
pub(crate) struct Gate {
    pub(crate) core: Arc<Core>,
    pub(crate) admin_from: Networks,
    pub(crate) serialize_type: SerializeType,
    pub(crate) readiness: Arc<ReadinessCell>,
    /// Strangers must not fill the log.
    pub(crate) refusals: LogLimit,
    pub(crate) recorder: Arc<Recorder>,
}

/// One worker's half: decodes, admits, answers reads.
pub(crate) struct Worker {
    pub(crate) gate: Arc<Gate>,
    /// Who answers what. A whole read is answered with one catalogue.
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) follower: Follower,
    pub(crate) runner: Runner,
    /// Replies that need nobody; none if the operator wants none.
    pub(crate) memo: Option<Memo>,
}

/// One lane thread's half: answers what the workers hand over.
pub(crate) struct Lane {
    pub(crate) core: Arc<Core>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) follower: Follower,
    pub(crate) runner: Runner,
    pub(crate) recorder: Arc<Recorder>,
}

/// A request on its way to the lane, with the catalogue that it began with.
pub(crate) struct LaneRequest {
    request: Request,
    occasion: Occasion,
    catalogue: Arc<Catalogue>,
    /// How many who should have answered it failed.
    failed: usize,
    weight: usize,
    is_guest: bool,
    is_refused: bool,
}

/// A smaller frame is copied on its way to the lane, because it would keep the whole read buffer of the worker alive.
const FRAME_KEPT_MIN: usize = 64 * 1024;

impl LaneRequest {
    fn new(
        frame: Bytes,
        command: Command,
        (caller, occasion): (&Connection, Occasion),
        catalogue: &Arc<Catalogue>,
        (failed, is_guest): (usize, bool),
    ) -> Result<Self, FrameError> {
        let weight = frame.len();
        let command = if weight < FRAME_KEPT_MIN { Command::decode(Bytes::copy_from_slice(&frame))? } else { command };
        let request = Request { command, caller: caller.clone() };
        Ok(Self { request, occasion, catalogue: Arc::clone(catalogue), failed, weight, is_guest, is_refused: false })
    }
}

impl LaneJob for LaneRequest {
    fn weight(&self) -> usize {
        self.weight
    }

    fn is_guest(&self) -> bool {
        self.is_guest
    }

    fn refuse(&mut self) {
        self.is_refused = true;
    }
}

impl Service for Worker {
    type Job = LaneRequest;

    fn recall(&mut self, frame: &[u8], connection: &Connection, out: &mut BytesMut) -> bool {
        // Every request comes by here once, whoever answers it.
        if self.gate.recorder.is_on() {
            self.gate.recorder.asked(frame, connection, self.gate.core.clock.monotonic());
        }
        let Some(memo) = &mut self.memo else { return false };
        let gate = &self.gate;
        // Who is sent away depends on the version, which only the header knows.
        if gate.readiness.sends_away() {
            memo.seek_nothing();
            return false;
        }
        let may_ask = |access| gate.admits(access, connection);
        memo.recall(frame, (&gate.core, &self.catalogue), may_ask, out)
    }

    fn look_around(&mut self) {
        let Some(newer) = self.follower.newer(&self.catalogue) else { return };
        self.runner.change_over(&newer);
        if let Some(memo) = &mut self.memo {
            memo.change_over();
        }
        self.catalogue = newer;
        self.follower.uses(&self.catalogue);
    }

    fn batch_end(&mut self) {
        if let Some(memo) = &mut self.memo {
            memo.batch_end();
        }
    }

    fn call(&mut self, frame: Bytes, connection: &Connection, out: &mut BytesMut) -> Step<LaneRequest> {
        self.call_again(frame, Occasion::Arrived, connection, out)
    }

    fn call_again(
        &mut self,
        frame: Bytes,
        occasion: Occasion,
        connection: &Connection,
        out: &mut BytesMut,
    ) -> Step<LaneRequest> {
        let command = match Command::decode(frame.clone()) {
            Ok(command) => command,
            Err(error) => return Step::Close(CloseReason::Undecodable(error.to_string().into())),
        };
        // An answer to a question that we never asked. Java drops it as well.
        if command.is_response() {
            return Step::Done;
        }
        // Java: NettyRemotingAbstract.processRequestCommand. Whatever is asked: brokers are sent away, too.
        if self.gate.readiness.sends_away() && command.version > VERSION_BEFORE_GO_AWAY {
            self.refuse(&command, ResponseCode::GO_AWAY, "please go away", out);
            return Step::Done;
        }
        let Some(target) = self.catalogue.target(command.code) else {
            // Java: RemotingCommand for an unknown code; the leading blank is part of it.
            let remark = format!(" request type {} not supported", command.code);
            self.refuse(&command, ResponseCode::REQUEST_CODE_NOT_SUPPORTED, &remark, out);
            return Step::Done;
        };
        if let Err(remark) = self.gate.admit(target, connection) {
            self.gate.refusals.note(|suppressed| {
                tracing::warn!(peer = %connection.peer(), code = command.code, suppressed, "refused: {remark}");
            });
            self.refuse(&command, ResponseCode::NO_PERMISSION, &remark, out);
            return Step::Done;
        }
        self.ask((frame, command), (connection, occasion), out)
    }
}

impl Worker {
    /// Lets the plugin answer that should, or else who answers instead, here or in the lane.
    fn ask(
        &mut self,
        (frame, mut command): (Bytes, Command),
        (connection, occasion): (&Connection, Occasion),
        out: &mut BytesMut,
    ) -> Step<LaneRequest> {
        let Some(mut target) = self.catalogue.target(command.code) else { return Step::Done };
        self.runner.on(occasion);
        for failed in 0.. {
            let plugin = &self.catalogue.plugins()[target.plugin];
            // Nobody waits for a plugin that is taken out, wherever it runs.
            if plugin.repute.is_out(|| self.gate.core.clock.monotonic()) {
                self.runner.tally().refusal(plugin.place);
            } else if !target.wants_worker() || !plugin.may_run_on_worker() {
                let whose = (failed, !target.is_embedded);
                return match LaneRequest::new(frame, command, (connection, occasion), &self.catalogue, whose) {
                    Ok(job) => Step::Lane(job),
                    Err(error) => Step::Close(CloseReason::Undecodable(error.to_string().into())),
                };
            } else {
                let is_oneway = command.is_oneway();
                let start = out.len();
                match self.runner.answer(target, command, connection, failed > 0, out) {
                    Answer::Fallback(again) => command = again,
                    Answer::Done => {
                        if !is_oneway && let Some(memo) = &mut self.memo {
                            let (gate, runner) = (&self.gate, &mut self.runner);
                            remember(
                                memo,
                                (gate, &self.catalogue, runner),
                                target,
                                (&frame, connection),
                                &out[start..],
                            );
                        }
                        return Step::Done;
                    }
                    Answer::Later(pending) => return later(*pending, &self.gate.core),
                    Answer::Again(wish, frame) => {
                        self.gate.core.waiting.wait(*wish, frame, connection.reply_sink());
                        return Step::Done;
                    }
                }
            }
            match &target.fallback {
                Some(fallback) => target = fallback,
                None => {
                    self.runner.refuse_for(target, &command, &CallError::Out, out);
                    return Step::Done;
                }
            }
        }
        Step::Done
    }

    fn refuse(&self, command: &Command, code: ResponseCode, remark: &str, out: &mut BytesMut) {
        let place = self.catalogue.target(command.code).and_then(|target| target.place);
        self.runner.tally().request(place, Outcome::of_refusal(code));
        if !command.is_oneway() {
            refuse(code, remark, command.opaque, self.gate.serialize_type, out);
        }
    }
}

/// A reply that another thread brings.
fn later(pending: Pending, core: &Core) -> Step<LaneRequest> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    pending.then(core, move |reply| {
        // Nobody is there any more: the connection is closed.
        let _ = sender.send(reply);
    });
    Step::Later(Box::pin(async move { receiver.await.unwrap_or_default() }))
}

/// Remembers a reply, if it may be given again.
fn remember(
    memo: &mut Memo,
    (gate, catalogue, runner): (&Gate, &Catalogue, &mut Runner),
    target: &Target,
    (frame, connection): (&Bytes, &Connection),
    reply: &[u8],
) {
    let settings = gate.core.settings.version();
    if memo.remember(frame, reply, target.entry.access, runner.reads(), settings) == Promise::Kept {
        return;
    }
    let Ok(command) = Command::decode(frame.clone()) else { return };
    let culprits = runner.who_is_impure(target, &command, connection);
    for plugin in culprits.iter().filter_map(|at| catalogue.plugins().get(*at)) {
        if plugin.repute.distrust() {
            tracing::error!(
                plugin = %plugin.name,
                code = command.code,
                is_certain = culprits.len() == 1,
                "a reply came out differently although nothing had changed: the plugin is not pure; no reply that it \
                 has a say in is remembered any more"
            );
        }
    }
}

impl Gate {
    /// Who may ask, decided for every request. The remark names the setting that decides.
    fn admit(&self, target: &Target, connection: &Connection) -> Result<(), String> {
        if self.admits(target.entry.access, connection) {
            return Ok(());
        }
        let (name, address) = (&target.entry.name, connection.peer().ip());
        Err(format!("{name} is answered only to peers in `admin.admin-from`, which {address} is not"))
    }

    fn admits(&self, access: Access, connection: &Connection) -> bool {
        match access {
            Access::Client => true,
            Access::Admin => self.admin_from.contain(connection.peer().ip()),
        }
    }
}

impl LaneService for Lane {
    type Job = LaneRequest;

    fn run(&mut self, job: LaneRequest, sink: ReplySink) {
        let LaneRequest { request, occasion, catalogue, failed, is_refused, .. } = job;
        if !Arc::ptr_eq(&catalogue, &self.catalogue) {
            self.change_over(catalogue);
        }
        self.runner.on(occasion);
        if is_refused {
            self.refuse(&request.command, occasion, sink);
        } else {
            self.answer(request, failed, sink);
        }
        // One that began long ago keeps nothing of that time here.
        self.look_around();
    }

    fn look_around(&mut self) {
        if let Some(newer) = self.follower.newer(&self.catalogue) {
            self.change_over(newer);
        }
        self.follower.uses(&self.catalogue);
    }

    fn connection_closed(&mut self, id: ConnectionId) {
        self.core.waiting.forget(id);
        if self.recorder.is_on() {
            self.recorder.closed(id, self.core.clock.monotonic());
        }
        let Some(connection) = self.core.registrants.take(id) else { return };
        let removed = self.core.routes.disconnect(&connection);
        self.core.changes.disconnected.add(removed.len());
        for broker in &removed {
            tracing::info!(
                broker = %broker.broker_name, cluster = %broker.cluster, address = %broker.address,
                "its connection closed"
            );
        }
        self.core.notifier.left(&removed);
    }
}

impl Lane {
    fn change_over(&mut self, catalogue: Arc<Catalogue>) {
        self.runner.change_over(&catalogue);
        self.catalogue = catalogue;
    }

    fn answer(&mut self, request: Request, failed: usize, sink: ReplySink) {
        let mut out = BytesMut::new();
        let Request { mut command, caller } = request;
        let target = self.catalogue.target(command.code).expect("the worker found one in this very catalogue");
        for (failed, target) in target.line().enumerate().skip(failed) {
            match self.runner.answer(target, command, &caller, failed > 0, &mut out) {
                Answer::Fallback(again) => command = again,
                Answer::Done => break,
                Answer::Later(pending) => return pending.then(&self.core, move |reply| sink.send(reply)),
                Answer::Again(wish, frame) => return self.core.waiting.wait(*wish, frame, sink),
            }
        }
        sink.send(out.freeze());
    }

    /// Its plugin had no thread for it.
    fn refuse(&mut self, command: &Command, occasion: Occasion, sink: ReplySink) {
        let Some(sink) = put_off(&self.core, command, occasion, sink) else { return };
        let place = self.catalogue.target(command.code).and_then(|target| target.place);
        self.runner.tally().request(place, Outcome::Busy);
        let mut out = BytesMut::new();
        if !command.is_oneway() {
            let remark = "too many calls of plugins are under way; try again";
            self.runner.refuse(ResponseCode::SYSTEM_BUSY, remark, command.opaque, &mut out);
        }
        sink.send(out.freeze());
    }
}

/// Many wake up together, and one that has waited so long waits a moment more; gives the sink back of any other.
fn put_off(core: &Core, command: &Command, occasion: Occasion, sink: ReplySink) -> Option<ReplySink> {
    let frame = (occasion != Occasion::Arrived).then(|| detached_frame(command)).flatten();
    match frame {
        Some(frame) => core.waiting.put_off(frame, occasion, sink).err(),
        None => Some(sink),
    }
}
