//! The header as an object of JSON. Java: `RemotingSerializable`, with fastjson2 underneath.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use super::{Header, check_room};
use crate::json::{JsonError, Kind, Problem, Reader, write};
use crate::remoting::code::LanguageCode;
use crate::remoting::command::Command;
use crate::remoting::error::HeaderError;
use crate::remoting::fields::Fields;
use crate::remoting::frame::SerializeType;

pub(super) fn decode(header: Bytes) -> Result<Command, HeaderError> {
    // Judged once as a whole, so that its strings can be shared without a second look.
    let text = ByteString::try_from(header).map_err(|_| HeaderError::Utf8)?;
    let mut reader = Reader::of_text(&text);
    let mut command = Command::default();
    reader.begin_object()?;
    while let Some(name) = reader.next_key()? {
        match name.as_ref() {
            "code" => command.code = reader.int32()?.unwrap_or_default(),
            "version" => command.version = reader.int32()?.unwrap_or_default(),
            "opaque" => command.opaque = reader.int32()?.unwrap_or_default(),
            "flag" => command.flag = reader.int32()?.unwrap_or_default(),
            "remark" => command.remark = shared_text(&mut reader, &text)?,
            "language" => command.language = language(&mut reader)?,
            "extFields" => command.fields = fields(&mut reader, &text)?,
            "body" => no_body(&mut reader)?,
            // Also `serializeTypeCurrentRPC`: the frame has said it already, and its word counts.
            _ => reader.skip()?,
        }
    }
    reader.finish()?;
    Ok(command)
}

fn fields(reader: &mut Reader<'_>, text: &ByteString) -> Result<Option<Fields>, HeaderError> {
    if reader.peek()? == Kind::Null {
        reader.skip()?;
        return Ok(None);
    }
    let mut fields = Fields::new();
    reader.begin_object()?;
    while let Some(name) = reader.next_key()? {
        match shared_text(reader, text)? {
            Some(value) => fields.insert(shared(name, text), value),
            None => drop(fields.remove(&name)),
        }
        check_room(&fields)?;
    }
    Ok(Some(fields))
}

/// Any value as text; a string without escapes as a part of `header`.
fn shared_text(reader: &mut Reader<'_>, header: &ByteString) -> Result<Option<ByteString>, JsonError> {
    if reader.peek()? == Kind::String {
        return reader.string().map(|string| Some(shared(string, header)));
    }
    Ok(reader.text()?.map(|text| ByteString::from(text.into_owned())))
}

/// `string`, which was read from `header`; if it is borrowed then from there.
fn shared(string: Cow<'_, str>, header: &ByteString) -> ByteString {
    match string {
        Cow::Borrowed(string) => header.slice_ref(string),
        Cow::Owned(string) => string.into(),
    }
}

/// A name or a number, and if it is not known that does not matter.
fn language(reader: &mut Reader<'_>) -> Result<LanguageCode, JsonError> {
    match reader.peek()? {
        Kind::String => reader.string().map(|name| LanguageCode::from_name(&name)),
        Kind::Number => {
            let number = reader.int64()?.and_then(|number| u8::try_from(number).ok());
            Ok(number.map_or(LanguageCode::OTHER, LanguageCode))
        }
        Kind::Null => reader.skip().map(|()| LanguageCode::OTHER),
        _ => Err(JsonError { offset: reader.offset(), problem: Problem::Conversion("a language") }),
    }
}

/// Java's bean has a property of this name which takes bytes, as an array of numbers; the frame's body replaces it.
fn no_body(reader: &mut Reader<'_>) -> Result<(), JsonError> {
    match reader.peek()? {
        Kind::Null | Kind::Array => reader.skip(),
        _ => Err(JsonError { offset: reader.offset(), problem: Problem::Conversion("an array") }),
    }
}

/// Members by name, as fastjson2 orders them; those that are null are left out.
pub(super) fn encode(header: &Header<'_>, out: &mut BytesMut) {
    // Nearly always enough, so that the buffer grows once at most.
    out.reserve(192);
    integer(out, b"{\"code\":", header.code);
    if let Some(fields) = header.fields {
        out.extend_from_slice(b",\"extFields\":{");
        for (index, (name, value)) in fields.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b",");
            }
            write::string(out, name);
            out.extend_from_slice(b":");
            write::string(out, value);
        }
        out.extend_from_slice(b"}");
    }
    integer(out, b",\"flag\":", header.flag);
    out.extend_from_slice(b",\"language\":\"");
    out.extend_from_slice(header.language.name().as_bytes());
    integer(out, b"\",\"opaque\":", header.opaque);
    if let Some(remark) = header.remark {
        out.extend_from_slice(b",\"remark\":");
        write::string(out, remark);
    }
    out.extend_from_slice(b",\"serializeTypeCurrentRPC\":\"");
    out.extend_from_slice(SerializeType::Json.name().as_bytes());
    integer(out, b"\",\"version\":", header.version);
    out.extend_from_slice(b"}");
}

fn integer(out: &mut BytesMut, label: &[u8], value: i32) {
    out.extend_from_slice(label);
    write::integer(out, i64::from(value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remoting::header::FIELDS_MAX;

    fn read(header: &str) -> Result<Command, HeaderError> {
        decode(Bytes::copy_from_slice(header.as_bytes()))
    }

    fn refused(header: &str) {
        assert!(read(header).is_err(), "{header}");
    }

    fn field(header: &str) -> Option<String> {
        let header = format!("{{\"extFields\":{{\"a\":{header}}}}}");
        read(&header).unwrap().field("a").map(ToString::to_string)
    }

    #[test]
    fn an_empty_object_means_the_defaults() {
        assert_eq!(read("{}"), Ok(Command::default()));
    }

    #[test]
    fn a_missing_opaque_is_zero() {
        assert_eq!(read(r#"{"code":206}"#).unwrap().opaque, 0);
    }

    #[test]
    fn null_means_the_default() {
        let header = r#"{"code":null,"version":null,"opaque":null,"flag":null,"remark":null,"extFields":null}"#;
        assert_eq!(read(header), Ok(Command::default()));
        assert_eq!(read(r#"{"language":null}"#).unwrap().language, LanguageCode::OTHER);
    }

    #[test]
    fn unknown_members_are_passed_over() {
        let header = r#"{"x":{"y":[1,"code",null]},"code":5,"oneWayType":true}"#;
        assert_eq!(read(header).unwrap().code, 5);
    }

    #[test]
    fn names_are_case_sensitive() {
        assert_eq!(read(r#"{"code":1,"CODE":7,"Code":8}"#).unwrap().code, 1);
    }

    #[test]
    fn numbers_may_be_strings() {
        assert_eq!(read(r#"{"code":"206","opaque":"-7"}"#).map(|c| (c.code, c.opaque)), Ok((206, -7)));
        assert_eq!(read(r#"{"flag":"","version":""}"#), Ok(Command::default()));
    }

    #[test]
    fn floats_are_truncated() {
        assert_eq!(read(r#"{"code":7.9,"flag":-1.9}"#).map(|c| (c.code, c.flag)), Ok((7, -1)));
    }

    #[test]
    fn exponents_are_understood() {
        assert_eq!(read(r#"{"code":2.06e2}"#).unwrap().code, 206);
    }

    #[test]
    fn true_is_one() {
        assert_eq!(read(r#"{"code":true,"flag":false}"#).map(|c| (c.code, c.flag)), Ok((1, 0)));
    }

    #[test]
    fn the_last_of_equal_members_wins() {
        assert_eq!(read(r#"{"code":5,"code":6}"#).unwrap().code, 6);
        assert_eq!(read(r#"{"code":5,"code":null}"#).unwrap().code, 0);
        assert_eq!(read(r#"{"remark":"a","remark":null}"#).unwrap().remark, None);
        let command = read(r#"{"extFields":{"a":"1"},"extFields":{"b":"2","b":"3"}}"#).unwrap();
        assert_eq!(command.fields, Some(Fields::from_iter([("b", "3")])));
    }

    #[test]
    fn single_quotes_are_accepted() {
        let command = read("{'code':'206','extFields':{'topic':'T'}}").unwrap();
        assert_eq!((command.code, command.field("topic").unwrap().as_ref()), (206, "T"));
    }

    #[test]
    fn trailing_white_space_is_accepted() {
        // The C++ client ends its header with a newline.
        assert_eq!(read("{\"code\":1}\n").unwrap().code, 1);
        assert_eq!(read(" {\"code\":1} \r\n\t").unwrap().code, 1);
    }

    #[test]
    fn any_language_is_accepted() {
        for (language, read_as) in [
            ("\"GO\"", LanguageCode(9)),
            ("\"java\"", LanguageCode::JAVA),
            ("\"COBOL\"", LanguageCode::OTHER),
            ("12", LanguageCode(12)),
            ("99", LanguageCode(99)),
            ("-1", LanguageCode::OTHER),
        ] {
            assert_eq!(read(&format!("{{\"language\":{language}}}")).unwrap().language, read_as);
        }
    }

    #[test]
    fn the_serialize_type_inside_the_header_does_not_matter() {
        for kind in ["\"ROCKETMQ\"", "\"PROTOBUF\"", "null", "5"] {
            read(&format!("{{\"serializeTypeCurrentRPC\":{kind}}}")).unwrap();
        }
    }

    #[test]
    fn field_values_that_are_not_strings_become_text() {
        assert_eq!(field("123").unwrap(), "123");
        assert_eq!(field("true").unwrap(), "true");
        assert_eq!(field("0").unwrap(), "0");
        assert_eq!(field("1.5").unwrap(), "1.5");
        assert_eq!(field("1.50").unwrap(), "1.50");
        assert_eq!(field(r#"{"x": [1,2]}"#).unwrap(), r#"{"x":[1,2]}"#);
        assert_eq!(field(r#"[1, "q"]"#).unwrap(), r#"[1,"q"]"#);
        assert_eq!(field("\"\"").unwrap(), "");
    }

    #[test]
    fn a_field_that_is_null_is_absent() {
        assert_eq!(field("null"), None);
        assert_eq!(read(r#"{"extFields":{"a":"1","a":null}}"#).unwrap().fields, Some(Fields::new()));
    }

    #[test]
    fn no_fields_differ_from_empty_fields() {
        assert_eq!(read("{}").unwrap().fields, None);
        assert_eq!(read(r#"{"extFields":{}}"#).unwrap().fields, Some(Fields::new()));
    }

    #[test]
    fn escapes_are_undone() {
        let command = read(r#"{"remark":"a\n\"b\"","extFields":{"\u0074opic":"\ud83d\ude00"}}"#).unwrap();
        assert_eq!(command.remark.as_deref(), Some("a\n\"b\""));
        assert_eq!(command.field("topic").unwrap(), "😀");
    }

    #[test]
    fn strings_are_shared_with_the_frame() {
        let header = Bytes::from_static(br#"{"remark":"why","extFields":{"topic":"T1"}}"#);
        let within = header.as_ptr_range();
        let command = decode(header).unwrap();
        let fields = command.fields.unwrap();
        let (name, value) = fields.iter().next().unwrap();
        for text in [&command.remark.unwrap(), name, value] {
            assert!(within.contains(&text.as_ptr()));
        }
    }

    #[test]
    fn unquoted_names_close_the_connection() {
        refused("{code:1}");
        refused(r#"{"extFields":{1:"x"}}"#);
    }

    #[test]
    fn trailing_garbage_closes_the_connection() {
        refused(r#"{"code":1}x"#);
        refused(r#"{"code":1}{}"#);
    }

    #[test]
    fn a_byte_order_mark_closes_the_connection() {
        refused("\u{feff}{}");
    }

    #[test]
    fn invalid_utf8_closes_the_connection() {
        let header = Bytes::from_static(b"{\"remark\":\"\xff\"}");
        assert_eq!(decode(header), Err(HeaderError::Utf8));
    }

    #[test]
    fn integer_overflow_closes_the_connection() {
        refused(r#"{"opaque":4294967296}"#);
        refused(r#"{"opaque":"2147483648"}"#);
    }

    #[test]
    fn a_header_that_is_no_object_closes_the_connection() {
        for header in ["", " ", "null", "[]", "[{}]", "\"\"", "1", "true"] {
            refused(header);
        }
    }

    #[test]
    fn a_number_with_a_leading_blank_closes_the_connection() {
        refused(r#"{"code":" 206"}"#);
    }

    #[test]
    fn fields_that_are_no_object_close_the_connection() {
        for fields in ["[]", "\"x\"", "1", "true"] {
            refused(&format!("{{\"extFields\":{fields}}}"));
        }
    }

    #[test]
    fn a_language_that_is_an_object_closes_the_connection() {
        for language in ["{}", "[]", "true"] {
            refused(&format!("{{\"language\":{language}}}"));
        }
    }

    #[test]
    fn a_body_member_that_is_a_string_closes_the_connection() {
        refused(r#"{"body":"x"}"#);
        refused(r#"{"body":{}}"#);
        assert_eq!(read(r#"{"body":null,"code":1}"#).unwrap().code, 1);
        assert_eq!(read(r#"{"body":[1,2],"code":1}"#).unwrap().code, 1);
    }

    #[test]
    fn too_many_fields_close_the_connection() {
        let header = |count: usize| {
            let fields: Vec<_> = (0..count).map(|number| format!("\"{number}\":1")).collect();
            format!("{{\"extFields\":{{{}}}}}", fields.join(","))
        };
        assert_eq!(read(&header(FIELDS_MAX)).unwrap().fields.unwrap().len(), FIELDS_MAX);
        assert_eq!(read(&header(FIELDS_MAX + 1)), Err(HeaderError::TooManyFields(FIELDS_MAX)));
    }
}
