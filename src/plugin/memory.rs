//! The server's private directory for what it remembers of plugins: the [`Ledger`], and the bytes that it names.
//!
//! ```text
//!  state.json            the ledger: what is switched off or rolled back, and what was in use of each file
//!  contents/SHA256.wasm  what may be gone back to
//!  lock                  held by the server that uses the directory
//!  control.sock          where the commands of operators arrive, unless the configuration says otherwise
//! ```
//!
//! # Invariants
//!
//! * Bytes are used only if they are what their name says, and nobody but this user can have put them there.
//! * A damaged ledger keeps nobody from starting, and is not lost: it is set aside, and the log and the list of plugins
//!   say so for as long as the server runs.
//! * Without a directory all of it lasts until the server stops.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::ledger::Ledger;
use super::place;
use crate::atomic;
use crate::config::Sha256;

/// No ledger is larger: a file has a few hundred bytes in it.
const LEDGER_SIZE_MAX: u64 = 4 << 20;

/// What is remembered, and where.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) ledger: Ledger,
    /// What the disk has of it.
    saved: Ledger,
    place: Option<Place>,
    /// The contents, where there is no directory for them.
    contents: BTreeMap<Sha256, Box<[u8]>>,
    /// What is wrong, for those who look at the list of plugins.
    complaint: Option<String>,
}

/// The directory.
struct Place {
    dir: PathBuf,
    /// As of the last look.
    contents: BTreeSet<Sha256>,
    _lock: File,
}

/// Why the directory is not used.
#[derive(Debug, thiserror::Error)]
enum PlaceError {
    #[error("another server uses it; `plugins.state-dir` would give this one a directory of its own")]
    Locked,
    #[error("its state.json is damaged ({damage}) and cannot be set aside: {error}")]
    Damaged { damage: String, error: io::Error },
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Memory {
    /// Reads what an earlier server left in `dir`.
    pub(super) fn open(dir: Option<&Path>) -> Self {
        let Some(dir) = dir else { return Self::default() };
        let opened = Place::open(dir).and_then(|place| {
            let (ledger, complaint) = place.read()?;
            Ok(Self { saved: ledger.clone(), ledger, place: Some(place), contents: BTreeMap::new(), complaint })
        });
        let memory = opened.unwrap_or_else(|error| {
            let text = format!(
                "{} cannot be used, so what operators say about plugins lasts until the server stops, and what they \
                 said before does not count: {error}",
                dir.display()
            );
            Self { complaint: Some(text), ..Self::default() }
        });
        if let Some(complaint) = &memory.complaint {
            tracing::error!("{complaint}");
        }
        memory
    }

    /// What is wrong with it.
    pub(super) fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// Whether these bytes are there to be gone back to.
    pub(super) fn has(&self, content: Sha256) -> bool {
        match &self.place {
            Some(place) => place.contents.contains(&content),
            None => self.contents.contains_key(&content),
        }
    }

    /// Keeps bytes.
    pub(super) fn keep(&mut self, content: Sha256, bytes: Vec<u8>) {
        let Some(place) = &mut self.place else {
            self.contents.insert(content, bytes.into());
            return;
        };
        let path = place.path_of(content);
        match atomic::replace(&path, &[&bytes], atomic::PRIVATE) {
            Ok(()) => drop(place.contents.insert(content)),
            Err(error) => tracing::error!(
                path = %path.display(), "a plugin's content cannot be kept, and not be gone back to later: {error}"
            ),
        }
    }

    /// The bytes of a name; the error says why they cannot be used.
    pub(super) fn content(&self, content: Sha256, size_max: u64) -> Result<Vec<u8>, String> {
        let Some(place) = &self.place else {
            let bytes = self.contents.get(&content).map(|bytes| bytes.to_vec());
            return bytes.ok_or_else(|| "its bytes were not kept".to_owned());
        };
        let path = place.path_of(content);
        let refused = |why: String| format!("{}: {why}", path.display());
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(size_max + 1).read_to_end(&mut bytes));
        read.map_err(|error| refused(format!("it cannot be read: {error}")))?;
        if bytes.len() as u64 > size_max {
            return Err(refused(format!("it is larger than `plugins.component-size-max` allows, {size_max}")));
        }
        match Sha256::of(&bytes) {
            found if found == content => Ok(bytes),
            _ => Err(refused("it is damaged: its sha256 is not its name".to_owned())),
        }
    }

    /// Puts on disk what has changed, and forgets bytes that nothing names any more. The error says what is wrong.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        let named = self.ledger.contents();
        self.contents.retain(|content, _| named.contains(content));
        let Some(place) = &mut self.place else { return Ok(()) };
        if self.saved != self.ledger {
            let path = place.ledger();
            let saved = atomic::replace(&path, &[self.ledger.text().as_bytes()], atomic::PRIVATE);
            if let Err(error) = saved {
                let text = format!("{} cannot be written, so a restart forgets this: {error}", path.display());
                tracing::error!("{text}");
                return Err(text);
            }
            self.saved = self.ledger.clone();
        }
        // After the ledger, so that the one on disk never names what is gone.
        place.forget_others(&named);
        Ok(())
    }
}

impl Place {
    fn open(dir: &Path) -> Result<Self, PlaceError> {
        place::make_private(dir)?;
        let dir = fs::canonicalize(dir)?;
        let lock = File::options().write(true).create(true).truncate(false).open(dir.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(PlaceError::Locked),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        place::make_private(&dir.join("contents"))?;
        let mut place = Self { dir, contents: BTreeSet::new(), _lock: lock };
        for entry in fs::read_dir(place.dir.join("contents"))? {
            let path = entry?.path();
            let content = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            match content.filter(|content| place.path_of(*content) == path) {
                Some(content) => drop(place.contents.insert(content)),
                // Left by a crash; the lock is ours, so nobody is about to finish it.
                None if path.to_string_lossy().ends_with(atomic::UNFINISHED) => fs::remove_file(path)?,
                None => {}
            }
        }
        Ok(place)
    }

    fn ledger(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    fn path_of(&self, content: Sha256) -> PathBuf {
        self.dir.join("contents").join(format!("{content}.wasm"))
    }

    /// The ledger, and what is to be said about it.
    fn read(&self) -> Result<(Ledger, Option<String>), PlaceError> {
        let path = self.ledger();
        let mut text = Vec::new();
        match File::open(&path) {
            Ok(file) => drop(file.take(LEDGER_SIZE_MAX + 1).read_to_end(&mut text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Ledger::default(), None)),
            Err(error) => return Err(error.into()),
        }
        let parsed = if text.len() as u64 > LEDGER_SIZE_MAX {
            Err(format!("it has more than {LEDGER_SIZE_MAX} bytes"))
        } else {
            Ledger::parse(&text)
        };
        let damage = match parsed {
            Ok(ledger) => return Ok((ledger, None)),
            Err(damage) => damage,
        };
        let aside = self.set_aside().map_err(|error| PlaceError::Damaged { damage: damage.clone(), error })?;
        let text = format!(
            "{} was damaged ({damage}), and is {} now: what was switched off or rolled back there does not count. To \
             have it count again, stop the server, repair that file, and give it its name back; or disable and roll \
             back anew",
            path.display(),
            aside.display()
        );
        Ok((Ledger::default(), Some(text)))
    }

    /// Gives the ledger the first name of its kind that is free.
    fn set_aside(&self) -> io::Result<PathBuf> {
        let named = |number: u32| self.dir.join(format!("state.json.damaged-{number}"));
        let aside = (1..=u32::MAX).map(named).find(|path| !path.exists()).ok_or(io::ErrorKind::AlreadyExists)?;
        fs::rename(self.ledger(), &aside)?;
        File::open(&self.dir)?.sync_all()?;
        Ok(aside)
    }

    fn forget_others(&mut self, named: &BTreeSet<Sha256>) {
        let others: Vec<_> = self.contents.difference(named).copied().collect();
        for content in others {
            // What cannot be removed now is tried again when the server starts.
            let _ = fs::remove_file(self.path_of(content));
            self.contents.remove(&content);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SIZE_MAX: u64 = 100;

    fn remember(memory: &mut Memory, names: &[&str]) -> Vec<Sha256> {
        let contents = names.iter().map(|name| {
            let content = Sha256::of(name.as_bytes());
            memory.keep(content, name.as_bytes().to_vec());
            memory.ledger.note_used("/p.wasm".as_ref(), "p", content);
            content
        });
        contents.collect()
    }

    /// A place for the directory: it is made for this user alone.
    fn dir(home: &tempfile::TempDir) -> PathBuf {
        home.path().join("state")
    }

    fn files(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_settled_is_known_to_the_next_server() {
        let home = tempfile::tempdir().unwrap();
        let dir = dir(&home);
        let mut memory = Memory::open(Some(&dir));
        let contents = remember(&mut memory, &["a", "b"]);
        memory.settle().unwrap();
        let ledger = memory.ledger.clone();
        drop(memory);

        let memory = Memory::open(Some(&dir));

        assert_eq!((&memory.ledger, memory.complaint()), (&ledger, None));
        assert_eq!(memory.content(contents[0], SIZE_MAX), Ok(b"a".to_vec()));
        for (path, mode) in [("", 0o700), ("contents", 0o700), ("state.json", 0o600)] {
            assert_eq!(fs::metadata(dir.join(path)).unwrap().permissions().mode() & 0o7777, mode, "{path}");
        }
    }

    #[test]
    fn bytes_that_are_not_what_their_name_says_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let mut memory = Memory::open(Some(&dir(&home)));
        let [content] = remember(&mut memory, &["a component"])[..] else { panic!("one") };
        let path = dir(&home).join(format!("contents/{content}.wasm"));

        assert!(memory.content(content, 3).unwrap_err().contains("`plugins.component-size-max` allows, 3"));
        fs::write(&path, "A component").unwrap();
        let why = memory.content(content, SIZE_MAX).unwrap_err();
        assert!(why.contains("its sha256 is not its name") && why.contains(&*path.to_string_lossy()), "{why}");
        fs::remove_file(&path).unwrap();
        assert!(memory.content(content, SIZE_MAX).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn only_what_can_be_gone_back_to_is_kept() {
        let home = tempfile::tempdir().unwrap();
        for place in [Some(dir(&home)), None] {
            let mut memory = Memory::open(place.as_deref());
            let contents = remember(&mut memory, &["1", "2", "3", "4", "5", "6", "7"]);
            memory.settle().unwrap();

            let kept: Vec<_> = contents.iter().map(|content| memory.has(*content)).collect();
            assert_eq!(kept, [false, false, true, true, true, true, true]);
            assert!(memory.content(contents[2], SIZE_MAX).is_ok() && memory.content(contents[1], SIZE_MAX).is_err());
        }
        assert_eq!(files(&dir(&home).join("contents")).len(), 5);
    }

    #[test]
    fn what_a_crash_left_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let content = remember(&mut Memory::open(Some(&dir(&home))), &["a"])[0];
        fs::write(dir(&home).join(format!("contents/{content}.wasm.77-0{}", atomic::UNFINISHED)), "hal").unwrap();

        let mut memory = Memory::open(Some(&dir(&home)));
        assert_eq!(files(&dir(&home).join("contents")), [format!("{content}.wasm")]);
        // The ledger was not written any more, so nobody needs these bytes.
        memory.settle().unwrap();
        assert_eq!(files(&dir(&home).join("contents")), [""; 0]);
    }

    #[test]
    fn a_damaged_ledger_is_set_aside_and_told_with_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        drop(Memory::open(Some(&dir(&home))));
        for (round, text) in ["{\"version\": 1, \"disab", "", "{\"version\": 7}"].iter().enumerate() {
            fs::write(dir(&home).join("state.json"), text).unwrap();

            let mut memory = Memory::open(Some(&dir(&home)));

            let aside = format!("state.json.damaged-{}", round + 1);
            let why = memory.complaint().unwrap().to_owned();
            assert!(why.contains(&aside) && why.contains("repair that file"), "{why}");
            assert_eq!(fs::read_to_string(dir(&home).join(&aside)).unwrap(), *text, "nothing is lost");
            assert_eq!(memory.ledger, Ledger::default());
            remember(&mut memory, &["a"]);
            memory.settle().unwrap();
        }
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_told_and_all_lasts_until_the_stop() {
        let home = tempfile::tempdir().unwrap();
        let first = Memory::open(Some(&dir(&home)));
        assert_eq!(first.complaint(), None);
        let mut second = Memory::open(Some(&dir(&home)));
        assert!(second.complaint().is_some_and(|why| why.contains("another server uses it")));
        let [content] = remember(&mut second, &["a"])[..] else { panic!("one") };
        assert_eq!((second.settle(), second.content(content, SIZE_MAX)), (Ok(()), Ok(b"a".to_vec())));
        drop(first);

        fs::set_permissions(dir(&home), fs::Permissions::from_mode(0o755)).unwrap();
        let open = Memory::open(Some(&dir(&home)));
        assert!(open.complaint().is_some_and(|why| why.contains("mode 0700")), "{:?}", open.complaint());
    }
}
