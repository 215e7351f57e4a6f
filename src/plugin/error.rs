//! Why a component is not used, and why a server does not start with the plugins that it has.

use super::manifest::{Kind, ManifestError};
use super::native::{self, LoadError};
use super::signature::SignatureError;
use super::wasm::{CallError, PrepareError};
use crate::config::Sha256;

/// Why a component is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RejectReason {
    #[error("it cannot be read: {0}")]
    Read(#[from] std::io::Error),
    // Without its size: a file that grows must not be news at every look.
    #[error(
        "it is too large: `plugins.component-size-max` allows {limit} bytes; to use it all the same, set \
         `component-size-max` in [plugins] to at least its size"
    )]
    TooLarge { limit: u64 },
    #[error(
        "its sha256 is {found}, and [plugins.files.{file:?}] expects {expected}: nothing of it was run; if it is what \
         you want, put its sha256 there"
    )]
    NotExpected { expected: Sha256, found: Sha256, file: String },
    #[error("it has more than the {} MiB that a native library may have", native::SIZE_MAX >> 20)]
    LibraryTooLarge,
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(
        "it is a native library, which may do whatever this server may; to have it loaded, set `native = true` in \
         [plugins.files.{0:?}]"
    )]
    NotNamed(String),
    #[error("looking at it made the server panic, which is a fault of the server; it goes on without this file")]
    Panicked,
    #[error("`describe` failed: {0}")]
    Describe(CallError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("its manifest says it is a {manifest:?}, but it exports a {export:?}")]
    KindMismatch { manifest: Kind, export: Kind },
    #[error(
        "the name {name:?} is taken by another plugin; a file may have it if it takes over what that one does, by \
         `override = true` in [plugins.files.{file:?}]"
    )]
    NameTaken { name: String, file: String },
    #[error("a processor that exports `glance` has `[codes.glance]` in its manifest, and no other has")]
    GlanceMismatch,
    #[error("it is a policy and imports WASI; policies run where nothing may block")]
    PolicyWithWasi,
    #[error("`{key}` names {name:?}, which is no boolean setting")]
    NoSuchFlag { key: &'static str, name: String },
    #[error("a file of the same name in another directory has settings in [plugins.files.{0:?}]; rename one of them")]
    FileTwice(String),
    #[error("{what} is taken over by {owner:?} already; only one file can override it")]
    OverriddenTwice { what: String, owner: String },
    #[error(
        "`on-failure = \"fallback\"` in [plugins.files.{file:?}] would answer request code {code} to everybody when \
         this plugin fails, and the plugin that answered it before answers it only to `admin.admin-from`"
    )]
    FallbackForAll { code: i32, file: String },
    #[error(
        "{what} belongs to {owner:?}; to let this file take it over, set \
         `override = true` in [plugins.files.{file:?}]"
    )]
    Taken { what: String, owner: String, file: String },
}

/// Why the server cannot start with these plugins.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// The engine does not start on this machine.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
    /// An embedded plugin does not load: the binary was built from damaged parts.
    #[error("embedded plugin {file}: {reason}")]
    Embedded {
        /// The name of its file in the source tree.
        file: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The chain names a policy that is not there.
    #[error("policies.chain names {name:?}, but the policies are: {known}")]
    UnknownPolicy {
        /// The name in the configuration.
        name: String,
        /// What could have been meant.
        known: String,
    },
    /// The configuration names an embedded plugin that does not exist.
    #[error("plugins.{key} names {name:?}, but the embedded plugins are: {known}{}", hint(nearest))]
    UnknownEmbedded {
        /// Where in `[plugins]`.
        key: &'static str,
        /// The name in the configuration.
        name: String,
        /// All that it could have been.
        known: String,
        /// What probably was meant.
        nearest: Option<String>,
    },
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}
