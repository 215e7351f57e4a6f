//! `DataVersion`: which state of its topic table a broker means.

use super::{DecodeError, Limits, reader};
use crate::json::{JsonError, Kind, Reader};
use crate::route::{DataVersion, Millis};

/// Decodes a body that is a data version; none when there is no body, or it is `null`.
pub fn decode(bytes: &[u8], now: Millis, limits: &Limits) -> Result<Option<DataVersion>, DecodeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut reader = reader(bytes, limits);
    let version = read(&mut reader, now)?;
    reader.finish()?;
    Ok(version)
}

/// Appends the version as a body, for tests that read it back: the server's is written by the plugin that answers.
#[cfg(test)]
pub(super) fn encode(version: &DataVersion, out: &mut bytes::BytesMut) {
    use crate::json::write;
    out.extend_from_slice(b"{\"counter\":");
    write::integer(out, version.counter);
    out.extend_from_slice(b",\"stateVersion\":");
    write::integer(out, version.state_version);
    out.extend_from_slice(b",\"timestamp\":");
    write::integer(out, version.timestamp);
    out.extend_from_slice(b"}");
}

/// The version of a sender that names none. Java: the initial values of `DataVersion`.
pub(super) fn unnamed(now: Millis) -> DataVersion {
    DataVersion { state_version: 0, timestamp: i64::try_from(now).unwrap_or(i64::MAX), counter: 0 }
}

/// Reads one version; none is `null`.
pub(super) fn read(reader: &mut Reader<'_>, now: Millis) -> Result<Option<DataVersion>, JsonError> {
    if reader.peek()? == Kind::Null {
        reader.skip()?;
        return Ok(None);
    }
    let mut version = unnamed(now);
    reader.begin_object()?;
    while let Some(key) = reader.next_key()? {
        let field = match key.as_ref() {
            "counter" => &mut version.counter,
            "stateVersion" => &mut version.state_version,
            "timestamp" => &mut version.timestamp,
            _ => {
                reader.skip()?;
                continue;
            }
        };
        // Java's setters take a `long`: what is null is 0, and not what a missing one would be.
        *field = reader.int64()?.unwrap_or_default();
    }
    Ok(Some(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_700_000_000_000;

    fn decoded(text: &str) -> Result<Option<DataVersion>, DecodeError> {
        decode(text.as_bytes(), NOW, &Limits::default())
    }

    #[test]
    fn no_body_and_null_are_no_version() {
        assert_eq!(decoded(""), Ok(None));
        assert_eq!(decoded(" null "), Ok(None));
    }

    #[test]
    fn missing_fields_are_zero_and_the_time_is_now_but_a_time_that_is_null_is_zero() {
        let expected = DataVersion { state_version: 0, timestamp: NOW as i64, counter: 0 };

        assert_eq!(decoded("{}"), Ok(Some(expected)));
        assert_eq!(decoded(r#"{"counter":null,"other":[{}]}"#), Ok(Some(expected)));
        assert_eq!(decoded(r#"{"timestamp":null}"#), Ok(Some(DataVersion { timestamp: 0, ..expected })));
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in ["[]", "1", "garbage", "{", r#"{"counter":{}}"#, "{}x"] {
            assert!(matches!(decoded(text), Err(DecodeError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn a_written_version_is_alphabetical_and_reads_back() {
        let version = DataVersion { state_version: -1, timestamp: i64::MIN, counter: i64::MAX };
        let mut out = bytes::BytesMut::new();
        encode(&version, &mut out);

        let expected = br#"{"counter":9223372036854775807,"stateVersion":-1,"timestamp":-9223372036854775808}"#;
        assert_eq!(out[..], expected[..]);
        assert_eq!(decode(&out, NOW, &Limits::default()), Ok(Some(version)));
    }
}
