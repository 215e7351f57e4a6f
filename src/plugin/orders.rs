//! What operators order of a running server: a plugin goes back, goes out, comes in.
//!
//! # Invariants
//!
//! * An order that cannot be obeyed changes nothing, and says why.
//! * What was ordered is remembered before it is acknowledged, or the acknowledgement says that it is not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::assembly::{Standing, file_name};
use super::ledger::Author;
use super::reload::{Reloaded, Reloader};
use super::wasm::Haste;
use crate::config::nearest;

/// An order.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Order {
    /// Read the files anew, whether they have settled or not; that of one plugin also if it was rolled back.
    Reload(Option<String>),
    /// Use a plugin's file with what was in use before.
    Rollback(String),
    /// Take back what was said last: that a plugin is switched off, or else that it was rolled back.
    Enable(String),
    /// Use a plugin no more.
    Disable(String),
}

/// An order was obeyed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Done {
    /// What it led to.
    pub reloaded: Reloaded,
    /// The same in words.
    pub text: String,
    /// What the operator should know beside it.
    pub warnings: Vec<String>,
}

/// Why an order was not obeyed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// There is no such plugin.
    #[error("there is no plugin {name:?}{}; `fingerpost plugin list` shows those that there are", hint(near))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What was probably meant.
        near: Option<String>,
    },
    /// The name means several.
    #[error("{name:?} means several; say which: {}", those.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What to say instead.
        those: Vec<String>,
    },
    /// It cannot be done.
    #[error("{0}")]
    Refused(String),
}

fn hint(near: &Option<String>) -> String {
    near.as_ref().map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}

/// Whom an order is about.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Subject {
    Embedded(String),
    File(PathBuf),
}

/// In front of a name, this means the embedded plugin and no file.
const EMBEDDED: &str = "embedded:";

impl Reloader {
    /// Does what is ordered.
    ///
    /// # Errors
    /// When it cannot be done; everything is as it was.
    pub(crate) fn obey(&mut self, order: &Order) -> Result<Done, OrderError> {
        let answered = self.answered();
        let (text, reloaded) = match order {
            Order::Reload(None) => {
                let reloaded = self.read_again();
                ("the plugins directories and the configuration were read".to_owned(), reloaded)
            }
            Order::Reload(Some(name)) => self.reload_one(name)?,
            Order::Rollback(name) => self.roll_back_one(name)?,
            Order::Enable(name) => self.enable(name)?,
            Order::Disable(name) => self.disable(name)?,
        };
        let mut warnings: Vec<_> = self.settle().err().into_iter().collect();
        if reloaded == Reloaded::Failed {
            warnings.extend(self.failure.clone());
        }
        let lost: Vec<_> = answered.difference(&self.answered()).map(i32::to_string).collect();
        if !lost.is_empty() {
            warnings.push(format!("nobody answers request code {} now", lost.join(", ")));
        }
        self.show();
        tracing::info!("the operator's order: {text}");
        Ok(Done { reloaded, text, warnings })
    }

    fn reload_one(&mut self, name: &str) -> Result<(String, Reloaded), OrderError> {
        let path = self.file(name)?;
        let before = self.sources.memory.ledger.clone();
        let was_pinned = self.sources.memory.ledger.unpin(&path);
        let reloaded = self.read_again();
        let what = if was_pinned { "is used with what its file holds again" } else { "was read" };
        match self.standing(&path) {
            Some(Standing::Rejected(why, _) | Standing::Unused(why)) => {
                let why = format!("{} cannot be used with what it holds: {why}", path.display());
                if was_pinned {
                    self.sources.memory.ledger = before;
                    self.remake();
                }
                Err(OrderError::Refused(why))
            }
            _ => Ok((format!("{} {what}", path.display()), reloaded)),
        }
    }

    fn roll_back_one(&mut self, name: &str) -> Result<(String, Reloaded), OrderError> {
        let path = self.file(name)?;
        if self.sources.memory.ledger.is_disabled(&path) {
            let text = format!("{} is switched off: `fingerpost plugin enable {name}` comes first", path.display());
            return Err(OrderError::Refused(text));
        }
        let rolled_back = self.roll_back(&path, Author::Operator, "the operator wanted it".to_owned());
        let refused = |why| OrderError::Refused(format!("{} cannot be rolled back: {why}", path.display()));
        let (content, reloaded) = rolled_back.map_err(refused)?;
        let version = match self.standing(&path) {
            Some(Standing::Used(plugin)) => format!("version {}, ", plugin.manifest.version),
            _ => String::new(),
        };
        Ok((format!("{} was rolled back to {version}sha256 {content}", path.display()), reloaded))
    }

    fn enable(&mut self, name: &str) -> Result<(String, Reloaded), OrderError> {
        let subject = self.subject(name, |_| true)?;
        let before = self.sources.memory.ledger.clone();
        let ledger = &mut self.sources.memory.ledger;
        let text = match &subject {
            Subject::Embedded(name) if ledger.disabled.remove(name) => format!("{name} is switched on"),
            Subject::Embedded(name) if self.sources.config.disabled.contains(name) => {
                let text = format!("{name} is switched off by `plugins.disabled` in the configuration, which counts");
                return Err(OrderError::Refused(text));
            }
            Subject::Embedded(name) => format!("{name} was not switched off"),
            Subject::File(path) if ledger.is_disabled(path) => {
                ledger.set_disabled(path, false);
                format!("{} is switched on", path.display())
            }
            Subject::File(path) if ledger.unpin(path) => {
                format!("{} is used with what its file holds again", path.display())
            }
            Subject::File(path) => format!("{} was neither switched off nor rolled back", path.display()),
        };
        let reloaded = self.remake();
        if reloaded == Reloaded::Failed {
            return Err(self.take_back(before));
        }
        if let Subject::File(path) = &subject
            && let Some(Standing::Rejected(why, None) | Standing::Unused(why)) = self.standing(path)
        {
            return Ok((format!("{text}, and still not used: {why}"), reloaded));
        }
        Ok((text, reloaded))
    }

    fn disable(&mut self, name: &str) -> Result<(String, Reloaded), OrderError> {
        let subject = self.subject(name, |subject| match subject {
            Subject::Embedded(name) => self.embedded_in_use(name),
            Subject::File(path) => self.standing(path).is_some_and(|standing| standing.used().is_some()),
        })?;
        let before = self.sources.memory.ledger.clone();
        let ledger = &mut self.sources.memory.ledger;
        let what = match &subject {
            Subject::Embedded(name) => {
                ledger.disabled.insert(name.clone());
                name.clone()
            }
            Subject::File(path) => {
                ledger.set_disabled(path, true);
                path.display().to_string()
            }
        };
        let reloaded = self.remake();
        if reloaded == Reloaded::Failed {
            return Err(self.take_back(before));
        }
        Ok((format!("{what} is switched off"), reloaded))
    }

    /// Makes a catalogue of what is known and was ordered.
    fn remake(&mut self) -> Reloaded {
        self.sources.load_pinned(Haste::Quiet);
        self.after_look(true)
    }

    /// Nothing was ordered.
    fn take_back(&mut self, before: super::ledger::Ledger) -> OrderError {
        let why = self.failure.take().unwrap_or_default();
        self.sources.memory.ledger = before;
        self.remake();
        OrderError::Refused(format!("that cannot be: {why}"))
    }

    fn standing(&self, path: &Path) -> Option<&Standing> {
        self.standings.iter().find(|(known, _)| known == path).map(|(_, standing)| standing)
    }

    /// The request codes that somebody answers.
    fn answered(&self) -> BTreeSet<i32> {
        self.generations.current().codes().map(|(code, _)| code).collect()
    }

    /// The file that a name means.
    fn file(&self, name: &str) -> Result<PathBuf, OrderError> {
        match self.subject(name, |subject| matches!(subject, Subject::File(_)))? {
            Subject::File(path) => Ok(path),
            Subject::Embedded(name) => {
                let text = format!("{name} came with the server and has no file; a newer server has a newer one");
                Err(OrderError::Refused(text))
            }
        }
    }

    /// What a name means: the path of a file, its name, or what a plugin calls itself. Of several, those that are more
    /// `likely` count.
    fn subject(&self, name: &str, likely: impl Fn(&Subject) -> bool) -> Result<Subject, OrderError> {
        let embedded: BTreeSet<_> = self.sources.workshop.embedded_names().collect();
        if let Some(known) = name.strip_prefix(EMBEDDED).and_then(|name| embedded.get(name)) {
            return Ok(Subject::Embedded((*known).to_owned()));
        }
        let remembered = self.sources.memory.ledger.records().map(|(path, _)| path);
        let paths: BTreeSet<_> = self.sources.files().map(|(path, _)| path).chain(remembered).collect();
        let of_path = paths.iter().filter(|path| path.as_os_str() == name || file_name(path) == name);
        let mut found: BTreeSet<_> = of_path.map(|path| Subject::File((*path).to_owned())).collect();
        if found.is_empty() {
            let of_name = paths.iter().filter(|path| self.sources.names_of(path).contains(name));
            found.extend(of_name.map(|path| Subject::File((*path).to_owned())));
            found.extend(embedded.get(name).map(|name| Subject::Embedded((*name).to_owned())));
        }
        if found.len() > 1 && found.iter().any(&likely) {
            found.retain(&likely);
        }
        match (found.len(), found.pop_first()) {
            (1, Some(subject)) => Ok(subject),
            (_, Some(first)) => {
                let say = |subject: &Subject| match subject {
                    Subject::Embedded(name) => format!("{EMBEDDED}{name}"),
                    Subject::File(path) => path.display().to_string(),
                };
                let those = std::iter::once(&first).chain(&found).map(say).collect();
                Err(OrderError::Ambiguous { name: name.to_owned(), those })
            }
            (_, None) => {
                let files: BTreeSet<_> = paths.iter().map(|path| file_name(path)).collect();
                let names = paths.iter().flat_map(|path| self.sources.names_of(path));
                let known: Vec<_> =
                    names.chain(embedded.iter().copied()).chain(files.iter().map(String::as_str)).collect();
                let longer = || known.iter().copied().find(|known| !name.is_empty() && known.starts_with(name));
                let near = nearest(name, known.iter().copied()).or_else(longer).map(str::to_owned);
                Err(OrderError::Unknown { name: name.to_owned(), near })
            }
        }
    }
}
