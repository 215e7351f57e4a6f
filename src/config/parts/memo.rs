//! `[memo]`: replies that are given again without asking a plugin.

use serde::{Deserialize, Serialize};

use crate::config::ByteSize;

/// `[memo]`: how much of it there is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MemoConfig {
    /// What the remembered replies of all workers may take; each worker has an equal part. 0 remembers nothing.
    pub size: ByteSize,
}

impl Default for MemoConfig {
    fn default() -> Self {
        Self { size: ByteSize::mib(256) }
    }
}
