//! Java property text: `key=value` lines. Pure. Java: `java.util.Properties.load`.

/// A `\u` that four hexadecimal digits do not follow.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MalformedEscape;

/// The keys and values of a text, each key once, with its last value.
///
/// The bytes stand for themselves: Java decodes the body as UTF-8, encodes it again, and reads that as ISO-8859-1, so
/// a letter beyond ASCII becomes two or more of Latin-1, and only `\uXXXX` says what it means.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<(String, String)>, MalformedEscape> {
    let text = String::from_utf8_lossy(bytes);
    let mut entries: Vec<(String, String)> = Vec::new();
    for line in LogicalLines::new(text.as_bytes()) {
        let (key, value) = split(&line);
        let (key, value) = (unescape(key)?, unescape(value)?);
        match entries.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => entries.push((key, value)),
        }
    }
    Ok(entries)
}

/// Lines as they are meant: without comments, blank lines and leading white space, those that end in a backslash joined
/// with the next. Escapes are still in them.
struct LogicalLines<'a> {
    rest: &'a [u8],
}

impl<'a> LogicalLines<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// Up to the next line end, which is `\n`, `\r` or both; none at the end of the text.
    fn natural_line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(self.rest.len());
        let (line, after) = self.rest.split_at(end);
        self.rest = after.strip_prefix(b"\r\n").or_else(|| after.get(1..)).unwrap_or_default();
        Some(line)
    }
}

impl Iterator for LogicalLines<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let Some(more) = self.natural_line().map(trim_start) else {
                return Some(line).filter(|line| !line.is_empty());
            };
            // As long as there is nothing to continue, a backslash before a blank line or a comment means nothing.
            if line.is_empty() && matches!(more, [] | [b'#' | b'!', ..]) {
                continue;
            }
            line.extend_from_slice(more);
            if !ends_open(more) {
                return Some(line);
            }
            line.pop();
            // A backslash that only a line end follows ends the text, and is a line even if it stands alone.
            if self.rest.is_empty() {
                return Some(line);
            }
        }
    }
}

/// Whether the last backslash of a line is itself not escaped.
fn ends_open(line: &[u8]) -> bool {
    line.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// A key ends at the first `=`, `:` or blank that no backslash precedes; blanks and one `=` or `:` come between it and its
/// value.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let mut escaped = false;
    let end = line.iter().position(|&byte| {
        let ends = !escaped && (is_blank(byte) || matches!(byte, b'=' | b':'));
        escaped = byte == b'\\' && !escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = trim_start(rest);
    let value = match rest {
        [b'=' | b':', value @ ..] => trim_start(value),
        _ => rest,
    };
    (key, value)
}

fn trim_start(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|&byte| !is_blank(byte)).unwrap_or(line.len());
    &line[start..]
}

/// What `Properties` takes for white space within a line.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

fn unescape(text: &[u8]) -> Result<String, MalformedEscape> {
    // UTF-16, because two escapes may be the halves of one letter.
    let mut units = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        let unit = match byte {
            b'\\' => match bytes.next() {
                Some(b'u') => unicode_escape(&mut bytes)?,
                Some(b't') => u16::from(b'\t'),
                Some(b'r') => u16::from(b'\r'),
                Some(b'n') => u16::from(b'\n'),
                Some(b'f') => 0x0c,
                Some(other) => u16::from(other),
                // Only at the end of the text, where a continuation was announced and did not come.
                None => break,
            },
            _ => u16::from(byte),
        };
        units.push(unit);
    }
    // Java writes half a letter as a question mark.
    Ok(char::decode_utf16(units).map(|letter| letter.unwrap_or('?')).collect())
}

fn unicode_escape(bytes: &mut impl Iterator<Item = u8>) -> Result<u16, MalformedEscape> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = bytes.next().and_then(|byte| char::from(byte).to_digit(16)).ok_or(MalformedEscape)?;
        unit = unit << 4 | digit;
    }
    u16::try_from(unit).map_err(|_| MalformedEscape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        parse(text.as_bytes()).unwrap()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|&(key, value)| (key.into(), value.into())).collect()
    }

    #[test]
    fn keys_end_at_an_equals_sign_a_colon_or_a_blank() {
        assert_eq!(
            parsed("a=1\nb : 2\r\nc\t3\rd\n  e  =  = 5 \nf==\n=g\nh\\=\\:\\ i=j"),
            pairs(&[
                ("a", "1"),
                ("b", "2"),
                ("c", "3"),
                ("d", ""),
                ("e", "= 5 "),
                ("f", "="),
                ("", "g"),
                ("h=: i", "j"),
            ])
        );
    }

    #[test]
    fn comments_and_blank_lines_are_not_entries() {
        assert_eq!(parsed("#a=1\n  ! b=2\n\n \t\x0c\nc=#3\n"), pairs(&[("c", "#3")]));
        assert_eq!(parsed(""), pairs(&[]));
    }

    #[test]
    fn a_backslash_at_the_end_joins_lines_and_an_escaped_one_does_not() {
        assert_eq!(parsed("a=1,\\\n   2\\\r\n3\nb=4\\\\\nc=5"), pairs(&[("a", "1,23"), ("b", "4\\"), ("c", "5")]));
        assert_eq!(parsed("a=1\\"), pairs(&[("a", "1")]));
        // A comment is not continued; a continued line may look like one.
        assert_eq!(parsed("#x\\\na=1\\\n#2"), pairs(&[("a", "1#2")]));
        assert_eq!(parsed("\\\n\\\na=1\n\\"), pairs(&[("a", "1"), ("", "")]));
        assert_eq!(parsed("\\\n#a=1\n\\\n\n\\\n b=2\n\\\n "), pairs(&[("b", "2")]));
    }

    #[test]
    fn escapes_are_undone_in_keys_and_values() {
        assert_eq!(parsed(r"\t\q\u0041=\n\r\f\\\u676d\uD83D\uDE00"), pairs(&[("\tqA", "\n\r\x0c\\杭😀")]));
        assert_eq!(parsed(r"a=\uD83D!"), pairs(&[("a", "?!")]));
    }

    #[test]
    fn letters_beyond_ascii_become_latin_1_as_in_java() {
        assert_eq!(parsed("a=é"), pairs(&[("a", "Ã©")]));
        // Not UTF-8: Java puts U+FFFD first, and mangles that.
        assert_eq!(parse(b"a=\xff").unwrap(), pairs(&[("a", "ï¿½")]));
    }

    #[test]
    fn half_a_unicode_escape_is_an_error() {
        for text in [r"a=\u12", r"a=\u12G4", r"a\u=1", r"a=\u +12"] {
            assert_eq!(parse(text.as_bytes()), Err(MalformedEscape), "{text}");
        }
        // Escaped, it is no escape.
        assert_eq!(parsed(r"a=\\u12"), pairs(&[("a", r"\u12")]));
    }

    #[test]
    fn the_last_value_of_a_key_counts() {
        assert_eq!(parsed("a=1\nb=2\na=3"), pairs(&[("a", "3"), ("b", "2")]));
    }
}
