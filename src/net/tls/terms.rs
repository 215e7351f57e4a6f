//! What the next handshake with a client uses.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tracing::info;

use super::certificate::Summary;
use super::error::TlsError;
use super::material::{Contents, Paths};
use super::reload::Watch;
use super::spoken;
use super::trust::Trust;
use crate::config::{ClientAuth, TlsConfig, TlsMode};

/// Says who may speak TLS, and with what. Shared by every worker; a look takes no lock.
#[derive(Debug)]
pub struct Terms {
    mode: TlsMode,
    current: ArcSwapOption<ServerConfig>,
}

impl Terms {
    /// One that refuses TLS.
    pub fn disabled() -> Self {
        Self { mode: TlsMode::Disabled, current: ArcSwapOption::empty() }
    }

    /// One as configured, with what its files hold now, and what watches them.
    ///
    /// # Errors
    /// When the files cannot be used; the text says which, and why.
    pub fn new(config: &TlsConfig) -> Result<(Arc<Self>, Option<Watch>), TlsError> {
        if config.mode == TlsMode::Disabled {
            return Ok((Arc::new(Self::disabled()), None));
        }
        let terms =
            |server: ServerConfig| Arc::new(Self { mode: config.mode, current: ArcSwapOption::from_pointee(server) });
        if config.test_mode {
            let (server, summary) = test_config(config)?;
            info!("TLS with a certificate {summary}, made for this run and signed by nobody; any client is trusted");
            return Ok((terms(server), None));
        }
        let source = Source::new(config);
        let contents = source.paths.read()?;
        let (server, summary) = source.build(&contents)?;
        info!(mode = config.mode.name(), "TLS with the certificate {summary}");
        let terms = terms(server);
        Ok((Arc::clone(&terms), Some(Watch::new(source, &contents, terms))))
    }

    /// Who may speak what.
    pub fn mode(&self) -> TlsMode {
        self.mode
    }

    /// For the handshake that begins now; none if TLS is refused.
    pub(in crate::net) fn current(&self) -> Option<Arc<ServerConfig>> {
        self.current.load_full()
    }

    pub(super) fn replace(&self, config: ServerConfig) {
        self.current.store(Some(Arc::new(config)));
    }
}

/// Where a server's side comes from.
pub(super) struct Source {
    pub(super) paths: Paths,
    config: TlsConfig,
}

impl Source {
    pub(super) fn new(config: &TlsConfig) -> Self {
        let paths = Paths {
            cert: config.cert_path.clone(),
            key: config.key_path.clone(),
            trust: if wants_roots(config) { config.trust_cert_path.clone() } else { Default::default() },
            password: config.key_password.clone(),
            password_key: "tls.key-password",
        };
        Self { paths, config: config.clone() }
    }

    pub(super) fn build(&self, contents: &Contents) -> Result<(ServerConfig, String), TlsError> {
        let (provider, _) = spoken(&self.config);
        let certified = self.paths.certified_key(contents, &provider)?;
        let mandatory = self.config.need_client_auth == ClientAuth::Require;
        let trust = match self.config.need_client_auth {
            ClientAuth::None => None,
            _ if wants_roots(&self.config) => Some(Trust::of(provider, self.paths.roots(contents)?, mandatory)?),
            _ => Some(Trust::any(provider, mandatory)),
        };
        let summary = certified.cert.first().and_then(Summary::of).map_or_else(String::new, |s| s.to_string());
        Ok((server_config(&self.config, certified, trust)?, summary))
    }
}

fn wants_roots(config: &TlsConfig) -> bool {
    config.need_client_auth != ClientAuth::None && config.auth_client
}

/// Java: `TlsHelper.buildSslContext` with `tlsTestModeEnable`, whose clients may show a certificate and need none.
fn test_config(config: &TlsConfig) -> Result<(ServerConfig, String), TlsError> {
    let unusable = |error: rcgen::Error| TlsError::Unusable(format!("no certificate can be made: {error}"));
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).map_err(unusable)?;
    params.distinguished_name.push(rcgen::DnType::CommonName, "fingerpost test mode");
    let key = rcgen::KeyPair::generate().map_err(unusable)?;
    let certificate = params.self_signed(&key).map_err(unusable)?;
    let (provider, _) = spoken(config);
    let der = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let signer = provider.key_provider.load_private_key(der.into());
    let signer = signer.map_err(|error| TlsError::Unusable(error.to_string()))?;
    let summary = Summary::of(certificate.der()).map_or_else(String::new, |summary| summary.to_string());
    let certified = CertifiedKey::new(vec![certificate.der().clone()], signer);
    Ok((server_config(config, certified, Some(Trust::any(provider, false)))?, summary))
}

fn server_config(
    config: &TlsConfig,
    certified: CertifiedKey,
    clients: Option<Trust>,
) -> Result<ServerConfig, TlsError> {
    let (provider, versions) = spoken(config);
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions);
    let builder = builder.map_err(|error| TlsError::Unusable(error.to_string()))?;
    let builder = match clients {
        Some(trust) => builder.with_client_cert_verifier(Arc::new(trust)),
        None => builder.with_no_client_auth(),
    };
    let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    // Connections last for days, so it would save little; and a ticket would outlive the roots under which it was
    // given.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(server)
}
