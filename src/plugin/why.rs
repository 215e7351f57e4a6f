//! Why a client is shown the route that it is shown: who answers, and what each policy of the chain makes of the route.
//!
//! The processor is named and not asked. The policies run in instances of their own, on the thread of whoever asks.
//! Nothing is counted, and what they do counts for nobody. One that is taken out is not entered, as for a client.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::{Value, json};

use super::core::Core;
use super::registry::{Catalogue, Origin, Plugin};
use super::request::Request;
use super::view::RouteView;
use super::wasm::{Allowance, Call, CallError, Part};
use crate::config::PolicyFailure;
use crate::net::Connection;
use crate::remoting::{Command, Fields, RequestCode};

/// Who asks for which route, and how.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Question {
    pub(crate) topic: String,
    /// Where the client is; this machine, if nothing is said.
    pub(crate) client: Option<IpAddr>,
    /// Further fields of its request.
    pub(crate) fields: Vec<(String, String)>,
}

/// The answer, for programs; none when there is no such topic.
pub(crate) fn why(question: &Question, catalogue: &Catalogue, core: &Arc<Core>) -> Option<Value> {
    let route = core.routes.tables().route(&question.topic)?;
    let settings = core.settings.snapshot();
    let (lookup, field) = lookup(catalogue).unzip();
    let mut fields = Fields::new();
    for (name, value) in &question.fields {
        fields.insert(name.as_str(), value.as_str());
    }
    if let Some(field) = field {
        fields.insert(field, question.topic.as_str());
    }
    let command = Command { fields: Some(fields), ..Command::request(RequestCode(lookup.unwrap_or_default()), 0) };
    let client = question.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut request = Request { command, caller: Connection::without_socket(SocketAddr::from((client, 0))) };

    let tables = json!({
        "version": route.topic.version,
        "groups": route.groups.iter().map(|group| (group.broker_name.to_string(), group.version)).collect::<Versions>(),
    });
    let mut view = Box::new(RouteView::new(route));
    let before = shown(&view);
    let (mut steps, mut failed) = (Vec::new(), None);
    for slot in catalogue.chain() {
        let plugin = &catalogue.plugins()[slot.plugin];
        let mut step = described(plugin, core);
        step["on-failure"] = json!(slot.on_failure);
        if failed.is_some() {
            step["asked"] = json!(false);
            step["because"] = json!("a policy before it failed, which is an error for the client");
        } else if !slot.condition.holds(&request.command, &settings) {
            step["asked"] = json!(false);
            step["because"] = json!(format!("its condition does not hold: {}", slot.condition));
        } else {
            let earlier = view.changed().clone();
            // As for a client: one that is taken out is not entered, and that counts as a failure.
            let is_out = plugin.repute.is_out(|| core.clock.monotonic());
            step["asked"] = json!(!is_out);
            let failure = if is_out {
                Some(plugin.trouble(core.clock.monotonic()).unwrap_or_else(|| CallError::Out.to_string()))
            } else {
                let terms = catalogue.terms(slot.plugin);
                let allowance = Allowance { deadline: terms.worker_deadline, host_calls: terms.host_calls_max };
                let entered = enter(plugin, core, request, view, allowance);
                (request, view) = (entered.0, entered.1);
                entered.2.err().map(|error| error.to_string())
            };
            if let Some(failure) = failure {
                step["failure"] = json!(failure);
                match slot.on_failure {
                    PolicyFailure::Skip => view.restore(earlier),
                    PolicyFailure::Close => failed = Some(plugin.name.to_string()),
                }
            }
            step["shown"] = shown(&view);
        }
        steps.push(step);
    }
    Some(json!({
        "topic": question.topic,
        "client": client.to_string(),
        "code": lookup,
        "answered-by": lookup.and_then(|code| answerer(code, catalogue, core)),
        "generation": catalogue.number(),
        "settings": settings.version(),
        "tables": tables,
        "route": before,
        "policies": steps,
        "failed": failed,
    }))
}

type Versions = std::collections::BTreeMap<String, u64>;

/// The request code that asks for a route, and the field that names the topic. A lookup is what some plugin wants to be
/// shown a route for beforehand, even if another one answers it now. What a plugin of a file wants for codes of its own
/// counts only if the server brings none that does.
fn lookup(catalogue: &Catalogue) -> Option<(i32, &str)> {
    let wanted = catalogue.plugins().iter().flat_map(|plugin| {
        let is_of_a_file = plugin.origin != Origin::Embedded;
        let codes = plugin.manifest.codes.iter();
        codes.filter_map(move |entry| Some((is_of_a_file, entry.code, &*entry.glance.as_ref()?.route_by_field)))
    });
    wanted.min().map(|(_, code, field)| (code, field))
}

/// Who answers a request code, in whose place, and who does if it fails.
fn answerer(code: i32, catalogue: &Catalogue, core: &Core) -> Option<Value> {
    let target = catalogue.target(code)?;
    let plugin = &catalogue.plugins()[target.plugin];
    // Whoever had the code before was admitted before, and is still there.
    let has_it = |other: &&Arc<Plugin>| other.manifest.codes.iter().any(|entry| entry.code == code);
    let replaced = catalogue.plugins()[..target.plugin].iter().rfind(has_it);
    let fallback = target.fallback.as_ref().map(|fallback| &catalogue.plugins()[fallback.plugin]);
    let mut described = described(plugin, core);
    described["in-place-of"] = json!(replaced.map(|replaced| &*replaced.name));
    described["fallback"] = json!(fallback.map(|fallback| &*fallback.name));
    Some(described)
}

/// Which plugin it is.
fn described(plugin: &Plugin, core: &Core) -> Value {
    let file = match &plugin.origin {
        Origin::Embedded => None,
        Origin::File(path) => Some(path.display().to_string()),
    };
    json!({
        "name": *plugin.name,
        "version": plugin.manifest.version,
        "sha256": plugin.component.sha256(),
        "file": file,
        "since": plugin.since(),
        "trouble": plugin.trouble(core.clock.monotonic()),
    })
}

/// Lets one policy look at the route.
fn enter(
    plugin: &Plugin,
    core: &Arc<Core>,
    request: Request,
    view: Box<RouteView>,
    allowance: Allowance,
) -> (Request, Box<RouteView>, Result<(), CallError>) {
    let mut instance = match plugin.prepared.instantiate(plugin.parts(core), allowance.deadline) {
        Ok(instance) => instance,
        Err(error) => return (request, view, Err(error)),
    };
    let call = Call { request, reads: Box::default(), part: Part::Select(view) };
    let (Call { request, part: Part::Select(view), .. }, outcome) = instance.enter(call, allowance) else {
        unreachable!("a call keeps its part");
    };
    // One that has to be replaced has done what it should.
    (request, view, outcome.or_else(|error| if matches!(error, CallError::Spent) { Ok(()) } else { Err(error) }))
}

/// A route as a client would be shown it.
fn shown(view: &RouteView) -> Value {
    let group = |shown: super::view::Shown<'_>| {
        let queue = shown
            .queue
            .map(|queue| json!({ "perm": queue.perm, "read": queue.read_queue_nums, "write": queue.write_queue_nums }));
        let addresses: Vec<_> = shown.addresses.iter().map(|(id, address)| json!([id, &**address])).collect();
        json!({
            "broker": &*shown.group.broker_name,
            "cluster": &*shown.group.cluster,
            "zone": shown.group.zone_name.as_deref(),
            "queues": queue,
            "addresses": addresses,
        })
    };
    view.groups().map(group).collect()
}
