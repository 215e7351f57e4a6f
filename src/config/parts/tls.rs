//! `[tls]`: who may, or must, speak TLS, and with which certificates.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::config::Place;

/// `[tls]`: the server's side, and in `client` that of the connections which the server opens itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsConfig {
    /// Who may speak what. Java: `tls.server.mode`.
    pub mode: TlsMode,
    /// A certificate that is made at start and signed by nobody; clients may show any. Java: `tls.test.mode.enable`.
    pub test_mode: bool,
    /// The certificate, and those that lead to its root, as PEM; empty is none. Java: `tls.server.certPath`.
    pub cert_path: PathBuf,
    /// Its private key, as PEM; empty is none. Java: `tls.server.keyPath`.
    pub key_path: PathBuf,
    /// What the key is encrypted with; empty when it is not. Java: `tls.server.keyPassword`.
    pub key_password: Secret,
    /// Whether clients show a certificate. Java: `tls.server.need.client.auth`.
    pub need_client_auth: ClientAuth,
    /// Whether those must be signed by one in `trust_cert_path`. Java: `tls.server.authClient`.
    pub auth_client: bool,
    /// The roots of clients, as PEM; empty is none. Java: `tls.server.trustCertPath`.
    pub trust_cert_path: PathBuf,
    /// Cipher suites, as Java or OpenSSL call them; all that are spoken when empty. Java: `tls.ciphers`.
    pub ciphers: Vec<String>,
    /// Protocol versions; all that are spoken when empty. Java: `tls.protocols`.
    pub protocols: Vec<String>,
    /// Time between two looks at the files; 0 is never. Java: 500 ms in `FileWatchService`.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
    /// A properties file that overrides the keys of this section, but for the mode. Java: `tls.config.file`.
    pub properties_file: Place,
    /// `[tls.client]`
    pub client: TlsClientConfig,
}

/// `[tls.client]`: the connections that the server opens itself.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsClientConfig {
    /// Whether they speak TLS. Java: `tls.enable`, `useTLS`.
    pub enabled: bool,
    /// The certificate to show, as PEM; empty is none. Java: `tls.client.certPath`.
    pub cert_path: PathBuf,
    /// Its private key, as PEM; empty is none. Java: `tls.client.keyPath`.
    pub key_path: PathBuf,
    /// What the key is encrypted with; empty when it is not. Java: `tls.client.keyPassword`.
    pub key_password: Secret,
    /// Whether the certificate of the other side must be signed by one in `trust_cert_path`. Java:
    /// `tls.client.authServer`.
    pub auth_server: bool,
    /// The roots of other servers, as PEM; empty is none. Java: `tls.client.trustCertPath`.
    pub trust_cert_path: PathBuf,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            mode: TlsMode::Permissive,
            test_mode: true,
            cert_path: PathBuf::new(),
            key_path: PathBuf::new(),
            key_password: Secret::default(),
            need_client_auth: ClientAuth::None,
            auth_client: false,
            trust_cert_path: PathBuf::new(),
            ciphers: Vec::new(),
            protocols: Vec::new(),
            reload_interval: Duration::from_millis(500),
            properties_file: Place::Auto,
            client: TlsClientConfig::default(),
        }
    }
}

/// Who may speak what on the server's port. Java: `TlsMode`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// TLS is refused.
    Disabled,
    /// Both are served.
    #[default]
    Permissive,
    /// Whatever is not TLS is refused.
    Enforcing,
}

/// Whether clients show a certificate. Java: Netty's `ClientAuth`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// They are asked, and may have none.
    Optional,
    /// They are not served without.
    Require,
}

impl TlsMode {
    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Disabled, Self::Permissive, Self::Enforcing].into_iter().find(|mode| mode.name() == name)
    }

    /// Its name, here and in Java.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Permissive => "permissive",
            Self::Enforcing => "enforcing",
        }
    }
}

impl ClientAuth {
    /// The one of that name, in any case, as Java has it.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::None, Self::Optional, Self::Require].into_iter().find(|auth| auth.name().eq_ignore_ascii_case(name))
    }

    /// Its name, here and in Java.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Optional => "optional",
            Self::Require => "require",
        }
    }
}

/// A text that is never shown: neither in a log nor by whatever prints a configuration.
#[derive(Clone, Default, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "" } else { "***" })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Every cipher suite that is spoken, the preferred first, by Java's name, which is also the standard's, and OpenSSL's.
pub const CIPHERS: [(&str, &str); 9] = [
    ("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
    ("TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
];

/// Every protocol version that is spoken.
pub const PROTOCOLS: [&str; 2] = ["TLSv1.3", "TLSv1.2"];

/// Where in [`CIPHERS`] a name is.
pub fn cipher(name: &str) -> Option<usize> {
    CIPHERS.iter().position(|(java, openssl)| name.eq_ignore_ascii_case(java) || name.eq_ignore_ascii_case(openssl))
}

/// Where in [`PROTOCOLS`] a name is.
pub fn protocol(name: &str) -> Option<usize> {
    PROTOCOLS.iter().position(|known| name.eq_ignore_ascii_case(known))
}
