//! Java's properties files. Java: `java.util.Properties.load` and `store`.
//!
//! A file is ISO-8859-1: every byte is a character, and others are written `\uXXXX`. Reading is pure, and as lenient as
//! Java: anything is a properties file, except for an escape `\u` that four hex digits do not follow.

use std::fmt::Write;

/// One `key=value` of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The key; may be empty.
    pub key: String,
    /// The value, blanks at its end included.
    pub value: String,
    /// The line on which it begins, from 1.
    pub line: usize,
}

/// The text is not a properties file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed \\uXXXX escape")]
pub struct PropertiesError {
    /// The line on which the entry begins, from 1.
    pub line: usize,
}

/// Reads a file. Entries come in the order of the file; of two with the same key, Java keeps the last.
pub fn parse(file: &[u8]) -> Result<Vec<Entry>, PropertiesError> {
    let mut lines = Lines { rest: file, line: 1 };
    let mut entries = Vec::new();
    while let Some((line, text)) = lines.next_logical() {
        let (key, value) = split(&text);
        let malformed = || PropertiesError { line };
        entries.push(Entry {
            key: unescape(key).ok_or_else(malformed)?,
            value: unescape(value).ok_or_else(malformed)?,
            line,
        });
    }
    Ok(entries)
}

/// Writes entries so that [`parse`] reads the same ones, in ASCII.
pub fn write<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut file = String::new();
    for (key, value) in entries {
        escape(key, true, &mut file);
        file.push('=');
        escape(value, false, &mut file);
        file.push('\n');
    }
    file
}

/// Natural lines, and the logical lines that backslashes join them to.
struct Lines<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Lines<'a> {
    /// The next natural line without its terminator: `\n`, `\r` or both.
    fn next_natural(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let rest = self.rest;
        let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
        let terminator = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        self.rest = rest.get(end + terminator..).unwrap_or_default();
        self.line += 1;
        Some(&rest[..end])
    }

    /// The next line that is neither blank nor a comment, joined with those that continue it, and where it begins.
    ///
    /// While nothing has been joined yet, Java passes over blank lines and comments even behind a backslash. Only a
    /// backslash that ends the file, but for a line end, is a line all the same: an empty one.
    fn next_logical(&mut self) -> Option<(usize, Vec<u8>)> {
        let mut logical = Vec::new();
        let mut begin = None;
        loop {
            let line = self.line;
            let Some(natural) = self.next_natural().map(trim_start) else {
                return begin.filter(|_| !logical.is_empty()).map(|begin| (begin, logical));
            };
            if logical.is_empty() && matches!(natural.first(), None | Some(b'#' | b'!')) {
                begin = None;
                continue;
            }
            let begin = *begin.get_or_insert(line);
            // An odd number of backslashes at the end continues the line.
            let continued = natural.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1;
            logical.extend_from_slice(&natural[..natural.len() - usize::from(continued)]);
            if !continued || self.rest.is_empty() {
                return Some((begin, logical));
            }
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

fn trim_start(line: &[u8]) -> &[u8] {
    let blanks = line.iter().take_while(|b| is_blank(**b)).count();
    &line[blanks..]
}

/// Key and value: between them is `=` or `:` with blanks around it, or blanks alone.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    while end < line.len() && !is_blank(line[end]) && !matches!(line[end], b'=' | b':') {
        end += if line[end] == b'\\' { 2 } else { 1 };
    }
    let (key, rest) = line.split_at(end.min(line.len()));
    let rest = trim_start(rest);
    match rest.split_first() {
        Some((b'=' | b':', value)) => (key, trim_start(value)),
        _ => (key, rest),
    }
}

/// None when a `\u` is malformed. Java collects UTF-16, so two escapes can make one character; half of one is replaced.
fn unescape(text: &[u8]) -> Option<String> {
    let mut units = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            units.push(u16::from(byte));
            continue;
        }
        // A lone backslash at the end of the file stands for nothing.
        let Some((&escaped, after)) = rest.split_first() else { break };
        rest = after;
        units.push(match escaped {
            b'u' => {
                let digits = rest.get(..4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
                rest = &rest[4..];
                u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            b't' => 0x09,
            b'n' => 0x0a,
            b'f' => 0x0c,
            b'r' => 0x0d,
            other => u16::from(other),
        });
    }
    Some(String::from_utf16_lossy(&units))
}

/// Appends `text`. In a key every blank is escaped, in a value only the first: the ones after it are kept as they are.
fn escape(text: &str, is_key: bool, out: &mut String) {
    for (i, c) in text.chars().enumerate() {
        match c {
            ' ' if is_key || i == 0 => out.push_str("\\ "),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\x0c' => out.push_str("\\f"),
            '=' | ':' | '#' | '!' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04X}").expect("a string takes what is written");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(file: &str) -> Vec<(String, String)> {
        parse(file.as_bytes()).unwrap().into_iter().map(|entry| (entry.key, entry.value)).collect()
    }

    fn pair(file: &str) -> (String, String) {
        let mut pairs = pairs(file);
        assert_eq!(pairs.len(), 1, "{pairs:?}");
        pairs.remove(0)
    }

    fn is(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn a_key_ends_at_equals_colon_or_blank() {
        for file in ["k=v", "k:v", "k v", "k = v", "k\t:\x0c v", "  k   v", "k=v\n", "k=v\r\n", "k=v\r"] {
            assert_eq!(pair(file), is("k", "v"), "{file:?}");
        }
        assert_eq!(pair("k==v"), is("k", "=v"));
        assert_eq!(pair("k = = v"), is("k", "= v"));
        assert_eq!(pair("k"), is("k", ""));
        assert_eq!(pair("=v"), is("", "v"));
    }

    #[test]
    fn blanks_at_the_end_of_a_value_belong_to_it() {
        assert_eq!(pair("waitSecondsForService=47 "), is("waitSecondsForService", "47 "));
    }

    #[test]
    fn comments_and_blank_lines_are_passed_over() {
        assert_eq!(pairs("# a=1\n\n  ! b=2 \\\nc=3\n \t\nd=4#5"), [is("c", "3"), is("d", "4#5")]);
    }

    #[test]
    fn an_odd_number_of_backslashes_continues_a_line() {
        assert_eq!(pair("fruits = apple, \\\n    banana, \\\r\n\tpear"), is("fruits", "apple, banana, pear"));
        assert_eq!(pairs("a=b\\\\\nc=d"), [is("a", "b\\"), is("c", "d")]);
        assert_eq!(pair("a=1\\\n#2"), is("a", "1#2"));
        assert_eq!(pairs("a=1\\\n\nb=2"), [is("a", "1"), is("b", "2")]);
        assert_eq!(pair("a=1\\"), is("a", "1"));
        assert_eq!(pair("a\\\n b=1"), is("ab", "1"));
    }

    #[test]
    fn blank_lines_and_comments_are_passed_over_behind_a_backslash_that_continues_nothing() {
        // Each pair was read off Java.
        let cases: [(&str, &[(&str, &str)]); 8] = [
            ("\\\n\n x", &[("x", "")]),
            ("\\\n#x=1\nb=2", &[("b", "2")]),
            ("  \\\n  !c=1", &[]),
            ("\\\n \\\n\n#c", &[]),
            ("a\\\n\n=b", &[("a", ""), ("", "b")]),
            ("a=1\n\\", &[("a", "1"), ("", "")]),
            ("\\\n\\\n", &[("", "")]),
            ("\\\n ", &[]),
        ];
        for (file, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|(key, value)| is(key, value)).collect();
            assert_eq!(pairs(file), expected, "{file:?}");
        }
    }

    #[test]
    fn escapes_stand_for_characters() {
        assert_eq!(pair("a\\=b\\:c\\ d=1"), is("a=b:c d", "1"));
        assert_eq!(pair("k=\\t\\n\\f\\r\\\\\\q\\\""), is("k", "\t\n\x0c\r\\q\""));
        assert_eq!(pair("k=\\u4e2d\\u6587"), is("k", "中文"));
        assert_eq!(pair("k=\\uD83D\\uDE00"), is("k", "😀"));
        assert_eq!(pair("k=\\uD83D"), is("k", "\u{fffd}"));
    }

    #[test]
    fn bytes_are_latin_1_even_when_they_were_meant_as_utf_8() {
        assert_eq!(parse(b"k=\xe9").unwrap()[0].value, "é");
        assert_eq!(pair("k=é"), is("k", "Ã©"));
    }

    #[test]
    fn a_malformed_unicode_escape_is_an_error_with_its_line() {
        for file in ["a=1\n#\nb=\\u12", "a=1\n\nb=\\u00zz", "a=1\n\nb\\u+123=1", "\n\nb=\\u123\\\n"] {
            assert_eq!(parse(file.as_bytes()), Err(PropertiesError { line: 3 }), "{file:?}");
        }
    }

    #[test]
    fn entries_know_their_lines() {
        let lines: Vec<_> = parse(b"a=1\r\nb=\\\n2\n\nc=3").unwrap().iter().map(|entry| entry.line).collect();

        assert_eq!(lines, [1, 2, 5]);
    }

    #[test]
    fn what_is_written_is_ascii_and_escaped() {
        assert_eq!(write([("a b", " x y "), ("#k", "a=b:c\\\n")]), "a\\ b=\\ x y \n\\#k=a\\=b\\:c\\\\\\n\n");
        assert_eq!(write([("k", "é😀")]), "k=\\u00E9\\uD83D\\uDE00\n");
    }

    proptest! {
        #[test]
        fn reading_never_panics(file in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&file);
        }

        #[test]
        fn reading_near_syntax_never_panics(file in r"[\\u0-9a-f=: #!\r\n]{0,60}") {
            let _ = parse(file.as_bytes());
        }

        #[test]
        fn what_is_written_is_read_back(entries in prop::collection::vec((any::<String>(), any::<String>()), 0..8)) {
            let file = write(entries.iter().map(|(key, value)| (key.as_str(), value.as_str())));

            prop_assert_eq!(pairs(&file), entries);
        }
    }
}
