//! One value, as whatever the caller wants of it and Java would make of it.

use std::borrow::Cow;

use bytes::BytesMut;

use super::number::Number;
use super::{JsonError, Kind, Problem, Reader, Turn};
use crate::json::write;

impl<'a> Reader<'a> {
    /// A string, and nothing else.
    #[inline]
    pub fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        match (self.peek()?, self.byte()) {
            (Kind::String, Some(quote)) => {
                let string = self.quoted(quote)?;
                self.turn = Turn::Next;
                Ok(string)
            }
            _ => Err(self.error(Problem::Conversion("a string"))),
        }
    }

    /// Any value, as the text that Java puts in its place where a string is wanted: `true` and numbers as Java prints
    /// them, containers as compact JSON without members that are null. None is null.
    pub fn text(&mut self) -> Result<Option<Cow<'a, str>>, JsonError> {
        match self.peek()? {
            Kind::String => self.string().map(Some),
            Kind::Null => self.literal("null").map(|_| None),
            Kind::Bool => self.bare_boolean().map(|value| Some(Cow::Borrowed(if value { "true" } else { "false" }))),
            Kind::Number => self.number_text().map(Some),
            Kind::Object | Kind::Array => {
                let from = self.at;
                let mut out = BytesMut::new();
                self.json_text(&mut out)?;
                let text = String::from_utf8(out.into());
                text.map(|text| Some(Cow::Owned(text))).map_err(|_| JsonError { offset: from, problem: Problem::Utf8 })
            }
        }
    }

    /// An integer of 32 bits from anything Java takes for one: a number, truncated; a string that holds one; true (1)
    /// or false (0). None is null, or a string that is empty or says null.
    pub fn int32(&mut self) -> Result<Option<i32>, JsonError> {
        let Some((value, offset)) = self.integer()? else { return Ok(None) };
        // Java clamps or wraps what is written with a point or an exponent; a number that nobody meant is no better.
        i32::try_from(value).map(Some).map_err(|_| JsonError { offset, problem: Problem::Overflow })
    }

    /// An integer of 64 bits, from the same as [`int32`](Self::int32).
    pub fn int64(&mut self) -> Result<Option<i64>, JsonError> {
        Ok(self.integer()?.map(|(value, _)| value))
    }

    /// A truth value from anything Java takes for one: `true` and `false`, bare or in a string of any case, a string
    /// `Y` or `N`, the number 1 (any other is false), alone or in a string. None is null, or a string that is empty or
    /// says null.
    pub fn boolean(&mut self) -> Result<Option<bool>, JsonError> {
        match self.peek()? {
            Kind::Null => self.literal("null").map(|()| None),
            Kind::Bool => self.bare_boolean().map(Some),
            Kind::Number => {
                let text = self.number_text()?;
                Ok(Some(text == "1"))
            }
            Kind::String => {
                let offset = self.at;
                let text = self.string()?;
                match text.as_ref() {
                    "" | "null" => Ok(None),
                    "1" | "Y" => Ok(Some(true)),
                    "0" | "N" => Ok(Some(false)),
                    text if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
                    text if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
                    _ => Err(JsonError { offset, problem: Problem::Conversion("a truth value") }),
                }
            }
            Kind::Object | Kind::Array => Err(self.error(Problem::Conversion("a truth value"))),
        }
    }

    /// Passes over one value, whatever it is; what is passed over must be well formed all the same.
    pub fn skip(&mut self) -> Result<(), JsonError> {
        match self.peek()? {
            Kind::Null => self.literal("null"),
            Kind::Bool => self.bare_boolean().map(drop),
            Kind::Number if self.plain_integer().is_some() => Ok(()),
            Kind::Number => self.number().map(drop),
            Kind::String => self.string().map(drop),
            Kind::Array => {
                self.begin_array()?;
                while self.next_element()? {
                    self.skip()?;
                }
                Ok(())
            }
            Kind::Object => {
                self.begin_object()?;
                while self.next_key()?.is_some() {
                    self.skip()?;
                }
                Ok(())
            }
        }
    }

    fn number(&mut self) -> Result<Number<'a>, JsonError> {
        let (number, length) = Number::scan(self.bytes.get(self.at..).unwrap_or_default())
            .ok_or(self.error(Problem::Expected("a number")))?;
        self.at += length;
        self.turn = Turn::Next;
        Ok(number)
    }

    fn number_text(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let offset = self.at;
        self.number()?.java_text().ok_or(JsonError { offset, problem: Problem::Overflow })
    }

    /// The integer that stands next or is meant by what does, and its offset.
    fn integer(&mut self) -> Result<Option<(i64, usize)>, JsonError> {
        let kind = self.peek()?;
        let offset = self.at;
        if let Some(value) = self.plain_integer() {
            return Ok(Some((value, offset)));
        }
        let failed = |problem| JsonError { offset, problem };
        let number = match kind {
            Kind::Number => self.number()?,
            Kind::Null => return self.literal("null").map(|()| None),
            Kind::Bool => return self.bare_boolean().map(|value| Some((i64::from(value), offset))),
            Kind::String => match self.string()?.as_ref() {
                "" | "null" => return Ok(None),
                "true" => return Ok(Some((1, offset))),
                "false" => return Ok(Some((0, offset))),
                text => {
                    let number = Number::scan(text.as_bytes()).filter(|(_, length)| *length == text.len());
                    let (number, _) = number.ok_or(failed(Problem::Conversion("an integer")))?;
                    let value = number.truncated().ok_or(failed(Problem::Overflow))?;
                    return Ok(Some((value, offset)));
                }
            },
            Kind::Object | Kind::Array => return Err(failed(Problem::Conversion("an integer"))),
        };
        let value = number.truncated().ok_or(failed(Problem::Overflow))?;
        Ok(Some((value, offset)))
    }

    /// The integer that stands next, if it is written as nearly all are: up to 18 digits and perhaps a minus sign.
    #[inline]
    fn plain_integer(&mut self) -> Option<i64> {
        let rest = self.bytes.get(self.at..)?;
        let negative = rest.first() == Some(&b'-');
        let mut value = 0;
        let mut length = usize::from(negative);
        let start = length;
        while let Some(digit @ b'0'..=b'9') = rest.get(length) {
            if length - start == 18 {
                return None;
            }
            value = value * 10 + i64::from(digit - b'0');
            length += 1;
        }
        if length == start || matches!(rest.get(length), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        self.at += length;
        self.turn = Turn::Next;
        Some(if negative { -value } else { value })
    }

    fn bare_boolean(&mut self) -> Result<bool, JsonError> {
        if self.byte() == Some(b't') {
            return self.literal("true").map(|()| true);
        }
        self.literal("false").map(|()| false)
    }

    fn literal(&mut self, word: &'static str) -> Result<(), JsonError> {
        if !self.bytes.get(self.at..).unwrap_or_default().starts_with(word.as_bytes()) {
            return Err(self.error(Problem::Expected(word)));
        }
        self.at += word.len();
        self.turn = Turn::Next;
        Ok(())
    }

    /// Reads one value and appends it as Java writes it.
    fn json_text(&mut self, out: &mut BytesMut) -> Result<(), JsonError> {
        match self.peek()? {
            Kind::String => write::string(out, &self.string()?),
            Kind::Array => {
                self.begin_array()?;
                let mut separator: &[u8] = b"[";
                while self.next_element()? {
                    out.extend_from_slice(separator);
                    separator = b",";
                    self.json_text(out)?;
                }
                out.extend_from_slice(if separator == b"[" { b"[]" } else { b"]" });
            }
            Kind::Object => {
                self.begin_object()?;
                let mut separator: &[u8] = b"{";
                while let Some(key) = self.next_key()? {
                    if self.peek()? == Kind::Null {
                        self.skip()?;
                        continue;
                    }
                    out.extend_from_slice(separator);
                    separator = b",";
                    write::string(out, &key);
                    out.extend_from_slice(b":");
                    self.json_text(out)?;
                }
                out.extend_from_slice(if separator == b"{" { b"{}" } else { b"}" });
            }
            Kind::Null | Kind::Bool | Kind::Number => {
                let text = self.text()?;
                out.extend_from_slice(text.as_deref().unwrap_or("null").as_bytes());
            }
        }
        Ok(())
    }
}
