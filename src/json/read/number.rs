//! Numbers as fastjson2 takes them: which texts are numbers, what is left when one must be an integer, and how one
//! looks when it must become text.

use std::borrow::Cow;

/// What stands in the place of a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Number<'a> {
    /// All of it, from the sign to the last digit; ASCII.
    text: &'a str,
    /// Where the point stands in `text`.
    point: Option<usize>,
    /// Where the `e` stands in `text`.
    exponent: Option<usize>,
}

impl<'a> Number<'a> {
    /// Takes the number at the start of `bytes`: an optional sign, digits with at most one point before, among or after
    /// them, and an optional exponent.
    ///
    /// A plus sign, leading zeros and a point at either end are not JSON; Java takes them, so this does.
    pub(super) fn scan(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let mut at = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
        let whole = digits(bytes, at);
        at += whole;
        let mut point = None;
        let mut fraction = 0;
        if bytes.get(at) == Some(&b'.') {
            point = Some(at);
            fraction = digits(bytes, at + 1);
            at += 1 + fraction;
        }
        if whole + fraction == 0 {
            return None;
        }
        let mut exponent = None;
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            exponent = Some(at);
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'-' | b'+')));
            let power = digits(bytes, at);
            if power == 0 {
                return None;
            }
            at += power;
        }
        let text = std::str::from_utf8(bytes.get(..at)?).ok()?;
        Some((Self { text, point, exponent }, at))
    }

    /// The number without its fraction; none when no `i64` holds it.
    pub(super) fn truncated(&self) -> Option<i64> {
        if self.exponent.is_none() {
            let whole = &self.text[..self.point.unwrap_or(self.text.len())];
            return match whole {
                "" | "-" | "+" => Some(0),
                _ => whole.parse().ok(),
            };
        }
        let float = self.text.parse::<f64>().ok()?.trunc();
        // 2^63 itself is the first float that an `i64` does not hold.
        let bound = -(i64::MIN as f64);
        (-bound <= float && float < bound).then_some(float as i64)
    }

    /// The number as Java's map of strings shows it: an integer through `BigInteger`, a number with a point through
    /// `BigDecimal` (which keeps its zeros: `1.50`), one with an exponent through `Double`. None when no double holds
    /// it.
    pub(super) fn java_text(&self) -> Option<Cow<'a, str>> {
        match (self.point, self.exponent) {
            (_, Some(_)) => double_text(self.text.parse().ok()?).map(Cow::Owned),
            (Some(point), None) => Some(Cow::Owned(decimal_text(self.text, point))),
            (None, None) => Some(integer_text(self.text)),
        }
    }
}

fn digits(bytes: &[u8], from: usize) -> usize {
    bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count()
}

/// Java: `BigInteger.toString`: no plus, no leading zeros, no negative zero.
fn integer_text(text: &str) -> Cow<'_, str> {
    let unsigned = text.trim_start_matches(['-', '+']);
    let significant = unsigned.trim_start_matches('0');
    match (significant, text.starts_with('-')) {
        ("", _) => Cow::Borrowed("0"),
        (_, false) => Cow::Borrowed(significant),
        (_, true) if significant.len() == unsigned.len() => Cow::Borrowed(text),
        (_, true) => Cow::Owned(format!("-{significant}")),
    }
}

/// Java: `BigDecimal.toString`: plain unless more than five zeros would stand between the point and the first digit.
fn decimal_text(text: &str, point: usize) -> String {
    let whole = text[..point].trim_start_matches(['-', '+']).trim_start_matches('0');
    let fraction = &text[point + 1..];
    let joined = [whole, fraction].concat();
    let digits = match joined.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let sign = if text.starts_with('-') && digits != "0" { "-" } else { "" };
    let leading_zeros = (fraction.len() + 1).saturating_sub(digits.len());
    if leading_zeros <= 6 {
        let whole = if whole.is_empty() { "0" } else { whole };
        return if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
    }
    let (first, others) = digits.split_at(1);
    let point = if others.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{others}E-{leading_zeros}")
}

/// Java: `Double.toString`: with a point always, and with an exponent outside of 0.001 to 10,000,000.
fn double_text(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return Some(format!("{value:?}"));
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e')?;
    let point = if mantissa.contains('.') { "" } else { ".0" };
    Some(format!("{mantissa}{point}E{exponent}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number<'_> {
        let (number, length) = Number::scan(text.as_bytes()).unwrap();
        assert_eq!(length, text.len());
        number
    }

    #[test]
    fn text_is_what_java_shows() {
        // Each pair was read off a running Java NameServer.
        for (written, shown) in [
            ("123", "123"),
            ("+1", "1"),
            ("01", "1"),
            ("-0", "0"),
            ("-07", "-7"),
            ("-12", "-12"),
            ("1.50", "1.50"),
            ("1.0", "1.0"),
            ("0.10", "0.10"),
            ("-0.0", "0.0"),
            ("1e3", "1000.0"),
            ("1E+3", "1000.0"),
            ("1.500e2", "150.0"),
            ("1.5e300", "1.5E300"),
            ("1e-7", "1.0E-7"),
            ("1e-9", "1.0E-9"),
            ("0.0000001", "1E-7"),
            ("100000000000000000000", "100000000000000000000"),
        ] {
            assert_eq!(number(written).java_text().unwrap(), shown, "{written}");
        }
    }

    #[test]
    fn decimals_keep_their_zeros_and_small_ones_get_an_exponent() {
        for (written, shown) in [
            (".5", "0.5"),
            ("1.", "1"),
            ("-00.50", "-0.50"),
            ("0.000001", "0.000001"),
            ("0.00000012", "1.2E-7"),
            ("-0.0000000", "0E-7"),
            ("10.0000000000", "10.0000000000"),
        ] {
            assert_eq!(number(written).java_text().unwrap(), shown, "{written}");
        }
        assert_eq!(number("1e999").java_text(), None);
    }

    #[test]
    fn an_integer_is_what_stands_before_the_point() {
        for (written, value) in [
            ("7.9", Some(7)),
            ("-1.9", Some(-1)),
            (".5", Some(0)),
            ("-.5", Some(0)),
            ("2.06e2", Some(206)),
            ("1e-1", Some(0)),
            ("1e18", Some(1_000_000_000_000_000_000)),
            ("12345678901234567.9", Some(12_345_678_901_234_567)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("9.3e18", None),
            ("-9.3e18", None),
            ("1e999", None),
        ] {
            assert_eq!(number(written).truncated(), value, "{written}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_taken() {
        for text in ["", "-", "+", ".", "e1", "1e", "1e+", "-.", "x", "--1", "NaN"] {
            assert_eq!(Number::scan(text.as_bytes()), None, "{text}");
        }
    }
}
