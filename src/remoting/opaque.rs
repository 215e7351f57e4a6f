//! Where the opaque stands in a frame: for whoever compares frames that differ in nothing else, or answers one with the
//! bytes of another answer.
//!
//! [`locate`] is sure, because it walks the whole header; [`guess`] is quick. A guess is good enough for a frame that
//! equals a located one in every byte around the opaque: then the walk would go the same way.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::{BufMut, BytesMut};
use memchr::memmem::Finder;

use super::frame::{self, PREFIX, SerializeType};
use crate::json::write;

/// Where the binary header has it: after code, language and version. Java: `RocketMQSerializable`.
const BINARY: Range<usize> = PREFIX + 5..PREFIX + 9;

const KEY: &[u8] = b"\"opaque\":";

/// As long as the longest opaque, `-2147483648`.
const DIGITS_MAX: usize = 11;

/// The opaque of a frame, and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opaque {
    /// What the sender matches the answer by.
    pub value: i32,
    /// Its digits, or the four bytes that a binary header has for it.
    pub place: Range<usize>,
}

/// The opaque of a whole frame, if the header has exactly one and writes it in the one usual way. A JSON header that
/// only a lenient reader takes has none, even where its opaque is plain to see.
pub fn locate(frame: &[u8]) -> Option<Opaque> {
    let (kind, header) = frame::parts(frame).ok()?;
    match kind {
        SerializeType::Rocketmq => binary(frame, header.end),
        SerializeType::Json => {
            let start = header.start;
            let place = Walk { text: &frame[header], at: 0 }.object()?;
            number(frame, place.start + start).filter(|found| found.place.end == place.end + start)
        }
    }
}

/// Where the opaque of a whole frame stands, if it is where its key first appears.
pub fn guess(frame: &[u8]) -> Option<Opaque> {
    static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(KEY));
    let [_, _, _, _, kind, high, middle, low, ..] = *frame else { return None };
    let end = PREFIX + u32::from_be_bytes([0, high, middle, low]) as usize;
    if kind != 0 {
        return binary(frame, end);
    }
    let at = FINDER.find(frame.get(PREFIX..end)?)?;
    number(frame, PREFIX + at + KEY.len())
}

fn binary(frame: &[u8], header_end: usize) -> Option<Opaque> {
    let bytes = frame.get(BINARY).filter(|_| header_end >= BINARY.end)?;
    let value = i32::from_be_bytes(bytes.try_into().ok()?);
    Some(Opaque { value, place: BINARY })
}

/// The number at `start`, which must be as [`write::integer`] would write it.
fn number(frame: &[u8], start: usize) -> Option<Opaque> {
    let text = &frame[start..];
    let negative = usize::from(text.first() == Some(&b'-'));
    let mut value = 0i64;
    let mut at = negative;
    while let Some(digit @ b'0'..=b'9') = text.get(at) {
        if at == DIGITS_MAX {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
        at += 1;
    }
    let leading_zero = text.get(negative) == Some(&b'0') && at > 1;
    if at == negative || leading_zero || !matches!(text.get(at), Some(b',' | b'}')) {
        return None;
    }
    let value = if negative == 1 { -value } else { value };
    Some(Opaque { value: i32::try_from(value).ok()?, place: start..start + at })
}

/// A walk over an object of plain JSON, as every client writes it; anything else ends it.
struct Walk<'a> {
    text: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    /// Where the value of the only `opaque` of the outermost object stands.
    fn object(mut self) -> Option<Range<usize>> {
        self.take(b'{')?;
        let mut found = None;
        loop {
            let key = self.string()?;
            self.take(b':')?;
            let start = self.at;
            self.value()?;
            let key = &self.text[key];
            // An escape may hide it, and some readers take keys that only look like it.
            let looks_like_it = key.contains(&b'\\') || key.eq_ignore_ascii_case(b"opaque");
            if looks_like_it && (key != b"opaque" || found.replace(start..self.at).is_some()) {
                return None;
            }
            match self.next()? {
                b',' => {}
                b'}' if self.at == self.text.len() => return found,
                _ => return None,
            }
        }
    }

    /// Over one value, however deep.
    fn value(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match *self.text.get(self.at)? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => self.at += 1,
                _ => return None,
            }
            if depth == 0 && matches!(self.text.get(self.at)?, b',' | b'}') {
                return Some(());
            }
        }
    }

    /// Over a string; what stands between its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            match self.next()? {
                b'"' => return Some(start..self.at - 1),
                b'\\' => {
                    self.next()?;
                }
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        Some(byte)
    }
}

/// An answer that is sent again and again, each time with the opaque of another request.
#[derive(Clone, Debug)]
pub struct Stencil {
    /// The prefix and the header without the opaque; its header length does not count that either.
    head: Box<[u8]>,
    /// Where the opaque goes.
    cut: usize,
    body: Arc<[u8]>,
}

impl Stencil {
    /// Of a whole frame, whose body may be known to be elsewhere, too: `share` says where.
    ///
    /// None when the frame's opaque cannot be [`locate`]d.
    pub fn of(frame: &[u8], share: impl FnOnce(&[u8]) -> Arc<[u8]>) -> Option<Self> {
        let (_, header) = frame::parts(frame).ok()?;
        let Opaque { place, .. } = locate(frame)?;
        let mut head = [&frame[..place.start], &frame[place.end..header.end]].concat();
        frame::set_header_length(&mut head, header.len() - place.len());
        Some(Self { head: head.into(), cut: place.start, body: share(&frame[header.end..]) })
    }

    /// Appends the frame with this opaque.
    pub fn write(&self, opaque: i32, out: &mut BytesMut) {
        let (before, after) = self.head.split_at(self.cut);
        let start = out.len();
        out.reserve(self.head.len() + DIGITS_MAX + self.body.len());
        out.extend_from_slice(before);
        match frame::is_json(before) {
            true => write::integer(out, i64::from(opaque)),
            false => out.put_i32(opaque),
        }
        let written = out.len() - start - before.len();
        out.extend_from_slice(after);
        out.extend_from_slice(&self.body);
        frame::set_header_length(&mut out[start..], self.head.len() - PREFIX + written);
    }

    /// The body, which may be shared with other answers.
    pub fn body(&self) -> &Arc<[u8]> {
        &self.body
    }

    /// Gives the body up.
    pub fn into_body(self) -> Arc<[u8]> {
        self.body
    }

    /// The bytes that it holds for itself alone.
    pub fn head_len(&self) -> usize {
        self.head.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;
    use crate::remoting::{Command, Fields, LanguageCode, Response, ResponseCode};
    use bytes::Bytes;

    fn json(header: &str) -> Vec<u8> {
        let length = header.len() as u32;
        [&(length + 4).to_be_bytes()[..], &length.to_be_bytes(), header.as_bytes()].concat()
    }

    fn found(header: &str) -> Option<i32> {
        locate(&json(header)).map(|opaque| opaque.value)
    }

    fn stencil(frame: &[u8]) -> Stencil {
        Stencil::of(frame, |body| body.into()).unwrap()
    }

    #[test]
    fn the_opaque_of_a_plain_header_is_found_wherever_it_stands() {
        assert_eq!(found(r#"{"opaque":7}"#), Some(7));
        assert_eq!(found(r#"{"code":105,"opaque":-2147483648,"flag":0}"#), Some(i32::MIN));
        assert_eq!(found(r#"{"extFields":{"a":"}{,\\\"","b":[1,{}]},"remark":null,"opaque":0}"#), Some(0));
    }

    #[test]
    fn an_opaque_that_readers_may_disagree_about_is_none() {
        for header in [
            r#"{}"#,
            r#"{"opaque":1,"opaque":2}"#,
            r#"{"opaque":1,"Opaque":2}"#,
            r#"{"opaque":1,"op\u0061que":2}"#,
            r#"{"extFields":{"opaque":1}}"#,
            r#"{"opaque":"1"}"#,
            r#"{"opaque":01}"#,
            r#"{"opaque":-0}"#,
            r#"{"opaque":1.0}"#,
            r#"{"opaque":2147483648}"#,
            r#"{"opaque":99999999999999999999}"#,
            r#"{"opaque":}"#,
            r#"{"opaque": 1}"#,
            r#"{"opaque":1/**/}"#,
            r#"{"opaque":1}}"#,
            r#"{"opaque":1} "#,
            r#"{"opaque":1,"a":'"}"#,
            r#"[{"opaque":1}]"#,
        ] {
            assert_eq!(found(header), None, "{header}");
        }
    }

    #[test]
    fn a_guess_goes_by_the_first_key_alone() {
        let frame = json(r#"{"extFields":{"opaque":1},"opaque":2}"#);

        assert_eq!(guess(&frame).map(|opaque| opaque.value), Some(1));
        assert_eq!(locate(&frame).map(|opaque| opaque.value), Some(2));
    }

    #[test]
    fn what_only_the_body_says_is_no_opaque() {
        let mut frame = json("{}");
        frame[3] += 12;
        frame.extend_from_slice(br#"{"opaque":1}"#);

        assert_eq!((guess(&frame), locate(&frame)), (None, None));
    }

    #[test]
    fn a_body_shared_with_another_answer_is_not_copied() {
        let mut frame = BytesMut::new();
        Response { body: b"body", ..Response::new(ResponseCode::SUCCESS, 1) }
            .encode(SerializeType::Json, &mut frame)
            .unwrap();
        let shared: Arc<[u8]> = (*b"body").into();

        let stencil = Stencil::of(&frame, |body| {
            assert_eq!(body, b"body");
            Arc::clone(&shared)
        });

        assert!(Arc::ptr_eq(stencil.unwrap().body(), &shared));
    }

    proptest! {
        #[test]
        fn both_find_the_opaque_that_is_read_in_whatever_we_write(
            opaque in any::<i32>(),
            topic in any::<String>(),
            remark in any::<Option<String>>(),
            language in any::<u8>(),
            body in prop::collection::vec(any::<u8>(), 0..20),
            is_json in any::<bool>(),
        ) {
            let kind = if is_json { SerializeType::Json } else { SerializeType::Rocketmq };
            let command = Command {
                opaque,
                language: LanguageCode(language),
                remark: remark.map(Into::into),
                fields: Some(Fields::from_iter([("topic", topic)])),
                body: body.into(),
                ..Command::default()
            };
            let mut frame = BytesMut::new();
            command.encode(kind, &mut frame).unwrap();

            let located = locate(&frame).unwrap();
            assert_eq!(located.value, opaque);
            assert_eq!(guess(&frame), Some(located));
        }

        #[test]
        fn a_stencil_writes_what_the_encoder_would_have_written(
            first in any::<i32>(),
            second in any::<i32>(),
            remark in any::<Option<String>>(),
            body in prop::collection::vec(any::<u8>(), 0..20),
            is_json in any::<bool>(),
        ) {
            let kind = if is_json { SerializeType::Json } else { SerializeType::Rocketmq };
            let encode = |opaque| {
                let response = Response {
                    remark: remark.as_deref(),
                    body: &body,
                    ..Response::new(ResponseCode::SUCCESS, opaque)
                };
                let mut out = BytesMut::from("before");
                response.encode(kind, &mut out).unwrap();
                out
            };
            let mut again = BytesMut::from("before");
            stencil(&encode(first)[6..]).write(second, &mut again);

            assert_eq!(again, encode(second));
        }

        #[test]
        fn random_headers_do_no_harm(header in r#"[-0-9a-z"\\:,{}\[\] ]{0,40}"#) {
            let frame = json(&header);
            let _ = guess(&frame);
            if let Some(found) = locate(&frame) {
                let read = Command::decode(Bytes::from(frame));
                assert!(read.is_ok_and(|read| read.opaque == found.value), "{header}");
            }
        }
    }
}
