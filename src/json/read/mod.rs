//! Reading JSON the way the Java side does (fastjson2): values are pulled in the order in which they stand.
//!
//! Beyond the standard this accepts, because Java does: strings in single quotes, control characters inside strings,
//! the escapes `\'`, `\v`, `\0` to `\7` and `\xHH`, a comma before a closing bracket, the white space `\0`, `\b` and
//! `\f`, and numbers with a plus sign, leading zeros or a point at either end. Names of bare digits are accepted where
//! the caller says so: Java writes maps with integer keys like that. Two members of one name are both handed out; the
//! caller decides.
//!
//! # Invariants
//!
//! * Every string handed out was UTF-8, and borrows from the input unless it held an escape.
//! * Nothing is allocated for what the input merely claims, and nesting never exceeds the limit.
//!
//! # Not here
//!
//! Java also takes comments, members without a comma between them, and some malformed UTF-8. Nobody sends them.

mod number;
mod string;
mod value;

pub(crate) use self::string::plain_length;

use std::borrow::Cow;
use std::ops::Range;

/// How deep values may nest unless the caller says otherwise. Bodies of RocketMQ nest five deep.
const DEPTH_MAX: u8 = 64;

/// A position in a JSON document, and what may come next.
///
/// Inside an object `next_key` and one value alternate until `next_key` says none; inside an array `next_element` and
/// one value, until it says false. A call that is out of turn is an error, so a caller's mistake is not read as data.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// `bytes` up to the first that is not UTF-8: judged once as a whole, so that no string is judged by itself.
    text: &'a str,
    at: usize,
    depth: u8,
    depth_max: u8,
    bare_integer_keys: bool,
    turn: Turn,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Turn {
    /// A value.
    Value,
    /// The first member or element of a container, or its end.
    First,
    /// A comma, the end of the container, or of the document.
    Next,
}

/// What kind of value stands next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// In double or single quotes.
    String,
    /// Begins with a digit, a sign or a point.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// Why a document could not be read any further.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{problem} at byte {offset}")]
pub struct JsonError {
    /// Where, counted from the document's first byte.
    pub offset: usize,
    /// What was wrong there.
    pub problem: Problem,
}

/// What was wrong with a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Something else stands there, or nothing does.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A string never ends.
    #[error("unclosed string")]
    Unclosed,
    /// A backslash is followed by what is no escape.
    #[error("unknown escape")]
    Escape,
    /// A string is not UTF-8.
    #[error("string is not UTF-8")]
    Utf8,
    /// A number does not fit where it belongs.
    #[error("number out of range")]
    Overflow,
    /// A value cannot be turned into what is wanted.
    #[error("value is not {0}")]
    Conversion(&'static str),
    /// Containers nest deeper than allowed.
    #[error("nested too deep")]
    Depth,
    /// More than white space follows the document.
    #[error("trailing bytes")]
    Trailing,
    /// The caller asked for something that cannot stand here.
    #[error("read out of turn")]
    OutOfTurn,
}

impl<'a> Reader<'a> {
    /// Begins before the document in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid()),
        };
        Self { bytes, ..Self::of_text(text) }
    }

    /// Begins before the document in `text`, which is known to be UTF-8 already.
    pub fn of_text(text: &'a str) -> Self {
        Self {
            bytes: text.as_bytes(),
            text,
            at: 0,
            depth: 0,
            depth_max: DEPTH_MAX,
            bare_integer_keys: false,
            turn: Turn::Value,
        }
    }

    /// Also takes names that are integers without quotes, as Java writes maps with integer keys.
    pub fn with_bare_integer_keys(mut self) -> Self {
        self.bare_integer_keys = true;
        self
    }

    /// Bounds how many containers may be open at once.
    pub fn with_depth_max(mut self, depth_max: u8) -> Self {
        self.depth_max = depth_max;
        self
    }

    /// Says what kind of value stands next, and leaves it there.
    #[inline]
    pub fn peek(&mut self) -> Result<Kind, JsonError> {
        self.kind().ok_or_else(|| self.no_value())
    }

    /// Enters an object.
    pub fn begin_object(&mut self) -> Result<(), JsonError> {
        self.begin(Kind::Object, "an object")
    }

    /// Enters an array.
    pub fn begin_array(&mut self) -> Result<(), JsonError> {
        self.begin(Kind::Array, "an array")
    }

    /// The name of the next member, whose value comes next; none when the object has ended.
    #[inline]
    pub fn next_key(&mut self) -> Result<Option<Cow<'a, str>>, JsonError> {
        if !self.another(b'}', "a comma or the end of the object")? {
            return Ok(None);
        }
        let key = match self.byte() {
            Some(quote @ (b'"' | b'\'')) => self.quoted(quote)?,
            Some(b'-' | b'0'..=b'9') if self.bare_integer_keys => Cow::Borrowed(self.bare_integer()?),
            _ => return Err(self.error(Problem::Expected("a name in quotes"))),
        };
        self.space();
        if self.byte() != Some(b':') {
            return Err(self.error(Problem::Expected("a colon")));
        }
        self.at += 1;
        self.turn = Turn::Value;
        Ok(Some(key))
    }

    /// The document from the name of the next member on, and leaves it there; none when the object has ended, which is
    /// then behind us.
    #[inline]
    pub fn peek_member(&mut self) -> Result<Option<&'a [u8]>, JsonError> {
        if !self.another(b'}', "a comma or the end of the object")? {
            return Ok(None);
        }
        self.turn = Turn::First;
        Ok(self.bytes.get(self.at..))
    }

    /// Whether all of the document is UTF-8. Where it is not, nothing behind the first other byte is read as a string.
    #[inline]
    pub fn is_utf8(&self) -> bool {
        self.text.len() == self.bytes.len()
    }

    /// How many more containers may be opened here.
    #[inline]
    pub fn levels_left(&self) -> u8 {
        self.depth_max.saturating_sub(self.depth)
    }

    /// Passes over the member that was [peeked](Self::peek_member), which the caller knows to be whole and well formed
    /// in its first `length` bytes.
    #[inline]
    pub fn pass_member(&mut self, length: usize) {
        self.at += length;
        self.turn = Turn::Next;
    }

    /// Whether another element comes next; false when the array has ended.
    pub fn next_element(&mut self) -> Result<bool, JsonError> {
        let another = self.another(b']', "a comma or the end of the array")?;
        if another {
            self.turn = Turn::Value;
        }
        Ok(another)
    }

    /// Ends the document: one value was read to its end, and only white space remains.
    pub fn finish(mut self) -> Result<(), JsonError> {
        if self.turn != Turn::Next || self.depth != 0 {
            return Err(self.error(Problem::OutOfTurn));
        }
        self.space();
        if self.at < self.bytes.len() {
            return Err(self.error(Problem::Trailing));
        }
        Ok(())
    }

    /// The offset of the next byte to be read.
    pub fn offset(&self) -> usize {
        self.at
    }

    fn begin(&mut self, wanted: Kind, name: &'static str) -> Result<(), JsonError> {
        if self.peek()? != wanted {
            return Err(self.error(Problem::Conversion(name)));
        }
        if self.depth >= self.depth_max {
            return Err(self.error(Problem::Depth));
        }
        self.at += 1;
        self.depth += 1;
        self.turn = Turn::First;
        Ok(())
    }

    /// Moves to the next member or element; false when `close` stood there instead, which is then behind us.
    #[inline]
    fn another(&mut self, close: u8, expected: &'static str) -> Result<bool, JsonError> {
        if self.turn == Turn::Value || self.depth == 0 {
            return Err(self.error(Problem::OutOfTurn));
        }
        self.space();
        if self.turn == Turn::Next {
            match self.byte() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                }
                Some(byte) if byte == close => {}
                _ => return Err(self.error(Problem::Expected(expected))),
            }
        }
        if self.byte() == Some(close) {
            self.at += 1;
            self.depth -= 1;
            self.turn = Turn::Next;
            return Ok(false);
        }
        Ok(true)
    }

    fn bare_integer(&mut self) -> Result<&'a str, JsonError> {
        let rest = &self.bytes[self.at..];
        let sign = usize::from(rest.first() == Some(&b'-'));
        let digits = rest[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Err(self.error(Problem::Expected("a name in quotes or an integer")));
        }
        let name = self.slice(self.at..self.at + sign + digits)?;
        self.at += name.len();
        Ok(name)
    }

    /// What [`peek`](Self::peek) says, in a register.
    #[inline]
    fn kind(&mut self) -> Option<Kind> {
        if self.turn != Turn::Value {
            return None;
        }
        self.space();
        match self.byte()? {
            b'"' | b'\'' => Some(Kind::String),
            b'-' | b'+' | b'.' | b'0'..=b'9' => Some(Kind::Number),
            b'{' => Some(Kind::Object),
            b'[' => Some(Kind::Array),
            b't' | b'f' => Some(Kind::Bool),
            b'n' => Some(Kind::Null),
            _ => None,
        }
    }

    /// Why there is no [`kind`](Self::kind).
    #[cold]
    fn no_value(&self) -> JsonError {
        self.error(if self.turn == Turn::Value { Problem::Expected("a value") } else { Problem::OutOfTurn })
    }

    /// A part of the document that begins and ends beside ASCII.
    #[inline]
    fn slice(&self, range: Range<usize>) -> Result<&'a str, JsonError> {
        self.text.get(range).ok_or(JsonError { offset: self.text.len(), problem: Problem::Utf8 })
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(0 | 0x08 | b'\t' | b'\n' | 0x0c | b'\r' | b' ') = self.byte() {
            self.at += 1;
        }
    }

    #[inline]
    fn error(&self, problem: Problem) -> JsonError {
        JsonError { offset: self.at, problem }
    }
}

#[cfg(test)]
mod tests;
