//! From bytes to a plugin that can be used: compiled and linked, or loaded; asked for its manifest, and believed in no
//! word.

use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Component;

use super::code::Prepared;
use super::core::Core;
use super::error::RejectReason;
use super::manifest::{Condition, Kind, Manifest};
use super::native::Library;
use super::wasm::{Engine, Haste, InstanceParts, SharedMemory};
use crate::config::{Flag, Sha256};

/// A component or a library that could be used, whatever the operator says about it.
pub(crate) struct Examined {
    pub(super) manifest: Manifest,
    pub(super) prepared: Prepared,
    pub(super) digest: Sha256,
}

impl Examined {
    /// Compiles, links and asks for the manifest.
    pub(super) fn new(
        bytes: &[u8],
        engine: &Engine,
        haste: Haste,
        core: &Arc<Core>,
        memory_max: usize,
    ) -> Result<Self, RejectReason> {
        let component = engine.compile(bytes, haste)?;
        Self::of(&component, Sha256::of(bytes), engine, core, memory_max)
    }

    /// Links a compiled component, and asks for the manifest.
    pub(super) fn of(
        component: &Component,
        digest: Sha256,
        engine: &Engine,
        core: &Arc<Core>,
        memory_max: usize,
    ) -> Result<Self, RejectReason> {
        let prepared = engine.prepare(component)?;
        let nobody = InstanceParts {
            core: Arc::clone(core),
            name: "".into(),
            grants: Arc::new([]),
            settings: Arc::default(),
            memory: Arc::new(SharedMemory::new(memory_max, usize::MAX)),
            log: Arc::default(),
            marks: Arc::default(),
            kept: Arc::default(),
            generation: 0,
            custom: Arc::default(),
        };
        let text = prepared.describe(nobody).map_err(RejectReason::Describe)?;
        let manifest = Manifest::parse(&text)?;
        if prepared.imports_wasi && prepared.kind == Kind::Policy {
            return Err(RejectReason::PolicyWithWasi);
        }
        Self::believe(manifest, Prepared::Component(prepared), digest)
    }

    /// Loads a native library: from here on, it may do whatever the server may.
    pub(super) fn library(bytes: &[u8], private_dir: Option<&Path>) -> Result<Self, RejectReason> {
        let (library, text) = Library::load(bytes, private_dir)?;
        let manifest = Manifest::parse(&text)?;
        let kind = manifest.kind;
        Self::believe(manifest, Prepared::Library(library, kind), Sha256::of(bytes))
    }

    fn believe(manifest: Manifest, prepared: Prepared, digest: Sha256) -> Result<Self, RejectReason> {
        if manifest.kind != prepared.kind() {
            return Err(RejectReason::KindMismatch { manifest: manifest.kind, export: prepared.kind() });
        }
        if manifest.codes.iter().any(|entry| entry.glance.is_some()) != prepared.glances() {
            return Err(RejectReason::GlanceMismatch);
        }
        check_flags(&manifest)?;
        Ok(Self { manifest, prepared, digest })
    }

    /// The digest of its bytes, as it is written.
    pub(super) fn sha256(&self) -> String {
        self.digest.to_string()
    }
}

/// A setting that does not exist would switch a plugin off for ever, and nobody would know why.
fn check_flags(manifest: &Manifest) -> Result<(), RejectReason> {
    let named =
        [("enabled-when", manifest.enabled_when.as_deref()), ("when-setting", manifest.policy.when_setting.as_deref())];
    let of_notices = manifest.notices.iter().map(|form| ("when-setting", form.when_setting.as_deref()));
    let marks = manifest.codes.iter().filter_map(|entry| entry.glance.as_ref()).flat_map(|glance| &glance.marks);
    let of_marks = marks.map(|mark: &Condition| ("when-setting", mark.when_setting.as_deref()));
    for (key, name) in named.into_iter().chain(of_notices).chain(of_marks) {
        if let Some(name) = name
            && Flag::named(name).is_none()
        {
            return Err(RejectReason::NoSuchFlag { key, name: name.to_owned() });
        }
    }
    Ok(())
}
