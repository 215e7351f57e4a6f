//! Why certificates or keys cannot be used.

use std::io;
use std::path::PathBuf;

/// What is wrong, in which file, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key is encrypted, and there is no password.
    #[error("{}: the key is encrypted: set `{key}`", path.display())]
    NoPassword {
        /// Which file.
        path: PathBuf,
        /// The key of the configuration that holds the password.
        key: &'static str,
    },
    /// The key is encrypted with something else.
    #[error("{}: the key cannot be decrypted: `{key}` is wrong", path.display())]
    WrongPassword {
        /// Which file.
        path: PathBuf,
        /// The key of the configuration that holds the password.
        key: &'static str,
    },
    /// The key is encrypted in a way that is not understood.
    #[error(
        "{}: the key is encrypted in a way that is not understood ({reason}); write it anew with: openssl pkcs8 -topk8 \
         -v2 aes256 -v2prf hmacWithSHA256 -in {} -out NEW.pem", path.display(), path.display()
    )]
    Scheme {
        /// Which file.
        path: PathBuf,
        /// How it is encrypted, or what is not understood of that.
        reason: String,
    },
    /// Certificate and key belong to different pairs.
    #[error("the certificate of {} does not belong to the key of {}", cert.display(), key.display())]
    Mismatch {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// What is configured cannot be spoken.
    #[error("no TLS can be spoken with this configuration: {0}")]
    Unusable(String),
}
