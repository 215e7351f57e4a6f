//! A case, played: what was asked, what came back, and what of it is not as expected.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};

use super::file::{Broker, Case, CaseFile, Reply, Request, RouteQuestion, Step};
use super::matching::{Difference, differences, of_json, of_table, of_toml};
use super::unordered::sorted;
use crate::config::Config;
use crate::plugin::{Fuel, PluginState, on_demand, stock_name_of};
use crate::remoting::{Command, FLAG_ONEWAY, Fields, RequestCode, SerializeType, VERSION};
use crate::route::{DataVersion, Registration, TopicConfig, TopicTable};
use crate::workbench::{Outcome, Plan, Workbench};

/// Who asks when a case does not say.
const NOBODY_IN_PARTICULAR: &str = "127.0.0.1:40000";

/// The port of the first broker that is registered when a case begins. Each has a connection of its own, as brokers
/// have, because what is registered over a connection goes with it.
const FIRST_BROKER: u16 = 41_000;

/// After so many differences, the rest of a case tells nothing new.
const FAILURES_MAX: usize = 12;

/// The largest text of a difference that is shown.
const SHOWN_MAX: usize = 4000;

/// A component with its name, and where compiled ones are kept.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) file_name: &'a str,
    pub(crate) bytes: &'a [u8],
    pub(crate) cache_dir: &'a Path,
}

/// What is not as it should be, by step.
pub(crate) struct Failure {
    /// From 1, with its name.
    pub(crate) step: String,
    pub(crate) difference: Difference,
}

/// Plays a case on a server of its own. The error is why there is no server, or why it has no use for the component.
pub(crate) fn play(subject: Subject<'_>, file: &CaseFile, case: &Case) -> Result<Vec<Failure>, String> {
    let (mut bench, _) = prepared(subject, file, Fuel::Free)?;
    let mut failures = Vec::new();
    for (step, at) in case.steps().iter().zip(1..) {
        let found = take(&mut bench, step)?;
        let name = [&at.to_string(), ": ", &step.name].concat();
        let name = name.trim_end_matches(": ");
        failures.extend(found.into_iter().map(|difference| Failure { step: name.to_owned(), difference }));
        if failures.len() >= FAILURES_MAX {
            break;
        }
    }
    Ok(failures)
}

/// A workbench as a file of cases has it, and the name of the plugin.
pub(crate) fn prepared(subject: Subject<'_>, file: &CaseFile, fuel: Fuel) -> Result<(Workbench, String), String> {
    let config = file.configuration(subject.file_name)?;
    let plan =
        Plan { plugin: Some((subject.file_name, subject.bytes)), cache_dir: subject.cache_dir, now: file.now(), fuel };
    let (mut bench, name) = with_its_policy(plan, config)?;
    set_up(&mut bench, file)?;
    Ok((bench, name))
}

/// The same without a component: the embedded plugins answer.
pub(crate) fn without_a_file(cache_dir: &Path, file: &CaseFile) -> Result<Workbench, String> {
    let plan = Plan { plugin: None, cache_dir, now: file.now(), fuel: Fuel::Free };
    let config = file.configuration("")?;
    let mut bench = Workbench::new(plan, config).map_err(|error| error.to_string())?;
    set_up(&mut bench, file)?;
    Ok(bench)
}

fn set_up(bench: &mut Workbench, file: &CaseFile) -> Result<(), String> {
    for (broker, port) in file.brokers.iter().zip(FIRST_BROKER..) {
        register(bench, broker, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    }
    for (namespace, entries) in &file.kv {
        for (key, value) in entries {
            bench.put(namespace, key, value).map_err(|error| format!("[kv.{namespace}] {key}: {error}"))?;
        }
    }
    Ok(())
}

/// A policy is tried at the end of the chain, unless the configuration names its place.
fn with_its_policy(plan: Plan<'_>, mut config: Config) -> Result<(Workbench, String), String> {
    let open = |config: Config| Workbench::new(plan, config).map_err(|error| error.to_string());
    let refused = |reason: String| format!("a server does not use it: {reason}");
    // One that waits to be named has to be named first.
    let waits = plan.plugin.and_then(|(_, bytes)| stock_name_of(bytes));
    if let Some(name) = waits.filter(|name| on_demand().any(|waiting| waiting == *name)) {
        if !config.policies.chain.iter().any(|known| known == name) {
            config.policies.chain.push(name.to_owned());
        }
        return Ok((open(config)?, name.to_owned()));
    }
    let bench = open(config.clone())?;
    let reason = match bench.subject() {
        Ok(name) => return Ok((bench, name)),
        Err(reason) => reason,
    };
    // A policy that no chain names is good, and not used.
    let status = bench.status().unwrap_or_default();
    let name = status.name.filter(|name| !config.policies.chain.contains(name));
    let Some(name) = name.filter(|_| status.state == PluginState::Unused) else { return Err(refused(reason)) };
    drop(bench);
    config.policies.chain.push(name.clone());
    let bench = open(config).map_err(|_| refused(reason))?;
    bench.subject().map_err(refused)?;
    Ok((bench, name))
}

/// Takes one step, and says what is not as expected.
fn take(bench: &mut Workbench, step: &Step) -> Result<Vec<Difference>, String> {
    before(bench, step)?;
    let mut found = Vec::new();
    if let Some(request) = &step.request {
        let (frame, from) = (frame(request)?, address(request.from.as_deref())?);
        let outcome = bench.ask(frame.clone(), from);
        let expected = step.reply.clone().unwrap_or_default();
        found.extend(compare(&expected, &outcome));
        if let (Outcome::Reply(reply), true) = (&outcome, bench.promises_pure(request.code)) {
            found.extend(ask_twice(bench, frame, from, reply));
        }
    }
    if let (Some(question), Some(shown)) = (&step.route, &step.shown) {
        found.extend(differences("shown", &of_toml(shown), Some(&route(bench, question)?)));
    }
    if let Some(then) = &step.then {
        found.extend(differences("then", &of_table(then), Some(&state(bench))));
    }
    found.iter_mut().for_each(shorten);
    Ok(found)
}

/// What comes before the question of a step.
pub(crate) fn before(bench: &mut Workbench, step: &Step) -> Result<(), String> {
    if let Some(wait) = step.wait {
        bench.advance(wait);
    }
    if let Some(from) = &step.close {
        bench.close(address(Some(from))?);
    }
    Ok(())
}

/// Whoever promises to be pure answers a second time as the first.
fn ask_twice(bench: &mut Workbench, frame: Bytes, from: SocketAddr, first: &Command) -> Option<Difference> {
    let promise = "the same answer again, because the manifest promises `pure`";
    match bench.ask(frame, from) {
        Outcome::Reply(second) if second == *first => None,
        Outcome::Reply(second) => {
            let text = |reply: &Command| format!("{:?} {}", reply.fields, String::from_utf8_lossy(&reply.body));
            let told = format!("first {}, then {}", text(first), text(&second));
            Some(Difference::new("the same request asked twice", promise, told))
        }
        other => Some(Difference::new("the same request asked twice", promise, told(&other))),
    }
}

/// The frame of a request.
pub(crate) fn frame(request: &Request) -> Result<Bytes, String> {
    if let Some(hex) = &request.frame_hex {
        return bytes(hex).map(Bytes::from).map_err(|why| format!("frame-hex: {why}"));
    }
    let body = match (&request.body, &request.body_json, &request.body_hex) {
        (Some(text), ..) => Bytes::from(text.clone()),
        (_, Some(value), _) => Bytes::from(of_toml(value).to_string()),
        (.., Some(hex)) => Bytes::from(bytes(hex).map_err(|why| format!("body-hex: {why}"))?),
        _ => Bytes::new(),
    };
    let command = Command {
        version: request.version.unwrap_or(VERSION),
        flag: if request.oneway { FLAG_ONEWAY } else { 0 },
        fields: (!request.fields.is_empty()).then(|| fields(&request.fields)),
        body,
        ..Command::request(RequestCode(request.code), 1)
    };
    let form = if request.binary { SerializeType::Rocketmq } else { SerializeType::Json };
    let mut frame = BytesMut::new();
    command.encode(form, &mut frame).map_err(|error| format!("the request cannot be written: {error}"))?;
    Ok(frame.freeze())
}

/// Numbers and booleans are text on the wire.
fn fields(table: &toml::Table) -> Fields {
    let text = |value: &toml::Value| match value {
        toml::Value::String(text) => text.clone(),
        other => of_toml(other).to_string(),
    };
    table.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok().filter(|text| text.len() == 2);
        text.and_then(|text| u8::from_str_radix(text, 16).ok()).ok_or_else(|| "not hexadecimal".to_owned())
    };
    digits.chunks(2).map(byte).collect()
}

pub(crate) fn address(text: Option<&str>) -> Result<SocketAddr, String> {
    let text = text.unwrap_or(NOBODY_IN_PARTICULAR);
    text.parse().map_err(|_| format!("{text:?} is no address; one is as \"10.1.2.3:4000\""))
}

fn compare(expected: &Reply, outcome: &Outcome) -> Vec<Difference> {
    if expected.any {
        return Vec::new();
    }
    let is_silent = matches!(outcome, Outcome::Silence);
    let is_closed = matches!(outcome, Outcome::Closed(_));
    if expected.none || expected.closed {
        let what = if expected.none { "nothing" } else { "the connection is closed" };
        let is_so = if expected.none { is_silent } else { is_closed };
        return if is_so { Vec::new() } else { vec![Difference::new("reply", what, told(outcome))] };
    }
    let Outcome::Reply(reply) = outcome else {
        return vec![Difference::new("reply", "a reply", told(outcome))];
    };
    let mut found = Vec::new();
    let code = expected.code.unwrap_or_default();
    if reply.code != code {
        found.push(Difference::new("reply.code", code.to_string(), told(outcome)));
    }
    let remark = reply.remark.as_ref().map(|remark| Value::String(remark.to_string()));
    if let Some(wanted) = &expected.remark {
        found.extend(differences("reply.remark", &of_toml(wanted), remark.as_ref()));
    }
    let remark = reply.remark.as_deref().unwrap_or_default();
    found.extend(missing("reply.remark", &expected.remark_contains, remark));
    let there: Map<_, _> = reply
        .fields
        .iter()
        .flat_map(|fields| fields.iter())
        .map(|(name, value)| (name.to_string(), Value::String(value.to_string())))
        .collect();
    found.extend(differences("reply.fields", &of_table(&expected.fields), Some(&Value::Object(there))));
    found.extend(compare_body(expected, &reply.body));
    found
}

fn compare_body(expected: &Reply, body: &[u8]) -> Vec<Difference> {
    let text = String::from_utf8_lossy(body);
    let mut found = missing("reply.body", &expected.body_contains, &text);
    if let Some(wanted) = expected.body.as_ref().filter(|wanted| **wanted != text) {
        found.push(Difference::new("reply.body", wanted.clone(), text.clone()));
    }
    if expected.body_json.is_none() && expected.body_json_text.is_none() {
        return found;
    }
    let value = match of_json(body) {
        Ok(value) => value,
        Err(error) => {
            found.push(Difference::new("reply.body", "JSON", format!("{text} ({error})")));
            return found;
        }
    };
    if let Some(wanted) = &expected.body_json {
        found.extend(differences("reply.body", &of_toml(wanted), Some(&value)));
    }
    if let Some(wanted) = &expected.body_json_text {
        match of_json(wanted.as_bytes()) {
            Ok(wanted) => {
                let (wanted, value) = (sorted(wanted), sorted(value));
                if wanted != value {
                    found.push(Difference::new("reply.body", pretty(&wanted), pretty(&value)));
                }
            }
            Err(error) => found.push(Difference::new("body-json-text of the case", "JSON", error.to_string())),
        }
    }
    found
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn missing(place: &str, wanted: &[String], text: &str) -> Vec<Difference> {
    let missing = wanted.iter().filter(|wanted| !text.contains(wanted.as_str()));
    missing.map(|wanted| Difference::new(place, format!("… {wanted} …"), text)).collect()
}

/// What came of a request, in a line.
pub(crate) fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Reply(reply) => {
            let remark = reply.remark.as_ref().map_or_else(String::new, |remark| format!(" ({remark})"));
            format!("{}{remark}", reply.code)
        }
        Outcome::Silence => "nothing".to_owned(),
        Outcome::Closed(reason) => format!("the connection is closed: {reason:?}"),
        Outcome::Garbled(error) => format!("what is no frame: {error}"),
    }
}

fn shorten(difference: &mut Difference) {
    for text in [&mut difference.expected, &mut difference.found] {
        if let Some((at, _)) = text.char_indices().nth(SHOWN_MAX) {
            text.truncate(at);
            text.push('…');
        }
    }
}

fn route(bench: &mut Workbench, question: &RouteQuestion) -> Result<Value, String> {
    let command = Command {
        version: question.version.unwrap_or(VERSION),
        fields: Some(fields(&question.fields)),
        ..Command::request(RequestCode(question.code), 1)
    };
    let from = address(question.from.as_deref())?;
    let shown = bench.show(&question.topic, command, from)?;
    Ok(shown.map_or(Value::Bool(false), Value::Array))
}

/// What cases can expect of the tables and the KV store.
fn state(bench: &Workbench) -> Value {
    let (tables, kv) = (bench.tables(), bench.kv());
    let entry = |queue: &crate::route::Queue| {
        json!({
            "name": &*queue.broker_name, "read": queue.read_queue_nums, "write": queue.write_queue_nums,
            "perm": queue.perm, "flag": queue.topic_sys_flag,
        })
    };
    let topics = tables
        .topics()
        .iter()
        .map(|topic| (topic.name.to_string(), Value::Array(topic.queues.iter().map(entry).collect())))
        .collect();
    let brokers = tables
        .groups()
        .map(|group| {
            let addresses =
                group.addresses.iter().map(|(id, address)| (id.to_string(), Value::from(&**address))).collect();
            let shown = json!({
                "cluster": &*group.cluster, "zone": group.zone_name.as_deref(),
                "acting-master": group.enable_acting_master, "addresses": Value::Object(addresses),
            });
            (group.broker_name.to_string(), shown)
        })
        .collect();
    let namespaces = kv
        .namespaces()
        .iter()
        .map(|(namespace, entries)| {
            let entries =
                entries.entries().iter().map(|(key, value)| (key.to_string(), Value::from(&**value))).collect();
            (namespace.to_string(), Value::Object(entries))
        })
        .collect();
    json!({
        "topics": Value::Object(topics), "brokers": Value::Object(brokers), "kv": Value::Object(namespaces),
    })
}

fn register(bench: &mut Workbench, broker: &Broker, from: SocketAddr) -> Result<(), String> {
    let address = broker.address.clone().unwrap_or_else(|| format!("{}-{}:10911", broker.name, broker.id));
    let registration = Registration {
        cluster: broker.cluster.as_str().into(),
        broker_name: broker.name.as_str().into(),
        broker_id: broker.id,
        address: address.into(),
        ha_address: None,
        zone_name: broker.zone.as_deref().map(Into::into),
        enable_acting_master: broker.acting_master,
        heartbeat_timeout: broker.timeout.map(|timeout| i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX)),
        delete_missing_topics: false,
    };
    let topics = broker.topics.iter().map(|(name, entry)| TopicConfig {
        name: name.as_str().into(),
        key: None,
        read_queue_nums: entry.read,
        write_queue_nums: entry.write,
        perm: entry.perm,
        topic_sys_flag: entry.flag,
    });
    let table = TopicTable {
        data_version: DataVersion { counter: 1, ..DataVersion::default() },
        topics: topics.collect(),
        ..TopicTable::default()
    };
    // One that is not known yet must not bring a single topic.
    let mut put = |table| bench.register(registration.clone(), table, from);
    let registered = put(TopicTable::default()).and_then(|()| put(table));
    registered.map_err(|error| format!("[[broker]] {}: {error}", broker.name))
}
