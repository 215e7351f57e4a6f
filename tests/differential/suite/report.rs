//! A difference in words, and in bytes.

use std::fmt::Write as _;

use super::compare::{Reply, Seen};
use super::play::Difference;
use super::request::{Form, Request, Sequence, Step};

/// The sequence step by step, and what differs at its end.
pub(crate) fn describe(sequence: &Sequence, difference: &Difference) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a string takes all that is written to it");
    let settings = sequence.settings.iter().map(|(key, value)| format!("{key}={value}"));
    line(format!("settings: {}", settings.collect::<Vec<_>>().join(" ")));
    if sequence.binary_replies {
        line("replies in the binary form".to_owned());
    }
    for (at, step) in sequence.steps.iter().enumerate() {
        match step {
            Step::Ask { wire, requests } => {
                requests.iter().for_each(|request| line(format!("{at}: wire {wire} asks {}", show(request))));
            }
            Step::Spoil { wire, bytes } => line(format!("{at}: wire {wire} sends {}", hex(bytes))),
            Step::Close { wire } => line(format!("{at}: wire {wire} closes")),
            Step::Age { millis } => line(format!("{at}: {millis} ms pass")),
            Step::Scan => line(format!("{at}: scan")),
        }
    }
    line(format!("difference after step {}, when asked {}", difference.step, show(&difference.request)));
    line(format!("  ours {}", answer(&difference.ours, &difference.java)));
    line(format!("  java {}", answer(&difference.java, &difference.ours)));
    if !difference.suspects.is_empty() {
        line(format!("  not explained by: {}", difference.suspects.join(", ")));
    }
    out
}

/// What the request says, and the bytes that say it.
pub(crate) fn show(request: &Request) -> String {
    let frame = request.frame(1);
    let text = match (request.form, &request.verbatim) {
        (Form::Json, None) => {
            let size = u32::from_be_bytes([0, frame[5], frame[6], frame[7]]) as usize;
            let (header, body) = frame[8..].split_at(size);
            format!("{} {}", String::from_utf8_lossy(header), String::from_utf8_lossy(body).escape_debug())
        }
        _ => format!("{:?} {:?}", request.form, Request { verbatim: None, ..request.clone() }),
    };
    format!("{text}\n      {}", hex(&frame))
}

/// An answer; of a text of many lines only those that the other one has not.
fn answer(seen: &Seen, other: &Seen) -> String {
    match seen {
        Seen::Reply(Reply { code, remark, fields, rest, body }) => {
            let others: Vec<&str> = other.reply().map(|reply| reply.body.lines().collect()).unwrap_or_default();
            let is_long = body.lines().count() > 1;
            let lines = body.lines().filter(|line| !is_long || !others.contains(line));
            let body = lines.collect::<Vec<_>>().join("\n       ");
            format!("{code} remark {remark:?} fields {fields:?} {rest}\n       {body}")
        }
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
