//! The case files of `tests/conformance`: for each stock plugin what a stand-in has to answer, as the Java NameServer
//! answered when it was recorded, and as a model of the tables says.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use bytes::Bytes;
use fingerpost::remoting::{Command, FLAG_ONEWAY};
use toml::Value;

use crate::captures::exceptions::{Difference, EXCEPTIONS};
use crate::captures::replay::{Capture, load};
use crate::differential::suite::tree::Tree;
use crate::simulator::model::{Answer, Model, Request};

/// What changes what later requests are answered with: registrations, permissions, topics, the KV store, settings.
const CHANGES: [i32; 9] = [100, 102, 103, 104, 205, 216, 217, 318, 327];

/// The plugins that the model knows something about.
const MODELLED: [&str; 5] = ["brokers", "cluster", "kv", "lookup", "topics"];

/// Conversations of the model, and the steps of each.
const CONVERSATIONS: u64 = 3;
const STEPS: usize = 60;

/// A stock plugin, as its manifest has it.
pub(super) struct Stock {
    pub(super) name: String,
    pub(super) codes: BTreeSet<i32>,
    grants: Vec<String>,
}

impl Stock {
    pub(super) fn read(name: &str) -> Self {
        let path = format!("{}/plugins/{name}/manifest.toml", env!("CARGO_MANIFEST_DIR"));
        let manifest: toml::Table = fs::read_to_string(path).expect("it is there").parse().expect("it is TOML");
        let list = |key: &str| manifest.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let code = |entry: &Value| i32::try_from(entry["code"].as_integer()?).ok();
        let codes: BTreeSet<i32> = list("codes").iter().filter_map(code).collect();
        // What a policy does is seen in lookups.
        let codes = if codes.is_empty() { [105].into() } else { codes };
        let grants = list("grants").iter().filter_map(|grant| Some(grant.as_str()?.to_owned())).collect();
        Self { name: name.to_owned(), codes, grants }
    }

    /// The file for a stand-in of it.
    pub(super) fn cases(&self) -> String {
        let mut text = format!(
            "# What a stand-in for the stock plugin `{}` has to answer. Made by tests/it/conformance; not by hand.\n\n\
             [plugin]\noverride = true\ngrants = {:?}\n\n\
             # As the recorded Java NameServer was set up.\n[config]\nnet.bind-address = \"127.0.0.1\"\nrequests.order-message-enable = true\n\
             route.support-acting-master = true\nroute.notify-min-broker-id-changed = true\n\n\
             [[case]]\nname = \"{}: as the Java NameServer 5.5.0 answered\"\n",
            self.name, self.grants, self.name
        );
        for capture in load(include_str!("../../data/captures.jsonl")) {
            text.push_str(&self.recorded(&capture).unwrap_or_default());
        }
        if MODELLED.contains(&self.name.as_str()) {
            for seed in 0..CONVERSATIONS {
                text.push_str(&self.modelled(seed));
            }
        }
        text
    }

    /// The step of a recorded exchange; none if it has nothing to do with this plugin.
    fn recorded(&self, capture: &Capture) -> Option<String> {
        let request = Command::decode(Bytes::from(bytes(capture.request.as_deref()?))).ok()?;
        let is_own = self.codes.contains(&request.code);
        if !is_own && !CHANGES.contains(&request.code) || request.is_response() {
            return None;
        }
        let reply = if is_own { expected(capture, &request)? } else { "any = true".to_owned() };
        let from = match request.field("brokerAddr") {
            // A registration lasts as long as its connection.
            Some(address) if request.code == 103 => connection_of(address),
            _ => "127.0.0.1:40000".to_owned(),
        };
        Some(step(&capture.name, &request, &from, &reply))
    }

    /// A conversation of a random client with the model.
    fn modelled(&self, seed: u64) -> String {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut model = Model::default();
        let mut text = format!("\n[[case]]\nname = \"{}: as the model says, conversation {seed}\"\n", self.name);
        let mut now = 1_767_225_600_000;
        for number in 0..STEPS {
            let question = Request::random(&mut random);
            let request = Command::decode(question.ask().frame(1)).expect("it is a frame");
            let connection = request
                .field("brokerAddr")
                .map_or_else(|| "127.0.0.1:40000".to_owned(), |address| connection_of(address));
            let wait = if random.u32(..20) == 0 { random.u64(1..40) } else { 0 };
            if wait > 0 {
                now += wait * 1000;
                model.expire(now);
                writeln!(text, "[[case.step]]\nwait = \"{wait}s\"").expect("a string takes it");
            }
            let answer = model.apply(&question, usize::from(is_registration(&question)), now);
            model.disk();
            let is_own = self.codes.contains(&request.code);
            if !is_own && !self.is_changed_by(&question) {
                continue;
            }
            let reply = if is_own { answered(&answer) } else { "any = true".to_owned() };
            text.push_str(&step(&format!("request {number}"), &request, &connection, &reply));
        }
        text
    }
}

impl Stock {
    /// Whether what this plugin answers may depend on an earlier request.
    fn is_changed_by(&self, request: &Request) -> bool {
        let is_about_kv = matches!(request, Request::KvPut { .. } | Request::KvDelete { .. });
        let is_about_routes = matches!(
            request,
            Request::Register { .. }
                | Request::Unregister { .. }
                | Request::Heartbeat { .. }
                | Request::Wipe { .. }
                | Request::DeleteTopic { .. }
        );
        if self.name == "kv" { is_about_kv } else { is_about_routes }
    }
}

fn is_registration(request: &Request) -> bool {
    matches!(request, Request::Register { .. })
}

/// The connection of a broker's address.
fn connection_of(address: &str) -> String {
    let number: u32 = address.bytes().map(u32::from).sum();
    format!("127.0.0.1:{}", 42_000 + number)
}

fn step(name: &str, request: &Command, from: &str, reply: &str) -> String {
    let mut parts = vec![format!("code = {}", request.code)];
    if request.version != 513 {
        parts.push(format!("version = {}", request.version));
    }
    if request.flag & FLAG_ONEWAY != 0 {
        parts.push("oneway = true".to_owned());
    }
    if let Some(fields) = request.fields.as_ref().filter(|fields| !fields.is_empty()) {
        let fields = fields.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value)));
        parts.push(format!("fields = {{ {} }}", fields.collect::<Vec<_>>().join(", ")));
    }
    match std::str::from_utf8(&request.body) {
        Ok("") => {}
        Ok(text) => parts.push(format!("body = {}", quoted(text))),
        Err(_) => {
            let hex: String = request.body.iter().map(|byte| format!("{byte:02x}")).collect();
            parts.push(format!("body-hex = \"{hex}\""));
        }
    }
    parts.push(format!("from = {from:?}"));
    let request = parts.join(", ");
    format!("[[case.step]]\nname = {}\nrequest = {{ {request} }}\nreply = {{ {reply} }}\n", quoted(name))
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// What has to be answered to a recorded request; none where the record does not tell.
fn expected(capture: &Capture, request: &Command) -> Option<String> {
    let rows = || EXCEPTIONS.iter().filter(|row| row.name == capture.name).map(|row| row.differs);
    if request.is_oneway() {
        return Some("none = true".to_owned());
    }
    let (header, body) = match &capture.response {
        Some(hex) => {
            let reply = Command::decode(Bytes::from(bytes(hex))).ok()?;
            let body = String::from_utf8_lossy(&reply.body).into_owned();
            (reply, body)
        }
        None => {
            let header = capture.response_header.as_deref()?;
            let code = Tree::parse(header)?.member("code").and_then(Tree::text)?.parse().ok()?;
            (Command { code, ..Command::default() }, capture.response_body.clone()?)
        }
    };
    let mut parts = vec![format!("code = {}", header.code)];
    if !rows().any(|row| row == Difference::Remark) {
        let remark = header.remark.as_ref().map_or_else(|| "false".to_owned(), |remark| quoted(remark));
        parts.push(format!("remark = {remark}"));
    }
    if let Some(fields) = header.fields.as_ref().filter(|fields| !fields.is_empty()) {
        let fields = fields.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value)));
        parts.push(format!("fields = {{ {} }}", fields.collect::<Vec<_>>().join(", ")));
    }
    match Tree::parse(&body) {
        Some(mut tree) => {
            let mut ignored = Vec::new();
            for row in rows() {
                match row {
                    Difference::Without(name) => tree.remove(name),
                    Difference::Quoted => tree.quote_keys(),
                    Difference::Value(name) => ignored.push(name),
                    _ => {}
                }
            }
            let text = tree.to_string();
            // Read as a value, `{0:1}` and `{"0":1}` are the same. For clients they are not.
            for style in ["\"brokerAddrs\":{0:", "\"brokerAddrs\":{\"0\":"] {
                if text.contains(style) {
                    parts.push(format!("body-contains = [{}]", quoted(style)));
                }
            }
            match ignored.is_empty() {
                true => parts.push(format!("body-json-text = {}", quoted(&text))),
                // What may differ is compared by what is in it.
                false => parts.push("body-json = {}".to_owned()),
            }
        }
        None if body.is_empty() => parts.push("body = \"\"".to_owned()),
        None => {
            let is_free = |line: &str| {
                rows().any(|row| matches!(row, Difference::Value(name) if line.starts_with(&format!("{name}="))))
            };
            let lines = body.lines().filter(|line| !is_free(line)).map(quoted).collect::<Vec<_>>();
            parts.push(format!("body-contains = [{}]", lines.join(", ")));
        }
    }
    Some(parts.join(", "))
}

/// What the model says.
fn answered(answer: &Answer) -> String {
    match answer {
        Answer::Code(code) => format!("code = {code}"),
        Answer::Route(entries) => {
            let entry = |(name, queues, perm): &(String, i64, i64)| {
                format!("{{ brokerName = {name:?}, writeQueueNums = {queues}, perm = {perm} }}")
            };
            let entries: Vec<_> = entries.iter().map(entry).collect();
            format!("body-json = {{ queueDatas = [{}] }}", entries.join(", "))
        }
        Answer::Names(names) => {
            let names: Vec<_> = names.iter().map(|name| format!("\\\"{name}")).collect();
            match names.is_empty() {
                true => String::new(),
                false => format!(
                    "body-contains = [{}]",
                    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
                ),
            }
        }
        Answer::Value(value) => format!("fields = {{ value = {value:?} }}"),
        Answer::Count(count) => format!("fields = {{ wipeTopicCount = \"{count}\" }}"),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    (0..hex.len()).step_by(2).map(byte).collect()
}
