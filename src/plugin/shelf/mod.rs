//! The plugins directories: which files there are, when they are whole, and what they hold.
//!
//! They are looked at again and again, because that works on every file system, over networks and container mounts as
//! well. A file counts once two looks in a row found the same, so that one that is being copied is left alone; the same
//! goes for its absence. What it holds may be made ready before that, which takes longer than settling.
//!
//! # Invariants
//!
//! * What cannot be read or used is remembered with the reason, and read again when it has changed.
//! * Only what was read whole from the very file that was checked counts: one that changes meanwhile is read again.
//! * A directory that cannot be read takes nothing away: what it held goes on.
//! * No more of a file is read than it may hold.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::RejectReason;
use super::examine::Examined;
use super::sources::may_be_read;
use super::{native, place, signature};
use crate::config::{PluginFile, Sha256};

/// So many looks more read a file again although nothing seems to have changed: one that is written twice within a tick
/// of the file system's clock may look the same.
const LOOKS_AFTER_READING: u8 = 4;

/// How to look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    /// In this order.
    pub(super) dirs: &'a [PathBuf],
    /// Of a component.
    pub(super) size_max: u64,
    /// What the operator says about single files: a library that is not named is not even read.
    pub(super) files: &'a BTreeMap<String, PluginFile>,
    /// Whether a directory that others may write is used.
    pub(super) allows_shared: bool,
    /// Whether to read everything now, rather than what has settled and changed: somebody says that it is whole.
    pub(super) at_once: bool,
}

impl Look<'_> {
    /// What a file may hold; else why it may not even be looked at.
    fn size_max(&self, path: &Path) -> Result<(u64, RejectReason), RejectReason> {
        may_be_read(self.files, path)?;
        Ok(match native::is_library(path) {
            true => (native::SIZE_MAX, RejectReason::LibraryTooLarge),
            false => (self.size_max, RejectReason::TooLarge { limit: self.size_max }),
        })
    }
}

/// What the directories hold.
#[derive(Default)]
pub(super) struct Shelf {
    files: BTreeMap<PathBuf, Shelved>,
    /// What is wrong with a directory, as it was told to the log.
    complaints: BTreeMap<PathBuf, String>,
}

/// What the bytes of a file turned out to be.
pub(super) enum Found {
    Component(Arc<Examined>),
    Embedded,
}

/// A file.
#[derive(Default)]
pub(super) struct Shelved {
    pub(super) content: Content,
    /// What of it is in use; that of a file that is gone or unusable stays until the next catalogue.
    pub(super) used: Option<Arc<Examined>>,
    /// What the last look saw; none when it was gone.
    seen: Option<Stamp>,
    /// What it was like when it was read.
    read: Option<Stamp>,
    read_again: u8,
    sha256: Option<Sha256>,
    /// What was read last, until somebody keeps it.
    bytes: Option<Vec<u8>>,
    /// What it held when it was seen first, and what that turned out to be: once for each arrival.
    foreseen: Option<Foreseen>,
}

/// What was made ready before its file had settled.
struct Foreseen {
    stamp: Stamp,
    sha256: Sha256,
    found: Result<Found, RejectReason>,
}

/// What a file holds.
#[derive(Default)]
pub(super) enum Content {
    /// It may not be whole yet.
    #[default]
    Arriving,
    /// A component.
    Whole(Arc<Examined>),
    /// The bytes of an embedded plugin, which it is, used or not.
    Embedded,
    /// Nothing of use, for this reason.
    Bad(String),
    /// It is no more.
    Gone,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// The place, the size and the time of the signature beside it.
    signature: Option<(u64, u64, i64, i64)>,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            place: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            signature: None,
        }
    }

    fn with_signature(self, path: &Path) -> Self {
        let of = |metadata: Metadata| (metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec());
        Self { signature: fs::metadata(signature::path_of(path)).ok().map(of), ..self }
    }
}

impl Shelf {
    /// Looks once; true when something counts now that did not before.
    pub(super) fn look(
        &mut self,
        look: Look<'_>,
        mut examine: impl FnMut(&Path, Sha256, &[u8]) -> Result<Found, RejectReason>,
    ) -> bool {
        let mut has_changed = false;
        let mut present = BTreeSet::new();
        let mut unknown = BTreeSet::new();
        for dir in look.dirs {
            match self.listing(dir, look.allows_shared) {
                Some(paths) => present.extend(paths),
                None => drop(unknown.insert(dir.as_path())),
            }
        }
        for (path, file) in &mut self.files {
            if present.contains(path) || path.parent().is_some_and(|dir| unknown.contains(dir)) {
                continue;
            }
            let is_listed = path.parent().is_some_and(|dir| look.dirs.iter().any(|listed| listed == dir));
            if file.seen.take().is_none() || look.at_once || !is_listed {
                has_changed |= !matches!(file.content, Content::Gone);
                file.content = Content::Gone;
                (file.read, file.sha256, file.bytes, file.foreseen) = (None, None, None, None);
            }
        }
        for path in present {
            has_changed |= self.files.entry(path.clone()).or_default().look(&path, look, &mut examine);
        }
        has_changed
    }

    /// Makes ready what the last look saw first and the next one may use; true when there was something.
    pub(super) fn foresee(
        &mut self,
        look: Look<'_>,
        mut examine: impl FnMut(&Path, Sha256, &[u8]) -> Result<Found, RejectReason>,
    ) -> bool {
        let mut did = false;
        for (path, file) in &mut self.files {
            did |= file.foresee(path, look, &mut examine);
        }
        did
    }

    /// What there is and was, in the order of the directories and then of the names.
    pub(super) fn files<'a>(&'a self, dirs: &'a [PathBuf]) -> impl Iterator<Item = (&'a Path, &'a Shelved)> {
        let order = |path: &Path| dirs.iter().position(|dir| path.parent() == Some(dir)).unwrap_or(dirs.len());
        let mut files: Vec<_> = self.files.iter().map(|(path, file)| (path.as_path(), file)).collect();
        // It is in order of the paths already, and stays so within a directory.
        files.sort_by_key(|(path, _)| order(path));
        files.into_iter()
    }

    /// What was no good may be good now, because what is asked of it has changed: it is read again.
    pub(super) fn doubt(&mut self) {
        for file in self.files.values_mut() {
            file.foreseen = None;
            if let Content::Bad(_) = file.content {
                (file.read, file.sha256) = (None, None);
            }
        }
    }

    /// A file that there is or was.
    pub(super) fn file(&self, path: &Path) -> Option<&Shelved> {
        self.files.get(path)
    }

    /// The bytes of a content that is in use, unless they were given out before.
    pub(super) fn take_bytes(&mut self, path: &Path, content: Sha256) -> Option<Vec<u8>> {
        self.files.get_mut(path).filter(|file| file.sha256 == Some(content))?.bytes.take()
    }

    /// Notes what of each file is in use now, and forgets those that are gone.
    pub(super) fn settle(&mut self, used: impl Fn(&Path) -> Option<Arc<Examined>>) {
        self.files.retain(|path, file| {
            file.used = used(path);
            file.used.is_some() || !matches!(file.content, Content::Gone)
        });
    }

    /// The components directly inside a directory; none when that is not known, with a line in the log, once.
    fn listing(&mut self, dir: &Path, allows_shared: bool) -> Option<Vec<PathBuf>> {
        let (paths, complaint) = match list(dir, allows_shared) {
            Ok(paths) => (Some(paths), None),
            Err(ListError::Missing) => {
                let text = "there is no such plugins directory; only the embedded plugins and others are used";
                (Some(Vec::new()), Some(text.to_owned()))
            }
            Err(error) => (None, Some(error.to_string())),
        };
        match complaint {
            None => drop(self.complaints.remove(dir)),
            Some(text) if self.complaints.get(dir) == Some(&text) => {}
            Some(text) => {
                match paths {
                    Some(_) => tracing::info!(dir = %dir.display(), "{text}"),
                    None => tracing::error!(dir = %dir.display(), "the plugins directory is not used: {text}"),
                }
                self.complaints.insert(dir.to_owned(), text);
            }
        }
        paths
    }
}

impl Shelved {
    /// What the file holds, as far as it could be read.
    pub(super) fn sha256(&self) -> Option<Sha256> {
        self.sha256.filter(|_| !matches!(self.content, Content::Gone))
    }

    /// The component that the file holds.
    pub(super) fn held(&self) -> Option<&Arc<Examined>> {
        match &self.content {
            Content::Whole(component) => Some(component),
            _ => None,
        }
    }

    /// The component of this content, if the file holds it or it is in use.
    pub(super) fn component_of(&self, content: Sha256) -> Option<&Arc<Examined>> {
        self.held().into_iter().chain(&self.used).find(|component| component.digest == content)
    }

    fn look(
        &mut self,
        path: &Path,
        look: Look<'_>,
        examine: &mut impl FnMut(&Path, Sha256, &[u8]) -> Result<Found, RejectReason>,
    ) -> bool {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
                // It went since it was listed, which the next look will see.
                self.seen = None;
                return false;
            }
            Err(error) => {
                (self.seen, self.read) = (None, None);
                let is_dangling = error.kind() == io::ErrorKind::NotFound;
                let reason = || RejectReason::Read(error).to_string();
                return self.is_bad(if is_dangling { "it is a link to nothing".to_owned() } else { reason() });
            }
        };
        let stamp = Stamp::of(&metadata).with_signature(path);
        let has_settled = self.seen.replace(stamp) == Some(stamp);
        if !has_settled && !look.at_once {
            return false;
        }
        let size_max = match usable(path, &metadata, look) {
            Ok(size_max) => size_max,
            Err(reason) => {
                self.read = None;
                return self.is_bad(reason);
            }
        };
        if !look.at_once {
            if self.read == Some(stamp) {
                if self.read_again == 0 {
                    return false;
                }
                self.read_again -= 1;
            } else {
                self.read_again = LOOKS_AFTER_READING;
            }
        }
        match read(path, size_max) {
            Err(error) => {
                self.read = Some(stamp);
                self.is_bad(RejectReason::Read(error).to_string())
            }
            // Somebody wrote it meanwhile, or put another file there.
            Ok((_, read)) if read != stamp => {
                self.seen = Some(read);
                false
            }
            Ok((bytes, read)) => {
                // The same bytes may be good with another signature.
                if self.read.is_none_or(|before| before.signature != read.signature) && self.held().is_none() {
                    self.sha256 = None;
                }
                self.read = Some(read);
                self.holds(path, bytes, examine)
            }
        }
    }

    /// Makes ready what was seen for the first time. Until the next look has seen the same, nobody uses it.
    fn foresee(
        &mut self,
        path: &Path,
        look: Look<'_>,
        examine: &mut impl FnMut(&Path, Sha256, &[u8]) -> Result<Found, RejectReason>,
    ) -> bool {
        // A library that is not whole could end the process when it is loaded.
        let can_wait = native::is_library(path);
        if can_wait || self.seen.is_none() || self.seen == self.read || self.foreseen.is_some() {
            return false;
        }
        let size_max = fs::metadata(path).ok().and_then(|metadata| usable(path, &metadata, look).ok());
        let read = size_max.and_then(|size_max| read(path, size_max).ok());
        let Some((bytes, stamp)) = read.filter(|(_, stamp)| Some(*stamp) == self.seen) else { return false };
        let sha256 = Sha256::of(&bytes);
        if self.sha256 == Some(sha256) {
            return false;
        }
        self.foreseen = Some(Foreseen { stamp, sha256, found: examine(path, sha256, &bytes) });
        true
    }

    fn holds(
        &mut self,
        path: &Path,
        bytes: Vec<u8>,
        examine: &mut impl FnMut(&Path, Sha256, &[u8]) -> Result<Found, RejectReason>,
    ) -> bool {
        let sha256 = Sha256::of(&bytes);
        // With another signature beside it, it may be judged otherwise.
        let is_it = |foreseen: &Foreseen| foreseen.sha256 == sha256 && Some(foreseen.stamp) == self.read;
        let foreseen = self.foreseen.take().filter(is_it);
        if self.sha256 == Some(sha256) {
            return false;
        }
        (self.sha256, self.bytes) = (Some(sha256), None);
        match foreseen.map_or_else(|| examine(path, sha256, &bytes), |foreseen| foreseen.found) {
            Ok(Found::Component(component)) => {
                self.content = Content::Whole(component);
                self.bytes = Some(bytes);
                true
            }
            Ok(Found::Embedded) => {
                self.content = Content::Embedded;
                true
            }
            Err(reason) => self.holds_nothing(reason.to_string()),
        }
    }

    fn is_bad(&mut self, reason: String) -> bool {
        (self.sha256, self.bytes, self.foreseen) = (None, None, None);
        self.holds_nothing(reason)
    }

    fn holds_nothing(&mut self, reason: String) -> bool {
        let is_known = matches!(&self.content, Content::Bad(known) if *known == reason);
        self.content = Content::Bad(reason);
        !is_known
    }
}

/// Why the content of a directory is not known.
#[derive(Debug, thiserror::Error)]
enum ListError {
    #[error("it is not there")]
    Missing,
    #[error("it cannot be read: {0}")]
    Read(io::Error),
    #[error(
        "{0}: whoever else that is could put plugins into this server; let only its user write there (chmod go-w, \
         chown), or set `plugins.allow-shared-dirs = true`"
    )]
    Shared(String),
}

impl From<io::Error> for ListError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Missing } else { Self::Read(error) }
    }
}

/// The components and libraries directly inside a directory. Those whose names begin with a dot are somebody's work in
/// progress.
fn list(dir: &Path, allows_shared: bool) -> Result<Vec<PathBuf>, ListError> {
    let entries = fs::read_dir(dir)?;
    if !allows_shared && let Some(why) = place::shared(dir)? {
        return Err(ListError::Shared(why));
    }
    let mut paths = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let path = dir.join(&name);
        let is_one = path.extension() == Some(OsStr::new("wasm")) || native::is_library(&path);
        if is_one && !is_hidden(&name) && !path.is_dir() {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// How much of a file may be read; else why it must not be. A link is what it points to.
fn usable(path: &Path, metadata: &Metadata, look: Look<'_>) -> Result<u64, String> {
    if !metadata.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let (size_max, too_large) = look.size_max(path).map_err(|reason| reason.to_string())?;
    if metadata.len() > size_max {
        return Err(too_large.to_string());
    }
    if look.allows_shared {
        return Ok(size_max);
    }
    let shared = match place::writers(metadata) {
        Some(why) => Some(format!("it {why}")),
        None if path.is_symlink() => place::replaceable(path).map_err(|error| RejectReason::Read(error).to_string())?,
        None => None,
    };
    match shared {
        None => Ok(size_max),
        Some(why) => Err(format!(
            "{why}: whoever else that is could change what this server runs; let only its user write there, or set \
             `plugins.allow-shared-dirs = true`"
        )),
    }
}

fn read(path: &Path, size_max: u64) -> io::Result<(Vec<u8>, Stamp)> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    (&file).take(size_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > size_max {
        return Err(io::Error::other("it has grown beyond what is allowed while it was read"));
    }
    Ok((bytes, Stamp::of(&file.metadata()?).with_signature(path)))
}

#[cfg(test)]
mod tests;
