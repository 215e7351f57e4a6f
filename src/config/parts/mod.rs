//! One struct for each part of the server, with its defaults.
//!
//! Types refuse what can never be right; what depends on another key is refused in [`super::check`].

mod access;
mod limits;
mod memo;
mod net;
mod plugins;
mod requests;
mod state;
mod tls;

pub use crate::kv::{KvConfig, OnDamage};
pub use crate::remoting::SerializeType;
pub use access::{AdminConfig, LogConfig, LogFormat};
pub use limits::{Limits, OwnLimits};
pub use memo::MemoConfig;
pub use net::NetConfig;
pub use plugins::{EmbeddedPlugin, PluginFile, PluginsConfig, PoliciesConfig, PolicyFailure, ProcessorFailure};
pub use requests::{ClusterTestConfig, RequestsConfig};
pub use state::{LivenessConfig, RouteConfig, SettingsConfig};
pub use tls::{CIPHERS, ClientAuth, PROTOCOLS, Secret, TlsClientConfig, TlsConfig, TlsMode, cipher, protocol};
