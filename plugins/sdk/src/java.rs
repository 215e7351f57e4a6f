//! Java's way with text, where a client can tell the difference. Pure: works without a host.

/// A 32-bit decimal number: an optional sign, then digits, nothing else. Java: `Integer.parseInt`.
pub fn parse_int(text: &str) -> Option<i32> {
    text.parse().ok()
}

/// A 64-bit decimal number: an optional sign, then digits, nothing else. Java: `Long.parseLong`.
pub fn parse_long(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// True for `true` in any case, false for everything else. Java: `Boolean.parseBoolean`.
pub fn parse_boolean(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

/// Whether two texts are the same but for case, character by character. Java: `String.equalsIgnoreCase`.
pub fn equals_ignore_case(left: &str, right: &str) -> bool {
    if left.is_ascii() && right.is_ascii() {
        return left.eq_ignore_ascii_case(right);
    }
    left.chars().map(fold).eq(right.chars().map(fold))
}

/// Upper case, then lower case: Java compares both, because neither alone unites every pair (Georgian, `İ`).
fn fold(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    let upper = match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        // `ß` becomes two letters in Rust; Java maps a character to a character, so it stays itself.
        _ => letter,
    };
    // The only lower case of two characters is that of `İ`; Java's is the first of them.
    upper.to_lowercase().next().unwrap_or(upper)
}

/// Whether there is nothing but white space, or nothing at all. Java: `StringUtils.isBlank`.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_whitespace)
}

/// Java: `Character.isWhitespace`: without the spaces that do not break, with the separators of ASCII.
fn is_whitespace(letter: char) -> bool {
    match letter {
        '\u{1c}'..='\u{1f}' => true,
        '\u{85}' | '\u{a0}' | '\u{2007}' | '\u{202f}' => false,
        _ => letter.is_whitespace(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_parse_as_in_java() {
        assert_eq!(parse_long("+1"), Some(1));
        assert_eq!(parse_long("-0"), Some(0));
        assert_eq!(parse_long("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_int("007"), Some(7));
        for text in ["", " 1", "1 ", "+", "-", "1.0", "0x1", "1_000", "--1", "9223372036854775808"] {
            assert_eq!(parse_long(text), None, "{text:?}");
        }
        assert_eq!(parse_int("2147483648"), None);
    }

    #[test]
    fn only_true_is_true_and_case_does_not_matter() {
        assert!(parse_boolean("true") && parse_boolean("TRUE") && parse_boolean("tRuE"));
        assert!(!parse_boolean("yes") && !parse_boolean("1") && !parse_boolean("") && !parse_boolean(" true"));
    }

    #[test]
    fn letters_compare_without_case_one_by_one() {
        assert!(equals_ignore_case("Zone-1", "zONE-1"));
        assert!(equals_ignore_case("ZÜRICH", "zürich"));
        assert!(equals_ignore_case("İ", "i"));
        assert!(equals_ignore_case("杭州", "杭州"));
        assert!(!equals_ignore_case("straße", "STRASSE"));
        assert!(!equals_ignore_case("zone", "zone-1"));
        assert!(!equals_ignore_case("zone-é", "zone"));
    }

    #[test]
    fn blank_is_what_java_takes_for_white_space() {
        assert!(is_blank("") && is_blank(" \t\r\n") && is_blank("\u{1f}\u{3000}"));
        assert!(!is_blank("\u{a0}") && !is_blank(" z "));
    }
}
