//! What a catalogue is made of: the embedded plugins, the files, the operator's word in the configuration, and what the
//! operator said while the server ran.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assembly::{Candidate, Orders, Standing, Workshop, file_name};
use super::error::{CatalogueError, RejectReason};
use super::examine::Examined;
use super::ledger::Pin;
use super::memory::Memory;
use super::native;
use super::registry::Catalogue;
use super::shelf::{Content, Found, Look, Shelf, Shelved};
use super::wasm::Haste;
use super::{signature, stock};
use crate::config::{PluginFile, PluginsConfig, PoliciesConfig, Sha256};

/// All of it.
pub(super) struct Sources {
    pub(super) workshop: Workshop,
    pub(super) config: PluginsConfig,
    pub(super) policies: PoliciesConfig,
    pub(super) shelf: Shelf,
    pub(super) memory: Memory,
    /// The contents that files are used with whatever they hold; or why one of them cannot be used.
    pinned: BTreeMap<Sha256, Result<Arc<Examined>, String>>,
}

impl Sources {
    pub(super) fn new(workshop: Workshop, config: PluginsConfig, policies: PoliciesConfig) -> Self {
        let memory = Memory::open(config.state_dir.path());
        let (shelf, pinned) = Default::default();
        let mut sources = Self { workshop, config: PluginsConfig::default(), policies, shelf, memory, pinned };
        sources.set_config(config);
        sources
    }

    /// From the next look on, this is the operator's word.
    pub(super) fn set_config(&mut self, mut config: PluginsConfig) {
        make_absolute(&mut config);
        self.config = config;
        // What was no good may be good now.
        self.shelf.doubt();
        self.pinned.clear();
    }

    /// Looks at the directories; true when something counts now that did not before.
    pub(super) fn look(&mut self, at_once: bool, haste: Haste) -> bool {
        let Self { workshop, config, shelf, .. } = self;
        let find = |path: &Path, sha256, bytes: &[u8]| find(workshop, config, haste, (path, sha256, bytes));
        let has_changed = shelf.look(how(config, at_once), find);
        self.memory.ledger.heed_contents(|path| self.shelf.file(path)?.sha256());
        self.load_pinned(haste);
        has_changed
    }

    /// Makes ready what the next look may find whole; true when there was something.
    pub(super) fn foresee(&mut self) -> bool {
        let Self { workshop, config, shelf, .. } = self;
        shelf.foresee(how(config, false), |path, sha256, bytes| {
            find(workshop, config, Haste::Quiet, (path, sha256, bytes))
        })
    }

    /// Makes ready what files are used with whatever they hold.
    pub(super) fn load_pinned(&mut self, haste: Haste) {
        let pins: Vec<_> = self.memory.ledger.records().filter_map(|(path, r)| Some((path, r.pin.clone()?))).collect();
        let mut loaded = BTreeMap::new();
        for (path, pin) in pins {
            let shelved = self.shelf.file(path);
            let held = shelved.and_then(|file| file.component_of(pin.sha256)).cloned().map(Ok);
            let known = || self.pinned.remove(&pin.sha256);
            let read = || {
                let (workshop, config) = (&self.workshop, &self.config);
                may_be_loaded(config, path, pin.sha256).map_err(|reason| reason.to_string())?;
                let bytes = self.memory.content(pin.sha256, size_max(config, path))?;
                examine(workshop, config, haste, path, &bytes).map_err(|reason| reason.to_string())
            };
            let component = held.or_else(known).unwrap_or_else(read);
            loaded.insert(pin.sha256, component);
        }
        self.pinned = loaded;
    }

    /// The next catalogue, and what became of each file. A policy that the chain names goes neither with its file nor
    /// with what its file held: a route that nobody rewrites may lead astray.
    pub(super) fn assemble(
        &self,
        previous: Option<&Catalogue>,
    ) -> Result<(Catalogue, Vec<(PathBuf, Standing)>), CatalogueError> {
        let ledger = &self.memory.ledger;
        let mut config = Cow::Borrowed(&self.config);
        if !ledger.disabled.is_empty() {
            // One that an earlier version had is not missed.
            let known =
                ledger.disabled.iter().filter(|name| self.workshop.embedded_names().any(|known| known == *name));
            config.to_mut().disabled.extend(known.cloned());
        }
        let absent = self.absent_policies();
        let attempt = |keeps: &dyn Fn(&Shelved) -> bool| {
            let candidates = self.files().filter_map(|(path, file)| self.candidate(path, file, keeps(file)));
            let candidates: Vec<_> = candidates.collect();
            let orders = Orders { config: &config, policies: &self.policies, absent: &absent, candidates: &candidates };
            let (catalogue, standings) = self.workshop.assemble(orders, previous)?;
            let paths = candidates.iter().map(|candidate| candidate.path.to_owned());
            Ok((catalogue, paths.zip(standings).collect()))
        };
        let is_in_chain = |file: &Shelved| {
            file.used.as_ref().is_some_and(|component| self.policies.chain.contains(&component.manifest.name))
        };
        match attempt(&|_| false) {
            Err(CatalogueError::UnknownPolicy { .. }) => attempt(&is_in_chain),
            other => other,
        }
    }

    /// The files that there are and were.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, &Shelved)> {
        self.shelf.files(&self.config.dirs)
    }

    /// What a plugin is called: the one that its file holds, that is in use of it, or that was.
    pub(super) fn names_of(&self, path: &Path) -> BTreeSet<&str> {
        let file = self.shelf.file(path);
        let used = file.and_then(|file| file.used.as_ref());
        let held = file.and_then(Shelved::held);
        let names = [used, held].into_iter().flatten().map(|component| component.manifest.name.as_str());
        names.chain(self.memory.ledger.record(path).and_then(|record| record.name.as_deref())).collect()
    }

    /// The names of policies that the operator has switched off with their files: the chain may go on naming them.
    fn absent_policies(&self) -> BTreeSet<String> {
        let disabled = self.memory.ledger.records().filter(|(_, record)| record.disabled);
        disabled.flat_map(|(path, _)| self.names_of(path)).map(str::to_owned).collect()
    }

    /// None for a file that is switched off or not whole yet, and for one whose plugin is gone and not to be kept.
    fn candidate<'a>(&'a self, path: &'a Path, file: &'a Shelved, is_kept: bool) -> Option<Candidate<'a>> {
        if self.memory.ledger.is_disabled(path) {
            return None;
        }
        let used = file.used.as_ref();
        let kept = used.filter(|_| is_kept);
        let pin = self.memory.ledger.pin(path).filter(|_| !matches!(file.content, Content::Gone));
        let newest = match (pin, &file.content, kept) {
            (Some(pin), _, _) => self.pinned(pin),
            (None, Content::Whole(component), Some(kept)) if component.manifest.name != kept.manifest.name => {
                Err(Cow::from(format!(
                    "it holds {:?} now, but `policies.chain` names the policy {:?}, which it held: take that out of \
                     the chain, or give the file another name",
                    component.manifest.name, kept.manifest.name
                )))
            }
            (None, Content::Whole(component), _) => Ok(component),
            (None, Content::Bad(reason), _) => Err(Cow::from(reason)),
            (None, Content::Gone, Some(_)) => Err(Cow::from("its file is gone, but `policies.chain` names it")),
            (None, Content::Embedded, Some(_)) => {
                Err(Cow::from("it holds an embedded plugin now, but `policies.chain` names the policy that it held"))
            }
            (None, Content::Arriving | Content::Embedded | Content::Gone, _) => return None,
        };
        Some(Candidate { path, newest, used })
    }

    fn pinned(&self, pin: &Pin) -> Result<&Arc<Examined>, Cow<'_, str>> {
        let refused = |why: &str| {
            Cow::from(format!(
                "it was rolled back to {}, which cannot be used: {why}; `fingerpost plugin reload` with its name uses \
                 what the file holds",
                pin.sha256
            ))
        };
        match self.pinned.get(&pin.sha256) {
            Some(Ok(component)) => Ok(component),
            Some(Err(why)) => Err(refused(why)),
            None => Err(refused("it is not loaded yet")),
        }
    }
}

/// What is remembered of a file hangs on its path, wherever the next server is started.
pub(super) fn make_absolute(config: &mut PluginsConfig) {
    for dir in &mut config.dirs {
        *dir = std::path::absolute(&dir).unwrap_or_else(|_| dir.clone());
    }
}

/// How the directories are looked at.
fn how(config: &PluginsConfig, at_once: bool) -> Look<'_> {
    Look {
        dirs: &config.dirs,
        size_max: config.component_size_max.get(),
        files: &config.files,
        allows_shared: config.allow_shared_dirs,
        at_once,
    }
}

/// What the bytes of a file are.
fn find(
    workshop: &Workshop,
    config: &PluginsConfig,
    haste: Haste,
    (path, sha256, bytes): (&Path, Sha256, &[u8]),
) -> Result<Found, RejectReason> {
    if stock::is_one(bytes) {
        return Ok(Found::Embedded);
    }
    // Before anything of it runs.
    expect(config, path, sha256)?;
    signature::check(&config.signed_by, path, bytes)?;
    examine(workshop, config, haste, path, bytes).map(Found::Component)
}

/// The most that a file may hold.
fn size_max(config: &PluginsConfig, path: &Path) -> u64 {
    if native::is_library(path) { native::SIZE_MAX } else { config.component_size_max.get() }
}

/// Refuses a library that the operator does not name: to load it is to run it.
pub(super) fn may_be_read(files: &BTreeMap<String, PluginFile>, path: &Path) -> Result<(), RejectReason> {
    let file = file_name(path);
    if native::is_library(path) && !files.get(&file).is_some_and(|word| word.native) {
        return Err(RejectReason::NotNamed(file));
    }
    Ok(())
}

/// The same, and one that is named with another content.
pub(super) fn may_be_loaded(config: &PluginsConfig, path: &Path, content: Sha256) -> Result<(), RejectReason> {
    may_be_read(&config.files, path)?;
    if native::is_library(path) { expect(config, path, content) } else { Ok(()) }
}

/// Compiles or loads bytes and asks for their manifest, whatever that does.
fn examine(
    workshop: &Workshop,
    config: &PluginsConfig,
    haste: Haste,
    path: &Path,
    bytes: &[u8],
) -> Result<Arc<Examined>, RejectReason> {
    let memory_max = config.memory_max.as_usize();
    let examine = || match native::is_library(path) {
        true => Examined::library(bytes, config.cache_dir.path()),
        false => Examined::new(bytes, &workshop.engine, haste, &workshop.core, memory_max),
    };
    catch_unwind(AssertUnwindSafe(examine)).unwrap_or(Err(RejectReason::Panicked)).map(Arc::new)
}

/// Refuses a content that is not the one that the operator expects.
pub(super) fn expect(config: &PluginsConfig, path: &Path, found: Sha256) -> Result<(), RejectReason> {
    let file = file_name(path);
    match config.files.get(&file).and_then(|word| word.sha256) {
        Some(expected) if expected != found => Err(RejectReason::NotExpected { expected, found, file }),
        _ => Ok(()),
    }
}
