//! Whether a file of a plugins directory is signed by somebody whom the operator trusts.
//!
//! A signature lies beside its file, as `NAME.wasm.sig`, in the format of OpenSSH (PROTOCOL.sshsig), because everybody
//! has the tool: `ssh-keygen -Y sign -f KEY -n fingerpost NAME.wasm`. Only Ed25519 counts, and only what was signed for
//! this purpose: the name after `-n` keeps a signature of a commit or a mail from passing as one of a plugin.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::Digest;

use crate::config::{SigningKey, signing_key};

/// What a plugin's signature is made for.
const NAMESPACE: &str = "fingerpost";

/// One by an RSA key of 16,384 bits has less.
const SIZE_MAX: u64 = 8 << 10;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: [u8; 4] = [0, 0, 0, 1];

/// Why a file does not count as signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error(
        "it is not signed, and `plugins.signed-by` wants that: {path:?} is not there; whoever has one of the keys \
         makes it by `ssh-keygen -Y sign -f KEY -n {NAMESPACE} FILE`"
    )]
    Missing { path: PathBuf },
    #[error("its signature {path:?} cannot be read: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error("its signature {path:?} is none of OpenSSH: {what}")]
    Malformed { path: PathBuf, what: &'static str },
    #[error("its signature was made for {found:?}, not for {NAMESPACE:?}: `ssh-keygen -Y sign -n {NAMESPACE}`")]
    OtherPurpose { found: String },
    #[error("its signature is by a key of another kind than {kind}", kind = signing_key::KIND)]
    OtherKind,
    #[error("it is signed by {fingerprint}, which is none of `plugins.signed-by`")]
    Stranger { fingerprint: String },
    #[error(
        "its signature is one of another content: the file was changed after it was signed, or the other way round"
    )]
    OtherContent,
}

/// Where the signature of a file lies.
pub(crate) fn path_of(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// Checks that one of `keys` has signed these bytes of a file; without keys, nobody has to.
pub(crate) fn check(keys: &[SigningKey], file: &Path, bytes: &[u8]) -> Result<(), SignatureError> {
    if keys.is_empty() {
        return Ok(());
    }
    let path = path_of(file);
    let text = match read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SignatureError::Missing { path }),
        Err(error) => return Err(SignatureError::Read { path, error }),
    };
    verify(keys, &text, bytes, path)
}

fn read(path: &Path) -> io::Result<String> {
    // To open anything else may wait for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(SIZE_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn verify(keys: &[SigningKey], text: &str, bytes: &[u8], path: PathBuf) -> Result<(), SignatureError> {
    let malformed = |what| SignatureError::Malformed { path: path.clone(), what };
    let blob = unarmoured(text).ok_or_else(|| malformed("there is no base64 between its first and its last line"))?;
    let Fields { key: key_blob, namespace, reserved, hash, signature } =
        Fields::of(&blob).ok_or_else(|| malformed("its fields are not all there"))?;
    if namespace != NAMESPACE.as_bytes() {
        return Err(SignatureError::OtherPurpose { found: String::from_utf8_lossy(namespace).into_owned() });
    }
    let key = signing_key::key_of(key_blob).ok_or(SignatureError::OtherKind)?;
    if keys.iter().all(|trusted| *trusted.bytes() != key) {
        return Err(SignatureError::Stranger { fingerprint: fingerprint(key_blob) });
    }
    let digest = match hash {
        b"sha512" => sha2::Sha512::digest(bytes).to_vec(),
        b"sha256" => sha2::Sha256::digest(bytes).to_vec(),
        _ => return Err(malformed("its hash is neither sha512 nor sha256")),
    };
    let mut signed = MAGIC.to_vec();
    for field in [namespace, reserved, hash, &digest] {
        signed.extend(u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
        signed.extend(field);
    }
    let mut rest = signature;
    let kind = signing_key::string(&mut rest);
    let bare = signing_key::string(&mut rest).filter(|_| kind == Some(signing_key::KIND.as_bytes()) && rest.is_empty());
    let bare = bare.ok_or_else(|| malformed("it holds no Ed25519 signature"))?;
    UnparsedPublicKey::new(&ED25519, key).verify(&signed, bare).map_err(|_| SignatureError::OtherContent)
}

/// What `ssh-keygen -l` calls a key.
fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(sha2::Sha256::digest(blob)))
}

/// What stands between the first and the last line.
fn unarmoured(text: &str) -> Option<Vec<u8>> {
    let inner = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let inner: String = inner.split_ascii_whitespace().collect();
    BASE64_STANDARD.decode(inner).ok()
}

struct Fields<'a> {
    key: &'a [u8],
    namespace: &'a [u8],
    reserved: &'a [u8],
    hash: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(blob: &'a [u8]) -> Option<Self> {
        let mut rest = blob.strip_prefix(MAGIC)?.strip_prefix(&VERSION)?;
        let mut next = || signing_key::string(&mut rest);
        let (key, namespace, reserved, hash, signature) = (next()?, next()?, next()?, next()?, next()?);
        rest.is_empty().then_some(Self { key, namespace, reserved, hash, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &[u8] = include_bytes!("../../tests/data/signatures/content");
    const SIGNED: &str = include_str!("../../tests/data/signatures/sha512.sig");

    fn keys() -> Vec<SigningKey> {
        vec![include_str!("../../tests/data/signatures/key.pub").parse().unwrap()]
    }

    fn verified(text: &str, content: &[u8]) -> Result<(), SignatureError> {
        verify(&keys(), text, content, PathBuf::from("a.wasm.sig"))
    }

    #[test]
    fn what_ssh_keygen_signed_with_a_trusted_key_counts() {
        verified(SIGNED, CONTENT).unwrap();
        verified(include_str!("../../tests/data/signatures/sha256.sig"), CONTENT).unwrap();
    }

    #[test]
    fn one_of_another_content_purpose_or_key_does_not() {
        use SignatureError::{OtherContent, OtherKind, OtherPurpose, Stranger};
        let told = |text: &str| verified(text, CONTENT).unwrap_err();

        assert!(matches!(verified(SIGNED, b"hello").unwrap_err(), OtherContent));
        let git = told(include_str!("../../tests/data/signatures/git.sig"));
        assert!(matches!(&git, OtherPurpose { found } if found == "git"), "{git}");
        assert!(matches!(told(include_str!("../../tests/data/signatures/rsa.sig")), OtherKind));
        let stranger = told(include_str!("../../tests/data/signatures/stranger.sig"));
        assert!(matches!(&stranger, Stranger { fingerprint } if fingerprint.starts_with("SHA256:")), "{stranger}");
    }

    #[test]
    fn one_that_is_damaged_anywhere_does_not_and_breaks_nothing() {
        let blob = unarmoured(SIGNED).unwrap();
        let armoured = |blob: &[u8]| format!("{BEGIN}\n{}\n{END}\n", BASE64_STANDARD.encode(blob));
        verified(&armoured(&blob), CONTENT).unwrap();

        for at in 0..blob.len() {
            let mut damaged = blob.clone();
            damaged[at] ^= 1;
            assert!(verified(&armoured(&damaged), CONTENT).is_err(), "byte {at}");
            assert!(verified(&armoured(&blob[..at]), CONTENT).is_err(), "the first {at} bytes");
        }
        let longer = [&blob[..], b"x"].concat();
        for text in ["", BEGIN, END, &SIGNED[1..], &armoured(&longer), &format!("{BEGIN}{END}")] {
            assert!(matches!(verified(text, CONTENT), Err(SignatureError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn a_signature_lies_beside_its_file_and_without_keys_nobody_asks_for_one() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a.wasm");

        check(&[], &file, CONTENT).unwrap();
        let missing = check(&keys(), &file, CONTENT).unwrap_err();
        assert!(missing.to_string().contains("a.wasm.sig"), "{missing}");
        std::fs::write(home.path().join("a.wasm.sig"), SIGNED).unwrap();
        check(&keys(), &file, CONTENT).unwrap();
        std::fs::write(home.path().join("a.wasm.sig"), [0xff; 9]).unwrap();
        assert!(matches!(check(&keys(), &file, CONTENT), Err(SignatureError::Read { .. })));
        std::fs::remove_file(home.path().join("a.wasm.sig")).unwrap();
        std::fs::create_dir(home.path().join("a.wasm.sig")).unwrap();
        let refused = check(&keys(), &file, CONTENT).unwrap_err();
        assert!(refused.to_string().contains("no regular file"), "{refused}");
    }
}
