//! What an answer says, in a form in which two answers are equal exactly if a client could not tell them apart.

use super::tree::Tree;
use super::wire::{Answer, Frame};

/// An answer as far as it counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Reply(Reply),
    Closed,
    Silence,
    /// No answer was wanted, and none came.
    Nothing,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reply {
    pub(crate) code: i32,
    pub(crate) remark: Option<String>,
    /// In order; none differs from no fields.
    pub(crate) fields: Option<Vec<(String, String)>>,
    /// Everything else of the header, `@` in place of the opaque of the request.
    pub(crate) rest: String,
    pub(crate) body: String,
}

/// Lines of a configuration that name the machine or the run.
const LOCAL_KEYS: [&str; 4] = ["configStorePath", "kvConfigPath", "listenPort", "rocketmqHome"];

/// Times before this were made up by the test; later ones are the server's own now.
const FIRST_REAL_TIME_MS: i64 = 1_600_000_000_000;

impl Seen {
    /// Reads the answer to a request with this code and opaque.
    pub(crate) fn of(answer: &Answer, code: i32, opaque: i32) -> Self {
        match answer {
            Answer::Closed => Self::Closed,
            Answer::Silence => Self::Silence,
            Answer::Frame(frame) => Self::Reply(Reply::of(frame, code, opaque)),
        }
    }

    pub(crate) fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Reply(reply) => Some(reply),
            _ => None,
        }
    }
}

impl Reply {
    fn of(frame: &Frame, request: i32, opaque: i32) -> Self {
        let header = match frame.form {
            0 => Self::of_json(&frame.header, opaque),
            _ => Self::of_binary(&frame.header, opaque),
        };
        let unread = || Self { rest: format!("unreadable header {:?}", frame.header), ..Self::default() };
        Self { body: body(&frame.body, request), ..header.unwrap_or_else(unread) }
    }

    fn of_json(header: &[u8], opaque: i32) -> Option<Self> {
        let Tree::Object(members) = Tree::parse(std::str::from_utf8(header).ok()?)? else { return None };
        let mut reply = Self::default();
        for (name, value) in members {
            match (name.as_str(), value) {
                ("\"code\"", value) => reply.code = value.text()?.parse().ok()?,
                ("\"remark\"", Tree::Scalar(text)) => reply.remark = Some(text),
                ("\"extFields\"", Tree::Object(fields)) => {
                    let mut fields: Vec<_> =
                        fields.into_iter().map(|(name, value)| (name, value.to_string())).collect();
                    fields.sort();
                    reply.fields = Some(fields);
                }
                (name, value) => {
                    let is_ours = name == "\"opaque\"" && value.text() == Some(&opaque.to_string());
                    let value = if is_ours { "@".to_owned() } else { value.to_string() };
                    reply.rest += &format!("{name}:{value} ");
                }
            }
        }
        Some(reply)
    }

    fn of_binary(header: &[u8], opaque: i32) -> Option<Self> {
        let mut reader = header;
        let code = i32::from(i16::from_be_bytes(take(&mut reader)?));
        let [language] = take(&mut reader)?;
        let version = i16::from_be_bytes(take(&mut reader)?);
        let own = i32::from_be_bytes(take(&mut reader)?);
        let flag = i32::from_be_bytes(take(&mut reader)?);
        let remark = text(&mut reader)?;
        let size = i32::from_be_bytes(take(&mut reader)?);
        let mut fields = Vec::new();
        while !reader.is_empty() {
            let length = u16::from_be_bytes(take(&mut reader)?);
            let (name, rest) = reader.split_at_checked(usize::from(length))?;
            reader = rest;
            fields.push((String::from_utf8(name.to_vec()).ok()?, text(&mut reader)?.unwrap_or_default()));
        }
        fields.sort();
        let own = if own == opaque { "@".to_owned() } else { own.to_string() };
        Some(Self {
            code,
            remark,
            fields: (size > 0).then_some(fields),
            rest: format!("binary {language} {version} {own} {flag}"),
            body: String::new(),
        })
    }
}

fn take<const N: usize>(reader: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = reader.split_first_chunk()?;
    *reader = rest;
    Some(*bytes)
}

fn text(reader: &mut &[u8]) -> Option<Option<String>> {
    let length = usize::try_from(i32::from_be_bytes(take(reader)?)).ok()?;
    let (text, rest) = reader.split_at_checked(length)?;
    *reader = rest;
    Some((length > 0).then(|| String::from_utf8_lossy(text).into_owned()))
}

/// The body in one order, without what differs from run to run.
fn body(bytes: &[u8], request: i32) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else { return format!("not UTF-8: {bytes:?}") };
    let Some(mut tree) = Tree::parse(text) else { return without_local_lines(text) };
    // From the inside out: a list is sorted by what its items say.
    tree.sort_bare_keys();
    tree.sort_unordered();
    if request == 304 {
        // Any broker's address will do.
        tree.mask("brokerAddr");
    }
    if tree.member("timestamp").and_then(Tree::text).and_then(|time| time.parse().ok()) > Some(FIRST_REAL_TIME_MS) {
        tree.mask("timestamp");
    }
    tree.to_string()
}

fn without_local_lines(text: &str) -> String {
    let is_local = |line: &str| line.split_once('=').is_some_and(|(key, _)| LOCAL_KEYS.contains(&key));
    text.split_inclusive('\n').filter(|line| !is_local(line)).collect()
}
