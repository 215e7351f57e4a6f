use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use serde_json::Value;

use super::*;

/// Applies `read` to a document that is one value.
fn whole<'a, T>(
    document: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, JsonError>,
) -> Result<T, JsonError> {
    let mut reader = Reader::new(document);
    let value = read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

fn string(document: &str) -> Result<Cow<'_, str>, JsonError> {
    whole(document.as_bytes(), Reader::string)
}

fn text(document: &str) -> Result<Option<Cow<'_, str>>, JsonError> {
    whole(document.as_bytes(), Reader::text)
}

fn int32(document: &str) -> Result<Option<i32>, JsonError> {
    whole(document.as_bytes(), Reader::int32)
}

fn int64(document: &str) -> Result<Option<i64>, JsonError> {
    whole(document.as_bytes(), Reader::int64)
}

fn boolean(document: &str) -> Result<Option<bool>, JsonError> {
    whole(document.as_bytes(), Reader::boolean)
}

fn skip(document: &[u8]) -> Result<(), JsonError> {
    whole(document, Reader::skip)
}

#[test]
fn members_come_in_the_order_in_which_they_stand() {
    let mut reader = Reader::new(br#" { "a" : 1 , 'b' : ["x", null] , "a" : {} } "#);

    reader.begin_object().unwrap();
    assert_eq!(reader.next_key().unwrap().unwrap(), "a");
    assert_eq!(reader.int32().unwrap(), Some(1));
    assert_eq!(reader.next_key().unwrap().unwrap(), "b");
    reader.begin_array().unwrap();
    assert!(reader.next_element().unwrap());
    assert_eq!(reader.string().unwrap(), "x");
    assert!(reader.next_element().unwrap());
    assert_eq!(reader.peek().unwrap(), Kind::Null);
    assert_eq!(reader.text().unwrap(), None);
    assert!(!reader.next_element().unwrap());
    assert_eq!(reader.next_key().unwrap().unwrap(), "a");
    reader.skip().unwrap();
    assert_eq!(reader.next_key().unwrap(), None);
    reader.finish().unwrap();
}

#[test]
fn strings_without_escapes_are_borrowed() {
    assert!(matches!(string(r#""topic 主题""#).unwrap(), Cow::Borrowed("topic 主题")));
    assert!(matches!(string(r#""a\/b""#).unwrap(), Cow::Owned(text) if text == "a/b"));
}

#[test]
fn single_quotes_are_as_good_as_double_ones() {
    assert_eq!(string(r#"'say "it"'"#).unwrap(), r#"say "it""#);
    assert_eq!(string(r#""don't""#).unwrap(), "don't");
    assert_eq!(string(r#"'don\'t'"#).unwrap(), "don't");
}

#[test]
fn every_escape_of_java_is_understood() {
    let all = string(r#""\"\'\\\/\b\f\n\r\t\v\0\7\x41\u00e9\uD83D\ude00""#).unwrap();

    assert_eq!(all, "\"'\\/\u{8}\u{c}\n\r\t\u{b}\0\u{7}Aé😀");
}

#[test]
fn half_a_surrogate_pair_becomes_a_question_mark() {
    assert_eq!(string(r#""a\ud800b""#).unwrap(), "a?b");
    assert_eq!(string(r#""\ud800\u0041""#).unwrap(), "?A");
    assert_eq!(string(r#""\ud800\ud83d\ude00""#).unwrap(), "?😀");
    assert_eq!(string(r#""\udc00x""#).unwrap(), "?x");
}

#[test]
fn control_characters_may_stand_in_strings() {
    assert_eq!(string("\"a\n\t\0\u{1f}b\"").unwrap(), "a\n\t\0\u{1f}b");
}

#[test]
fn what_is_no_escape_is_refused() {
    for document in [r#""\q""#, r#""\8""#, r#""\u12""#, r#""\uzzzz""#, r#""\u+123""#, r#""\x4""#, r#""\"#] {
        string(document).unwrap_err();
    }
    assert_eq!(string(r#""ab\q""#), Err(JsonError { offset: 3, problem: Problem::Escape }));
}

#[test]
fn a_string_must_end() {
    for document in ["\"", "\"abc", "'abc\"", r#""abc\""#, "\"abcdefgh"] {
        assert_eq!(string(document).unwrap_err().problem, Problem::Unclosed, "{document}");
    }
}

#[test]
fn invalid_utf8_in_a_string_is_refused_where_it_stands() {
    for document in [b"\"ab\x80\"".as_slice(), b"\"ab\xc3(\"", b"\"ab\xed\xa0\x80\"", b"\"ab\xf8\x88\x80\x80\x80\""] {
        let refused = Err(JsonError { offset: 3, problem: Problem::Utf8 });
        assert_eq!(whole(document, Reader::string), refused);
        assert_eq!(skip(document), refused.map(drop));
    }
}

#[test]
fn a_quote_is_found_wherever_it_stands() {
    for length in 0..40 {
        let content = "é".repeat(length) + &"x".repeat(length % 3);
        let document = format!("\"{content}\"");
        assert_eq!(string(&document).unwrap(), content);
        let document = format!("\"{content}\\n{content}\"");
        assert_eq!(string(&document).unwrap(), format!("{content}\n{content}"));
    }
}

#[test]
fn values_become_text_as_in_java() {
    for (document, wanted) in [
        (r#""as it is""#, Some("as it is")),
        ("123", Some("123")),
        ("1.50", Some("1.50")),
        ("1e3", Some("1000.0")),
        ("true", Some("true")),
        ("false", Some("false")),
        ("null", None),
        ("{}", Some("{}")),
        ("[ ]", Some("[]")),
        (r#"{"x": [1,2]}"#, Some(r#"{"x":[1,2]}"#)),
        (r#"{"z": 1, 'a':[1, 2.50,null,"x/y\n"], "n":null}"#, Some(r#"{"z":1,"a":[1,2.50,null,"x/y\n"]}"#)),
        (r#"{"n":null}"#, Some("{}")),
    ] {
        assert_eq!(text(document).unwrap().as_deref(), wanted, "{document}");
    }
}

#[test]
fn integers_are_taken_from_whatever_java_takes() {
    for (document, wanted) in [
        ("206", Some(206)),
        ("-1", Some(-1)),
        ("+1", Some(1)),
        ("01", Some(1)),
        ("7.9", Some(7)),
        ("-1.9", Some(-1)),
        ("2.06e2", Some(206)),
        (r#""206""#, Some(206)),
        ("'206'", Some(206)),
        (r#""2\u00306""#, Some(206)),
        (r#""+206""#, Some(206)),
        (r#""7.9""#, Some(7)),
        (r#""2.06e2""#, Some(206)),
        ("true", Some(1)),
        ("false", Some(0)),
        (r#""true""#, Some(1)),
        ("null", None),
        (r#""""#, None),
        (r#""null""#, None),
        ("2147483647", Some(i32::MAX)),
        ("-2147483648", Some(i32::MIN)),
    ] {
        assert_eq!(int32(document), Ok(wanted), "{document}");
        assert_eq!(int64(document), Ok(wanted.map(i64::from)), "{document}");
    }
    assert_eq!(int64("9223372036854775807"), Ok(Some(i64::MAX)));
    assert_eq!(int64(r#""-9223372036854775808""#), Ok(Some(i64::MIN)));
}

#[test]
fn integers_that_do_not_fit_are_refused() {
    for document in ["2147483648", "-2147483649", r#""2147483648""#, "4294967296", "1e10", "2147483648.5"] {
        assert_eq!(int32(document), Err(JsonError { offset: 0, problem: Problem::Overflow }), "{document}");
    }
    for document in ["9223372036854775808", "-9223372036854775809", "1e19", r#""9223372036854775808""#] {
        assert_eq!(int64(document), Err(JsonError { offset: 0, problem: Problem::Overflow }), "{document}");
    }
}

#[test]
fn what_means_no_integer_is_refused() {
    for document in [r#"" 206""#, r#""206 ""#, r#""0x1F""#, r#""x""#, "{}", "[]", "NaN", "-", "- 1", "0x1F"] {
        int32(document).unwrap_err();
        int64(document).unwrap_err();
    }
}

#[test]
fn truth_is_taken_from_whatever_java_takes() {
    for (document, wanted) in [
        ("true", Some(true)),
        ("false", Some(false)),
        (r#""true""#, Some(true)),
        (r#""TRUE""#, Some(true)),
        ("'False'", Some(false)),
        (r#""Y""#, Some(true)),
        (r#""1""#, Some(true)),
        (r#""0""#, Some(false)),
        ("1", Some(true)),
        ("0", Some(false)),
        ("2", Some(false)),
        ("1.5", Some(false)),
        ("null", None),
        (r#""""#, None),
    ] {
        assert_eq!(boolean(document), Ok(wanted), "{document}");
    }
    for document in [r#""yes""#, r#""T""#, "{}", "[]", "TRUE", "tru"] {
        boolean(document).unwrap_err();
    }
}

#[test]
fn white_space_may_stand_between_all_things() {
    skip(b" \t\r\n\x0c\x08\0{ \"a\" : [ 1 , { } ] , \"b\" : null } \n\0").unwrap();
}

#[test]
fn one_comma_may_stand_before_a_closing_bracket() {
    skip(br#"{"a":[1,2,],}"#).unwrap();
}

#[test]
fn trailing_garbage_is_refused() {
    for document in [r#"{"i":1}x"#, r#"{"i":1}{"i":2}"#, r#"{"i":1};"#, r#"{"i":1},"#, "nullx", "1 2"] {
        assert_eq!(skip(document.as_bytes()).unwrap_err().problem, Problem::Trailing, "{document}");
    }
}

#[test]
fn a_byte_order_mark_is_refused() {
    assert_eq!(skip(b"\xef\xbb\xbf{}"), Err(JsonError { offset: 0, problem: Problem::Expected("a value") }));
}

#[test]
fn names_need_quotes_unless_bare_integers_are_allowed() {
    for document in [r#"{a:"x"}"#, r#"{1:"x"}"#, r#"{"m":[{1:2}]}"#, "{null:1}"] {
        assert_eq!(skip(document.as_bytes()).unwrap_err().problem, Problem::Expected("a name in quotes"), "{document}");
    }
    let mut reader = Reader::new(br#"{0:1, -12 :{3:4},"7":8}"#).with_bare_integer_keys();
    reader.begin_object().unwrap();
    let mut keys = Vec::new();
    while let Some(key) = reader.next_key().unwrap() {
        keys.push(key);
        reader.skip().unwrap();
    }
    assert_eq!(keys, ["0", "-12", "7"]);
    reader.finish().unwrap();
}

#[test]
fn bare_names_other_than_integers_are_refused() {
    for document in ["{a:1}", "{-:1}", "{1.5:1}", "{1e1:1}", "{+1:1}"] {
        let mut reader = Reader::new(document.as_bytes()).with_bare_integer_keys();
        reader.skip().unwrap_err();
    }
}

#[test]
fn malformed_documents_are_refused() {
    for document in [
        "",
        " ",
        "{",
        "[",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "[1",
        "[1}",
        "{\"a\":1]",
        "{\"a\" 1}",
        "[1 2]",
        "{,\"a\":1}",
        "[,]",
        "[1,,2]",
        "{\"a\":1,,}",
        "]",
        "}",
        "nul",
        "tru",
        "falsy",
        "undefined",
        "1e",
        "'",
    ] {
        skip(document.as_bytes()).unwrap_err();
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);

    skip(nested(64).as_bytes()).unwrap();
    assert_eq!(skip(nested(65).as_bytes()), Err(JsonError { offset: 64, problem: Problem::Depth }));
    assert_eq!(text(&nested(1_000_000)).unwrap_err().problem, Problem::Depth);
    let three = nested(3);
    let mut reader = Reader::new(three.as_bytes()).with_depth_max(2);
    assert_eq!(reader.skip().unwrap_err().problem, Problem::Depth);
    let objects = "{\"a\":".repeat(65);
    assert_eq!(skip(objects.as_bytes()).unwrap_err().problem, Problem::Depth);
}

#[test]
fn a_callers_mistake_is_not_read_as_data() {
    let mut reader = Reader::new(br#"{"a":"b"}"#);
    assert_eq!(reader.next_key().unwrap_err().problem, Problem::OutOfTurn);
    reader.begin_object().unwrap();
    assert_eq!(reader.string().unwrap_err().problem, Problem::OutOfTurn);
    reader.next_key().unwrap();
    assert_eq!(reader.next_key().unwrap_err().problem, Problem::OutOfTurn);
    assert_eq!(reader.finish().unwrap_err().problem, Problem::OutOfTurn);
}

/// Reads a value into serde_json's tree through the public calls alone.
fn tree(reader: &mut Reader<'_>) -> Result<Value, JsonError> {
    Ok(match reader.peek()? {
        Kind::Null => reader.skip().map(|()| Value::Null)?,
        Kind::Bool => reader.boolean()?.into(),
        Kind::Number => reader.int64()?.into(),
        Kind::String => reader.string()?.into(),
        Kind::Array => {
            reader.begin_array()?;
            let mut items = Vec::new();
            while reader.next_element()? {
                items.push(tree(reader)?);
            }
            items.into()
        }
        Kind::Object => {
            reader.begin_object()?;
            let mut members = serde_json::Map::new();
            while let Some(key) = reader.next_key()? {
                members.insert(key.into_owned(), tree(reader)?);
            }
            members.into()
        }
    })
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn valid_json_is_read_as_serde_json_reads_it(value in any_value(), pretty in any::<bool>()) {
        let document = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();

        assert_eq!(whole(&document, tree).unwrap(), value);
        skip(&document).unwrap();
    }

    #[test]
    fn what_serde_json_accepts_is_accepted(document in r#"[\[\]{},:"\\a0-9.e\-+ntrufals]{0,24}"#) {
        // No double holds 1e999: serde_json refuses it as well, but only where it reads the number.
        if serde_json::from_str::<Value>(&document).is_ok() {
            skip(document.as_bytes()).unwrap();
        }
    }

    #[test]
    fn floats_are_truncated_as_by_a_cast(value in any::<f64>().prop_filter("holds", |value| value.abs() < 9e18)) {
        let document = format!("{value:e}");
        assert_eq!(int64(&document), Ok(Some(value as i64)));
    }

    #[test]
    fn random_bytes_do_no_harm(document in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = skip(&document);
        let _ = whole(&document, Reader::text);
        let _ = whole(&document, Reader::int32);
        let _ = whole(&document, Reader::boolean);
        let _ = whole(&document, tree);
    }

    #[test]
    fn damaged_documents_do_no_harm(
        value in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut document = serde_json::to_vec(&value).unwrap();
        let at = at.index(document.len());
        document[at] = byte;
        let _ = whole(&document, tree);
        document.truncate(cut.index(document.len()));
        let _ = whole(&document, tree);
        if let Ok(Some(text)) = Reader::new(&document).text() {
            assert!(text.len() <= document.len() * 6);
        }
    }
}
