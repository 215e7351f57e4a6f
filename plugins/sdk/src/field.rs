//! Header fields of the current request, read as Java reads them.
//!
//! Java does not enforce what its header classes call required, and a number that does not parse is as good as absent:
//! both are `None` here, and what that means is each request's own business. Java: `RemotingCommand.decodeCommandCustomHeader`.

use crate::{Refusal, java, request};

/// A field as it was sent; none when it was not.
pub fn text(name: &str) -> Option<String> {
    request::field(name)
}

/// A 32-bit number; none when absent or unparsable.
pub fn int(name: &str) -> Option<i32> {
    java::parse_int(&text(name)?)
}

/// A 64-bit number; none when absent or unparsable.
pub fn long(name: &str) -> Option<i64> {
    java::parse_long(&text(name)?)
}

/// A boolean; none only when absent, since any text but `true` is false.
pub fn boolean(name: &str) -> Option<bool> {
    Some(java::parse_boolean(&text(name)?))
}

/// A field without which the request makes no sense.
///
/// # Errors
///
/// Code 1, when it is absent.
pub fn required(name: &str) -> Result<String, Refusal> {
    text(name).ok_or_else(|| missing(name))
}

/// A 64-bit number without which the request makes no sense.
///
/// # Errors
///
/// Code 1, when it is absent or unparsable.
pub fn required_long(name: &str) -> Result<i64, Refusal> {
    long(name).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Refusal {
    Refusal::error(["the field ", name, " is missing or malformed"].concat())
}

/// How Java prints a field that may be absent, which remarks quote.
pub fn or_null(field: Option<&str>) -> &str {
    field.unwrap_or("null")
}
