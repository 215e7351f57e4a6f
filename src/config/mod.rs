//! Configuration: what the operator wrote, checked once, and what may change while the server runs.
//!
//! [`load()`] reads a file (strict TOML, or Java properties as `mqnamesrv -c` has them) into a [`Config`] with one
//! struct for each part of the server; every part gets its own and nobody the whole. [`java`] is the one table between
//! Java's names and ours. [`Settings`] is the view at run time: what request 319 shows and 318 changes.
//!
//! # Invariants
//!
//! * A `Config` that [`load()`] returned is checked: every range and combination holds, every path is final.
//! * The operator's file is never written. What 318 changes goes to an overlay file, read after the operator's.
//! * Only keys that [`java`] marks live ever change at run time; none of them is a path, an address or a port.
//!
//! # Not here
//!
//! No socket, no log line: what should be logged is returned as [`Notice`]s and [`Outcome`]s.

mod address;
mod check;
mod environment;
mod error;
mod grant;
pub mod java;
mod load;
mod overlay;
mod parts;
pub mod properties;
mod settings;
mod sha256;
pub(crate) mod signing_key;
mod suggest;
mod units;

use serde::{Deserialize, Serialize};

pub use address::{BindAddress, HttpListen, Networks};
pub use environment::Environment;
pub use error::{ConfigError, Notice, Problem, Severity};
pub use grant::{Destination, Grant, GrantError};
pub use load::{Loaded, load};
pub use overlay::Overlay;
pub use parts::{
    AdminConfig, CIPHERS, ClientAuth, ClusterTestConfig, EmbeddedPlugin, KvConfig, Limits, LivenessConfig, LogConfig,
    LogFormat, MemoConfig, NetConfig, OnDamage, OwnLimits, PROTOCOLS, PluginFile, PluginsConfig, PoliciesConfig,
    PolicyFailure, ProcessorFailure, RequestsConfig, RouteConfig, Secret, SerializeType, SettingsConfig,
    TlsClientConfig, TlsConfig, TlsMode, cipher, protocol,
};
pub use settings::{Flag, Outcome, Refusal, Settings, Snapshot, Switches, UpdateError};
pub use sha256::{Sha256, Sha256Error};
pub use signing_key::{SigningKey, SigningKeyError};
pub use suggest::nearest;
pub use units::{ByteSize, HostPort, HostPortError, Place};

/// Everything that can be configured, by part. Its default is what `conf/namesrv.toml` shows.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// `[net]`
    pub net: NetConfig,
    /// `[tls]`
    pub tls: TlsConfig,
    /// `[liveness]`
    pub liveness: LivenessConfig,
    /// `[kv]`
    pub kv: KvConfig,
    /// `[route]`
    pub route: RouteConfig,
    /// `[requests]`
    pub requests: RequestsConfig,
    /// `[settings]`
    pub settings: SettingsConfig,
    /// `[admin]`
    pub admin: AdminConfig,
    /// `[cluster-test]`
    pub cluster_test: ClusterTestConfig,
    /// `[plugins]`
    pub plugins: PluginsConfig,
    /// `[policies]`
    pub policies: PoliciesConfig,
    /// `[memo]`
    pub memo: MemoConfig,
    /// `[log]`
    pub log: LogConfig,
}

#[cfg(test)]
mod tests;
