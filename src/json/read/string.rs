//! Strings: found eight bytes at a time, borrowed when they hold no escape.

use std::borrow::Cow;

use super::{JsonError, Problem, Reader};

impl<'a> Reader<'a> {
    /// The string whose opening quote is the next byte.
    #[inline]
    pub(super) fn quoted(&mut self, quote: u8) -> Result<Cow<'a, str>, JsonError> {
        let start = self.at + 1;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let length = plain_length(rest, quote);
        if rest.get(length) != Some(&quote) {
            return self.unescaped(start, quote);
        }
        let run = self.slice(start..start + length)?;
        self.at = start + length + 1;
        Ok(Cow::Borrowed(run))
    }

    /// The string that begins at `start` and holds an escape, or does not end.
    #[cold]
    fn unescaped(&mut self, start: usize, quote: u8) -> Result<Cow<'a, str>, JsonError> {
        let run = self.plain_run(start, quote)?;
        let mut string = String::with_capacity(run.len() * 2);
        string.push_str(run);
        self.at = start + run.len();
        while self.byte() != Some(quote) {
            // The run ended at neither quote nor end, so a backslash is here.
            string.push(self.escape()?);
            let run = self.plain_run(self.at, quote)?;
            string.push_str(run);
            self.at += run.len();
        }
        self.at += 1;
        Ok(Cow::Owned(string))
    }

    /// The text from `start` up to the next `quote` or backslash.
    fn plain_run(&self, start: usize, quote: u8) -> Result<&'a str, JsonError> {
        let rest = self.bytes.get(start..).unwrap_or_default();
        let length = plain_length(rest, quote);
        if length == rest.len() {
            return Err(JsonError { offset: self.at, problem: Problem::Unclosed });
        }
        self.slice(start..start + length)
    }

    /// The character for which the escape at the next byte stands.
    fn escape(&mut self) -> Result<char, JsonError> {
        let code = self.bytes.get(self.at + 1).copied();
        let plain = match code {
            Some(byte @ (b'"' | b'\'' | b'\\' | b'/')) => char::from(byte),
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'v') => '\u{b}',
            Some(byte @ b'0'..=b'7') => char::from(byte - b'0'),
            Some(b'x') => {
                let value = self.hex(self.at + 2, 2)?;
                self.at += 4;
                return Ok(char::from_u32(value).unwrap_or('?'));
            }
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.error(Problem::Escape)),
        };
        self.at += 2;
        Ok(plain)
    }

    /// `\uXXXX`, or two of them that are one character.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.hex(self.at + 2, 4)?;
        self.at += 6;
        if (0xd800..0xdc00).contains(&first) && self.bytes.get(self.at..self.at + 2) == Some(br"\u") {
            let second = self.hex(self.at + 2, 4)?;
            if (0xdc00..0xe000).contains(&second) {
                self.at += 6;
                let joined = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(joined).unwrap_or('?'));
            }
        }
        // Half a pair is no character. Java keeps it, and writes it as a question mark.
        Ok(char::from_u32(first).unwrap_or('?'))
    }

    fn hex(&self, from: usize, length: usize) -> Result<u32, JsonError> {
        let digits = self.bytes.get(from..from + length).ok_or(self.error(Problem::Escape))?;
        let mut value = 0;
        for digit in digits {
            value = value << 4 | char::from(*digit).to_digit(16).ok_or(self.error(Problem::Escape))?;
        }
        Ok(value)
    }
}

/// How many bytes stand before the first `quote` or backslash.
///
/// Eight bytes are judged at once. A byte is equal to the wanted one where their difference is zero, and subtracting 1
/// from each byte sets the top bit of the zeros; borrows spoil only bytes after the first hit, which are not looked at.
#[inline]
pub(crate) fn plain_length(bytes: &[u8], quote: u8) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let hits = zeros(word ^ (ONES * u64::from(quote))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if hits != 0 {
            return index * 8 + hits.trailing_zeros() as usize / 8;
        }
    }
    let plain_tail = tail.iter().take_while(|byte| **byte != quote && **byte != b'\\').count();
    bytes.len() - tail.len() + plain_tail
}
