//! TLS: who speaks it, with which certificates, and how these are replaced while the server runs.
//!
//! ```text
//!  [tls] ─▶ Terms: mode, and what the next handshake uses ◀─ Reload: looks at the files, replaces it
//!               └─ worker: first byte 0x16 ─▶ Session: records in, frames out; frames in, records out
//!  [tls.client] ─▶ Client: the connections that the server opens itself
//! ```
//!
//! # Invariants
//!
//! * Certificates, key and roots of one handshake were read together and fit together. What does not is refused at the
//!   start, and later leaves the old ones in place.
//! * A connection keeps what its handshake used. There is no resumption: whom the newest roots do not trust does not
//!   come in by an old ticket.
//! * A password appears in no text: errors name the file.
//! * Everything is done by one provider of cryptography, *ring*, which is passed along; nothing is set for the process.

mod certificate;
mod client;
mod error;
mod material;
mod pem;
mod pkcs12;
mod reload;
mod session;
mod terms;
mod trust;

pub use client::Client;
pub use error::TlsError;
pub use reload::{Looked, Reload, Watch};
pub(super) use session::{Scratch, Session};
pub use terms::Terms;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, SupportedProtocolVersion};

use crate::config::{CIPHERS, TlsConfig, cipher, protocol};

/// What is spoken, of that which a configuration names; all of it when it names nothing.
fn spoken(config: &TlsConfig) -> (Arc<CryptoProvider>, Vec<&'static SupportedProtocolVersion>) {
    let mut provider = ring::default_provider();
    if !config.ciphers.is_empty() {
        let wanted: Vec<_> = config.ciphers.iter().filter_map(|name| cipher(name)).collect();
        provider.cipher_suites.retain(|suite| place_of(suite.suite()).is_some_and(|place| wanted.contains(&place)));
    }
    let mut versions = vec![&TLS13, &TLS12];
    if !config.protocols.is_empty() {
        let wanted: Vec<_> = config.protocols.iter().filter_map(|name| protocol(name)).collect();
        versions = versions.into_iter().enumerate().filter(|(at, _)| wanted.contains(at)).map(|(_, v)| v).collect();
    }
    (Arc::new(provider), versions)
}

/// Where in [`CIPHERS`] a suite is. rustls writes the names of TLS 1.3 with its version, which nobody else does.
fn place_of(suite: CipherSuite) -> Option<usize> {
    let name = format!("{suite:?}").replacen("TLS13_", "TLS_", 1);
    CIPHERS.iter().position(|(standard, _)| *standard == name)
}

#[cfg(test)]
mod tests;
