//! How a processor says no, and why the server may.

use crate::abi::Status;

/// What [`Processor::handle`](crate::Processor::handle) ends with: `Ok` when the reply is as it should be sent, a
/// [`Refusal`] when it is to be replaced.
pub type Outcome = Result<(), Refusal>;

/// An answer that is not a success. Header fields that were set stay in the reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The response code.
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
        Self::new(1, remark)
    }
}

/// Why the server did not do something. Nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// [`DENIED`](Status::DENIED), [`INVALID`](Status::INVALID) or [`UNAVAILABLE`](Status::UNAVAILABLE).
    pub status: Status,
    /// The server's reason.
    pub why: String,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Error {}

/// What was not done is code 1, with the server's reason.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::error(error.why)
    }
}
