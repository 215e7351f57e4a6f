//! The header of a frame, in either of its two forms.

mod binary;
mod json;

use bytes::{Bytes, BytesMut};

use super::code::LanguageCode;
use super::command::Command;
use super::error::{EncodeError, HeaderError};
use super::fields::Fields;
use super::frame::SerializeType;

/// More than any program sends; it bounds what searching the fields one after the other can cost.
const FIELDS_MAX: usize = 256;

/// What is to be written.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) code: i32,
    pub(super) language: LanguageCode,
    pub(super) version: i32,
    pub(super) opaque: i32,
    pub(super) flag: i32,
    pub(super) remark: Option<&'a str>,
    pub(super) fields: Option<&'a Fields>,
}

/// Reads a header into a command without a body.
pub(super) fn decode(kind: SerializeType, header: Bytes) -> Result<Command, HeaderError> {
    match kind {
        SerializeType::Json => json::decode(header),
        SerializeType::Rocketmq => binary::decode(header),
    }
}

/// Appends a header.
pub(super) fn encode(header: &Header<'_>, kind: SerializeType, out: &mut BytesMut) -> Result<(), EncodeError> {
    match kind {
        SerializeType::Json => {
            json::encode(header, out);
            Ok(())
        }
        SerializeType::Rocketmq => binary::encode(header, out),
    }
}

/// Refuses one field too many.
fn check_room(fields: &Fields) -> Result<(), HeaderError> {
    if fields.len() > FIELDS_MAX { Err(HeaderError::TooManyFields(FIELDS_MAX)) } else { Ok(()) }
}
