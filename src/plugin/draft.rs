//! The reply while a processor is building it.

use std::borrow::Cow;

use bytes::BytesMut;

use super::waiting::Wish;
use crate::body::route::Style;
use crate::remoting::Fields;

/// Java: `RemotingCommand.createResponseCommand` starts every response like this.
const NOT_SET: (i32, &str) = (1, "not set any response code");

/// A reply that is not encoded yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) code: i32,
    pub(crate) remark: Option<Cow<'static, str>>,
    /// None leaves `extFields` out; an empty list writes `{}`.
    pub(crate) fields: Option<Fields>,
    pub(crate) body: DraftBody,
    /// Wait for the KV writes of the call.
    pub(crate) when_durable: bool,
    /// Ask this upstream first, and send the draft only if it does not answer.
    pub(crate) forward: Option<String>,
    /// Forget the draft, and call the plugin again when this has come true.
    pub(crate) when_changed: Option<Wish>,
}

/// The body of a reply that is not encoded yet.
#[derive(Debug)]
pub(crate) enum DraftBody {
    /// No body, which on the wire is the same as an empty one.
    Empty,
    /// Bytes from the guest.
    Bytes(BytesMut),
    /// A route, which the policy chain has yet to see. It never enters the sandbox.
    Route {
        /// The handle of a route that the call was given.
        route: u32,
        /// How to write it.
        style: Style,
        /// `orderTopicConf`.
        order_topic_conf: Option<String>,
    },
}

impl Default for Draft {
    fn default() -> Self {
        let (code, remark) = NOT_SET;
        Self {
            code,
            remark: Some(Cow::Borrowed(remark)),
            fields: None,
            body: DraftBody::Empty,
            when_durable: false,
            forward: None,
            when_changed: None,
        }
    }
}

impl Draft {
    /// A reply that is only a code and a remark.
    pub(crate) fn failure(code: i32, remark: String) -> Self {
        Self { code, remark: Some(remark.into()), ..Self::default() }
    }

    /// Sets how it went. A route is an answer of success only, so another outcome takes it back.
    pub(crate) fn set_outcome(&mut self, code: i32, remark: Option<String>) {
        self.code = code;
        self.remark = remark.map(Cow::Owned);
        if matches!(self.body, DraftBody::Route { .. }) {
            self.body = DraftBody::Empty;
        }
    }
}
