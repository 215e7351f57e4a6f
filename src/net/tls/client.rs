//! The connections that the server opens itself.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::TlsError;
use super::material::Paths;
use super::spoken;
use super::trust::Trust;
use crate::config::TlsConfig;

/// Speaks TLS to whoever was connected to. Its files are read once.
#[derive(Clone)]
pub struct Client(TlsConnector);

impl Client {
    /// One as configured; none when such connections are to be plain.
    ///
    /// # Errors
    /// When the files cannot be used; the text says which, and why.
    // Java: `TlsHelper.buildSslContext(true)`.
    pub fn new(config: &TlsConfig) -> Result<Option<Self>, TlsError> {
        let client = &config.client;
        if !client.enabled {
            return Ok(None);
        }
        let (provider, versions) = spoken(config);
        let mut paths = Paths {
            cert: client.cert_path.clone(),
            key: client.key_path.clone(),
            trust: client.trust_cert_path.clone(),
            password: client.key_password.clone(),
            password_key: "tls.client.key-password",
        };
        if config.test_mode {
            (paths.cert, paths.key) = Default::default();
        }
        let must_trust = client.auth_server && !config.test_mode;
        if !must_trust {
            paths.trust = Default::default();
        }
        let contents = paths.read()?;
        let trust = match must_trust {
            true => Trust::of(Arc::clone(&provider), paths.roots(&contents)?, true)?,
            false => Trust::any(Arc::clone(&provider), true),
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&versions);
        let builder = builder.map_err(|error| TlsError::Unusable(error.to_string()))?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(trust));
        let mut tls = if paths.cert.as_os_str().is_empty() {
            builder.with_no_client_auth()
        } else {
            let certified = paths.certified_key(&contents, &provider)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        };
        // Java sends none either: the other side is known by address.
        tls.enable_sni = false;
        Ok(Some(Self(TlsConnector::from(Arc::new(tls)))))
    }

    /// Shakes hands over a connection.
    ///
    /// # Errors
    /// When the other side speaks no TLS, or is not trusted.
    pub async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::from(stream.peer_addr()?.ip());
        self.0.connect(name, stream).await
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}
