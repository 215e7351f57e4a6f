//! `fingerpost why TOPIC`: who answers a client that asks for the route, and what each policy made of what it is shown.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::IpAddr;

use lexopt::Parser;
use serde::Deserialize;

use super::Given;
use crate::cli::exit;
use crate::control::Request;

const USAGE: &str = "\
usage: fingerpost why TOPIC [--client IP] [--field NAME=VALUE]... [-c FILE | --socket PATH] [--json]
Show who answers, and the route of a topic before and after each policy, as a running server shows it to a client.";

/// Does what the words after `why` say, and returns the exit code.
///
/// # Errors
/// When the server could not be asked.
pub fn why(arguments: Vec<OsString>) -> anyhow::Result<u8> {
    if arguments.iter().any(|word| word == "-h" || word == "--help") {
        println!("{USAGE}");
        return Ok(exit::OK);
    }
    let asked = Given::read(Parser::from_args(arguments), (1, 1), true).and_then(|given| Ok((request(&given)?, given)));
    match asked {
        Ok((request, given)) => given.ask(&request, |answer| Ok(text(&Explained::deserialize(answer)?))),
        Err(wrong) => {
            eprintln!("fingerpost why: {wrong}\n{USAGE}");
            Ok(exit::USAGE)
        }
    }
}

fn request(given: &Given) -> Result<Request, lexopt::Error> {
    let field = |text: &String| {
        let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        pair.ok_or_else(|| lexopt::Error::from(format!("--field is NAME=VALUE, not {text:?}")))
    };
    let address = |text: &String| {
        text.parse::<IpAddr>().map_err(|_| lexopt::Error::from(format!("--client is an IP address, not {text:?}")))
    };
    Ok(Request::Why {
        topic: given.word().unwrap_or_default(),
        client: given.client.as_ref().map(address).transpose()?,
        fields: given.fields.iter().map(field).collect::<Result<_, _>>()?,
    })
}

#[derive(Deserialize)]
struct Explained {
    topic: String,
    client: String,
    code: Option<i32>,
    #[serde(rename = "answered-by")]
    answered_by: Option<Answerer>,
    generation: u64,
    settings: u64,
    tables: Tables,
    route: Vec<Group>,
    policies: Vec<Step>,
    failed: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Answerer {
    name: String,
    version: String,
    file: Option<String>,
    since: u64,
    in_place_of: Option<String>,
    fallback: Option<String>,
    trouble: Option<String>,
}

#[derive(Deserialize)]
struct Tables {
    version: u64,
    groups: BTreeMap<String, u64>,
}

#[derive(Deserialize, Clone, PartialEq)]
struct Group {
    broker: String,
    cluster: String,
    zone: Option<String>,
    queues: Option<Queues>,
    addresses: Vec<(i64, String)>,
}

#[derive(Deserialize, Clone, PartialEq)]
struct Queues {
    perm: i32,
    read: i32,
    write: i32,
}

#[derive(Deserialize)]
struct Step {
    name: String,
    version: String,
    file: Option<String>,
    asked: bool,
    because: Option<String>,
    failure: Option<String>,
    shown: Option<Vec<Group>>,
}

fn text(explained: &Explained) -> String {
    let Explained { topic, client, generation, settings, tables, route, policies, failed, .. } = explained;
    let code = explained.code.map_or_else(String::new, |code| format!(", request code {code}"));
    let mut text = format!("topic {topic}, for {client}{code}\n");
    let mut line = |line: String| writeln!(text, "{line}").expect("a string takes what is written");
    line(format!("plugins: generation {generation}; settings: version {settings}; topic: version {}", tables.version));
    explained.answered_by.as_ref().into_iter().for_each(|answerer| line(answered(answerer)));
    line("the tables have".to_owned());
    for group in route {
        let version = tables.groups.get(&group.broker).map_or_else(String::new, |of| format!("  (version {of})"));
        line(format!("    {}{version}", shown(group)));
    }
    let mut before = route;
    for (place, step) in (1..).zip(policies) {
        let head = format!("{place}. {}", plugin(&step.name, &step.version, step.file.as_deref()));
        match (&step.because, &step.failure, &step.shown) {
            (Some(because), _, _) if !step.asked => line(format!("{head}: is not asked; {because}")),
            (_, Some(failure), _) if !step.asked => {
                line(format!("{head}: is not asked, which is a failure; {failure}"))
            }
            (_, Some(failure), _) => line(format!("{head}: failed; {failure}")),
            (_, None, Some(after)) if after == before => line(format!("{head}: changes nothing")),
            (_, None, Some(after)) => {
                line(format!("{head}:"));
                changes(before, after).into_iter().for_each(|change| line(format!("    {change}")));
            }
            (_, None, None) => line(head),
        }
        before = step.shown.as_ref().unwrap_or(before);
    }
    match failed {
        Some(policy) => line(format!("the client gets an error, because {policy} failed")),
        None => {
            line(
                if before.is_empty() { "the client is shown an empty route" } else { "the client is shown" }.to_owned(),
            );
            before.iter().for_each(|group| line(format!("    {}", shown(group))));
        }
    }
    text
}

/// A plugin in a few words.
fn plugin(name: &str, version: &str, file: Option<&str>) -> String {
    let from = file.map_or_else(String::new, |file| format!(", {file}"));
    format!("{name} {version}{from}")
}

/// Who answers, in a line.
fn answered(by: &Answerer) -> String {
    let mut line = format!("answered by {}", plugin(&by.name, &by.version, by.file.as_deref()));
    let mut more = |what: &str, text: &Option<String>| line.extend(text.iter().map(|text| format!("; {what}{text}")));
    more("since generation ", &Some(by.since.to_string()));
    more("an override of ", &by.in_place_of);
    more("if it fails, by ", &by.fallback);
    more("", &by.trouble);
    line
}

/// What became of the groups, one line each.
fn changes(before: &[Group], after: &[Group]) -> Vec<String> {
    let mut lines = Vec::new();
    for group in before {
        match after.iter().find(|other| other.broker == group.broker) {
            None => lines.push(format!("- {}", shown(group))),
            Some(other) if other != group => {
                lines.extend([format!("- {}", shown(group)), format!("+ {}", shown(other))]);
            }
            Some(_) => {}
        }
    }
    let order = |groups: &[Group], others: &[Group]| -> Vec<String> {
        let kept = groups.iter().filter(|group| others.iter().any(|other| other.broker == group.broker));
        kept.map(|group| group.broker.clone()).collect()
    };
    let ordered = order(after, before);
    if order(before, after) != ordered {
        lines.push(format!("in the order {}", ordered.join(", ")));
    }
    lines
}

/// One group in a line.
fn shown(group: &Group) -> String {
    let zone = group.zone.as_ref().map_or_else(String::new, |zone| format!(", zone {zone}"));
    let queues = group.queues.as_ref().map_or_else(
        || "no queues".to_owned(),
        |Queues { perm, read, write }| format!("perm {perm}, queues {read}/{write}"),
    );
    let addresses: Vec<_> = group.addresses.iter().map(|(id, address)| format!("{id}={address}")).collect();
    format!("{} (cluster {}{zone}): {queues}, {}", group.broker, group.cluster, addresses.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn group(broker: &str, perm: i32) -> Value {
        json!({
            "broker": broker, "cluster": "c", "zone": null, "queues": { "perm": perm, "read": 4, "write": 4 },
            "addresses": [[0, format!("{broker}:1")]],
        })
    }

    #[test]
    fn every_policy_is_shown_with_what_it_changed() {
        let step = |name: &str, more: Value| {
            let mut step = json!({
                "name": name, "version": "1.0.0", "sha256": "ab", "file": null, "asked": true, "because": null,
            });
            step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            step
        };
        let explained = json!({
            "topic": "orders", "client": "10.0.0.7", "code": 7, "generation": 3, "settings": 2,
            "answered-by": step("ours", json!({ "file": "/p/ours.wasm", "since": 2, "in-place-of": "theirs" })),
            "tables": { "version": 9, "groups": { "a": 8, "b": 5 } },
            "route": [group("a", 6), group("b", 6)],
            "policies": [
                step("acting", json!({ "asked": false, "because": "its condition does not hold" })),
                step("out", json!({
                    "asked": false, "failure": "it is taken out", "shown": [group("a", 6), group("b", 6)],
                })),
                step("same", json!({ "shown": [group("a", 6), group("b", 6)] })),
                step("drain", json!({ "file": "/p/drain.wasm", "shown": [group("b", 4), group("a", 6)] })),
                step("zone", json!({ "shown": [group("b", 4)] })),
            ],
            "failed": null,
        });

        let shown = text(&Explained::deserialize(&explained).unwrap());

        let expected = "\
topic orders, for 10.0.0.7, request code 7
plugins: generation 3; settings: version 2; topic: version 9
answered by ours 1.0.0, /p/ours.wasm; since generation 2; an override of theirs
the tables have
    a (cluster c): perm 6, queues 4/4, 0=a:1  (version 8)
    b (cluster c): perm 6, queues 4/4, 0=b:1  (version 5)
1. acting 1.0.0: is not asked; its condition does not hold
2. out 1.0.0: is not asked, which is a failure; it is taken out
3. same 1.0.0: changes nothing
4. drain 1.0.0, /p/drain.wasm:
    - b (cluster c): perm 6, queues 4/4, 0=b:1
    + b (cluster c): perm 4, queues 4/4, 0=b:1
    in the order b, a
5. zone 1.0.0:
    - a (cluster c): perm 6, queues 4/4, 0=a:1
the client is shown
    b (cluster c): perm 4, queues 4/4, 0=b:1
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_is_no_question_is_told() {
        let wrong = |line: &str| {
            let given = Given::read(Parser::from_args(line.split_whitespace()), (1, 1), true).unwrap();
            request(&given).unwrap_err().to_string()
        };

        assert!(wrong("t --client somewhere").contains("an IP address, not \"somewhere\""));
        assert!(wrong("t --field zone").contains("NAME=VALUE, not \"zone\""));
    }
}
