//! A topic as brokers of today write it, read straight through: always the same members in the same order.
//!
//! The general reader asks of every byte what it could be. A broker that changes the queues of 20,000 topics says
//! 20,000 times the same but for a name and four numbers. Whatever is written otherwise is left to the general reader,
//! so nothing is decided here but how fast it goes.

use crate::json::plain_length;
use crate::route::{Name, TopicConfig};

/// How deep a topic nests: itself, and its attributes.
pub(super) const LEVELS: u8 = 2;

/// Numbers of more digits may not fit, and are left to the general reader.
const DIGITS_MAX: usize = 9;

/// The topic that stands at the start of `bytes` as a member of a map, and how long it is; none when it is written in
/// any other way than fastjson2 writes a `TopicConfig` without attributes.
pub(super) fn topic(bytes: &[u8]) -> Option<(TopicConfig, usize)> {
    let mut rest = Rest(bytes);
    let key = rest.string()?;
    rest.pass(br#":{"attributes":{},"order":"#)?;
    rest.pass(b"false").or_else(|| rest.pass(b"true"))?;
    rest.pass(br#","perm":"#)?;
    let perm = rest.number()?;
    rest.pass(br#","readQueueNums":"#)?;
    let read_queue_nums = rest.number()?;
    rest.pass(br#","topicFilterType":"SINGLE_TAG","topicName":"#)?;
    if rest.string()? != key {
        return None;
    }
    rest.pass(br#","topicSysFlag":"#)?;
    let topic_sys_flag = rest.number()?;
    rest.pass(br#","writeQueueNums":"#)?;
    let write_queue_nums = rest.number()?;
    rest.pass(b"}")?;
    let name = Name::from(str::from_utf8(key).ok()?);
    let topic = TopicConfig { name, key: None, read_queue_nums, write_queue_nums, perm, topic_sys_flag };
    Some((topic, bytes.len() - rest.0.len()))
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    #[inline]
    fn pass(&mut self, expected: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    /// What stands between double quotes, if nothing in it is escaped.
    #[inline]
    fn string(&mut self) -> Option<&'a [u8]> {
        let inside = self.0.strip_prefix(b"\"")?;
        let (string, behind) = inside.split_at(plain_length(inside, b'"'));
        self.0 = behind.strip_prefix(b"\"")?;
        Some(string)
    }

    /// An integer of digits alone.
    #[inline]
    fn number(&mut self) -> Option<i32> {
        let mut number = 0;
        let mut digits = 0;
        while let Some(digit) = self.0.get(digits).filter(|byte| byte.is_ascii_digit()) {
            digits += 1;
            if digits > DIGITS_MAX {
                return None;
            }
            number = number * 10 + i32::from(digit - b'0');
        }
        self.0 = &self.0[digits..];
        // Behind a digit anything else than these may still be the number: a point, an exponent.
        (digits > 0 && matches!(self.0.first(), Some(b',' | b'}'))).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Reader;
    use proptest::prelude::*;

    /// As a broker of 5.5.0 writes it, with the next topic behind.
    fn written(name: &str, numbers: [i32; 4]) -> String {
        let [perm, read, flag, write] = numbers;
        format!(
            r#""{name}":{{"attributes":{{}},"order":false,"perm":{perm},"readQueueNums":{read},"topicFilterType":"SINGLE_TAG","topicName":"{name}","topicSysFlag":{flag},"writeQueueNums":{write}}},"next":{{}}}}"#
        )
    }

    /// What the general reader makes of the same bytes, and how much of them that is.
    fn generally(bytes: &[u8]) -> Option<(TopicConfig, usize)> {
        let document = [b"{", bytes].concat();
        let mut reader = Reader::new(&document).with_bare_integer_keys();
        reader.begin_object().ok()?;
        let key = reader.next_key().ok()??;
        let topic = super::super::topic(&mut reader, &key).ok()?;
        Some((topic, reader.offset() - 1))
    }

    #[test]
    fn a_topic_as_brokers_write_it_is_read_here() {
        let text = written("Topic%A", [6, 8, 0, 4]);

        let (topic, length) = topic(text.as_bytes()).unwrap();

        assert_eq!(&text[length..], r#","next":{}}"#);
        assert_eq!((&*topic.name, topic.key), ("Topic%A", None));
        assert_eq!((topic.perm, topic.read_queue_nums, topic.topic_sys_flag, topic.write_queue_nums), (6, 8, 0, 4));
    }

    #[test]
    fn what_is_written_otherwise_is_left_to_the_general_reader() {
        let usual = written("T", [6, 8, 0, 4]);
        for (part, otherwise) in [
            (r#""T":{"#, r#""T": {"#),
            (r#""T":{"#, r#""U":{"#),
            (r#""T":{"#, r#"'T':{"#),
            (r#""T":{"#, r#""\u0054":{"#),
            (r#""attributes":{}"#, r#""attributes":{"a":"b"}"#),
            (r#""perm":6"#, r#""perm":-6"#),
            (r#""perm":6"#, r#""perm":"6""#),
            (r#""perm":6"#, r#""perm":6.5"#),
            (r#""perm":6"#, r#""perm":1000000000"#),
            (r#""perm":6"#, r#""perm":"#),
            (r#""order":false"#, r#""order":null"#),
            (r#""writeQueueNums":4"#, r#""writeQueueNums":4,"more":1"#),
            ("SINGLE_TAG", "MULTI_TAG"),
        ] {
            let text = usual.replace(part, otherwise);
            assert_ne!(text, usual);
            assert_eq!(topic(text.as_bytes()), None, "{text}");
        }
        assert_eq!(topic(b"\"\xff\":{}"), None);
    }

    proptest! {
        #[test]
        fn what_is_read_here_the_general_reader_reads_alike(
            name in "[A-Za-z%é\u{1}'-]{1,20}",
            numbers in proptest::array::uniform4(0..2_000_000_000),
            changes in proptest::collection::vec((0_usize..300, any::<u8>()), 0..3),
        ) {
            let mut text = written(&name, numbers).into_bytes();
            for (place, byte) in changes {
                let place = place % text.len();
                text[place] = byte;
            }
            if let Some(read) = topic(&text) {
                prop_assert_eq!(Some(read), generally(&text));
            }
        }
    }
}
