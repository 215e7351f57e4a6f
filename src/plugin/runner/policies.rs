//! What the policies of the chain make of a route.

use std::sync::Arc;

use bytes::BytesMut;

use super::{Fate, Runner, told_of};
use crate::config::{PolicyFailure, Snapshot};
use crate::memo::Unfit;
use crate::net::Connection;
use crate::plugin::draft::Draft;
use crate::plugin::encode;
use crate::plugin::registry::PolicySlot;
use crate::plugin::request::Request;
use crate::plugin::view::RouteView;
use crate::plugin::wasm::{Call, CallError, Part};
use crate::remoting::{Command, ResponseCode};
use crate::route::Route;

impl Runner {
    /// The first policy of the chain that has a say about a request.
    pub(super) fn first_policy(&self, command: &Command, settings: &Snapshot) -> Option<usize> {
        self.catalogue.chain().iter().position(|slot| slot.condition.holds(command, settings))
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

    /// Appends a reply with a route as the policies leave it.
    pub(super) fn encode_view(
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
                self.fate = Fate::Failed;
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
            let policy = &catalogue.plugins()[*plugin];
            if !pure || !policy.repute.is_trusted() {
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
            let Err(error) = outcome else {
                self.say(*plugin, || format!("{:?}", view.groups().collect::<Vec<_>>()));
                continue;
            };
            self.reads_mut().spoil(Unfit::Failed);
            if !matches!(error, CallError::Out) {
                self.failures.note(|suppressed| {
                    let peer = request.caller.peer();
                    let name = &policy.name;
                    tracing::error!(policy = %name, %peer, ?on_failure, suppressed, "the policy failed: {error}");
                });
            }
            match on_failure {
                PolicyFailure::Skip => {
                    self.fate = Fate::Degraded;
                    view.restore(before);
                }
                PolicyFailure::Close => {
                    let remark = format!("policy {} is unavailable: {}", policy.name, told_of(&error, policy));
                    return Err(Box::new(Draft::failure(ResponseCode::SYSTEM_BUSY.0, remark)));
                }
            }
        }
        Ok(view)
    }
}
