//! Certificates and keys as PEM.

use std::path::Path;

use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::pem::{self, PemObject, SectionKind, SliceIter};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::TlsError;
use super::pkcs12::{self, Pkcs12Error};
use crate::config::Secret;

/// A file, for texts, and what is in it.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) path: &'a Path,
    pub(super) content: &'a [u8],
}

impl File<'_> {
    pub(super) fn wrong(&self, reason: impl Into<String>) -> TlsError {
        TlsError::File { path: self.path.to_owned(), reason: reason.into() }
    }

    fn not_pem(&self, error: &pem::Error) -> TlsError {
        self.wrong(match error {
            pem::Error::MissingSectionEnd { .. } => "ends in the middle of a PEM section".to_owned(),
            pem::Error::IllegalSectionStart { .. } => "a PEM section begins with a line that is malformed".to_owned(),
            pem::Error::Base64Decode(_) => "a PEM section is not base64".to_owned(),
            other => format!("is not PEM: {other}"),
        })
    }
}

/// Every certificate of a file; at least one.
pub(super) fn certificates(file: File<'_>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let sections = CertificateDer::pem_slice_iter(file.content);
    let certificates = sections.collect::<Result<Vec<_>, _>>().map_err(|error| file.not_pem(&error))?;
    if certificates.is_empty() {
        return Err(file.wrong("has no `BEGIN CERTIFICATE`"));
    }
    Ok(certificates)
}

/// The first private key of a file. `password_key` is what the configuration calls the password.
pub(super) fn private_key(
    file: File<'_>,
    password: &Secret,
    password_key: &'static str,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let path = || file.path.to_owned();
    let text = String::from_utf8_lossy(file.content);
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        if password.is_empty() {
            return Err(TlsError::NoPassword { path: path(), key: password_key });
        }
        // The reader of PEM does not know this label; what it stands for is read here.
        let relabelled = text.replace("ENCRYPTED PRIVATE KEY", "PRIVATE KEY");
        let encrypted = section(File { content: relabelled.as_bytes(), ..file }, SectionKind::PrivateKey)?;
        return decrypt(file, &encrypted, password, password_key);
    }
    // What OpenSSL wrote before PKCS#8: the headers are inside of the section.
    if text.contains("Proc-Type:") && text.contains("ENCRYPTED") {
        return Err(TlsError::Scheme { path: path(), reason: "OpenSSL's old `Proc-Type: 4,ENCRYPTED`".to_owned() });
    }
    match PrivateKeyDer::from_pem_slice(file.content) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(file.wrong("has no `BEGIN PRIVATE KEY` or the like")),
        Err(error) => Err(file.not_pem(&error)),
    }
}

fn section(file: File<'_>, wanted: SectionKind) -> Result<Vec<u8>, TlsError> {
    for section in SliceIter::<(SectionKind, Vec<u8>)>::new(file.content) {
        match section {
            Ok((kind, der)) if kind == wanted => return Ok(der),
            Ok(_) => {}
            Err(error) => return Err(file.not_pem(&error)),
        }
    }
    Err(file.wrong("has no key"))
}

fn decrypt(
    file: File<'_>,
    der: &[u8],
    password: &Secret,
    password_key: &'static str,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let scheme = |reason: String| TlsError::Scheme { path: file.path.to_owned(), reason };
    let wrong_password = || TlsError::WrongPassword { path: file.path.to_owned(), key: password_key };
    let opened = pkcs12::decrypt(der, password.reveal()).map_err(|error| match error {
        Pkcs12Error::Password => wrong_password(),
        other => scheme(other.to_string()),
    })?;
    if let Some(key) = opened {
        return PrivateKeyDer::try_from(key).map_err(|reason| file.wrong(reason));
    }
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|error| scheme(error.to_string()))?;
    let decrypted = encrypted.decrypt(password.reveal()).map_err(|error| match error {
        // A wrong password either leaves no padding, or something that is no key.
        pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::DecryptFailed) | pkcs8::Error::Asn1(_) => {
            wrong_password()
        }
        other => scheme(other.to_string()),
    })?;
    PrivateKeyDer::try_from(decrypted.as_bytes().to_vec()).map_err(|reason| file.wrong(reason))
}
