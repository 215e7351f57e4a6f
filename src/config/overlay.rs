//! The overlay file: what request 318 changed, kept beside the operator's file and read after it.
//!
//! It holds live keys only, under Java's names, as a properties file. It is replaced whole, so that a crash leaves the
//! old one or the new one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::java::{Effect, JavaKey};
use super::{Config, Notice, Severity, properties};
use crate::atomic;

/// What was changed at run time, and where it is remembered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overlay {
    /// The file; none when changes last until the server stops.
    pub path: Option<PathBuf>,
    /// Keys and values, as Java writes them.
    pub(super) entries: BTreeMap<&'static str, String>,
}

const COMMENT: &str =
    "# What was changed while the server ran. It is read after the configuration file, and rewritten.\n";

impl Overlay {
    /// Applies the entries of an overlay file; what cannot be applied becomes a notice and is forgotten.
    pub(super) fn apply(&mut self, path: &Path, entries: Vec<properties::Entry>, config: &mut Config) -> Vec<Notice> {
        entries.into_iter().map(|entry| self.apply_entry(path, entry, config)).collect()
    }

    fn apply_entry(&mut self, path: &Path, entry: properties::Entry, config: &mut Config) -> Notice {
        let notice = |severity, text| Notice { severity, path: path.to_owned(), line: entry.line, text };
        let ignored = |why: String| notice(Severity::Warning, format!("`{}` {why}; ignored", entry.key.escape_debug()));
        let Some(key) = JavaKey::find(&entry.key).filter(|key| key.effect == Effect::Live) else {
            return ignored("does not change at run time".to_owned());
        };
        let value = key.parse(&entry.value).and_then(|value| key.set(config, &value).map(|_| value.into_text()));
        match value {
            Ok(value) => {
                let text = format!("`{}` is {value}, as set at run time", key.name);
                self.entries.insert(key.name, value);
                notice(Severity::Info, text)
            }
            Err(error) => ignored(error.to_string()),
        }
    }

    /// Puts the entries on disk; when this returns, a crash cannot lose them.
    pub(super) fn save(&self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let entries = self.entries.iter().map(|(key, value)| (*key, value.as_str()));
        let file = COMMENT.to_owned() + &properties::write(entries);
        fs::create_dir_all(atomic::directory(path))?;
        atomic::replace(path, &[file.as_bytes()], atomic::FOR_ALL)
    }
}
