//! `reply`: what the client will be told.

use std::time::Duration;

use bytes::BytesMut;

use super::super::bindings::fingerpost::nameserver::reply;
use super::super::state::{Beyond, PluginState};
use super::types::WriteError;
use crate::body::route::Style;
use crate::config::{Grant, HostPort};
use crate::memo::Unfit;
use crate::net::Occasion;
use crate::plugin::draft::DraftBody;
use crate::plugin::request::Request;

/// A header holds names and small values; more than this is a body in the wrong place.
const FIELDS_MAX: usize = 256;
/// Room for a namespace and a key, which are repeated when they are not found.
const REMARK_BYTES_MAX: usize = 2 * crate::kv::NAME_LEN_MAX + 1024;
/// The longest value of the KV store, which is answered in a field, and a name.
const FIELD_BYTES_MAX: usize = crate::kv::VALUE_LEN_MAX + 1024;
/// A request that waits is kept for so long, so it is small.
const WAITING_SIZE_MAX: usize = 16 * 1024;
/// All fields together.
const FIELDS_BYTES_MAX: usize = 2 * FIELD_BYTES_MAX;

impl reply::Host for PluginState {
    fn set_code(&mut self, code: i32) -> wasmtime::Result<()> {
        self.handling()?.draft.set_outcome(code, None);
        Ok(())
    }

    fn fail(&mut self, code: i32, remark: String) -> wasmtime::Result<()> {
        within(remark.len(), REMARK_BYTES_MAX, "a remark")?;
        self.handling()?.draft.set_outcome(code, Some(remark));
        Ok(())
    }

    fn set_field(&mut self, name: String, value: String) -> wasmtime::Result<()> {
        within(name.len() + value.len(), FIELD_BYTES_MAX, "a header field")?;
        let fields = self.handling()?.draft.fields.get_or_insert_default();
        fields.insert(name, value);
        within(fields.len(), FIELDS_MAX, "the number of header fields")?;
        let bytes = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        within(bytes, FIELDS_BYTES_MAX, "the header fields together")
    }

    fn set_fields_present(&mut self) -> wasmtime::Result<()> {
        self.handling()?.draft.fields.get_or_insert_default();
        Ok(())
    }

    fn set_body(&mut self, bytes: Vec<u8>) -> wasmtime::Result<()> {
        let handling = self.handling()?;
        within(bytes.len(), handling.reply_size_max, "a reply body")?;
        handling.draft.body = DraftBody::Bytes(BytesMut::from(bytes.as_slice()));
        Ok(())
    }

    fn append_body(&mut self, bytes: Vec<u8>) -> wasmtime::Result<()> {
        let handling = self.handling()?;
        if !matches!(handling.draft.body, DraftBody::Bytes(_)) {
            handling.draft.body = DraftBody::Bytes(BytesMut::new());
        }
        if let DraftBody::Bytes(body) = &mut handling.draft.body {
            within(body.len() + bytes.len(), handling.reply_size_max, "a reply body")?;
            body.extend_from_slice(&bytes);
        }
        Ok(())
    }

    fn succeed_with_route(
        &mut self,
        route: u32,
        style: reply::JsonStyle,
        order_topic_conf: Option<String>,
    ) -> wasmtime::Result<()> {
        self.route(route)?;
        let style = match style {
            reply::JsonStyle::Standard => Style::Standard,
            reply::JsonStyle::BareKeys => Style::BareKeys,
        };
        let draft = &mut self.handling()?.draft;
        draft.code = 0;
        draft.remark = None;
        draft.body = DraftBody::Route { route, style, order_topic_conf };
        Ok(())
    }

    fn when_durable(&mut self) -> wasmtime::Result<()> {
        let draft = &mut self.handling()?.draft;
        if draft.forward.is_some() || draft.when_changed.is_some() {
            return Err(two_waits());
        }
        draft.when_durable = true;
        Ok(())
    }

    fn forward(&mut self, upstream: String) -> wasmtime::Result<Result<(), WriteError>> {
        self.reads()?.spoil(Unfit::Waits);
        let grant = Grant::Upstream(Some(upstream.clone()));
        if let Err(reason) = self.is_granted(&grant) {
            return Ok(Err(WriteError::Denied(reason)));
        }
        // An address has to be granted by itself: whoever may ask all that are configured may not ask anybody.
        let is_address = self.grants.contains(&grant) && upstream.parse::<HostPort>().is_ok();
        if !is_address && !self.core.upstreams.is_configured(&upstream) {
            return Ok(Err(WriteError::Invalid(format!("no upstream {upstream:?} is configured"))));
        }
        let draft = &mut self.handling()?.draft;
        if draft.when_durable || draft.when_changed.is_some() {
            return Err(two_waits());
        }
        draft.forward = Some(upstream);
        Ok(Ok(()))
    }

    fn when_changed(&mut self, topic: String, seen: u64, timeout_ms: u32) -> wasmtime::Result<Result<(), WriteError>> {
        self.reads()?.spoil(Unfit::Waits);
        let handling = self.handling()?;
        if handling.draft.when_durable || handling.draft.forward.is_some() {
            return Err(two_waits());
        }
        let invalid = |text: &str| Ok(Err(WriteError::Invalid(text.to_owned())));
        if handling.occasion != Occasion::Arrived {
            return invalid("the request has waited before");
        }
        // A second call in place of the first has the seat of the first.
        handling.draft.when_changed = None;
        let Request { command, caller } = self.request()?;
        if command.is_oneway() {
            return invalid("nobody waits for the reply to a oneway request");
        }
        let fields = command.fields.iter().flat_map(|fields| fields.iter());
        let size = command.body.len() + fields.map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if size > WAITING_SIZE_MAX || topic.len() > WAITING_SIZE_MAX {
            return invalid("the request is too large to wait");
        }
        let times = (self.core.clock.monotonic(), Duration::from_millis(timeout_ms.into()));
        let wish = self.core.waiting.reserve(caller.id(), topic.into(), seen, times);
        Ok(match wish {
            Ok(wish) => {
                self.handling()?.draft.when_changed = Some(wish);
                Ok(())
            }
            Err(reason) => Err(WriteError::Unavailable(reason.to_string())),
        })
    }
}

fn two_waits() -> wasmtime::Error {
    wasmtime::Error::msg("a reply waits for the disk, for an upstream or for a change, not for two of them")
}

fn within(size: usize, limit: usize, what: &str) -> wasmtime::Result<()> {
    if size > limit {
        return Err(Beyond::Reply(format!("{what} of {size}, the limit is {limit}")).into());
    }
    Ok(())
}
