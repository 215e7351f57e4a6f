//! Asks the recorded requests again, on connections as they were recorded, and compares.
//!
//! A registration is bound to its connection, so every broker address has one of its own that stays open to the end.
//! What is expected to close a connection gets one of its own, and so do first bytes that are too few. Everything else
//! shares one.

use std::collections::HashMap;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::Deserialize;

use super::exceptions::{Difference, EXCEPTIONS, Exception};
use crate::differential::suite::tree::Tree;

/// Who answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Fingerpost,
    Java,
}

/// One line of the recording.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Capture {
    pub(crate) name: String,
    note: String,
    /// The whole frame, in hexadecimal. Absent when the server spoke first.
    pub(crate) request: Option<String>,
    pub(crate) response: Option<String>,
    /// Header and body apart, where the frame held paths of the recording machine.
    pub(crate) response_header: Option<String>,
    pub(crate) response_body: Option<String>,
    /// What happened instead of an answer.
    outcome: Option<String>,
    /// A frame that the server sent to the broker's own port. Kept for its reader; `NotSent` covers it.
    #[serde(rename = "server_sent")]
    _server_sent: Option<String>,
}

/// An exchange that did not go as recorded, or an exception that it did not need.
pub(crate) struct Mismatch {
    name: String,
    note: String,
    what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name, self.note, self.what)
    }
}

/// What came of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Outcome {
    Answer {
        header: String,
        body: String,
    },
    Silence,
    Closed,
    /// There was no request: the server was to speak.
    Unasked,
}

/// An answer is here well before this.
const PATIENCE: Duration = Duration::from_secs(20);

/// After this a silence is believed, where nothing can prove it.
const SILENCE: Duration = Duration::from_millis(300);

/// Repetitions of a question that Java answers too early; each takes a round trip.
const RETRIES: usize = 20_000;

/// Larger than any recorded answer; a length beyond it is not one.
const FRAME_MAX: usize = 1 << 20;

/// The first bytes of a connection that Java waits for.
const FIRST_BYTES: usize = 12;

pub(crate) fn load(lines: &str) -> Vec<Capture> {
    lines.lines().map(|line| serde_json::from_str(line).expect("a line of the recording is JSON")).collect()
}

/// Asks everything in order; returns what differs from the recording, and the exceptions that nothing needed.
pub(crate) fn replay(addr: SocketAddr, captures: &[Capture], side: Side) -> Vec<Mismatch> {
    let mut wires = Wires { addr, open: HashMap::new() };
    let mut mismatches: Vec<Mismatch> = captures
        .iter()
        .filter_map(|capture| {
            let rows: Vec<&Exception> =
                EXCEPTIONS.iter().filter(|row| row.name == capture.name && row.differs.concerns(side)).collect();
            let what = match capture.request.as_deref().map(bytes) {
                None => judge(&capture.recorded(), &Outcome::Unasked, &rows, side),
                Some(request) => wires.exchange(capture, &request, &rows, side),
            };
            what.map(|what| Mismatch { name: capture.name.clone(), note: capture.note.clone(), what })
        })
        .collect();
    mismatches.extend(EXCEPTIONS.iter().filter(|row| captures.iter().all(|capture| capture.name != row.name)).map(
        |row| Mismatch {
            name: row.name.to_owned(),
            note: row.reason.to_owned(),
            what: "an exception for no exchange".to_owned(),
        },
    ));
    mismatches
}

/// What is wrong with this outcome; `None` if it agrees, and needs each of the rows to agree.
fn judge(recorded: &Outcome, seen: &Outcome, rows: &[&Exception], side: Side) -> Option<String> {
    if !agrees(recorded, seen, rows) {
        return Some(format!("\n  recorded {recorded:?}\n  seen     {seen:?}"));
    }
    if side == Side::Java {
        return None; // of the rows only the ones that change from run to run are needed
    }
    (0..rows.len()).find_map(|at| {
        let mut others = rows.to_vec();
        let row = others.remove(at);
        agrees(recorded, seen, &others).then(|| format!("needs no {:?} ({})", row.differs, row.reason))
    })
}

fn agrees(recorded: &Outcome, seen: &Outcome, rows: &[&Exception]) -> bool {
    if recorded == seen {
        return true;
    }
    match (recorded, seen) {
        (Outcome::Answer { header, body }, Outcome::Answer { header: seen_header, body: seen_body }) => {
            relaxed_header(header, rows) == relaxed_header(seen_header, rows)
                && relaxed_body(body, rows, true) == relaxed_body(seen_body, rows, false)
        }
        (Outcome::Silence, Outcome::Answer { header, .. }) => rows.iter().any(|row| match row.differs {
            Difference::Answers(remark) => {
                Tree::parse(header).and_then(|header| Some(header.member("remark")?.text()? == remark)) == Some(true)
            }
            _ => false,
        }),
        (_, Outcome::Unasked) => rows.iter().any(|row| row.differs == Difference::NotSent),
        _ => false,
    }
}

fn relaxed_header(text: &str, rows: &[&Exception]) -> String {
    let Some(mut header) = Tree::parse(text) else { return text.to_owned() };
    for row in rows {
        match row.differs {
            Difference::Remark => header.mask("remark"),
            Difference::Opaque => header.mask("opaque"),
            _ => {}
        }
    }
    header.to_string()
}

/// The body as far as it counts. What Fingerpost mends is mended in the recorded one only: ours must have it so.
fn relaxed_body(text: &str, rows: &[&Exception], recorded: bool) -> String {
    let Some(mut body) = Tree::parse(text) else { return relaxed_lines(text, rows) };
    for row in rows {
        match row.differs {
            Difference::Value(name) => body.mask(name),
            Difference::Without(name) if recorded => body.remove(name),
            Difference::Quoted if recorded => body.quote_keys(),
            _ => {}
        }
    }
    if rows.iter().any(|row| row.differs == Difference::Order) {
        body.sort_unordered();
    }
    body.to_string()
}

fn relaxed_lines(text: &str, rows: &[&Exception]) -> String {
    let masked = |name: &str| rows.iter().any(|row| matches!(row.differs, Difference::Value(masked) if masked == name));
    text.split_inclusive('\n')
        .map(|line| match line.split_once('=') {
            Some((key, _)) if masked(key) => format!("{key}=<masked>\n"),
            _ => line.to_owned(),
        })
        .collect()
}

impl Capture {
    fn recorded(&self) -> Outcome {
        if let Some(response) = &self.response {
            return answer(bytes(response).get(4..).expect("a frame has a length"));
        }
        if let Some(header) = &self.response_header {
            return Outcome::Answer { header: header.clone(), body: self.response_body.clone().unwrap_or_default() };
        }
        match self.outcome.as_deref() {
            Some("connection closed by server") => Outcome::Closed,
            Some("no response, connection stays open") => Outcome::Silence,
            None if self.request.is_none() => Outcome::Silence,
            other => panic!("{}: no such outcome: {other:?}", self.name),
        }
    }
}

/// The connections that stay open, by what they are for.
struct Wires {
    addr: SocketAddr,
    open: HashMap<String, TcpStream>,
}

impl Wires {
    fn exchange(&mut self, capture: &Capture, request: &[u8], rows: &[&Exception], side: Side) -> Option<String> {
        let recorded = capture.recorded();
        if recorded == Outcome::Closed {
            let mut wire = connect(self.addr);
            assert_eq!(proven_silence(&mut wire), Outcome::Silence, "a connection is in order before it is spoilt");
            return judge(&recorded, &ask(&mut wire, request), rows, side);
        }
        if recorded == Outcome::Silence && request.len() < FIRST_BYTES {
            let mut wire = connect(self.addr);
            if rows.is_empty() {
                wire.set_read_timeout(Some(SILENCE)).expect("the timeout is not zero");
            }
            return judge(&recorded, &ask(&mut wire, request), rows, side);
        }
        let wire = self.wire_for(request);
        let patient = rows.iter().any(|row| row.differs == Difference::Eventually);
        let mut what = None;
        for _ in 0..if patient { RETRIES } else { 1 } {
            let seen = if recorded == Outcome::Silence {
                wire.write_all(request).expect("the connection is open");
                proven_silence(wire)
            } else {
                ask(wire, request)
            };
            what = judge(&recorded, &seen, rows, side);
            if what.is_none() {
                break;
            }
        }
        what
    }

    fn wire_for(&mut self, request: &[u8]) -> &mut TcpStream {
        let addr = self.addr;
        self.open.entry(broker_registered_by(request)).or_insert_with(|| connect(addr))
    }
}

/// The address that a registration names; empty for anything else.
fn broker_registered_by(request: &[u8]) -> String {
    let Outcome::Answer { header, .. } = answer(&request[4..]) else { return String::new() };
    let Some(header) = Tree::parse(&header) else { return String::new() };
    let field = |name: &str| header.member(name).and_then(Tree::text);
    if field("code") != Some("103") {
        return String::new();
    }
    let addr = header.member("extFields").and_then(|fields| fields.member("brokerAddr")).and_then(Tree::text);
    addr.unwrap_or_default().to_owned()
}

fn connect(addr: SocketAddr) -> TcpStream {
    let wire = TcpStream::connect_timeout(&addr, PATIENCE).expect("the server accepts connections");
    wire.set_read_timeout(Some(PATIENCE)).expect("the timeout is not zero");
    wire.set_nodelay(true).expect("the socket has the option");
    wire
}

fn ask(wire: &mut TcpStream, request: &[u8]) -> Outcome {
    wire.write_all(request).expect("the connection is open");
    read(wire)
}

/// Asks something else on the same connection: if its answer comes first, the request before it had none.
fn proven_silence(wire: &mut TcpStream) -> Outcome {
    const ASKED: &str = r#"{"code":4321,"flag":0,"language":"JAVA","opaque":987654,"version":513}"#;
    let header_length = u32::try_from(ASKED.len()).expect("the header is short");
    let mut frame = (header_length + 4).to_be_bytes().to_vec();
    frame.extend_from_slice(&header_length.to_be_bytes());
    frame.extend_from_slice(ASKED.as_bytes());
    wire.write_all(&frame).expect("the connection is open");
    let seen = read(wire);
    match &seen {
        Outcome::Answer { header, .. } if header.contains("\"opaque\":987654,") => Outcome::Silence,
        _ => seen,
    }
}

fn read(wire: &mut TcpStream) -> Outcome {
    let mut length = [0; 4];
    if let Err(error) = wire.read_exact(&mut length) {
        return match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Outcome::Silence,
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => Outcome::Closed,
            _ => panic!("cannot read: {error}"),
        };
    }
    let length = usize::try_from(u32::from_be_bytes(length)).expect("a length fits");
    assert!(length <= FRAME_MAX, "an answer of {length} bytes");
    let mut frame = vec![0; length];
    wire.read_exact(&mut frame).expect("an answer is complete");
    answer(&frame)
}

/// Takes a frame, without its length, apart. All answers are JSON; only a request may be binary, and is not looked into.
fn answer(frame: &[u8]) -> Outcome {
    let marks = u32::from_be_bytes(frame[..4].try_into().expect("four bytes"));
    let header_length = usize::try_from(marks & 0x00ff_ffff).expect("a length fits");
    let (header, body) = frame[4..].split_at(header_length);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome::Answer {
        header: format!("{}{}", if marks >> 24 == 0 { "" } else { "binary " }, text(header)),
        body: text(body),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "hexadecimal digits come in pairs");
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).expect("hexadecimal digits")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(body: &str) -> Outcome {
        Outcome::Answer { header: r#"{"code":0,"remark":"java text"}"#.to_owned(), body: body.to_owned() }
    }

    fn judged(recorded: &Outcome, seen: &Outcome, differences: &[Difference]) -> Option<String> {
        let rows: Vec<Exception> =
            differences.iter().map(|&differs| Exception { name: "it", differs, reason: "so" }).collect();
        judge(recorded, seen, &rows.iter().collect::<Vec<_>>(), Side::Fingerpost)
    }

    #[test]
    fn a_difference_without_its_row_is_a_mismatch() {
        let recorded = answered(r#"{"clusterAddrTable":{"c":["ghost","b","a"]}}"#);
        let ours = answered(r#"{"clusterAddrTable":{"c":["a","b"]}}"#);

        assert_eq!(judged(&recorded, &ours, &[Difference::Order, Difference::Without("ghost")]), None);
        assert!(judged(&recorded, &ours, &[Difference::Order]).is_some());
        assert!(judged(&recorded, &ours, &[Difference::Without("ghost")]).is_some());
    }

    #[test]
    fn a_row_without_its_difference_is_a_mismatch() {
        let recorded = answered(r#"{"topicList":["a","b"]}"#);

        let told = judged(&recorded, &recorded.clone(), &[Difference::Order]).expect("the row is not needed");

        assert!(told.contains("needs no Order"), "{told}");
    }

    #[test]
    fn what_we_mend_must_be_mended() {
        let bare = answered(r#"{"brokerAddrs":{0:"a"}}"#);
        let quoted = answered(r#"{"brokerAddrs":{"0":"a"}}"#);

        assert_eq!(judged(&bare, &quoted, &[Difference::Quoted]), None);
        assert!(judged(&bare, &bare.clone(), &[Difference::Quoted]).is_some());
        assert!(judged(&bare, &quoted, &[]).is_some());
    }

    #[test]
    fn another_remark_is_excused_but_none_is_not() {
        let silent = Outcome::Answer { header: r#"{"code":0}"#.to_owned(), body: String::new() };
        let other = Outcome::Answer { header: r#"{"code":0,"remark":"ours"}"#.to_owned(), body: String::new() };

        assert_eq!(judged(&answered(""), &other, &[Difference::Remark]), None);
        assert!(judged(&answered(""), &silent, &[Difference::Remark]).is_some());
    }
}
