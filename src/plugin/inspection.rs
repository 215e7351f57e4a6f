//! One component or library by itself, for its author: everything that can be told of it, also when no server would use
//! it.

use std::path::Path;
use std::sync::Arc;

use super::core::Core;
use super::error::{CatalogueError, RejectReason};
use super::examine::Examined;
use super::manifest::Manifest;
use super::place;
use super::signature;
use super::sources::may_be_loaded;
use super::wasm::{Anatomy, Engine, Fuel, Haste, PrepareError};
use crate::config::{PluginsConfig, Sha256};

/// What was found.
pub(crate) struct Inspection {
    pub(crate) size: usize,
    pub(crate) sha256: String,
    /// None when the bytes are no component.
    pub(crate) anatomy: Option<Anatomy>,
    /// None when it could not be asked for it, or what it says is none.
    pub(crate) manifest: Option<Manifest>,
    /// Why no server would use it, but for imports that are not offered: those are in the anatomy.
    pub(crate) fault: Option<String>,
}

impl Inspection {
    /// Looks at the bytes of a component, as a server does that finds them in a plugins directory.
    ///
    /// # Errors
    /// When the engine does not start on this machine.
    pub(crate) fn new(
        bytes: &[u8],
        core: &Arc<Core>,
        cache_dir: Option<&Path>,
        memory_max: usize,
    ) -> Result<Self, CatalogueError> {
        let engine = Engine::new(cache_dir, true, Fuel::Free);
        let engine = engine.map_err(|error| CatalogueError::Engine(format!("{error:#}")))?;
        let digest = Sha256::of(bytes);
        let (size, sha256) = (bytes.len(), digest.to_string());
        let component = match engine.compile(bytes, Haste::Start) {
            Ok(component) => component,
            Err(error) => {
                return Ok(Self { size, sha256, anatomy: None, manifest: None, fault: Some(error.to_string()) });
            }
        };
        let anatomy = Some(engine.anatomy(&component));
        let (manifest, fault) = match Examined::of(&component, digest, &engine, core, memory_max) {
            Ok(examined) => (Some(examined.manifest), None),
            // Each of them by name is in the anatomy.
            Err(RejectReason::Prepare(PrepareError::Import { .. })) => (None, None),
            Err(reason) => (None, Some(reason.to_string())),
        };
        Ok(Self { size, sha256, anatomy, manifest, fault })
    }

    /// Looks at the bytes of a native library. To look into one is to run it, so that is done if a server of this
    /// configuration would, and else not.
    pub(crate) fn of_library(path: &Path, bytes: &[u8], config: &PluginsConfig, cache_dir: &Path) -> Self {
        let digest = Sha256::of(bytes);
        let examined = may_be_loaded(config, path, digest)
            .and_then(|()| Ok(signature::check(&config.signed_by, path, bytes)?))
            .and_then(|()| Examined::library(bytes, Some(cache_dir)));
        let (manifest, fault) = match examined {
            Ok(examined) => (Some(examined.manifest), None),
            Err(reason) => (None, Some(reason.to_string())),
        };
        Self { size: bytes.len(), sha256: digest.to_string(), anatomy: None, manifest, fault }
    }
}

/// Why somebody other than the server's user could change a file or what lies in its directory, as the server sees it.
pub(crate) fn place_of_file_is_shared(file: &Path) -> std::io::Result<Option<String>> {
    if let Some(why) = place::writers(&std::fs::metadata(file)?) {
        return Ok(Some(format!("{} {why}", file.display())));
    }
    match std::fs::canonicalize(file)?.parent() {
        Some(dir) => place::shared(dir),
        None => Ok(None),
    }
}
