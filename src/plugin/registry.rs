//! Which plugins there are, which request code belongs to whom, and the policy chain.
//!
//! A [`Catalogue`] is made once at start and never changes; a reload will make another one. Embedded plugins come
//! first, then the files of the plugins directories in order of name, so that the outcome does not depend on how a
//! directory happens to be read.
//!
//! # Invariants
//!
//! * A code has one answerer. A second plugin takes it over only with an override: an embedded plugin's own, or the
//!   operator's word for that file. Otherwise the whole file is rejected, and what served before goes on serving. The
//!   same goes for the notice of an event, which lasts as long as its plugin answers any code.
//! * Grants and overrides hang on the origin of the bytes (embedded, or a configured file), never on the name that a
//!   plugin gives itself.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use sha2::{Digest, Sha256};

use super::check::Check;
use super::core::Core;
use super::error::{COMPONENT_SIZE_MAX, CatalogueError, RejectReason, Rejected};
use super::glance::Glance;
use super::group_marks::GroupMark;
use super::manifest::{CodeEntry, Condition, Kind, Manifest, Run};
use super::pace::Pace;
use super::stock;
use super::tally::Tally;
use super::wasm::{Engine, InstanceParts, LogBudget, Prepared, SharedMemory, hex};
use crate::config::{Flag, Grant, PluginsConfig, PoliciesConfig, PolicyFailure, nearest};
use crate::notify::{Event, Form};
use crate::tally::{Apart, PerThread};

/// Every plugin in use.
pub(crate) struct Catalogue {
    plugins: Vec<Arc<Plugin>>,
    codes: HashMap<i32, Target>,
    chain: Vec<PolicySlot>,
    notices: Vec<Form>,
    rejected: Vec<Rejected>,
    tallies: PerThread<Tally>,
    _engine: Engine,
}

/// One plugin in use.
pub(crate) struct Plugin {
    pub(crate) manifest: Manifest,
    pub(crate) origin: Origin,
    pub(crate) prepared: Prepared,
    /// What it is allowed, which may be less than what it wants.
    pub(crate) grants: Arc<[Grant]>,
    pub(crate) name: Arc<str>,
    memory: Arc<SharedMemory>,
    log: Arc<LogBudget>,
    marks: Arc<[GroupMark]>,
    digest: [u8; 32],
    pace: Pace,
}

/// Where a plugin's bytes come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// The binary itself.
    Embedded,
    /// A file of a plugins directory.
    File(PathBuf),
}

/// Who answers a code, and how.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Index into the catalogue's plugins.
    pub(crate) plugin: usize,
    /// Its place among the codes of the catalogue, for what is counted by code.
    pub(crate) place: usize,
    pub(crate) entry: CodeEntry,
    /// What is looked at first; none when the plugin does not glance.
    pub(crate) glance: Option<Arc<Glance>>,
    /// Whether the plugin came with the binary.
    pub(crate) is_embedded: bool,
}

/// One place in the policy chain.
#[derive(Clone, Debug)]
pub(crate) struct PolicySlot {
    pub(crate) plugin: usize,
    pub(crate) condition: Check,
    /// What its manifest promises.
    pub(crate) pure: bool,
    pub(crate) on_failure: PolicyFailure,
}

impl Catalogue {
    /// Loads the embedded plugins and those of the plugins directories.
    ///
    /// A file that is no good is listed as rejected; it never keeps the server from starting.
    ///
    /// # Errors
    /// When an embedded plugin does not load, or the configuration names a plugin that does not exist.
    pub(crate) fn load(
        config: &PluginsConfig,
        policies: &PoliciesConfig,
        core: &Arc<Core>,
    ) -> Result<Self, CatalogueError> {
        let engine = Engine::new(config.cache_dir.path(), core.clock.runs_by_itself())
            .map_err(|error| CatalogueError::Engine(format!("{error:#}")))?;
        let (codes, notices) = (HashMap::new(), HashMap::new());
        let mut loader = Loader { engine: &engine, core, config, plugins: Vec::new(), codes, notices };
        let embedded_names = loader.load_embedded()?;
        let rejected = loader.load_directories();
        let notices = loader.notices_in_use();
        let Loader { plugins, mut codes, .. } = loader;
        codes.values_mut().enumerate().for_each(|(place, target)| target.place = place);
        for name in &config.disabled {
            if !embedded_names.contains(name) {
                let known = embedded_names.join(", ");
                let nearest = nearest(name, embedded_names.iter().map(String::as_str)).map(str::to_owned);
                return Err(CatalogueError::UnknownDisabled { name: name.clone(), known, nearest });
            }
        }
        let chain = chain(&plugins, config, policies)?;
        Ok(Self { plugins, codes, chain, notices, rejected, tallies: PerThread::default(), _engine: engine })
    }

    /// Who answers a request code.
    pub(crate) fn target(&self, code: i32) -> Option<&Target> {
        self.codes.get(&code)
    }

    /// The request codes that are answered.
    pub(crate) fn codes(&self) -> impl Iterator<Item = (i32, &Target)> {
        self.codes.iter().map(|(code, target)| (*code, target))
    }

    /// Where one more thread counts.
    pub(super) fn join_tallies(&self) -> Arc<Apart<Tally>> {
        self.tallies.join(Tally::new(self.codes.len(), self.plugins.len()))
    }

    /// What all threads counted.
    pub(crate) fn tallies(&self) -> &PerThread<Tally> {
        &self.tallies
    }

    /// The plugins in use.
    pub(crate) fn plugins(&self) -> &[Arc<Plugin>] {
        &self.plugins
    }

    /// The policies, in the operator's order.
    pub(crate) fn chain(&self) -> &[PolicySlot] {
        &self.chain
    }

    /// What brokers are told.
    pub(crate) fn notices(&self) -> &[Form] {
        &self.notices
    }

    /// The files that are not used.
    pub(crate) fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }
}

impl Plugin {
    /// Whether a code that asks for a worker may have one. A plugin that is not embedded has to show that it is fast;
    /// one that imports WASI may block, and never may.
    pub(crate) fn may_run_on_worker(&self) -> bool {
        self.origin == Origin::Embedded || (!self.prepared.imports_wasi && self.pace.is_fast())
    }

    /// Whether somebody has to [`note`](Self::note_call) how long its calls take. For an embedded plugin nobody has,
    /// nor for a policy, which runs where the route is written.
    pub(crate) fn is_timed(&self) -> bool {
        self.origin != Origin::Embedded && self.manifest.kind == Kind::Processor
    }

    /// Notes how long a call took.
    pub(crate) fn note_call(&self, took: Duration) {
        self.pace.note(took);
    }

    /// Whether another plugin may take over what belongs to this one.
    fn give_up(&self, what: impl FnOnce() -> String, overrides: bool, file: &str) -> Result<(), RejectReason> {
        let owner = self.manifest.name.clone();
        match self.origin {
            _ if !overrides => Err(RejectReason::Taken { what: what(), owner, file: file.to_owned() }),
            Origin::File(_) => Err(RejectReason::OverriddenTwice { what: what(), owner }),
            Origin::Embedded => Ok(()),
        }
    }

    /// What an instance of it is made with.
    pub(crate) fn parts(&self, core: &Arc<Core>) -> InstanceParts {
        InstanceParts {
            core: Arc::clone(core),
            name: Arc::clone(&self.name),
            grants: Arc::clone(&self.grants),
            memory: Arc::clone(&self.memory),
            log: Arc::clone(&self.log),
            marks: Arc::clone(&self.marks),
        }
    }
}

/// A catalogue in the making.
struct Loader<'a> {
    engine: &'a Engine,
    core: &'a Arc<Core>,
    config: &'a PluginsConfig,
    plugins: Vec<Arc<Plugin>>,
    codes: HashMap<i32, Target>,
    /// Which plugin says how brokers are told of an event.
    notices: HashMap<Event, usize>,
}

impl Loader<'_> {
    /// Returns the names of all embedded plugins, used or not.
    fn load_embedded(&mut self) -> Result<Vec<String>, CatalogueError> {
        let mut names = Vec::new();
        let mut overriding = Vec::new();
        for &(file, bytes) in stock::COMPONENTS {
            let refused = |reason: RejectReason| CatalogueError::Embedded { file, reason: reason.to_string() };
            let plugin = self.examine(bytes, Origin::Embedded).map_err(refused)?;
            names.push(plugin.manifest.name.clone());
            if self.config.disabled.contains(&plugin.manifest.name) || !self.is_switched_on(&plugin) {
                tracing::debug!(plugin = %plugin.name, "not used: switched off");
            } else if plugin.manifest.overrides {
                overriding.push((file, plugin));
            } else {
                self.admit(plugin, false, file).map_err(refused)?;
            }
        }
        for (file, plugin) in overriding {
            let refused = |reason: RejectReason| CatalogueError::Embedded { file, reason: reason.to_string() };
            self.admit(plugin, true, file).map_err(refused)?;
        }
        Ok(names)
    }

    /// Whether the setting that it depends on, if any, is on.
    fn is_switched_on(&self, plugin: &Plugin) -> bool {
        plugin.manifest.enabled_when.as_deref().is_none_or(|key| self.core.settings.flag(key))
    }

    fn load_directories(&mut self) -> Vec<Rejected> {
        let mut rejected = Vec::new();
        let mut seen = HashSet::new();
        for dir in &self.config.dirs {
            for path in components_in(dir) {
                let file = file_name(&path);
                let configured = self.config.files.contains_key(&file);
                // What the operator allows a file hangs on its name, so the name must mean one file.
                let loaded = if !seen.insert(file.clone()) && configured {
                    Err(RejectReason::FileTwice(file))
                } else {
                    self.load_file(&path)
                };
                if let Err(reason) = loaded {
                    rejected.push(Rejected { path, reason });
                }
            }
        }
        for file in self.config.files.keys().filter(|file| !seen.contains(*file)) {
            tracing::warn!("[plugins.files.{file:?}] means no file of the plugins directories");
        }
        rejected
    }

    fn load_file(&mut self, path: &Path) -> Result<(), RejectReason> {
        let size = fs::metadata(path)?.len();
        if size > COMPONENT_SIZE_MAX {
            return Err(RejectReason::TooLarge(size));
        }
        let bytes = fs::read(path)?;
        // The same bytes are the same plugin, wherever they lie: the source tree keeps the embedded ones in `plugins/`.
        let digest = <[u8; 32]>::from(Sha256::digest(&bytes));
        let is_embedded = stock::COMPONENTS.iter().any(|(_, embedded)| *embedded == bytes);
        if is_embedded || self.plugins.iter().any(|plugin| plugin.digest == digest) {
            return Ok(());
        }
        let file = file_name(path);
        let plugin = self.examine(&bytes, Origin::File(path.to_owned()))?;
        if !self.is_switched_on(&plugin) {
            tracing::info!(path = %path.display(), "not used: the setting that it depends on is off");
            return Ok(());
        }
        let overrides = self.config.files.get(&file).is_some_and(|settings| settings.overrides);
        self.admit(plugin, overrides, &file)
    }

    /// Compiles, links and asks for the manifest.
    fn examine(&self, bytes: &[u8], origin: Origin) -> Result<Plugin, RejectReason> {
        let prepared = self.engine.prepare(bytes)?;
        let memory = Arc::new(SharedMemory::new(self.config.memory_max.as_usize()));
        let nobody = InstanceParts {
            core: Arc::clone(self.core),
            name: "".into(),
            grants: Arc::new([]),
            memory: Arc::clone(&memory),
            log: Arc::default(),
            marks: Arc::default(),
        };
        let text = prepared.describe(nobody).map_err(RejectReason::Describe)?;
        let mut manifest = Manifest::parse(&text)?;
        if manifest.kind != prepared.kind {
            return Err(RejectReason::KindMismatch { manifest: manifest.kind, export: prepared.kind });
        }
        if prepared.imports_wasi && prepared.kind == Kind::Policy {
            return Err(RejectReason::PolicyWithWasi);
        }
        if manifest.codes.iter().any(|entry| entry.glance.is_some()) != prepared.glances() {
            return Err(RejectReason::GlanceMismatch);
        }
        self.check_flags(&manifest)?;
        let grants = match &origin {
            Origin::Embedded => manifest.grants.clone(),
            Origin::File(path) => self.granted(path, &manifest),
        };
        if !manifest.notices.is_empty() && !grants.contains(&Grant::RoutesWrite) {
            // Whoever does not change the tables has nothing to say about their changes.
            tracing::warn!(plugin = %manifest.name, "its notices are not used: it may not write routes");
            manifest.notices.clear();
        }
        Ok(Plugin {
            name: manifest.name.as_str().into(),
            marks: manifest.policy.marks.as_slice().into(),
            manifest,
            origin,
            prepared,
            grants: grants.into(),
            memory,
            log: Arc::default(),
            digest: Sha256::digest(bytes).into(),
            pace: Pace::default(),
        })
    }

    /// What the operator allows a file, with a line for what it wants and does not get.
    fn granted(&self, path: &Path, manifest: &Manifest) -> Vec<Grant> {
        let file = file_name(path);
        let allowed: Vec<_> =
            self.config.files.get(&file).into_iter().flat_map(|settings| &settings.grants).copied().collect();
        let denied: Vec<_> =
            manifest.grants.iter().filter(|grant| !allowed.contains(grant)).map(|grant| grant.name()).collect();
        if !denied.is_empty() {
            tracing::warn!(
                plugin = %manifest.name,
                "it wants {denied:?}, which is not granted; `grants` in [plugins.files.{file:?}] would grant it"
            );
        }
        allowed
    }

    /// A setting that does not exist would switch a plugin off for ever, and nobody would know why.
    fn check_flags(&self, manifest: &Manifest) -> Result<(), RejectReason> {
        let named = [
            ("enabled-when", manifest.enabled_when.as_deref()),
            ("when-setting", manifest.policy.when_setting.as_deref()),
        ];
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

    /// Gives a plugin its codes, or rejects it whole.
    fn admit(&mut self, plugin: Plugin, overrides: bool, file: &str) -> Result<(), RejectReason> {
        let taken_from = |entry: &CodeEntry| self.codes.get(&entry.code).map(|target| &self.plugins[target.plugin]);
        // An override may carry the name of the plugin that it replaces, and no other.
        let replaces = |other: &Arc<Plugin>| {
            let same_role = plugin.manifest.kind == Kind::Policy && other.manifest.kind == Kind::Policy;
            overrides
                && (same_role || plugin.manifest.codes.iter().filter_map(taken_from).any(|p| p.name == other.name))
        };
        for entry in &plugin.manifest.codes {
            if let Some(owner) = taken_from(entry) {
                owner.give_up(|| format!("request code {}", entry.code), overrides, file)?;
            }
        }
        for form in &plugin.manifest.notices {
            if let Some(owner) = self.notices.get(&form.event) {
                self.plugins[*owner].give_up(|| format!("the event of the notice {}", form.name), overrides, file)?;
            }
        }
        if self.plugins.iter().any(|other| other.name == plugin.name && !replaces(other)) {
            return Err(RejectReason::NameTaken { name: plugin.manifest.name, file: file.to_owned() });
        }
        let index = self.plugins.len();
        for entry in &plugin.manifest.codes {
            let is_embedded = plugin.origin == Origin::Embedded;
            let glance = entry.glance.as_ref().and_then(Glance::new).map(Arc::new);
            let target = Target { plugin: index, place: 0, entry: entry.clone(), glance, is_embedded };
            if let Some(previous) = self.codes.insert(entry.code, target) {
                let previous = &self.plugins[previous.plugin].name;
                tracing::info!(code = entry.code, plugin = %plugin.name, "taken over from {previous}");
            }
        }
        self.notices.extend(plugin.manifest.notices.iter().map(|form| (form.event, index)));
        tracing::debug!(
            plugin = %plugin.name, version = %plugin.manifest.version, origin = ?plugin.origin,
            sha256 = %hex(&plugin.digest), "in use: {}", plugin.manifest.description
        );
        self.plugins.push(Arc::new(plugin));
        Ok(())
    }

    /// The notices of plugins that answer something still: what nobody enters has nothing to tell.
    fn notices_in_use(&self) -> Vec<Form> {
        let is_used = |plugin: usize| self.codes.values().any(|target| target.plugin == plugin);
        let used = self.notices.iter().filter(|(_, plugin)| is_used(**plugin));
        let forms = used.flat_map(|(event, plugin)| {
            self.plugins[*plugin].manifest.notices.iter().filter(|form| form.event == *event)
        });
        forms.cloned().collect()
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The `.wasm` files directly inside a directory, in order of name. A directory that is not there holds none.
fn components_in(dir: &Path) -> Vec<PathBuf> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            tracing::info!(dir = %dir.display(), "no such plugins directory; only the embedded plugins are used");
            return Vec::new();
        }
        Err(error) => {
            tracing::error!(dir = %dir.display(), %error, "the plugins directory cannot be read");
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm") && path.is_file())
        .collect();
    paths.sort();
    paths
}

fn chain(
    plugins: &[Arc<Plugin>],
    config: &PluginsConfig,
    policies: &PoliciesConfig,
) -> Result<Vec<PolicySlot>, CatalogueError> {
    let is_policy = |plugin: &Arc<Plugin>| plugin.manifest.kind == Kind::Policy;
    let mut slots = Vec::new();
    for name in &policies.chain {
        // The last one of a name wins: a file with an override stands in for the embedded policy.
        let index = plugins.iter().rposition(|plugin| is_policy(plugin) && plugin.manifest.name == *name);
        match index {
            // A disabled policy may stay in the chain; no file that calls itself by its name takes its place.
            _ if config.disabled.contains(name) => {}
            Some(index) => {
                let condition = Check::new(&plugins[index].manifest.policy.condition());
                let condition = condition.expect("the settings that it names were looked up when it was loaded");
                let pure = plugins[index].manifest.policy.pure;
                let on_failure = policies.failure_of(name);
                slots.push(PolicySlot { plugin: index, condition, pure, on_failure });
            }
            None => {
                let known: Vec<_> = plugins.iter().filter(|p| is_policy(p)).map(|p| &*p.name).collect();
                return Err(CatalogueError::UnknownPolicy { name: name.clone(), known: known.join(", ") });
            }
        }
    }
    Ok(slots)
}

impl Target {
    /// Whether the code asks to be answered on the worker.
    pub(crate) fn wants_worker(&self) -> bool {
        self.entry.run == Run::Worker
    }
}
