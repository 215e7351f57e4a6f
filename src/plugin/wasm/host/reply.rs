//! `reply`: what the client will be told.

use bytes::BytesMut;

use super::super::bindings::fingerpost::nameserver::reply;
use super::super::state::PluginState;
use super::types::WriteError;
use crate::body::route::Style;
use crate::config::Grant;
use crate::memo::Unfit;
use crate::plugin::draft::DraftBody;

/// A header holds names and small values; more than this is a body in the wrong place.
const FIELDS_MAX: usize = 256;
/// Room for a namespace and a key, which are repeated when they are not found.
const REMARK_BYTES_MAX: usize = 2 * crate::kv::NAME_LEN_MAX + 1024;
/// The longest value of the KV store, which is answered in a field, and a name.
const FIELD_BYTES_MAX: usize = crate::kv::VALUE_LEN_MAX + 1024;
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
        if draft.forward.is_some() {
            return Err(wasmtime::Error::msg("a reply waits either for the disk or for an upstream"));
        }
        draft.when_durable = true;
        Ok(())
    }

    fn forward(&mut self, upstream: String) -> wasmtime::Result<Result<(), WriteError>> {
        self.reads()?.spoil(Unfit::Waits);
        if let Err(reason) = self.is_granted(Grant::Upstream) {
            return Ok(Err(WriteError::Denied(reason)));
        }
        if !self.core.upstreams.is_configured(&upstream) {
            return Ok(Err(WriteError::Invalid(format!("no upstream {upstream:?} is configured"))));
        }
        let draft = &mut self.handling()?.draft;
        if draft.when_durable {
            return Err(wasmtime::Error::msg("a reply waits either for the disk or for an upstream"));
        }
        draft.forward = Some(upstream);
        Ok(Ok(()))
    }
}

fn within(size: usize, limit: usize, what: &str) -> wasmtime::Result<()> {
    if size > limit {
        return Err(wasmtime::Error::msg(format!("{what} of {size}, the limit is {limit}")));
    }
    Ok(())
}
