//! JSON as RocketMQ writes it: compact, raw UTF-8, members in the order in which they are given, and integer keys bare
//! where the protocol has them so (`{0:"…"}` is not JSON, but what clients read). Pure: works without a host.
//!
//! The caller names members in alphabetical order and leaves out those that are null, as Java's writer does.

/// Writes one JSON text from front to back. It sets the commas; that the brackets match is the caller's care.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    /// Whether the next key or element has a predecessor on its level.
    follows: bool,
}

impl Writer {
    /// An empty text.
    pub fn new() -> Self {
        Self::default()
    }

    /// What has been written since the last [`take`](Self::take).
    pub fn as_bytes(&self) -> &[u8] {
        &self.out
    }

    /// Takes out what has been written; the text goes on where it was.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// `{`
    pub fn begin_object(&mut self) {
        self.open(b'{');
    }

    /// `}`
    pub fn end_object(&mut self) {
        self.close(b'}');
    }

    /// `[`
    pub fn begin_array(&mut self) {
        self.open(b'[');
    }

    /// `]`
    pub fn end_array(&mut self) {
        self.close(b']');
    }

    /// A member's name; its value comes next.
    pub fn key(&mut self, name: &str) {
        self.string(name);
        self.colon();
    }

    /// A member's name that is a number, without quotes. Java: `RemotingSerializable.encode`.
    pub fn bare_key(&mut self, name: i64) {
        self.integer(name);
        self.colon();
    }

    /// A string.
    pub fn string(&mut self, text: &str) {
        self.comma();
        self.out.push(b'"');
        push_escaped(&mut self.out, text);
        self.out.push(b'"');
    }

    /// A number.
    pub fn integer(&mut self, value: i64) {
        self.comma();
        push_decimal(&mut self.out, value);
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, value: bool) {
        self.comma();
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A member whose value is a string.
    pub fn member(&mut self, name: &str, value: &str) {
        self.key(name);
        self.string(value);
    }

    /// A member whose value is a string, left out when there is none.
    pub fn optional_member(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.member(name, value);
        }
    }

    fn open(&mut self, bracket: u8) {
        self.comma();
        self.out.push(bracket);
        self.follows = false;
    }

    fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.follows = true;
    }

    fn colon(&mut self) {
        self.out.push(b':');
        self.follows = false;
    }

    fn comma(&mut self) {
        if self.follows {
            self.out.push(b',');
        }
        self.follows = true;
    }
}

/// A number in decimal digits, for header fields and remarks; the formatter of the standard library is ten times the
/// size of this.
pub fn decimal(value: i64) -> String {
    let mut out = Vec::new();
    push_decimal(&mut out, value);
    out.into_iter().map(char::from).collect()
}

/// Escapes what JSON demands and nothing else: no slash, no `<`, no letter beyond ASCII. Java: fastjson2's `JSONWriterUTF8`.
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";

    out.reserve(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x00..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
}

fn push_decimal(out: &mut Vec<u8>, value: i64) {
    // From the least digit on, into room for 2^63 and a sign.
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        start -= 1;
        digits[start] = b'-';
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Writer)) -> String {
        let mut json = Writer::new();
        write(&mut json);
        String::from_utf8(json.take()).unwrap()
    }

    #[test]
    fn commas_stand_between_members_and_elements_and_nowhere_else() {
        let text = written(|json| {
            json.begin_object();
            json.key("brokerAddrs");
            json.begin_object();
            json.bare_key(0);
            json.string("10.0.0.1:10911");
            json.bare_key(-7);
            json.string("10.0.0.2:10911");
            json.end_object();
            json.member("brokerName", "a");
            json.optional_member("cluster", None);
            json.key("flags");
            json.begin_array();
            json.boolean(true);
            json.integer(4);
            json.begin_array();
            json.end_array();
            json.end_array();
            json.optional_member("zoneName", Some("z"));
            json.end_object();
        });

        assert_eq!(
            text,
            r#"{"brokerAddrs":{0:"10.0.0.1:10911",-7:"10.0.0.2:10911"},"brokerName":"a","flags":[true,4,[]],"zoneName":"z"}"#
        );
    }

    #[test]
    fn only_quotes_backslashes_and_control_characters_are_escaped() {
        let text = written(|json| json.string("\"\\\u{8}\t\n\u{c}\r\0\u{b}\u{1f}/<>&'\u{7f}\u{2028}é杭😀"));

        assert_eq!(text, "\"\\\"\\\\\\b\\t\\n\\f\\r\\u0000\\u000b\\u001f/<>&'\u{7f}\u{2028}é杭😀\"");
    }

    #[test]
    fn a_text_that_is_taken_in_pieces_is_the_same_text() {
        let mut json = Writer::new();
        let mut text = Vec::new();
        json.begin_array();
        for name in ["a", "b", "c"] {
            json.string(name);
            text.extend(json.take());
        }
        json.end_array();
        text.extend(json.take());

        assert_eq!(text, br#"["a","b","c"]"#);
    }

    #[test]
    fn decimals_reach_both_ends_of_the_range() {
        for value in [0, 7, -1, 10, 1_700_000_000_000, i64::MAX, i64::MIN] {
            assert_eq!(decimal(value), value.to_string());
        }
    }
}
