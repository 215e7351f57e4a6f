//! A reply's body, sent as it is written.

use crate::json::Writer;
use crate::reply;

/// How much of a body is collected before it leaves the sandbox: so much that crossings do not count, and so little that a
/// list of 100,000 topics never stands in the plugin's memory.
pub const PIECE: usize = 16 * 1024;

/// A JSON body in the making. Writes like a [`Writer`], and ends with [`finish`](Self::finish).
#[derive(Debug, Default)]
pub struct JsonBody {
    json: Writer,
}

impl JsonBody {
    /// An empty body.
    pub fn new() -> Self {
        Self::default()
    }

    /// The writer, after sending what it holds if that is a piece by now. Ask anew for every element of something long.
    pub fn writer(&mut self) -> &mut Writer {
        if self.json.as_bytes().len() >= PIECE {
            self.send();
        }
        &mut self.json
    }

    /// Sends the rest.
    pub fn finish(mut self) {
        self.send();
    }

    fn send(&mut self) {
        reply::append_body(&self.json.take());
    }
}

/// Answers with `{"table":{…}}`: what a namespace of the KV store holds. Java: `KVTable`.
pub fn send_table(entries: &[(String, String)]) {
    let mut body = JsonBody::new();
    let json = body.writer();
    json.begin_object();
    json.key("table");
    json.begin_object();
    for (key, value) in entries {
        body.writer().member(key, value);
    }
    let json = body.writer();
    json.end_object();
    json.end_object();
    body.finish();
}
