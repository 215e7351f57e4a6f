//! A request without what was signed.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use crate::remoting::{Command, SerializeType, frame};

/// What the names of header fields that say who signed, and with what, have in them, in small letters: what Java's
/// `SessionCredentials` are called, and what others call theirs.
const KEYS: [&str; 3] = ["accesskey", "securitytoken", "secretkey"];

/// The name of the field with the signature. Other names may have it in them, so it counts as a whole word only.
const SIGNATURE: &str = "signature";

/// The same frame without the fields of a signature; none for one that is no request, or that may hold a signature
/// where no header field is.
pub(super) fn unsigned(frame: &[u8]) -> Option<Bytes> {
    // A copy: the frame shares the read buffer of its worker.
    let frame = Bytes::copy_from_slice(frame);
    let mut command = Command::decode(frame.clone()).ok().filter(|command| !command.is_response())?;
    let is_signed = |name: &str| SIGNATURE.eq_ignore_ascii_case(name) || has_key(name.as_bytes());
    let signed = command.fields.iter().flat_map(|fields| fields.iter()).map(|(name, _)| name);
    let signed: Vec<_> = signed.filter(|name| is_signed(name)).cloned().collect();
    signed.iter().for_each(|name| drop(command.fields.as_mut().and_then(|fields| fields.remove(name))));
    let is_json = frame::is_json(&frame);
    // JSON may have members that no header has, and they may matter to whoever looks for faults. Bytes of a binary
    // header that nobody reads do not.
    let unsigned = if is_json && signed.is_empty() {
        frame
    } else {
        let mut out = BytesMut::with_capacity(frame.len());
        command.encode(if is_json { SerializeType::Json } else { SerializeType::Rocketmq }, &mut out).ok()?;
        out.freeze()
    };
    // Each part by itself: in a binary header, a part ends where the next one begins.
    let fields = command.fields.iter().flat_map(|fields| fields.iter());
    let texts = fields.flat_map(|(name, value)| [name, value]).chain(&command.remark).map(|text| &text.as_bytes()[..]);
    let is_doubtful = texts.chain([&command.body[..]]).any(may_be_signed) || is_json && may_be_signed(&unsigned);
    (!is_doubtful).then_some(unsigned)
}

/// Whether the name of a key stands anywhere, in letters of any size and perhaps with dashes in it.
fn has_key(bytes: &[u8]) -> bool {
    let letters = bytes.iter().filter(|byte| !matches!(byte, b'-' | b'_' | b'.'));
    let letters: Vec<_> = letters.map(u8::to_ascii_lowercase).collect();
    KEYS.iter().any(|key| memmem::find(&letters, key.as_bytes()).is_some())
}

/// Whether a letter is written as JSON may write it. Nobody has to, so there may be a name that is not to be seen.
fn has_hidden_letter(bytes: &[u8]) -> bool {
    const ESCAPE: &[u8] = br"\u00";
    let digits = |at: usize| std::str::from_utf8(bytes.get(at..at + 2)?).ok();
    let is_letter = |digits| u8::from_str_radix(digits, 16).is_ok_and(|byte| byte.is_ascii_alphabetic());
    memmem::find_iter(bytes, ESCAPE).any(|at| digits(at + ESCAPE.len()).is_some_and(is_letter))
}

/// Whether there may be the name of one of the fields anywhere, however it is written.
pub(super) fn may_be_signed(bytes: &[u8]) -> bool {
    if has_key(bytes) || has_hidden_letter(bytes) {
        return true;
    }
    let bytes = bytes.to_ascii_lowercase();
    let is_edge = |at: Option<&u8>| at.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    let mut found = memmem::find_iter(&bytes, SIGNATURE);
    found.any(|at| is_edge(at.checked_sub(1).and_then(|at| bytes.get(at))) && is_edge(bytes.get(at + SIGNATURE.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remoting::{FLAG_RESPONSE, Fields, RequestCode};

    const FORMS: [SerializeType; 2] = [SerializeType::Json, SerializeType::Rocketmq];

    fn frame(form: SerializeType, fields: &[(&'static str, &'static str)], body: &'static [u8]) -> Bytes {
        let command = Command {
            fields: Some(Fields::from_iter(fields.iter().copied())),
            body: Bytes::from_static(body),
            ..Command::request(RequestCode(7), 1)
        };
        let mut out = BytesMut::new();
        command.encode(form, &mut out).unwrap();
        out.freeze()
    }

    #[test]
    fn what_was_signed_is_kept_without_its_signature_in_both_forms() {
        let signed =
            [("topic", "t"), ("AccessKey", "who"), ("Signature", "with"), ("securityToken", "what"), ("zone", "z")];
        for form in FORMS {
            let without = unsigned(&frame(form, &signed, b"body"));

            assert_eq!(without, Some(frame(form, &[("topic", "t"), ("zone", "z")], b"body")), "{form}");
        }
    }

    #[test]
    fn keys_are_known_by_what_their_names_have_in_them() {
        for name in ["accessKeySecret", "rocketmqAccessKey", "secretKey", "aliyun.security-token", "ACCESS_KEY_ID"] {
            for form in FORMS {
                let without = unsigned(&frame(form, &[("a", "b"), (name, "secret")], b""));
                assert_eq!(without, Some(frame(form, &[("a", "b")], b"")), "{form} {name}");
                assert_eq!(unsigned(&frame(form, &[("key", name)], b"")), None, "{form} {name}");
            }
            assert!(may_be_signed(format!("{{\"{name}\":\"secret\"}}").as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_letter_that_json_hides_is_not_kept_and_other_escapes_are() {
        for hidden in [r#"{"acc\u0065ssKey":"who"}"#, r#"{"\u0053ignature":"with"}"#, r"\u007A"] {
            assert!(may_be_signed(hidden.as_bytes()), "{hidden}");
        }
        for seen in [r#"{"a":"\u003cb\u003e"}"#, r"\u00e9", r"\u007f", r"\u00", r"\u004", "\\u00\u{e9}"] {
            assert!(!may_be_signed(seen.as_bytes()), "{seen}");
        }
    }

    #[test]
    fn what_was_not_signed_is_kept_byte_for_byte() {
        for form in FORMS {
            let plain = frame(form, &[("topic", "DocumentSignatureEvents")], b"\0\xff");
            assert_eq!(unsigned(&plain), Some(plain), "{form}");
        }
        // With a member that no header has.
        let header = br#"{"code":7,"odd":[1],"opaque":3}"#;
        let odd = [&[0, 0, 0, 4 + header.len() as u8, 0, 0, 0, header.len() as u8][..], header].concat();
        assert_eq!(unsigned(&odd).unwrap(), odd);
    }

    #[test]
    fn bytes_of_a_binary_header_that_nobody_reads_are_not_kept() {
        let mut spare = frame(SerializeType::Rocketmq, &[("a", "b")], b"Signature:with").to_vec();
        spare[7] += 14;
        assert!(Command::decode(Bytes::from(spare.clone())).is_ok_and(|command| command.body.is_empty()));

        assert_eq!(unsigned(&spare), Some(frame(SerializeType::Rocketmq, &[("a", "b")], b"")));
    }

    #[test]
    fn a_signature_where_no_field_is_and_what_is_no_request_are_not_kept() {
        for form in FORMS {
            assert_eq!(unsigned(&frame(form, &[("a", "b")], b"accessKey=who\nx=y")), None, "{form}");
            assert_eq!(unsigned(&frame(form, &[("a", "Signature"), ("b", "65 letters: A")], b"")), None, "{form}");
            assert_eq!(unsigned(&frame(form, &[("key", "SecurityToken"), ("value", "x")], b"")), None, "{form}");
        }
        let mut response = BytesMut::new();
        let command = Command { flag: FLAG_RESPONSE, ..Command::request(RequestCode(7), 1) };
        command.encode(SerializeType::Json, &mut response).unwrap();
        assert_eq!(unsigned(&response), None);
        assert_eq!(unsigned(b"\0\0\0\x04\0\0\0\x09"), None);
    }
}
