//! How a handler says no.

use crate::json::decimal;
use crate::types::{DecodeError, WriteError};
use crate::{code, reply};

/// What a handler ends with: `Ok` when the reply is as it should be sent, a [`Refusal`] when it is to be replaced.
pub type Outcome = Result<(), Refusal>;

/// An answer that is not a success. Header fields that the handler has set stay in the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The response code; see [`code`].
    pub code: i32,
    /// What the client reads in its log.
    pub remark: String,
}

impl Refusal {
    /// An answer with a code of its own.
    pub fn new(code: i32, remark: impl Into<String>) -> Self {
        Self { code, remark: remark.into() }
    }

    /// Code 1: what Java answers when a processor throws.
    pub fn error(remark: impl Into<String>) -> Self {
        Self::new(code::SYSTEM_ERROR, remark)
    }

    /// The answer to a code that is not in the manifest, which the server never asks for: the arm that a `match` needs.
    pub fn not_supported(request_code: i32) -> Self {
        let remark = [" request type ", &decimal(request_code.into()), " not supported"].concat();
        Self::new(code::REQUEST_CODE_NOT_SUPPORTED, remark)
    }

    pub(crate) fn send(&self) {
        reply::fail(self.code, &self.remark);
    }
}

/// A write that did not happen is code 1, with the server's reason.
impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Denied(why) | WriteError::Invalid(why) | WriteError::Unavailable(why) => Self::error(why),
        }
    }
}

/// A body that cannot be decoded is code 1, with the place where it breaks off.
impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Malformed(at) | DecodeError::TooLarge(at) => Self::error(at),
        }
    }
}
