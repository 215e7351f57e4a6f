//! The bodies that travel behind a RocketMQ header: what brokers publish, and the route that clients ask for.
//!
//! Every function here is pure: bytes in, values out, or the other way round. The time is an argument.
//!
//! # Invariants
//!
//! * A body is decoded whole or refused whole. Java applies some of them half; which, is said where we differ.
//! * Nothing is allocated because a stranger's number says so: memory grows with the bytes that really arrive, and
//!   [`Limits`] ends it.

pub mod data_version;
pub mod queues;
pub mod registration;
pub mod route;

mod limits;

pub use limits::Limits;

use crate::json::{JsonError, Problem, Reader};
use std::fmt;

/// Why a body did not become a value. Every text says where in the body, for the log of whoever sent it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are not what the form promises.
    #[error("{0}")]
    Malformed(String),

    /// A bound of [`Limits`] was exceeded.
    #[error("{0}")]
    TooLarge(String),

    /// A topic without `topicName`, which is the name that counts. Java notices only while it applies the registration,
    /// and leaves it half applied.
    #[error("{0} has no topicName")]
    UnnamedTopic(String),
}

impl DecodeError {
    /// Says in which part of the body it happened.
    fn within(self, part: impl fmt::Display) -> Self {
        match self {
            Self::Malformed(text) => Self::Malformed(format!("{part}: {text}")),
            Self::TooLarge(text) => Self::TooLarge(format!("{part}: {text}")),
            Self::UnnamedTopic(text) => Self::UnnamedTopic(text),
        }
    }
}

impl From<JsonError> for DecodeError {
    fn from(error: JsonError) -> Self {
        match error.problem {
            Problem::Depth => Self::TooLarge(error.to_string()),
            _ => Self::Malformed(error.to_string()),
        }
    }
}

/// A name from the body in an error text: escaped, and cut, because a stranger chose it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LENGTH_MAX: usize = 80;
        match self.0.char_indices().nth(LENGTH_MAX) {
            Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

/// A reader that takes what RocketMQ bodies hold.
fn reader<'a>(bytes: &'a [u8], limits: &Limits) -> Reader<'a> {
    Reader::new(bytes).with_bare_integer_keys().with_depth_max(limits.depth_max)
}
