//! Why bytes are no command, or a command cannot become bytes.

use super::frame::SerializeType;
use crate::json::JsonError;

/// Why bytes from a peer are no command.
///
/// After any of these nobody knows where the next frame begins, or what the peer means: the connection is closed
/// without a reply. Java: `NettyDecoder.decode`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The announced length cannot even hold the rest of a frame's prefix, or is negative.
    #[error("frame length {0}")]
    BadLength(i32),

    /// The frame is announced longer than this server takes.
    #[error("frame of {size} bytes, limit is {limit}")]
    TooLarge {
        /// With the four bytes of the length.
        size: u32,
        /// Likewise.
        limit: u32,
    },

    /// The header claims to be longer than the frame that holds it.
    #[error("header of {header} bytes in a frame of {frame}")]
    HeaderTooLong {
        /// As announced.
        header: u32,
        /// All of the frame.
        frame: u32,
    },

    /// Neither JSON (0) nor ROCKETMQ (1).
    #[error("unknown serialize type {0}")]
    SerializeType(u8),

    /// What was given to decode is not one whole frame.
    #[error("not one whole frame")]
    NotWhole,

    /// The header is not what its serialize type promises.
    #[error("malformed {kind} header: {source}")]
    Header {
        /// As the frame says.
        kind: SerializeType,
        /// What is wrong with it.
        source: HeaderError,
    },
}

/// What is wrong with a header.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// It is not JSON, or a member has a value that its type does not take.
    #[error(transparent)]
    Json(#[from] JsonError),

    /// It is JSON with bytes that are not UTF-8.
    #[error("not UTF-8")]
    Utf8,

    /// It ends before one of its parts does.
    #[error("ends within {0}")]
    Truncated(&'static str),

    /// A string has a negative length.
    #[error("negative length of {0}")]
    NegativeLength(&'static str),

    /// It has more fields than any request needs.
    #[error("more than {0} fields")]
    TooManyFields(usize),
}

/// Why a command cannot become bytes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The header's length has only 24 bits.
    #[error("header of {0} bytes, a frame has room for 16777215")]
    HeaderTooLong(usize),

    /// The frame's length has only 31 bits.
    #[error("frame of {0} bytes, its length has room for 2147483647")]
    FrameTooLong(usize),

    /// In the binary header the length of a name has only 15 bits.
    #[error("field name of {0} bytes, a binary header has room for 32767")]
    NameTooLong(usize),
}
