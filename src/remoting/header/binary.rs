//! The header in its compact form. Java: `RocketMQSerializable`.
//!
//! ```text
//!  code:2 │ language:1 │ version:2 │ opaque:4 │ flag:4 │ n:4 │ remark:n │ n:4 │ n bytes of fields
//!  a field: n:2 │ name:n │ n:4 │ value:n
//! ```
//!
//! All numbers are signed, and a string of length 0 is null. Bytes that are not UTF-8 become replacement characters, as
//! Java's `new String` makes them.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use bytestring::ByteString;

use super::{Header, check_room};
use crate::remoting::code::LanguageCode;
use crate::remoting::command::Command;
use crate::remoting::error::{EncodeError, HeaderError};
use crate::remoting::fields::Fields;

pub(super) fn decode(mut header: Bytes) -> Result<Command, HeaderError> {
    let numbers = HeaderError::Truncated("its numbers");
    if header.len() < 13 {
        return Err(numbers);
    }
    Ok(Command {
        code: i32::from(header.get_i16()),
        language: LanguageCode(header.get_u8()),
        version: i32::from(header.get_i16()),
        opaque: header.get_i32(),
        flag: header.get_i32(),
        remark: long_string(&mut header, "its remark")?,
        fields: fields(&mut header)?,
        // Java takes what is left of the header for the begin of the body; a body begins where the frame says it does.
        body: Bytes::new(),
    })
}

fn fields(header: &mut Bytes) -> Result<Option<Fields>, HeaderError> {
    const PART: &str = "its fields";
    let length = header.try_get_i32().map_err(|_| HeaderError::Truncated(PART))?;
    if length <= 0 {
        return Ok(None);
    }
    let mut rest = take(header, length, PART)?;
    let mut fields = Fields::new();
    while rest.has_remaining() {
        let length = rest.try_get_i16().map_err(|_| HeaderError::Truncated("a field's name"))?;
        let name = text(take(&mut rest, i32::from(length), "a field's name")?);
        let value = long_string(&mut rest, "a field's value")?;
        match value {
            // Java puts it under the name null, under which nobody looks.
            _ if name.is_empty() => {}
            Some(value) => fields.insert(name, value),
            None => drop(fields.remove(&name)),
        }
        check_room(&fields)?;
    }
    Ok(Some(fields))
}

/// A string behind a length of four bytes; none when that is 0.
fn long_string(bytes: &mut Bytes, part: &'static str) -> Result<Option<ByteString>, HeaderError> {
    let length = bytes.try_get_i32().map_err(|_| HeaderError::Truncated(part))?;
    let string = text(take(bytes, length, part)?);
    Ok((!string.is_empty()).then_some(string))
}

fn take(bytes: &mut Bytes, length: i32, part: &'static str) -> Result<Bytes, HeaderError> {
    let length = usize::try_from(length).map_err(|_| HeaderError::NegativeLength(part))?;
    if length > bytes.len() {
        return Err(HeaderError::Truncated(part));
    }
    Ok(bytes.split_to(length))
}

fn text(bytes: Bytes) -> ByteString {
    match ByteString::try_from(bytes.clone()) {
        Ok(text) => text,
        Err(_) => String::from_utf8_lossy(&bytes).into_owned().into(),
    }
}

pub(super) fn encode(header: &Header<'_>, out: &mut BytesMut) -> Result<(), EncodeError> {
    out.reserve(64);
    // Java: RocketMQSerializable.rocketMQProtocolEncode cuts both to 16 bits.
    out.put_i16(header.code as i16);
    out.put_u8(header.language.0);
    out.put_i16(header.version as i16);
    out.put_i32(header.opaque);
    out.put_i32(header.flag);
    put_long_string(out, header.remark.unwrap_or_default())?;
    let start = out.len();
    out.put_i32(0);
    for (name, value) in header.fields.into_iter().flat_map(Fields::iter) {
        let length = i16::try_from(name.len()).map_err(|_| EncodeError::NameTooLong(name.len()))?;
        out.put_i16(length);
        out.extend_from_slice(name.as_bytes());
        put_long_string(out, value)?;
    }
    let length = length(out.len() - start - 4)?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn put_long_string(out: &mut BytesMut, text: &str) -> Result<(), EncodeError> {
    out.put_i32(length(text.len())?);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// A length inside a header, which would not fit its frame anyway if this failed.
fn length(length: usize) -> Result<i32, EncodeError> {
    i32::try_from(length).map_err(|_| EncodeError::HeaderTooLong(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remoting::header::FIELDS_MAX;

    /// Everything up to the remark: code 206, GO, version 317, opaque 7, flag 2.
    const NUMBERS: [u8; 13] = [0, 206, 9, 1, 61, 0, 0, 0, 7, 0, 0, 0, 2];

    fn read(parts: &[&[u8]]) -> Result<Command, HeaderError> {
        decode(Bytes::from([&NUMBERS[..], &parts.concat()].concat()))
    }

    /// A header without remark whose fields are `bytes`.
    fn read_fields(bytes: &[u8]) -> Result<Command, HeaderError> {
        read(&[&[0; 4], &(bytes.len() as i32).to_be_bytes(), bytes])
    }

    #[test]
    fn the_smallest_header_has_21_bytes() {
        let whole = [&NUMBERS[..], &[0; 8]].concat();
        let wanted =
            Command { code: 206, language: LanguageCode(9), version: 317, opaque: 7, flag: 2, ..Command::default() };

        assert_eq!(decode(Bytes::from(whole.clone())), Ok(wanted));
        for length in 0..whole.len() {
            decode(Bytes::copy_from_slice(&whole[..length])).unwrap_err();
        }
    }

    #[test]
    fn remark_and_fields_are_read() {
        let command = read(&[b"\0\0\0\x03why", b"\0\0\0\x0e", b"\0\x05topic\0\0\0\x03T\xc3\xa9"]).unwrap();

        assert_eq!(command.remark.as_deref(), Some("why"));
        assert_eq!(command.fields, Some(Fields::from_iter([("topic", "Té")])));
    }

    #[test]
    fn codes_and_versions_are_signed() {
        let mut header = BytesMut::zeroed(21);
        header[..5].copy_from_slice(&[0xff, 0xfb, 0, 0xff, 0xff]);

        let command = decode(header.freeze()).unwrap();

        assert_eq!((command.code, command.version), (-5, -1));
    }

    #[test]
    fn an_unknown_language_is_harmless() {
        let mut header = BytesMut::zeroed(21);
        header[2] = 200;
        assert_eq!(decode(header.freeze()).unwrap().language, LanguageCode(200));
    }

    #[test]
    fn spare_bytes_belong_to_the_header_not_to_the_body() {
        read(&[&[0; 8], b"spare"]).unwrap();
    }

    #[test]
    fn fields_of_no_or_negative_length_are_absent() {
        assert_eq!(read(&[&[0; 4], &0_i32.to_be_bytes()]).unwrap().fields, None);
        assert_eq!(read(&[&[0; 4], &(-1_i32).to_be_bytes()]).unwrap().fields, None);
    }

    #[test]
    fn an_empty_value_is_an_absent_field() {
        assert_eq!(read_fields(b"\0\x01a\0\0\0\0").unwrap().fields, Some(Fields::new()));
        assert_eq!(read_fields(b"\0\x01a\0\0\0\x01x\0\x01a\0\0\0\0").unwrap().fields, Some(Fields::new()));
        assert_eq!(read_fields(b"\0\0\0\0\0\x01x").unwrap().fields, Some(Fields::new()));
    }

    #[test]
    fn the_last_of_equal_fields_wins() {
        let fields = read_fields(b"\0\x01a\0\0\0\x01x\0\x01a\0\0\0\x01y").unwrap().fields;
        assert_eq!(fields, Some(Fields::from_iter([("a", "y")])));
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        assert_eq!(read_fields(b"\0\x01a\0\0\0\x02x\xff").unwrap().field("a").unwrap(), "x\u{fffd}");
    }

    #[test]
    fn a_remark_longer_than_the_header_closes_the_connection() {
        assert_eq!(read(&[b"\0\0\0\x05", &[0; 4]]), Err(HeaderError::Truncated("its remark")));
        assert_eq!(read(&[b"\x7f\xff\xff\xff", &[0; 4]]), Err(HeaderError::Truncated("its remark")));
    }

    #[test]
    fn a_negative_remark_closes_the_connection() {
        assert_eq!(read(&[b"\xff\xff\xff\xff", &[0; 4]]), Err(HeaderError::NegativeLength("its remark")));
    }

    #[test]
    fn fields_longer_than_the_header_close_the_connection() {
        assert_eq!(read(&[&[0; 4], b"\0\0\0\x01"]), Err(HeaderError::Truncated("its fields")));
    }

    #[test]
    fn names_and_values_longer_than_the_fields_close_the_connection() {
        assert_eq!(read_fields(b"\0\x05topi"), Err(HeaderError::Truncated("a field's name")));
        assert_eq!(read_fields(b"\0\x01a\0\0\0\x02x"), Err(HeaderError::Truncated("a field's value")));
        assert_eq!(read_fields(b"\0\x01a\0\0"), Err(HeaderError::Truncated("a field's value")));
        assert_eq!(read_fields(b"\0"), Err(HeaderError::Truncated("a field's name")));
    }

    #[test]
    fn names_and_values_of_negative_length_close_the_connection() {
        assert_eq!(read_fields(b"\xff\xffa"), Err(HeaderError::NegativeLength("a field's name")));
        assert_eq!(read_fields(b"\0\x01a\xff\xff\xff\xff"), Err(HeaderError::NegativeLength("a field's value")));
    }

    #[test]
    fn too_many_fields_close_the_connection() {
        let fields = |count: usize| -> Vec<u8> {
            (0..count).flat_map(|number| format!("\0\x03{number:03}\0\0\0\x01x").into_bytes()).collect()
        };
        assert_eq!(read_fields(&fields(FIELDS_MAX)).unwrap().fields.unwrap().len(), FIELDS_MAX);
        assert_eq!(read_fields(&fields(FIELDS_MAX + 1)), Err(HeaderError::TooManyFields(FIELDS_MAX)));
    }
}
