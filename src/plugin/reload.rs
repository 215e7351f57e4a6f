//! When anything about plugins changes, a new catalogue is made and published; when that fails, the old one stays.
//!
//! # Invariants
//!
//! * Whatever is in a plugins directory, or was there, the server goes on answering as before until it has something
//!   better.
//! * A new content of a file that fails its first calls makes room for the one before it, by itself.
//! * What is wrong is told to the log once, with the file and with what to do; the [`Board`] shows it for as long as it
//!   lasts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assembly::{Standing, Workshop};
use super::core::Core;
use super::error::CatalogueError;
use super::examine::Examined;
use super::generations::Generations;
use super::ledger::Author;
use super::listing;
use super::operator::OperatorsFile;
use super::registry::{Origin, Plugin};
use super::sources::{self, Sources};
use super::status::Board;
use super::stock;
use super::tally::Tallies;
use super::trial::{Counts, Trial, Verdict};
use super::wasm::{Engine, Fuel, Haste};
use crate::config::{Environment, PluginFile, PluginsConfig, PoliciesConfig, Sha256};

/// What came of looking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reloaded {
    /// Everything is answered as before.
    Same,
    /// There is a new generation, which every thread changes over to.
    Generation(u64),
    /// There should be one, and it cannot be: the log says why, and the old one stays.
    Failed,
}

/// Knows where plugins come from, and makes catalogues of them.
pub(crate) struct Reloader {
    pub(super) sources: Sources,
    /// Where the operator says so; none for a server without a configuration file.
    operator: Option<OperatorsFile>,
    /// What became of each file.
    pub(super) standings: Vec<(PathBuf, Standing)>,
    pub(super) generations: Arc<Generations>,
    pub(super) board: Arc<Board>,
    /// Why there is no newer generation, as it was told to the log.
    pub(super) failure: Option<String>,
    /// The operator's word is new, and counts from the next look on: by then, files that it speaks of have settled.
    is_due: bool,
    /// The files whose content is new.
    trials: BTreeMap<PathBuf, Trial>,
}

impl Reloader {
    /// Loads the embedded plugins and those of the plugins directories: the first generation.
    ///
    /// A file that is no good is listed as rejected; it never keeps the server from starting.
    ///
    /// # Errors
    /// When an embedded plugin does not load, or the configuration names a plugin that does not exist.
    pub(crate) fn start(
        config: PluginsConfig,
        policies: PoliciesConfig,
        core: &Arc<Core>,
        fuel: Fuel,
    ) -> Result<Self, CatalogueError> {
        let engine = Engine::new(config.cache_dir.path(), core.clock.runs_by_itself(), fuel)
            .map_err(|error| CatalogueError::Engine(format!("{error:#}")))?;
        let memory_max = config.memory_max.as_usize();
        let examine = |&(file, bytes): &(&'static str, &[u8])| {
            let examined = Examined::new(bytes, &engine, Haste::Start, core, memory_max);
            let examined = examined.map_err(|why| CatalogueError::Embedded { file, reason: why.to_string() })?;
            Ok::<_, CatalogueError>((file, Arc::new(examined)))
        };
        let named = stock::ON_DEMAND.iter().filter(|(file, _)| is_named(file, &policies));
        let embedded = stock::COMPONENTS.iter().chain(named).map(examine).collect::<Result<Vec<_>, _>>()?;
        let (engine, tallies) = (Arc::new(engine), Arc::<Tallies>::default());
        let workshop = Workshop { engine, core: Arc::clone(core), tallies, reputes: Arc::default(), embedded };
        let mut sources = Sources::new(workshop, config, policies);
        sources.look(true, Haste::Start);
        let (catalogue, standings) = sources.assemble(None)?;
        let generations = Arc::new(Generations::new(catalogue));
        let (operator, board, failure, is_due, trials) = Default::default();
        let mut reloader =
            Self { sources, operator, standings: Vec::new(), generations, board, failure, is_due, trials };
        let first = reloader.generations.current();
        core.notifier.use_forms(first.notices().to_vec());
        let names: Vec<_> = first.plugins().iter().map(|plugin| &*plugin.name).collect();
        tracing::info!("plugins in use: {}", names.join(", "));
        reloader.take(standings);
        // What is wrong with it is in the log.
        let _ = reloader.settle();
        reloader.warn_of_words_for_nobody();
        Ok(reloader)
    }

    pub(crate) fn generations(&self) -> &Arc<Generations> {
        &self.generations
    }

    pub(crate) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// From now on, what this file says about plugins and policies counts as soon as it says so.
    pub(crate) fn follow(&mut self, path: PathBuf, environment: Environment) {
        self.operator = Some(OperatorsFile::new(path, environment));
    }

    /// Looks at the directories and the configuration once: what has settled since the last look counts.
    pub(crate) fn look(&mut self) -> Reloaded {
        let reloaded = self.look_how(false);
        let _ = self.settle();
        reloaded
    }

    /// Makes ready what the next look may find whole; true when there was something.
    pub(crate) fn foresee(&mut self) -> bool {
        self.sources.foresee()
    }

    /// Reads everything anew, whether it has settled or not.
    pub(crate) fn read_again(&mut self) -> Reloaded {
        let reloaded = self.look_how(true);
        let _ = self.settle();
        reloaded
    }

    fn look_how(&mut self, at_once: bool) -> Reloaded {
        let is_due = std::mem::take(&mut self.is_due);
        if let Some((config, policies)) = self.ask_operator(at_once) {
            // If no catalogue can be made of it, the old one stays until one can: a file may be on its way.
            self.sources.set_config(config);
            self.sources.policies = policies;
            self.embed_what_is_named();
            self.is_due = true;
        }
        let has_changed = self.sources.look(at_once, Haste::Quiet);
        if self.is_due && !at_once {
            self.show();
            return Reloaded::Same;
        }
        let has_word = is_due || std::mem::take(&mut self.is_due);
        let mut reloaded = self.after_look(has_changed || at_once || has_word);
        if has_word {
            self.warn_of_words_for_nobody();
        }
        for (path, why) in self.judge() {
            match self.roll_back(&path, Author::Failures, why.clone()) {
                Ok((_, rolled_back)) => {
                    tracing::error!(path = %path.display(), "the plugin was rolled back: {why}");
                    reloaded = rolled_back;
                }
                Err(error) => {
                    tracing::error!(path = %path.display(), "{why}, and the plugin cannot be rolled back: {error}");
                }
            }
        }
        reloaded
    }

    /// Examines the embedded policies that the chain names now and did not before.
    fn embed_what_is_named(&mut self) {
        let Sources { workshop, config, policies, .. } = &mut self.sources;
        let Workshop { engine, core, embedded, .. } = workshop;
        let memory_max = config.memory_max.as_usize();
        for &(file, bytes) in stock::ON_DEMAND.iter().filter(|(file, _)| is_named(file, policies)) {
            if embedded.iter().any(|(known, _)| *known == file) {
                continue;
            }
            match Examined::new(bytes, engine, Haste::Quiet, core, memory_max) {
                Ok(component) => embedded.push((file, Arc::new(component))),
                // Then the chain names what is not there, and the old one stays.
                Err(reason) => tracing::error!("embedded plugin {file}: {reason}"),
            }
        }
    }

    /// What the operator says now, if it is something else.
    fn ask_operator(&mut self, at_once: bool) -> Option<(PluginsConfig, PoliciesConfig)> {
        match self.operator.as_mut()?.look(at_once)? {
            Ok((mut config, policies)) => {
                sources::make_absolute(&mut config);
                if config == self.sources.config && policies == self.sources.policies {
                    return None;
                }
                tracing::info!("[plugins] and [policies] of the configuration file have changed");
                let (old, new) = (&self.sources.config, &config);
                let at_start = |config: &PluginsConfig| {
                    (config.cache_dir.clone(), config.state_dir.clone(), config.reload_interval)
                };
                if at_start(old) != at_start(new) {
                    tracing::info!(
                        "`plugins.cache-dir`, `plugins.state-dir` and `plugins.reload-interval` count when the server \
                         starts"
                    );
                }
                Some((config, policies))
            }
            Err(error) => {
                self.board.failed.add(1);
                tracing::error!("the configuration file cannot be used, and what it said before counts: {error}");
                None
            }
        }
    }

    pub(super) fn after_look(&mut self, has_changed: bool) -> Reloaded {
        if !has_changed {
            self.show();
            return Reloaded::Same;
        }
        let previous = self.generations.current();
        let reloaded = match self.sources.assemble(Some(&previous)) {
            Ok((catalogue, standings)) => {
                self.failure = None;
                let is_new = !catalogue.is_like(&previous);
                let number = catalogue.number();
                if is_new {
                    self.sources.workshop.core.notifier.use_forms(catalogue.notices().to_vec());
                    self.generations.publish(catalogue);
                    self.board.reloaded.add(1);
                    tracing::info!("plugins: generation {number}");
                }
                self.take(standings);
                if is_new { Reloaded::Generation(number) } else { Reloaded::Same }
            }
            Err(error) => {
                let text = error.to_string();
                if self.failure.as_ref() != Some(&text) {
                    self.board.failed.add(1);
                    tracing::error!("plugins: everything stays as it was: {text}");
                }
                self.failure = Some(text);
                Reloaded::Failed
            }
        };
        self.show();
        reloaded
    }

    /// This is what became of the files.
    fn take(&mut self, standings: Vec<(PathBuf, Standing)>) {
        let number = self.generations.current().number();
        let before = std::mem::replace(&mut self.standings, standings);
        for (path, standing) in &self.standings {
            let earlier = before.iter().find(|(known, _)| known == path).map(|(_, standing)| standing);
            listing::report(path, standing, earlier, number);
        }
        for (path, standing) in before.iter().filter(|(path, _)| !self.standings.iter().any(|(p, _)| p == path)) {
            if let Some(plugin) = standing.used() {
                tracing::info!(path = %path.display(), plugin = %plugin.name, "not in use any more");
            }
        }
        let Sources { shelf, memory, .. } = &mut self.sources;
        for (path, plugin) in self.standings.iter().filter_map(|(path, standing)| Some((path, standing.used()?))) {
            memory.ledger.note_used(path, &plugin.name, plugin.component.digest);
        }
        let standings = &self.standings;
        shelf.settle(|path| {
            let standing = standings.iter().find(|(known, _)| known == path).map(|(_, standing)| standing)?;
            standing.used().map(|plugin| Arc::clone(&plugin.component))
        });
        self.show();
    }

    /// Keeps what is in use now, and puts on disk what is remembered. The error says what is wrong.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        let now = self.sources.workshop.core.clock.now();
        let Sources { shelf, memory, .. } = &mut self.sources;
        memory.ledger.note_present(|path| shelf.file(path).is_some(), now);
        let used: Vec<_> =
            memory.ledger.records().filter_map(|(path, record)| Some((path.to_owned(), record.used?))).collect();
        for (path, content) in used {
            if !memory.has(content)
                && let Some(bytes) = shelf.take_bytes(&path, content)
            {
                memory.keep(content, bytes);
            }
        }
        memory.settle()
    }

    /// The files whose new content is no good, and why. What has shown that it is good needs no trial any more.
    fn judge(&mut self) -> Vec<(PathBuf, String)> {
        let ledger = &mut self.sources.memory.ledger;
        let on_trial = |path: &Path| ledger.record(path).is_some_and(|record| record.on_trial);
        let plugins: Vec<_> =
            self.standings.iter().filter_map(|(path, standing)| Some((path, standing.used()?))).collect();
        let plugins: Vec<_> = plugins.into_iter().filter(|(path, _)| on_trial(path)).collect();
        if plugins.is_empty() {
            self.trials.clear();
            return Vec::new();
        }
        let mut before = std::mem::take(&mut self.trials);
        let (active, draining) = (self.generations.active(), self.generations.draining());
        let now = self.sources.workshop.core.clock.monotonic();
        let mut bad = Vec::new();
        for (path, plugin) in plugins {
            // Whoever has another plugin of the name may still call it.
            let is_other = |other: &Arc<Plugin>| other.place == plugin.place && !Arc::ptr_eq(other, plugin);
            let is_alone =
                active >= plugin.since && !draining.iter().any(|catalogue| catalogue.plugins().iter().any(is_other));
            let counts = Counts::of(plugin, &self.sources.workshop.tallies);
            let known = before.remove(path).filter(|trial| trial.is_of(plugin.since));
            let mut trial = known.unwrap_or_else(|| Trial::new(plugin.since, now));
            let is_alone = is_alone || trial.has_waited(now);
            // It may have failed often enough for that before the first look.
            let out = plugin.repute.out(now).filter(|_| self.sources.config.rollback_failures > 0);
            let verdict = match out {
                Some((why, _)) => Verdict::Bad(format!("it was taken out: {why}")),
                None => trial.judge(counts, is_alone, &self.sources.config),
            };
            match verdict {
                Verdict::Open => drop(self.trials.insert(path.clone(), trial)),
                Verdict::Good => ledger.note_proven(path),
                Verdict::Bad(why) => bad.push((path.clone(), why)),
            }
        }
        bad
    }

    /// Uses a file with what was in use before; says what that is.
    ///
    /// # Errors
    /// When there is nothing to go back to, or it cannot be used: then everything is as it was.
    pub(super) fn roll_back(&mut self, path: &Path, by: Author, why: String) -> Result<(Sha256, Reloaded), String> {
        let before = self.sources.memory.ledger.clone();
        let ledger = &mut self.sources.memory.ledger;
        let nothing = || "nothing else of it was in use before, as far as is known".to_owned();
        let content = ledger.roll_back(path, by, why).ok_or_else(nothing)?;
        self.sources.load_pinned(Haste::Quiet);
        let reloaded = self.after_look(true);
        let refused = match self.standings.iter().find(|(known, _)| known == path).map(|(_, standing)| standing) {
            _ if reloaded == Reloaded::Failed => self.failure.clone().unwrap_or_default(),
            Some(Standing::Used(plugin)) if plugin.component.digest == content => {
                match by {
                    Author::Operator => self.board.rolled_back_by_operator.add(1),
                    Author::Failures => self.board.rolled_back_by_failures.add(1),
                }
                self.trials.remove(path);
                return Ok((content, reloaded));
            }
            Some(Standing::Rejected(why, _) | Standing::Unused(why)) => why.clone(),
            _ => "its file is gone".to_owned(),
        };
        self.sources.memory.ledger = before;
        if by == Author::Failures {
            // Once is enough.
            self.sources.memory.ledger.note_proven(path);
        }
        self.sources.load_pinned(Haste::Quiet);
        self.after_look(true);
        Err(refused)
    }

    /// What the operator says about a file that is not there is probably meant for another one.
    fn warn_of_words_for_nobody(&self) {
        let is_there = |key: &str| match PluginFile::content_of(key) {
            Some(content) => self.sources.files().any(|(_, file)| file.sha256() == Some(content)),
            None => self.sources.files().any(|(path, _)| path.ends_with(key)),
        };
        for key in self.sources.config.files.keys().filter(|key| !is_there(key)) {
            tracing::warn!("[plugins.files.{key:?}] means no file of the plugins directories");
        }
    }

    pub(super) fn show(&self) {
        let complaints = [self.failure.as_deref(), self.sources.memory.complaint()];
        let complaints = complaints.into_iter().flatten().map(str::to_owned).collect();
        self.board.show(listing::list(&self.sources, &self.standings, &self.generations), complaints);
    }

    /// The plugins of the embedded origin that are in use.
    pub(super) fn embedded_in_use(&self, name: &str) -> bool {
        let catalogue = self.generations.current();
        catalogue.plugins().iter().any(|plugin| plugin.origin == Origin::Embedded && *plugin.name == *name)
    }
}

/// Whether the chain names the policy of an embedded file.
fn is_named(file: &str, policies: &PoliciesConfig) -> bool {
    policies.chain.iter().any(|name| file.strip_suffix(".wasm") == Some(name))
}
