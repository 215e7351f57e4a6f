//! Keys whose signatures count.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

/// The only kind of key that is taken.
pub(crate) const KIND: &str = "ssh-ed25519";

/// A public Ed25519 key as OpenSSH writes it into `id_ed25519.pub`: `ssh-ed25519`, the key in base64 (RFC 8709), and a
/// comment.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct SigningKey {
    text: String,
    key: [u8; 32],
}

/// The text is no such key.
#[derive(Debug, thiserror::Error)]
#[error("it is no line of an `id_ed25519.pub`: `ssh-ed25519`, a key in base64, and perhaps a comment")]
pub struct SigningKeyError;

impl SigningKey {
    /// Its 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.key
    }
}

impl FromStr for SigningKey {
    type Err = SigningKeyError;

    fn from_str(text: &str) -> Result<Self, SigningKeyError> {
        let mut words = text.split_whitespace();
        let (Some(KIND), Some(blob)) = (words.next(), words.next()) else { return Err(SigningKeyError) };
        // That of 51 bytes.
        if blob.len() != 68 {
            return Err(SigningKeyError);
        }
        let blob = BASE64_STANDARD.decode(blob).map_err(|_| SigningKeyError)?;
        let key = key_of(&blob).ok_or(SigningKeyError)?;
        Ok(Self { text: text.trim().to_owned(), key })
    }
}

impl TryFrom<String> for SigningKey {
    type Error = SigningKeyError;

    fn try_from(text: String) -> Result<Self, SigningKeyError> {
        text.parse()
    }
}

impl From<SigningKey> for String {
    fn from(key: SigningKey) -> Self {
        key.text
    }
}

impl fmt::Display for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The Ed25519 key in the form that goes over the wire (RFC 8709); none for any other.
pub(crate) fn key_of(mut blob: &[u8]) -> Option<[u8; 32]> {
    let is_ours = string(&mut blob)? == KIND.as_bytes();
    let key = string(&mut blob)?.try_into().ok()?;
    (is_ours && blob.is_empty()).then_some(key)
}

/// Takes a string off: its length in four bytes, and so many more (RFC 4251).
pub(crate) fn string<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (taken, rest) = rest.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPu4yqvH7tRDG+rHnJOVkKDzAhGdcr5jMkkBMXUgTYUV ops@example";

    #[test]
    fn a_line_of_a_public_key_file_is_a_key_with_or_without_its_comment() {
        let key: SigningKey = KEY.parse().unwrap();
        let without: SigningKey = KEY.rsplit_once(' ').unwrap().0.parse().unwrap();

        assert_eq!(key.to_string(), KEY);
        assert_eq!(key.bytes(), without.bytes());
    }

    #[test]
    fn anything_else_is_none() {
        let blob = KEY.split(' ').nth(1).unwrap();
        for text in [
            "",
            "ssh-ed25519",
            blob,
            &KEY.replace("ssh-ed25519 ", "ssh-rsa "),
            &KEY.replace("AAAAC3", "AAAAD3"),
            &KEY.replace("AAAAI", "AAAAJ"),
            &format!("ssh-ed25519 {}", &blob[4..]),
            &format!("ssh-ed25519 {blob}AAAA"),
            &format!("ssh-ed25519 {}!", &blob[1..]),
        ] {
            assert!(text.parse::<SigningKey>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_string_is_taken_only_if_all_of_it_is_there() {
        let mut from: &[u8] = &[0, 0, 0, 2, b'a', b'b', 0, 0, 0, 1];
        assert_eq!(string(&mut from), Some(&b"ab"[..]));
        assert_eq!(string(&mut from), None);
        assert_eq!(from.len(), 4);
        assert_eq!(string(&mut &[255, 255, 255, 255, 0][..]), None);
    }
}
