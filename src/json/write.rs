//! Writing JSON the way the Java side does (fastjson2), byte for byte: only quotes, backslashes and control characters
//! are escaped, everything else leaves as it came.
//!
//! There is no tree and no writer object: whoever knows the shape of a document appends its punctuation itself, and
//! these functions append the two things that need care. Both are on the path of every reply.

use bytes::BytesMut;

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The decimal numbers from 00 to 99, one after the other.
const DIGIT_PAIRS: &[u8; 200] = b"00010203040506070809\
    10111213141516171819\
    20212223242526272829\
    30313233343536373839\
    40414243444546474849\
    50515253545556575859\
    60616263646566676869\
    70717273747576777879\
    80818283848586878889\
    90919293949596979899";

/// Appends `text` as a JSON string, quotes included.
pub fn string(out: &mut BytesMut, text: &str) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.extend_from_slice(b"\"");
    loop {
        let (plain, special) = rest.split_at(plain_length(rest));
        out.extend_from_slice(plain);
        let [first, after @ ..] = special else { break };
        escaped(out, *first);
        rest = after;
    }
    out.extend_from_slice(b"\"");
}

/// Appends `value` in decimal.
pub fn integer(out: &mut BytesMut, value: i64) {
    // `-9223372036854775808` is the longest.
    let mut text = [0; 20];
    let mut start = text.len();
    let mut rest = value.unsigned_abs();
    while rest >= 100 {
        let pair = (rest % 100) as usize * 2;
        rest /= 100;
        start -= 2;
        text[start..start + 2].copy_from_slice(&DIGIT_PAIRS[pair..pair + 2]);
    }
    if rest >= 10 {
        let pair = rest as usize * 2;
        start -= 2;
        text[start..start + 2].copy_from_slice(&DIGIT_PAIRS[pair..pair + 2]);
    } else {
        start -= 1;
        text[start] = b'0' + rest as u8;
    }
    if value < 0 {
        start -= 1;
        text[start] = b'-';
    }
    out.extend_from_slice(&text[start..]);
}

/// Appends the escape of a byte that [`is_special`].
fn escaped(out: &mut BytesMut, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let [high, low] = [byte >> 4, byte & 0xf].map(|digit| HEX_DIGITS[usize::from(digit)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// How many bytes at the start can be copied as they are.
///
/// Names are short and almost never special, so eight bytes are judged at once.
fn plain_length(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    let plain_words = words.iter().take_while(|word| !any_special(u64::from_le_bytes(**word))).count();
    let rest = words.get(plain_words).map_or(tail, |word| word.as_slice());
    plain_words * 8 + rest.iter().take_while(|byte| !is_special(**byte)).count()
}

/// Whether one of the eight bytes of `word` [`is_special`].
///
/// A byte less than `n` (for `n` up to 0x80) is one whose top bit is clear and becomes set by subtracting `n`; a borrow
/// can reach a byte only from one that is less than `n` itself, so the answer for the whole word is exact.
fn any_special(word: u64) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let any_less = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & TOPS != 0;
    let any_equal = |byte: u8| any_less(word ^ (ONES * u64::from(byte)), 1);
    any_less(word, 0x20) || any_equal(b'"') || any_equal(b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    fn written(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn quotes_backslashes_and_control_characters_are_escaped() {
        let text = "\"\\\u{8}\t\n\u{c}\r\u{0}\u{b}\u{1f}";

        assert_eq!(written(|out| string(out, text)), r#""\"\\\b\t\n\f\r\u0000\u000b\u001f""#);
    }

    #[test]
    fn everything_else_is_written_raw() {
        let text = "/<>&'()\u{7f}\u{2028}主题😀";

        assert_eq!(written(|out| string(out, text)), format!("\"{text}\""));
    }

    #[test]
    fn a_special_character_is_found_wherever_it_stands() {
        for at in 0..20 {
            for special in ['"', '\\', '\n', '\u{1f}'] {
                let mut text = "ÿ\u{80}abcdefghijklmnopqrst".to_owned();
                let at = text.char_indices().nth(at).unwrap().0;
                text.insert(at, special);

                let read: String = serde_json::from_str(&written(|out| string(out, &text))).unwrap();

                assert_eq!(read, text);
            }
        }
    }

    #[test]
    fn integers_at_the_edges_are_decimal() {
        for value in [0, 9, 10, 99, 100, 101, 999, 1000, -1, -10, -100, i64::MAX, i64::MIN] {
            assert_eq!(written(|out| integer(out, value)), value.to_string());
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            let read: String = serde_json::from_str(&written(|out| string(out, &text))).unwrap();

            assert_eq!(read, text);
        }

        #[test]
        fn any_integer_is_decimal(value in any::<i64>()) {
            assert_eq!(written(|out| integer(out, value)), value.to_string());
        }
    }
}
