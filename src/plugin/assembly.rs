//! Making a catalogue: the embedded plugins, the files of the plugins directories, and the operator's word.
//!
//! Embedded plugins come first, then files that are in use as they are, then those of them that have changed, then
//! those that are not in use, each in order of name: the outcome does not depend on how a directory happens to be read,
//! and nobody loses a code to a file that came or changed later.
//!
//! # Invariants
//!
//! * A code has one answerer. A second plugin takes it over only with an override: an embedded plugin's own, or the
//!   operator's word for that file. Otherwise the whole file is rejected, and what served before goes on serving. The
//!   same goes for the notice of an event, which lasts as long as its plugin answers any code, and for the name of a
//!   policy, which one file may have beside an embedded one.
//! * A file whose newest content is rejected serves with the content that was in use before, if there was any.
//! * Grants and overrides hang on the origin of the bytes (embedded, or a configured file), never on the name that a
//!   plugin gives itself.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use hashbrown::HashMap;

use super::check::Check;
use super::core::Core;
use super::error::{CatalogueError, RejectReason};
use super::examine::Examined;
use super::glance::Glance;
use super::manifest::{Access, CodeEntry, Kind};
use super::registry::{Catalogue, Origin, Plugin, PolicySlot, Rights, Room, Target, Terms};
use super::repute::Reputes;
use super::tally::Tallies;
use super::wasm::Engine;
use super::{sources, stock};
use crate::config::{PluginFile, PluginsConfig, PoliciesConfig, ProcessorFailure, nearest};
use crate::notify::{Event, Form};

/// What every catalogue of a server is made with.
pub(super) struct Workshop {
    pub(super) engine: Arc<Engine>,
    pub(super) core: Arc<Core>,
    pub(super) tallies: Arc<Tallies>,
    pub(super) reputes: Arc<Reputes>,
    /// With the names of their files.
    pub(super) embedded: Vec<(&'static str, Arc<Examined>)>,
}

/// A file of a plugins directory, and what can be made of it.
pub(super) struct Candidate<'a> {
    pub(super) path: &'a Path,
    /// What it holds, or why that is nothing of use.
    pub(super) newest: Result<&'a Arc<Examined>, Cow<'a, str>>,
    /// What of it is in use.
    pub(super) used: Option<&'a Arc<Examined>>,
}

/// What a catalogue is to be like.
#[derive(Clone, Copy)]
pub(super) struct Orders<'a> {
    pub(super) config: &'a PluginsConfig,
    pub(super) policies: &'a PoliciesConfig,
    /// Policies that the chain may name although they are not there.
    pub(super) absent: &'a BTreeSet<String>,
    pub(super) candidates: &'a [Candidate<'a>],
}

/// Who has what it has before others may ask for it.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Seniority {
    Unchanged,
    Changed,
    New,
}

impl Seniority {
    const IN_ORDER: [Self; 3] = [Self::Unchanged, Self::Changed, Self::New];
}

impl Candidate<'_> {
    fn seniority(&self) -> Seniority {
        match (self.used, &self.newest) {
            (None, _) => Seniority::New,
            // One that is no good any more goes on with what it had.
            (Some(_), Err(_)) => Seniority::Unchanged,
            (Some(used), Ok(newest)) if used.digest == newest.digest => Seniority::Unchanged,
            (Some(_), Ok(_)) => Seniority::Changed,
        }
    }
}

/// What became of a file.
#[derive(Clone)]
pub(super) enum Standing {
    /// It is in use.
    Used(Arc<Plugin>),
    /// It is not, and there is nothing wrong with it.
    Unused(String),
    /// It is not; if an earlier content of it was, that still is.
    Rejected(String, Option<Arc<Plugin>>),
}

impl Workshop {
    /// The catalogue after `previous`, and what became of each candidate.
    pub(super) fn assemble(
        &self,
        orders: Orders<'_>,
        previous: Option<&Catalogue>,
    ) -> Result<(Catalogue, Vec<Standing>), CatalogueError> {
        let Orders { config, candidates, .. } = orders;
        let number = previous.map_or(1, |previous| previous.number() + 1);
        let (plugins, terms, codes, notices) = Default::default();
        let mut loader = Loader { workshop: self, config, previous, number, plugins, terms, codes, notices };
        loader.load_embedded()?;
        let mut standings = vec![None; candidates.len()];
        for seniority in Seniority::IN_ORDER {
            for (at, candidate) in candidates.iter().enumerate().filter(|(_, one)| one.seniority() == seniority) {
                let earlier = candidates.iter().zip(&standings);
                let mut earlier = earlier.filter(|(_, standing)| standing.is_some()).map(|(earlier, _)| earlier.path);
                let name_is_free = !earlier.any(|path| path.file_name() == candidate.path.file_name());
                standings[at] = Some(loader.load_file(candidate, name_is_free));
            }
        }
        let notices = loader.notices_in_use();
        let Loader { plugins, terms, codes, .. } = loader;
        let chain = chain(&plugins, orders)?;
        // Only now is it sure that this configuration can be used.
        self.core.waiting.set_max(config.waiting_max);
        plugins.iter().for_each(|plugin| plugin.kept.set_quota(config.state_max.as_usize()));
        let (tallies, reputes) = (Arc::clone(&self.tallies), Arc::clone(&self.reputes));
        let _engine = Arc::clone(&self.engine);
        let catalogue = Catalogue { number, plugins, codes, chain, notices, terms, tallies, reputes, _engine };
        Ok((catalogue, standings.into_iter().flatten().collect()))
    }

    /// The names of the embedded plugins, used or not, and each once.
    pub(super) fn embedded_names(&self) -> impl Iterator<Item = &str> {
        let is_there = |name: &&str| self.embedded.iter().any(|(_, component)| component.manifest.name == *name);
        let waiting = stock::on_demand().filter(move |name| !is_there(name));
        self.embedded.iter().map(|(_, component)| component.manifest.name.as_str()).chain(waiting)
    }

    /// Whether the setting that a plugin depends on, if any, is on.
    fn is_switched_on(&self, component: &Examined) -> bool {
        component.manifest.enabled_when.as_deref().is_none_or(|key| self.core.settings.flag(key))
    }
}

/// A catalogue in the making.
struct Loader<'a> {
    workshop: &'a Workshop,
    config: &'a PluginsConfig,
    previous: Option<&'a Catalogue>,
    number: u64,
    plugins: Vec<Arc<Plugin>>,
    /// Of each plugin.
    terms: Vec<Terms>,
    codes: HashMap<i32, Target>,
    /// Which plugin says how brokers are told of an event.
    notices: HashMap<Event, usize>,
}

impl Loader<'_> {
    fn load_embedded(&mut self) -> Result<(), CatalogueError> {
        let workshop = self.workshop;
        let disabled = self.config.disabled.iter().map(|name| ("disabled", name));
        let special = self.config.embedded.keys().map(|name| ("embedded", name));
        for (key, name) in disabled.chain(special) {
            if !workshop.embedded_names().any(|known| known == name) {
                let known = workshop.embedded_names().collect::<Vec<_>>().join(", ");
                let nearest = nearest(name, workshop.embedded_names()).map(str::to_owned);
                return Err(CatalogueError::UnknownEmbedded { key, name: name.clone(), known, nearest });
            }
        }
        // Those that take codes over come last, so that there is something to take.
        for overrides in [false, true] {
            for (file, component) in workshop.embedded.iter().filter(|(_, one)| one.manifest.overrides == overrides) {
                let is_disabled = self.config.disabled.contains(&component.manifest.name);
                if is_disabled || !workshop.is_switched_on(component) {
                    continue;
                }
                let rights = Rights::of_embedded(&component.manifest, self.config);
                let terms = rights.terms(self.config);
                let plugin = self.plugin(component, Origin::Embedded, rights);
                let refused = |reason: RejectReason| CatalogueError::Embedded { file, reason: reason.to_string() };
                self.admit((plugin, terms), overrides, file).map_err(refused)?;
            }
        }
        Ok(())
    }

    /// Uses the newest content of a file, or else what was in use of it before.
    fn load_file(&mut self, candidate: &Candidate<'_>, name_is_free: bool) -> Standing {
        let file = file_name(candidate.path);
        if let Err(reason) = sources::may_be_read(&self.config.files, candidate.path) {
            return Standing::Unused(reason.to_string());
        }
        let newest = candidate.newest.as_ref().map_err(|reason| reason.to_string()).and_then(|component| {
            let loaded = self.load_component(component, candidate.path, &file, name_is_free);
            loaded.map_err(|reason| reason.to_string())
        });
        newest.unwrap_or_else(|reason| {
            let load = |used| self.load_component(used, candidate.path, &file, name_is_free).ok();
            let last_good = candidate.used.and_then(load);
            Standing::Rejected(reason, last_good.and_then(|standing| standing.used().cloned()))
        })
    }

    fn load_component(
        &mut self,
        component: &Arc<Examined>,
        path: &Path,
        file: &str,
        name_is_free: bool,
    ) -> Result<Standing, RejectReason> {
        let workshop = self.workshop;
        // What the operator allows a file hangs on its name, so the name must mean one file; or on its content.
        let word = self.config.files.get(file);
        if word.is_some() && !name_is_free {
            return Err(RejectReason::FileTwice(file.to_owned()));
        }
        sources::expect(self.config, path, component.digest)?;
        let word = self.config.files.get(&PluginFile::key_of(component.digest)).or(word);
        // The same bytes are the same plugin, wherever they lie.
        if let Some(same) = self.plugins.iter().find(|plugin| plugin.component.digest == component.digest) {
            return Ok(Standing::Unused(format!("its bytes are those of the plugin {} that is in use", same.name)));
        }
        if !workshop.is_switched_on(component) {
            return Ok(Standing::Unused("the setting that it depends on is off".to_owned()));
        }
        let rights = Rights::of_file(word, self.config);
        let terms = rights.terms(self.config);
        let plugin = self.plugin(component, Origin::File(path.to_owned()), rights);
        self.admit((plugin, terms), word.is_some_and(|word| word.overrides), file).map(Standing::Used)
    }

    /// The plugin of the previous catalogue that has the same bytes from the same place and the same rights, with all
    /// that is known of it; or a new one.
    fn plugin(&self, component: &Arc<Examined>, origin: Origin, rights: Rights) -> Arc<Plugin> {
        let room = Room::new(rights.limits);
        let (core, name) = (&self.workshop.core, Arc::from(component.manifest.name.as_str()));
        let kept = core.kept.of(&name);
        let is_it = |plugin: &&Arc<Plugin>| {
            plugin.component.digest == component.digest
                && plugin.origin == origin
                && *plugin.grants == *rights.grants
                && *plugin.settings == rights.settings
                && plugin.room == room
        };
        let known = self.previous.and_then(|previous| previous.plugins().iter().find(is_it));
        known.cloned().unwrap_or_else(|| {
            let shared = (self.number, &*self.workshop.tallies, &self.workshop.reputes);
            let owned = (kept, core.custom.of(&name, &component.manifest.metrics));
            Arc::new(Plugin::new(component, origin, rights, shared, owned))
        })
    }

    /// Gives a plugin its codes, or rejects it whole.
    fn admit(
        &mut self,
        (plugin, terms): (Arc<Plugin>, Terms),
        overrides: bool,
        file: &str,
    ) -> Result<Arc<Plugin>, RejectReason> {
        let taken_from = |entry: &CodeEntry| self.codes.get(&entry.code).map(|target| &self.plugins[target.plugin]);
        // An override may carry the name of the plugin that it replaces, and no other.
        let replaces = |other: &Arc<Plugin>| {
            let same_role = plugin.manifest.kind == Kind::Policy && other.manifest.kind == Kind::Policy;
            overrides
                && (same_role || plugin.manifest.codes.iter().filter_map(taken_from).any(|p| p.name == other.name))
        };
        for entry in &plugin.manifest.codes {
            if let Some(owner) = taken_from(entry) {
                give_up(owner, || format!("request code {}", entry.code), overrides, file)?;
            }
            let before = self.codes.get(&entry.code).filter(|_| terms.on_failure == ProcessorFailure::Fallback);
            if before.is_some_and(|before| before.entry.access == Access::Admin && entry.access != Access::Admin) {
                return Err(RejectReason::FallbackForAll { code: entry.code, file: file.to_owned() });
            }
        }
        for form in &plugin.manifest.notices {
            if let Some(owner) = self.notices.get(&form.event) {
                let event = || format!("the event of the notice {}", form.name);
                give_up(&self.plugins[*owner], event, overrides, file)?;
            }
        }
        let is_twin = |other: &&Arc<Plugin>| {
            let kinds = (plugin.manifest.kind, other.manifest.kind);
            kinds == (Kind::Policy, Kind::Policy) && other.name == plugin.name && other.origin != Origin::Embedded
        };
        if overrides && let Some(twin) = self.plugins.iter().find(is_twin) {
            let what = format!("the policy {:?}", plugin.manifest.name);
            return Err(RejectReason::OverriddenTwice { what, owner: twin.origin.file_name().unwrap_or_default() });
        }
        if self.plugins.iter().any(|other| other.name == plugin.name && !replaces(other)) {
            return Err(RejectReason::NameTaken { name: plugin.manifest.name.clone(), file: file.to_owned() });
        }
        let index = self.plugins.len();
        for entry in &plugin.manifest.codes {
            let is_embedded = plugin.origin == Origin::Embedded;
            let place = self.workshop.tallies.place_of_code(entry.code);
            let glance = entry.glance.as_ref().and_then(Glance::new).map(Arc::new);
            let previous = self.codes.remove(&entry.code);
            if let Some(previous) = previous.as_ref().filter(|_| plugin.since == self.number) {
                let previous = &self.plugins[previous.plugin].name;
                tracing::info!(code = entry.code, plugin = %plugin.name, "taken over from {previous}");
            }
            let fallback = previous.filter(|_| terms.on_failure == ProcessorFailure::Fallback).map(Box::new);
            let target = Target { plugin: index, place, entry: entry.clone(), glance, is_embedded, fallback };
            self.codes.insert(entry.code, target);
        }
        self.notices.extend(plugin.manifest.notices.iter().map(|form| (form.event, index)));
        self.plugins.push(Arc::clone(&plugin));
        self.terms.push(terms);
        Ok(plugin)
    }

    /// The notices of plugins that answer something still: what nobody enters has nothing to tell.
    fn notices_in_use(&self) -> Vec<Form> {
        let is_used = |plugin: usize| self.codes.values().flat_map(Target::line).any(|target| target.plugin == plugin);
        let used = self.notices.iter().filter(|(_, plugin)| is_used(**plugin));
        let forms = used.flat_map(|(event, plugin)| {
            self.plugins[*plugin].manifest.notices.iter().filter(|form| form.event == *event)
        });
        forms.cloned().collect()
    }
}

/// Whether another plugin may take over what belongs to `owner`.
fn give_up(owner: &Plugin, what: impl FnOnce() -> String, overrides: bool, file: &str) -> Result<(), RejectReason> {
    let name = owner.manifest.name.clone();
    match owner.origin {
        _ if !overrides => Err(RejectReason::Taken { what: what(), owner: name, file: file.to_owned() }),
        Origin::File(_) => Err(RejectReason::OverriddenTwice { what: what(), owner: name }),
        Origin::Embedded => Ok(()),
    }
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn chain(
    plugins: &[Arc<Plugin>],
    Orders { config, policies, absent, .. }: Orders<'_>,
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
            None if absent.contains(name) => {}
            None => {
                // One that waits to be named is there, because it would be if it had been.
                let there = plugins.iter().filter(|p| is_policy(p)).map(|p| &*p.name);
                let known: BTreeSet<_> = there.chain(stock::on_demand()).collect();
                let known: Vec<_> = known.into_iter().collect();
                return Err(CatalogueError::UnknownPolicy { name: name.clone(), known: known.join(", ") });
            }
        }
    }
    Ok(slots)
}

impl Standing {
    /// What of the file is in use.
    pub(super) fn used(&self) -> Option<&Arc<Plugin>> {
        match self {
            Self::Used(plugin) | Self::Rejected(_, Some(plugin)) => Some(plugin),
            Self::Unused(_) | Self::Rejected(_, None) => None,
        }
    }
}
