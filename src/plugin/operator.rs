//! The operator's word about plugins, as the configuration file has it now.
//!
//! Only `[plugins]` and `[policies]` are taken from it while the server runs; the rest counts when the server starts. A
//! file that is not there, or cannot be used, changes nothing.

use std::fs;
use std::path::PathBuf;

use super::shelf::Stamp;
use crate::config::{self, ConfigError, Environment, PluginsConfig, PoliciesConfig};

/// The configuration file of a running server.
pub(super) struct OperatorsFile {
    path: PathBuf,
    environment: Environment,
    /// What the last look saw.
    seen: Option<Stamp>,
    /// What it was like when it was read.
    read: Option<Stamp>,
}

impl OperatorsFile {
    pub(super) fn new(path: PathBuf, environment: Environment) -> Self {
        Self { path, environment, seen: None, read: None }
    }

    /// What it says, if it has changed and settled since it was read; or now, whatever it was, if `at_once`.
    pub(super) fn look(&mut self, at_once: bool) -> Option<Result<(PluginsConfig, PoliciesConfig), ConfigError>> {
        // Somebody replaces it.
        let stamp = Stamp::of(&fs::metadata(&self.path).ok()?);
        let has_settled = self.seen.replace(stamp) == Some(stamp);
        if !at_once && (!has_settled || self.read == Some(stamp)) {
            return None;
        }
        self.read = Some(stamp);
        let loaded = config::load(Some(&self.path), &self.environment);
        Some(loaded.map(|loaded| (loaded.config.plugins, loaded.config.policies)))
    }
}
