//! Replies that are made, and wait: for a disk, or for another name server that may know better.

use bytes::{Bytes, BytesMut};

use super::core::Core;
use super::draft::Draft;
use super::encode;
use super::wasm::Handling;
use crate::kv::Writes;
use crate::remoting::{Command, ResponseCode, SerializeType};

/// A reply that waits. No thread does.
pub(crate) struct Pending {
    pub(super) opaque: i32,
    pub(super) serialize_type: SerializeType,
    /// What is sent when all goes well (the disk), or when it does not (the upstream).
    pub(super) reply: Bytes,
    pub(super) wait: Wait,
}

/// What a reply waits for.
pub(super) enum Wait {
    Durable(Writes),
    Upstream { name: String, command: Command },
}

/// What the reply of a call waits for, if for anything.
pub(super) fn wait(handling: &mut Handling, request: &Command) -> Option<Wait> {
    match &handling.draft {
        Draft { forward: Some(name), .. } => {
            let command = Command::decode(detached_frame(request)?).ok()?;
            Some(Wait::Upstream { name: name.clone(), command })
        }
        // Without a write there is nothing to wait for.
        Draft { when_durable: true, .. } => handling.writes.take().map(Wait::Durable),
        _ => None,
    }
}

/// A frame of its own: the command shares the read buffer of its worker, which must not wait with it.
pub(crate) fn detached_frame(command: &Command) -> Option<Bytes> {
    let mut frame = BytesMut::new();
    command.encode(SerializeType::Json, &mut frame).ok()?;
    Some(frame.freeze())
}

impl Pending {
    /// Calls `done` with the reply, once, when there is one: at once on this thread, or later on another.
    pub(crate) fn then(self, core: &Core, done: impl FnOnce(Bytes) + Send + 'static) {
        let Self { opaque, serialize_type, reply, wait } = self;
        let encoded = move |draft: &Draft| {
            let mut out = BytesMut::new();
            encode::reply(draft, opaque, serialize_type, &mut out);
            out.freeze()
        };
        match wait {
            Wait::Durable(writes) => writes.then(move |outcome| match outcome {
                Ok(()) => done(reply),
                Err(error) => {
                    let remark = format!("not stored: {}", error.reason());
                    done(encoded(&Draft::failure(ResponseCode::SYSTEM_ERROR.0, remark)));
                }
            }),
            Wait::Upstream { name, command } => {
                let answered = move |answer: Option<Command>| match answer {
                    None => done(reply),
                    Some(answer) => done(encode::relay(&answer, opaque, serialize_type)),
                };
                core.upstreams.ask(name, command, Box::new(answered));
            }
        }
    }
}
