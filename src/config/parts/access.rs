//! `[admin]` and `[log]`: who may administer the server, and what it says.

use serde::{Deserialize, Serialize};

use crate::config::{HttpListen, Networks, Place};

/// `[admin]`: requests that change the server rather than use it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AdminConfig {
    /// Networks from which such requests are accepted; by default loopback, link-local and private ones.
    pub admin_from: Networks,
    /// Where metrics can be read over HTTP.
    pub http_listen: HttpListen,
    /// The socket at which the commands of this user arrive (`fingerpost plugin …`). `auto` is in `plugins.state-dir`.
    pub control_socket: Place,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { admin_from: Networks::near(), http_listen: HttpListen::default(), control_socket: Place::Auto }
    }
}

/// `[log]`: what is logged, and how.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogConfig {
    /// Levels by target, as `RUST_LOG` has them; `RUST_LOG` wins when it is set.
    pub filter: String,
    /// The form of a line.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Full }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Time, level, target and fields.
    #[default]
    Full,
    /// Less of each.
    Compact,
}
