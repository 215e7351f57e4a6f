//! A disk in memory that can be full, fail, panic, or lose its power between any two steps.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::kv::disk::Disk;

/// A file system as a crash or a look at it finds it: what each name holds.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

type Names = BTreeMap<PathBuf, usize>;

/// What happens to a step.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Fails,
    Panics,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SimDisk(Arc<Mutex<Sim>>);

#[derive(Debug)]
struct Inode {
    bytes: Vec<u8>,
    synced: bool,
}

#[derive(Debug)]
struct Sim {
    inodes: Vec<Inode>,
    /// What the names meant after the last fsync of the directory and after every step since; the last is now.
    names: Vec<Names>,
    steps: Vec<&'static str>,
    crash_at: Option<usize>,
    faults: BTreeMap<&'static str, Fault>,
    /// Faults that begin once a step of the first name was tried.
    later: Vec<(&'static str, &'static str)>,
}

impl Default for Sim {
    fn default() -> Self {
        Self {
            inodes: Vec::new(),
            names: vec![Names::new()],
            steps: Vec::new(),
            crash_at: None,
            faults: BTreeMap::new(),
            later: Vec::new(),
        }
    }
}

impl SimDisk {
    pub(super) fn holding(path: &Path, bytes: &[u8]) -> Self {
        let disk = Self::default();
        disk.sim().inodes.push(Inode { bytes: bytes.to_vec(), synced: true });
        disk.sim().names[0].insert(path.to_owned(), 0);
        disk
    }

    /// Every later step with this name fails or panics, until [`SimDisk::mend`].
    pub(super) fn inject(&self, step: &'static str, fault: Fault) {
        self.sim().faults.insert(step, fault);
    }

    /// Once a step named `first` was tried, every later one named `step` fails.
    pub(super) fn inject_after(&self, first: &'static str, step: &'static str) {
        self.sim().later.push((first, step));
    }

    pub(super) fn mend(&self) {
        let mut sim = self.sim();
        sim.faults.clear();
        sim.later.clear();
    }

    /// The power fails before this step, counted from now.
    pub(super) fn crash_before(&self, step: usize) {
        let mut sim = self.sim();
        sim.crash_at = Some(sim.steps.len() + step);
    }

    pub(super) fn has_crashed(&self) -> bool {
        let sim = self.sim();
        sim.crash_at.is_some_and(|crash_at| sim.steps.len() > crash_at)
    }

    pub(super) fn steps_taken(&self) -> Vec<&'static str> {
        self.sim().steps.clone()
    }

    /// What a process that looks now sees.
    pub(super) fn files(&self) -> Files {
        let sim = self.sim();
        let now = sim.names.last().expect("there is always a present");
        now.iter().map(|(path, inode)| (path.clone(), sim.inodes[*inode].bytes.clone())).collect()
    }

    /// Everything that may be found after a crash: names as after any step since the last fsync of the directory, and
    /// of every content that was not forced to disk nothing, a part, or all.
    pub(super) fn survivors(&self) -> BTreeSet<Files> {
        let sim = self.sim();
        let mut survivors = BTreeSet::new();
        for names in &sim.names {
            for eighths in [0, 4, 8] {
                let found = names.iter().map(|(path, inode)| {
                    let Inode { bytes, synced } = &sim.inodes[*inode];
                    let kept = if *synced { bytes.len() } else { bytes.len() * eighths / 8 };
                    (path.clone(), bytes[..kept].to_vec())
                });
                survivors.insert(found.collect());
            }
        }
        survivors
    }

    fn sim(&self) -> MutexGuard<'_, Sim> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a step: its outcome is that of `act`, unless a fault or a crash comes first.
    fn step<T>(&self, name: &'static str, act: impl FnOnce(&mut Sim) -> io::Result<T>) -> io::Result<T> {
        let mut sim = self.sim();
        let number = sim.steps.len();
        sim.steps.push(name);
        if sim.crash_at.is_some_and(|crash_at| number >= crash_at) {
            return Err(io::Error::other("the power is off"));
        }
        let fault = sim.faults.get(name).copied();
        for (_, step) in sim.later.extract_if(.., |(first, _)| *first == name).collect::<Vec<_>>() {
            sim.faults.insert(step, Fault::Fails);
        }
        match fault {
            Some(Fault::Fails) => {
                // A full disk is found out half-way.
                if name == "write" {
                    let _ = act(&mut sim);
                    sim.inodes.last_mut().expect("just written").bytes.truncate(5);
                }
                Err(io::ErrorKind::StorageFull.into())
            }
            Some(Fault::Panics) => panic!("injected"),
            None => act(&mut sim),
        }
    }

    fn names_step(&self, name: &'static str, act: impl FnOnce(&mut Names) -> io::Result<()>) -> io::Result<()> {
        self.step(name, |sim| {
            let mut names = sim.names.last().expect("there is always a present").clone();
            act(&mut names)?;
            sim.names.push(names);
            Ok(())
        })
    }
}

impl Disk for SimDisk {
    type File = usize;

    fn write_temporary(&mut self, path: &Path, _like: &Path, bytes: &[u8]) -> io::Result<usize> {
        self.step("write", |sim| {
            let inode = sim.inodes.len();
            sim.inodes.push(Inode { bytes: bytes.to_vec(), synced: false });
            let mut names = sim.names.last().expect("there is always a present").clone();
            names.insert(path.to_owned(), inode);
            sim.names.push(names);
            Ok(inode)
        })
    }

    fn sync_file(&mut self, file: &usize) -> io::Result<()> {
        self.step("sync file", |sim| {
            sim.inodes[*file].synced = true;
            Ok(())
        })
    }

    fn link(&mut self, original: &Path, link: &Path) -> io::Result<()> {
        self.names_step("link", |names| {
            let inode = *names.get(original).ok_or(io::ErrorKind::NotFound)?;
            if names.contains_key(link) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            names.insert(link.to_owned(), inode);
            Ok(())
        })
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let step = if to.extension().is_some_and(|extension| extension == "bak") { "rename backup" } else { "rename" };
        self.names_step(step, |names| {
            let inode = *names.get(from).ok_or(io::ErrorKind::NotFound)?;
            // As POSIX wants it: between two links to one file, nothing happens.
            if names.get(to) != Some(&inode) {
                names.remove(from);
                names.insert(to.to_owned(), inode);
            }
            Ok(())
        })
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.names_step("remove", |names| names.remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into()))
    }

    fn sync_directory(&mut self, _path: &Path) -> io::Result<()> {
        self.step("sync directory", |sim| {
            let now = sim.names.len() - 1;
            sim.names.drain(..now);
            Ok(())
        })
    }
}
