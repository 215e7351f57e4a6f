//! When anything about plugins changes, a new catalogue is made and published; when that fails, the old one stays.
//!
//! # Invariants
//!
//! * Whatever is in a plugins directory, or was there, the server goes on answering as before until it has something
//!   better.
//! * What is wrong is told to the log once, with the file and with what to do; the [`Board`] shows it for as long as it
//!   lasts.

use std::borrow::Cow;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::assembly::{Candidate, Standing, Workshop};
use super::core::Core;
use super::error::{CatalogueError, RejectReason};
use super::examine::Examined;
use super::generations::Generations;
use super::operator::OperatorsFile;
use super::registry::{Catalogue, Origin};
use super::shelf::{Content, Found, Look, Shelf, Shelved};
use super::status::{Board, PluginState, PluginStatus};
use super::stock;
use super::tally::Tallies;
use super::wasm::{Engine, Haste};
use crate::config::{Environment, PluginsConfig, PoliciesConfig};

/// How willingly the thread that compiles yields to others.
const NICENESS: i32 = 10;

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
    workshop: Workshop,
    config: PluginsConfig,
    policies: PoliciesConfig,
    /// Where the operator says so; none for a server without a configuration file.
    operator: Option<OperatorsFile>,
    shelf: Shelf,
    standings: Vec<(PathBuf, Standing)>,
    generations: Arc<Generations>,
    board: Arc<Board>,
    /// Why there is no newer generation, as it was told to the log.
    failure: Option<String>,
    /// The operator's word is new, and counts from the next look on: by then, files that it speaks of have settled.
    is_due: bool,
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
    ) -> Result<Self, CatalogueError> {
        let engine = Engine::new(config.cache_dir.path(), core.clock.runs_by_itself())
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
        let workshop = Workshop { engine, core: Arc::clone(core), tallies, embedded };
        let mut shelf = Shelf::default();
        look_at(&mut shelf, &workshop, &config, (true, Haste::Start));
        let (catalogue, standings) = assemble(&workshop, &config, &policies, &shelf, None)?;
        let generations = Arc::new(Generations::new(catalogue));
        let board = Arc::default();
        let mut reloader = Self {
            workshop,
            config,
            policies,
            operator: None,
            shelf,
            standings: Vec::new(),
            generations,
            board,
            failure: None,
            is_due: false,
        };
        let first = reloader.generations.current();
        core.notifier.use_forms(first.notices().to_vec());
        let names: Vec<_> = first.plugins().iter().map(|plugin| &*plugin.name).collect();
        tracing::info!("plugins in use: {}", names.join(", "));
        reloader.take(standings);
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
        self.look_how(false)
    }

    /// Reads everything anew, whether it has settled or not.
    pub(crate) fn read_again(&mut self) -> Reloaded {
        self.look_how(true)
    }

    fn look_how(&mut self, at_once: bool) -> Reloaded {
        let is_due = std::mem::take(&mut self.is_due);
        if let Some((config, policies)) = self.ask_operator(at_once) {
            // If no catalogue can be made of it, the old one stays until one can: a file may be on its way.
            (self.config, self.policies) = (config, policies);
            self.embed_what_is_named();
            self.shelf.doubt();
            self.is_due = true;
        }
        let has_changed = look_at(&mut self.shelf, &self.workshop, &self.config, (at_once, Haste::Quiet));
        if self.is_due && !at_once {
            self.show();
            return Reloaded::Same;
        }
        let has_word = is_due || std::mem::take(&mut self.is_due);
        let reloaded = self.after_look(has_changed || at_once || has_word);
        if has_word {
            self.warn_of_words_for_nobody();
        }
        reloaded
    }

    /// Examines the embedded policies that the chain names now and did not before.
    fn embed_what_is_named(&mut self) {
        let Workshop { engine, core, embedded, .. } = &mut self.workshop;
        let memory_max = self.config.memory_max.as_usize();
        for &(file, bytes) in stock::ON_DEMAND.iter().filter(|(file, _)| is_named(file, &self.policies)) {
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
            Ok((config, policies)) if config == self.config && policies == self.policies => None,
            Ok((config, policies)) => {
                tracing::info!("[plugins] and [policies] of the configuration file have changed");
                let (old, new) = (&self.config, &config);
                if (&old.cache_dir, old.reload_interval) != (&new.cache_dir, new.reload_interval) {
                    tracing::info!("`plugins.cache-dir` and `plugins.reload-interval` count when the server starts");
                }
                Some((config, policies))
            }
            Err(error) => {
                self.board.failed.add(1);
                tracing::error!("the configuration file cannot be used, so what it said about plugins stays: {error}");
                None
            }
        }
    }

    fn after_look(&mut self, has_changed: bool) -> Reloaded {
        if !has_changed {
            self.show();
            return Reloaded::Same;
        }
        let previous = self.generations.current();
        let reloaded = match assemble(&self.workshop, &self.config, &self.policies, &self.shelf, Some(&previous)) {
            Ok((catalogue, standings)) => {
                self.failure = None;
                let is_new = !catalogue.is_like(&previous);
                let number = catalogue.number();
                if is_new {
                    self.workshop.core.notifier.use_forms(catalogue.notices().to_vec());
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
            report(path, standing, earlier, number);
        }
        for (path, standing) in before.iter().filter(|(path, _)| !self.standings.iter().any(|(p, _)| p == path)) {
            if let Some(plugin) = standing.used() {
                tracing::info!(path = %path.display(), plugin = %plugin.name, "not in use any more");
            }
        }
        let standings = &self.standings;
        self.shelf.settle(|path| {
            let standing = standings.iter().find(|(known, _)| known == path).map(|(_, standing)| standing)?;
            standing.used().map(|plugin| Arc::clone(&plugin.component))
        });
        self.show();
    }

    /// What the operator says about a file that is not there is probably meant for another one.
    fn warn_of_words_for_nobody(&self) {
        let is_there = |file: &str| self.standings.iter().any(|(path, _)| path.ends_with(file));
        for file in self.config.files.keys().filter(|file| !is_there(file)) {
            tracing::warn!("[plugins.files.{file:?}] means no file of the plugins directories");
        }
    }

    fn show(&self) {
        let catalogue = self.generations.current();
        let embedded = catalogue.plugins().iter().filter(|plugin| plugin.origin == Origin::Embedded);
        let mut statuses: Vec<_> = embedded.map(|plugin| PluginStatus::of(plugin, &catalogue)).collect();
        for (path, file) in self.shelf.files(&self.config.dirs) {
            let standing = self.standings.iter().find(|(known, _)| known == path).map(|(_, standing)| standing);
            statuses.push(status(path, file, standing, &catalogue));
        }
        let now = catalogue.plugins();
        for earlier in self.generations.draining() {
            let gone = earlier.plugins().iter().filter(|plugin| !now.iter().any(|known| Arc::ptr_eq(known, plugin)));
            statuses.extend(
                gone.map(|plugin| PluginStatus { state: PluginState::Draining, ..PluginStatus::of(plugin, &earlier) }),
            );
        }
        self.board.show(statuses);
    }
}

/// Whether the chain names the policy of an embedded file.
fn is_named(file: &str, policies: &PoliciesConfig) -> bool {
    policies.chain.iter().any(|name| file.strip_suffix(".wasm") == Some(name))
}

fn look_at(shelf: &mut Shelf, workshop: &Workshop, config: &PluginsConfig, (at_once, haste): (bool, Haste)) -> bool {
    let look = Look {
        dirs: &config.dirs,
        size_max: config.component_size_max.get(),
        allows_shared: config.allow_shared_dirs,
        at_once,
    };
    let memory_max = config.memory_max.as_usize();
    shelf.look(look, |bytes| {
        if stock::is_one(bytes) {
            return Ok(Found::Embedded);
        }
        let examine = || Examined::new(bytes, &workshop.engine, haste, &workshop.core, memory_max).map(Arc::new);
        catch_unwind(AssertUnwindSafe(examine)).unwrap_or(Err(RejectReason::Panicked)).map(Found::Component)
    })
}

/// The next catalogue, and what became of each file. A policy that the chain names goes neither with its file nor with
/// what its file held: a route that nobody rewrites may lead astray.
fn assemble(
    workshop: &Workshop,
    config: &PluginsConfig,
    policies: &PoliciesConfig,
    shelf: &Shelf,
    previous: Option<&Catalogue>,
) -> Result<(Catalogue, Vec<(PathBuf, Standing)>), CatalogueError> {
    let attempt = |keeps: &dyn Fn(&Shelved) -> bool| {
        let candidates = shelf.files(&config.dirs).filter_map(|(path, file)| candidate(path, file, keeps(file)));
        let candidates: Vec<_> = candidates.collect();
        let (catalogue, standings) = workshop.assemble(config, policies, &candidates, previous)?;
        let paths = candidates.iter().map(|candidate| candidate.path.to_owned());
        Ok((catalogue, paths.zip(standings).collect()))
    };
    let is_in_chain =
        |file: &Shelved| file.used.as_ref().is_some_and(|component| policies.chain.contains(&component.manifest.name));
    match attempt(&|_| false) {
        Err(CatalogueError::UnknownPolicy { .. }) => attempt(&is_in_chain),
        other => other,
    }
}

/// None for a file that is not whole yet, and for one whose plugin is gone unless that is to be kept.
fn candidate<'a>(path: &'a Path, file: &'a Shelved, is_kept: bool) -> Option<Candidate<'a>> {
    let used = file.used.as_ref();
    let kept = used.filter(|_| is_kept);
    let newest = match (&file.content, kept) {
        (Content::Whole(component), Some(kept)) if component.manifest.name != kept.manifest.name => {
            Err(Cow::from(format!(
                "it holds {:?} now, but `policies.chain` names the policy {:?}, which it held: take that out of the \
                 chain, or give the file another name",
                component.manifest.name, kept.manifest.name
            )))
        }
        (Content::Whole(component), _) => Ok(component),
        (Content::Bad(reason), _) => Err(Cow::from(reason)),
        (Content::Gone, Some(_)) => Err(Cow::from("its file is gone, but `policies.chain` names it")),
        (Content::Embedded, Some(_)) => Err(Cow::from("it holds an embedded plugin, but `policies.chain` names it")),
        (Content::Arriving | Content::Embedded | Content::Gone, _) => return None,
    };
    Some(Candidate { path, newest, used })
}

fn status(path: &Path, file: &Shelved, standing: Option<&Standing>, catalogue: &Catalogue) -> PluginStatus {
    let nothing = || PluginStatus { file: Some(path.to_owned()), ..PluginStatus::default() };
    let of = |component: &Examined, state: PluginState| PluginStatus {
        name: Some(component.manifest.name.clone()),
        version: Some(component.manifest.version.clone()),
        sha256: Some(component.sha256()),
        state,
        ..nothing()
    };
    let newest = match &file.content {
        Content::Whole(component) => Some(component),
        _ => None,
    };
    let known = |state| newest.map_or_else(|| PluginStatus { state, ..nothing() }, |component| of(component, state));
    match standing {
        Some(Standing::Used(plugin)) => PluginStatus::of(plugin, catalogue),
        Some(Standing::Unused(reason)) => PluginStatus { reason: Some(reason.clone()), ..known(PluginState::Unused) },
        Some(Standing::Rejected(reason, Some(plugin))) => PluginStatus {
            state: PluginState::LastGood,
            reason: Some(reason.clone()),
            ..PluginStatus::of(plugin, catalogue)
        },
        Some(Standing::Rejected(reason, None)) => {
            PluginStatus { reason: Some(reason.clone()), ..known(PluginState::Rejected) }
        }
        None if matches!(file.content, Content::Embedded) => {
            let reason = "its bytes are those of an embedded plugin, which it is".to_owned();
            PluginStatus { state: PluginState::Unused, reason: Some(reason), ..nothing() }
        }
        None => nothing(),
    }
}

/// Tells the log what became of a file, if that is news.
fn report(path: &Path, standing: &Standing, earlier: Option<&Standing>, number: u64) {
    // The reason may quote the plugin, which must not be able to write lines of its own into the log.
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let path = path.display();
    match standing {
        Standing::Used(plugin) => {
            if plugin.since != number {
                return;
            }
            let (name, version, sha256) = (&plugin.name, one_line(&plugin.manifest.version), plugin.component.sha256());
            tracing::info!(%path, plugin = %name, version, sha256, "plugin in use");
            if let Some(line) = plugin.line_to_grant_all() {
                tracing::warn!(plugin = %name, "it wants what is not granted; this would grant it: {line}");
            }
        }
        Standing::Unused(reason) => {
            if !matches!(earlier, Some(Standing::Unused(known)) if known == reason) {
                tracing::info!(%path, "not used: {}", one_line(reason));
            }
        }
        Standing::Rejected(reason, last_good) => {
            if matches!(earlier, Some(Standing::Rejected(known, _)) if known == reason) {
                return;
            }
            let instead = if last_good.is_some() { "; what was in use of it before goes on" } else { "" };
            tracing::error!(%path, "plugin rejected: {}{instead}", one_line(reason));
        }
    }
}

/// The thread that looks. Dropping it stops it.
pub(crate) struct Watch {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Looks at every `interval`, and calls `changed` after each new generation.
    ///
    /// # Errors
    /// When the machine refuses a thread.
    pub(crate) fn start(
        reloader: Arc<Mutex<Reloader>>,
        interval: Duration,
        changed: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let run = move || {
            // Compiling can wait, requests cannot. Not worth more than a try.
            let _ = rustix::process::setpriority_process(None, NICENESS);
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let looked = reloader.lock().unwrap_or_else(PoisonError::into_inner).look();
                if let Reloaded::Generation(_) = looked {
                    changed();
                }
            }
        };
        let thread = std::thread::Builder::new().name("plugins".to_owned()).spawn(run)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
