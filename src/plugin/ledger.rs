//! What outlasts a restart: what operators said about plugins while the server ran, and what was in use of each file.
//!
//! Plain values and what may be done with them; the disk is [`memory`](super::memory)'s.
//!
//! # Invariants
//!
//! * Words hang on embedded plugins and on files, never on the name that a plugin from a file gives itself.
//! * What was rolled back is not among what can be gone back to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::Sha256;

/// The version of the file that this server writes, and the only one that it reads.
pub(super) const VERSION: u32 = 1;

/// So many contents before the one in use are remembered of a file.
const EARLIER_MAX: usize = 4;

/// So many files that are no more are remembered, so that one that is removed and put back has its past.
const GONE_MAX: usize = 32;

/// All of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Ledger {
    version: u32,
    /// Embedded plugins that are switched off.
    pub(super) disabled: BTreeSet<String>,
    /// By path.
    files: BTreeMap<String, Record>,
}

/// What is remembered of one file.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Record {
    /// What the plugin called itself when it was last in use.
    pub(super) name: Option<String>,
    /// It is switched off.
    pub(super) disabled: bool,
    /// What was last in use of it.
    pub(super) used: Option<Sha256>,
    /// What was in use before that and was not rolled back, the latest last.
    pub(super) earlier: Vec<Sha256>,
    /// It is used with a certain content, whatever the file holds.
    pub(super) pin: Option<Pin>,
    /// Its content is new, and has not shown yet that it does not fail.
    pub(super) on_trial: bool,
    /// Since when the file is no more, in milliseconds since 1970.
    gone_since: Option<u64>,
}

/// What a file is used with, and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Pin {
    /// The content.
    pub(super) sha256: Sha256,
    /// What was rolled back.
    pub(super) instead_of: Sha256,
    /// Who wanted it.
    pub(super) by: Author,
    /// Why, for those who look at the list.
    pub(super) why: String,
}

/// Who rolls back.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Author {
    /// The operator, until told otherwise.
    Operator,
    /// The server, because calls failed, until the file holds something else.
    Failures,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { version: VERSION, disabled: BTreeSet::new(), files: BTreeMap::new() }
    }
}

impl Ledger {
    /// What is remembered of a file.
    pub(super) fn record(&self, path: &Path) -> Option<&Record> {
        self.files.get(&key(path))
    }

    /// All files of which something is remembered.
    pub(super) fn records(&self) -> impl Iterator<Item = (&Path, &Record)> {
        self.files.iter().map(|(path, record)| (Path::new(path), record))
    }

    pub(super) fn is_disabled(&self, path: &Path) -> bool {
        self.record(path).is_some_and(|record| record.disabled)
    }

    pub(super) fn pin(&self, path: &Path) -> Option<&Pin> {
        self.record(path)?.pin.as_ref()
    }

    /// Switches a file's plugin off or on.
    pub(super) fn set_disabled(&mut self, path: &Path, disabled: bool) {
        self.files.entry(key(path)).or_default().disabled = disabled;
    }

    /// A file is used with this content now.
    pub(super) fn note_used(&mut self, path: &Path, name: &str, content: Sha256) {
        let record = self.files.entry(key(path)).or_default();
        record.gone_since = None;
        if record.name.as_deref() != Some(name) {
            record.name = Some(name.to_owned());
        }
        let before = record.used.replace(content).filter(|before| *before != content);
        let Some(before) = before else { return };
        record.earlier.retain(|earlier| *earlier != content && *earlier != before);
        record.earlier.push(before);
        let excess = record.earlier.len().saturating_sub(EARLIER_MAX);
        record.earlier.drain(..excess);
        record.on_trial = record.pin.is_none();
    }

    /// A new content has shown that it does not fail.
    pub(super) fn note_proven(&mut self, path: &Path) {
        if let Some(record) = self.files.get_mut(&key(path)) {
            record.on_trial = false;
        }
    }

    /// From now on a file is used with what was in use before; says with what. None when nothing was.
    pub(super) fn roll_back(&mut self, path: &Path, by: Author, why: String) -> Option<Sha256> {
        let record = self.files.get_mut(&key(path))?;
        let instead_of = record.used?;
        let sha256 = record.earlier.pop()?;
        record.used = Some(sha256);
        record.on_trial = false;
        record.pin = Some(Pin { sha256, instead_of, by, why });
        Some(sha256)
    }

    /// From now on what a file holds counts; says whether that is new.
    pub(super) fn unpin(&mut self, path: &Path) -> bool {
        self.files.get_mut(&key(path)).is_some_and(|record| record.pin.take().is_some())
    }

    /// Lets go of what was rolled back because it failed, where the file holds something else by now.
    pub(super) fn heed_contents(&mut self, held: impl Fn(&Path) -> Option<Sha256>) {
        for (path, record) in &mut self.files {
            let ends = |pin: &mut Pin| {
                pin.by == Author::Failures && held(Path::new(path)).is_some_and(|held| held != pin.instead_of)
            };
            record.pin.take_if(ends);
        }
    }

    /// Notes which files there are, and forgets the past of those that have long been gone.
    pub(super) fn note_present(&mut self, is_there: impl Fn(&Path) -> bool, now: u64) {
        for (path, record) in &mut self.files {
            record.gone_since = if is_there(Path::new(path)) { None } else { record.gone_since.or(Some(now)) };
        }
        let past = |record: &Record| record.gone_since.filter(|_| !record.disabled && record.pin.is_none());
        let mut gone: Vec<_> = self.files.iter().filter_map(|(path, r)| Some((past(r)?, path.clone()))).collect();
        gone.sort();
        for (_, path) in gone.iter().take(gone.len().saturating_sub(GONE_MAX)) {
            self.files.remove(path);
        }
    }

    /// Every content that may be needed again.
    pub(super) fn contents(&self) -> BTreeSet<Sha256> {
        let of = |record: &Record| {
            record.earlier.iter().copied().chain(record.used).chain(record.pin.as_ref().map(|pin| pin.sha256)).collect()
        };
        self.files.values().flat_map(|record| -> Vec<Sha256> { of(record) }).collect()
    }

    /// What is written.
    pub(super) fn text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("texts, numbers and lists are JSON");
        text + "\n"
    }

    /// What was written; the error says what is wrong with it.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if version != VERSION {
            return Err(format!("its version is {version}, and this server knows {VERSION}"));
        }
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }
}

fn key(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(name: &str) -> Sha256 {
        Sha256::of(name.as_bytes())
    }

    fn used(names: &[&str]) -> Ledger {
        let mut ledger = Ledger::default();
        names.iter().for_each(|name| ledger.note_used(PATH.as_ref(), "p", content(name)));
        ledger
    }

    const PATH: &str = "/plugins/p.wasm";

    fn back(ledger: &mut Ledger) -> Option<Sha256> {
        ledger.roll_back(PATH.as_ref(), Author::Operator, "because".to_owned())
    }

    #[test]
    fn a_rollback_goes_step_by_step_to_what_was_in_use_before() {
        let mut ledger = used(&["a", "b", "c"]);

        assert_eq!(back(&mut ledger), Some(content("b")));
        assert_eq!(back(&mut ledger), Some(content("a")));
        assert_eq!(back(&mut ledger), None);
        assert_eq!(
            ledger.pin(PATH.as_ref()).map(|pin| (pin.sha256, pin.instead_of)),
            Some((content("a"), content("b")))
        );
        assert_eq!(Ledger::default().roll_back(PATH.as_ref(), Author::Operator, String::new()), None);
    }

    #[test]
    fn what_was_rolled_back_is_not_gone_back_to_later() {
        let mut ledger = used(&["a", "b"]);
        back(&mut ledger);

        assert!(ledger.unpin(PATH.as_ref()) && !ledger.unpin(PATH.as_ref()));
        ledger.note_used(PATH.as_ref(), "p", content("c"));

        assert_eq!(back(&mut ledger), Some(content("a")));
    }

    #[test]
    fn few_contents_are_remembered_and_each_once() {
        let mut ledger = used(&["1", "2", "3", "4", "5", "6", "7", "6"]);
        assert_eq!(ledger.contents().len(), EARLIER_MAX + 1);

        let gone_back_to: Vec<_> = std::iter::from_fn(|| back(&mut ledger)).collect();
        assert_eq!(gone_back_to, ["7", "5", "4", "3"].map(content));
    }

    #[test]
    fn a_content_that_failed_is_tried_no_more_until_the_file_holds_another() {
        let mut ledger = used(&["a", "b"]);
        assert!(ledger.record(PATH.as_ref()).is_some_and(|record| record.on_trial));
        ledger.roll_back(PATH.as_ref(), Author::Failures, "3 of 5".to_owned());
        assert!(ledger.record(PATH.as_ref()).is_some_and(|record| !record.on_trial));

        for held in [None, Some(content("b"))] {
            ledger.heed_contents(|_| held);
            assert!(ledger.pin(PATH.as_ref()).is_some());
        }
        ledger.heed_contents(|_| Some(content("c")));
        assert!(ledger.pin(PATH.as_ref()).is_none());

        back(&mut ledger);
        ledger.heed_contents(|_| Some(content("d")));
        assert!(ledger.pin(PATH.as_ref()).is_none(), "there was nothing to go back to");
        ledger.note_used(PATH.as_ref(), "p", content("d"));
        back(&mut ledger);
        ledger.heed_contents(|_| Some(content("e")));
        assert!(ledger.pin(PATH.as_ref()).is_some(), "the operator's word is heeded until the operator takes it back");
    }

    #[test]
    fn files_that_are_gone_are_remembered_for_a_while_and_words_about_them_for_ever() {
        let mut ledger = used(&["a"]);
        let others: Vec<_> = (0..2 * GONE_MAX).map(|at| format!("/plugins/other-{at:03}.wasm")).collect();
        others.iter().for_each(|path| ledger.note_used(path.as_ref(), "o", content(path)));
        ledger.set_disabled(others[0].as_ref(), true);

        for (now, there) in (0..others.len()).rev().enumerate() {
            ledger.note_present(|path| others[..there].iter().any(|known| Path::new(known) == path), now as u64);
        }

        assert!(ledger.record(PATH.as_ref()).is_none());
        assert!(ledger.is_disabled(others[0].as_ref()));
        assert_eq!(ledger.records().count(), GONE_MAX + 1);
        assert!(ledger.record(others[1].as_ref()).is_some(), "it went last");
        ledger.note_present(|_| true, 1000);
        assert!(ledger.records().all(|(_, record)| record.gone_since.is_none()));
    }

    #[test]
    fn what_is_written_is_read_again_and_anything_else_is_refused_with_the_reason() {
        let mut ledger = used(&["a", "b"]);
        back(&mut ledger);
        ledger.disabled.insert("zone".to_owned());

        assert_eq!(Ledger::parse(ledger.text().as_bytes()), Ok(ledger.clone()));
        let refused = |from: &str, to: &str| Ledger::parse(ledger.text().replace(from, to).as_bytes()).unwrap_err();
        assert!(refused("\"version\": 1", "\"version\": 2").contains("its version is 2"), "{ledger:?}");
        assert!(refused("\"why\"", "\"wy\"").contains("unknown field `wy`"));
        assert!(refused("}", "").contains("EOF"));
        let shorter = content("a").to_string();
        assert!(refused(&shorter, &shorter[1..]).contains("64 hexadecimal digits"));
    }
}
