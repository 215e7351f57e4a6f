//! The files of one side, read together, and what a handshake makes of them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use sha2::{Digest, Sha256};

use super::error::TlsError;
use super::pem::{self, File};
use crate::config::Secret;

/// Where the files are; an empty path is none.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    pub(super) trust: PathBuf,
    pub(super) password: Secret,
    /// What the configuration calls the password.
    pub(super) password_key: &'static str,
}

/// What the files held at one moment.
pub(super) struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    trust: Vec<u8>,
}

/// What tells contents apart, without keeping a key around.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Digests {
    pub(super) cert: [u8; 32],
    pub(super) key: [u8; 32],
    pub(super) trust: [u8; 32],
}

impl Contents {
    pub(super) fn digests(&self) -> Digests {
        let digest = |content: &[u8]| Sha256::digest(content).into();
        Digests { cert: digest(&self.cert), key: digest(&self.key), trust: digest(&self.trust) }
    }
}

impl Paths {
    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents { cert: read(&self.cert)?, key: read(&self.key)?, trust: read(&self.trust)? })
    }

    /// The certificate with its chain and its key, which belong together.
    pub(super) fn certified_key(
        &self,
        contents: &Contents,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, TlsError> {
        let (cert, key) = (file(&self.cert, &contents.cert), file(&self.key, &contents.key));
        let chain = pem::certificates(cert)?;
        let key_der = pem::private_key(key, &self.password, self.password_key)?;
        // The library's own words would say little, and a key is nothing to quote from.
        let signer = provider.key_provider.load_private_key(key_der);
        let signer = signer.map_err(|_| key.wrong("the key is none of RSA, ECDSA (P-256, P-384) and Ed25519"))?;
        let certified = CertifiedKey::new(chain, signer);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
            Err(Error::InconsistentKeys(_)) => {
                Err(TlsError::Mismatch { cert: self.cert.clone(), key: self.key.clone() })
            }
            Err(error) => Err(cert.wrong(format!("the certificate cannot be used: {error}"))),
        }
    }

    /// Whom the other side's certificate may come from.
    pub(super) fn roots(&self, contents: &Contents) -> Result<Roots, TlsError> {
        let trust = file(&self.trust, &contents.trust);
        let certificates = pem::certificates(trust)?;
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            let added = store.add(certificate.clone());
            added.map_err(|error| trust.wrong(format!("a certificate cannot be used: {error}")))?;
        }
        Ok(Roots { store: Arc::new(store), certificates })
    }
}

/// The certificates that are trusted, as issuers and as they are.
#[derive(Debug)]
pub(super) struct Roots {
    pub(super) store: Arc<RootCertStore>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// Whether a certificate is itself in the file. Java trusts it then, whatever it says of itself; one that somebody
    /// signed with its own key usually says that it is an authority, which no other check would let pass.
    pub(super) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.certificates.iter().any(|known| known == certificate)
    }
}

fn file<'a>(path: &'a Path, content: &'a [u8]) -> File<'a> {
    File { path, content }
}

/// An empty path is an empty file.
fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut content = Vec::new();
    if path.as_os_str().is_empty() {
        return Ok(content);
    }
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let opened = fs::File::open(path).map_err(failed)?;
    opened.take(FILE_SIZE_MAX + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > FILE_SIZE_MAX {
        return Err(file(path, &[]).wrong(format!("is larger than {FILE_SIZE_MAX} bytes")));
    }
    Ok(content)
}

/// No list of certificates is larger.
const FILE_SIZE_MAX: u64 = 4 << 20;
