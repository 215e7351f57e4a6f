//! The protocol between RocketMQ's programs: frames, their headers, and the commands they carry.
//!
//! ```text
//!  bytes ─▶ frame::split ─▶ Command::decode ─▶ Command       Command::encode, Response::encode ─▶ bytes
//! ```
//!
//! A frame is `length:4 │ serialize type:1 │ header length:3 │ header │ body`, all big endian; the length counts what
//! follows it. A header is JSON or a compact binary form, and either may be answered in either.
//!
//! # Invariants
//!
//! * What is decoded borrows from the frame: neither body nor unescaped strings are copied, so a command kept for long
//!   keeps its whole frame.
//! * Nothing is allocated for a length that a peer claims, only for bytes that are there.
//! * An encoder that fails leaves the output as it found it.
//!
//! # Not here
//!
//! No sockets, no clock, no log, and no request code: what a number asks for is known to whoever answers it.

mod code;
mod command;
mod error;
mod fields;
pub mod frame;
mod header;
mod opaque;

pub use code::{LanguageCode, RequestCode, ResponseCode, VERSION, VERSION_BEFORE_GO_AWAY};
pub use command::{Command, FLAG_ONEWAY, FLAG_RESPONSE, Response};
pub use error::{EncodeError, FrameError, HeaderError};
pub use fields::Fields;
pub use frame::{FrameWriter, SerializeType};
pub use opaque::{Opaque, Stencil, guess as guess_opaque, locate as locate_opaque};

#[cfg(test)]
mod tests;
