//! A disk in memory that can be full, fail, panic, or lose its power between any two steps.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;

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

#[derive(Clone, Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// What the disk is known to hold, if that is something else: `bytes` are not forced to it yet.
    durable: Option<Vec<u8>>,
    /// Forcing it failed once: the system takes what it could not write for written, and never tries again.
    lost: bool,
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
    last_written: usize,
    /// How often the directory was forced to disk.
    settlements: usize,
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
            last_written: 0,
            settlements: 0,
        }
    }
}

impl SimDisk {
    pub(super) fn holding(path: &Path, bytes: &[u8]) -> Self {
        let disk = Self::default();
        disk.sim().inodes.push(Inode { bytes: bytes.to_vec(), ..Inode::default() });
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

    /// How often the directory was forced to disk.
    pub(super) fn settlements(&self) -> usize {
        self.sim().settlements
    }

    /// The step before which the power failed.
    pub(super) fn step_that_was_the_last(&self) -> Option<&'static str> {
        let sim = self.sim();
        sim.steps.get(sim.crash_at?).copied()
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
                    let Inode { bytes, durable, .. } = &sim.inodes[*inode];
                    let kept = if durable.is_none() { bytes.len() } else { bytes.len() * eighths / 8 };
                    (path.clone(), bytes[..kept].to_vec())
                });
                survivors.insert(found.collect());
            }
        }
        survivors
    }

    /// The disk as it is found when the power is back: of the changes to names that were not forced to it each is kept,
    /// lost or half made, and of every such content a part, without regard to each other.
    pub(super) fn after_power_failure(&self, random: &mut Rng) -> Self {
        let sim = self.sim();
        // Everything and nothing are likelier than chance would have them.
        let mode = random.u8(..4);
        let mut names = sim.names[0].clone();
        for change in sim.names.windows(2) {
            let fate = if mode < 2 { mode * 2 } else { random.u8(..3) };
            // A rename makes the new name before it takes the old one away: half of it leaves both.
            if fate > 0 {
                let made = change[1].iter().filter(|(name, inode)| change[0].get(*name) != Some(inode));
                names.extend(made.map(|(name, inode)| (name.clone(), *inode)));
            }
            if fate > 1 {
                names.retain(|name, _| change[1].contains_key(name) || !change[0].contains_key(name));
            }
        }
        let mut inodes: Vec<Inode> = Vec::new();
        let mut moved = BTreeMap::new();
        for inode in names.values_mut() {
            *inode = *moved.entry(*inode).or_insert_with(|| {
                inodes.push(Inode { bytes: sim.inodes[*inode].torn(random), ..Inode::default() });
                inodes.len() - 1
            });
        }
        Self::of(Sim { inodes, names: vec![names], ..Sim::default() })
    }

    /// The disk as the next process finds it when only the one before was killed.
    pub(super) fn after_kill(&self) -> Self {
        let sim = self.sim();
        Self::of(Sim { inodes: sim.inodes.clone(), names: sim.names.clone(), ..Sim::default() })
    }

    fn of(sim: Sim) -> Self {
        Self(Arc::new(Mutex::new(sim)))
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
                // What fails has happened in part: a full disk is found out half-way, and what could not be forced to
                // the disk may be there all the same.
                match name {
                    "write" => {
                        let _ = act(&mut sim);
                        let written = sim.last_written;
                        sim.inodes[written].bytes.truncate(5);
                    }
                    "sync file" => {
                        let written = sim.last_written;
                        sim.inodes[written].lost = true;
                    }
                    _ => {}
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

impl Inode {
    /// What is left of it without power.
    fn torn(&self, random: &mut Rng) -> Vec<u8> {
        const BLOCK: usize = 64;
        let Some(durable) = &self.durable else { return self.bytes.clone() };
        match random.u8(..5) {
            0 => durable.clone(),
            1 => self.bytes.clone(),
            2 => self.bytes[..random.usize(..=self.bytes.len())].to_vec(),
            3 => vec![0; self.bytes.len()],
            // Some blocks of the new content, some of the old, and some that never reached the disk.
            _ => {
                let blocks = self.bytes.chunks(BLOCK).enumerate().flat_map(|(at, block)| {
                    let old = durable.get(at * BLOCK..).unwrap_or_default();
                    let pick = random.u8(..3);
                    (0..block.len()).map(move |byte| match pick {
                        0 => block[byte],
                        1 => old.get(byte).copied().unwrap_or_default(),
                        _ => 0,
                    })
                });
                blocks.collect()
            }
        }
    }
}

impl Disk for SimDisk {
    type Content = io::Cursor<Vec<u8>>;
    type File = usize;

    fn open(&mut self, path: &Path) -> io::Result<(Self::Content, u64)> {
        let bytes = self.files().remove(path).ok_or(io::ErrorKind::NotFound)?;
        let size = bytes.len() as u64;
        Ok((io::Cursor::new(bytes), size))
    }

    fn is_taken(&mut self, path: &Path) -> bool {
        self.files().contains_key(path)
    }

    fn write_temporary(&mut self, path: &Path, _like: &Path, bytes: &[u8]) -> io::Result<usize> {
        self.step("write", |sim| {
            let mut names = sim.names.last().expect("there is always a present").clone();
            // A file that is there is emptied, and is the same file: so it is under every other name that it has.
            let inode = match names.get(path) {
                Some(inode) => *inode,
                None => {
                    sim.inodes.push(Inode::default());
                    sim.inodes.len() - 1
                }
            };
            let file = &mut sim.inodes[inode];
            file.durable.get_or_insert_with(|| mem::take(&mut file.bytes));
            file.bytes = bytes.to_vec();
            sim.last_written = inode;
            if names.insert(path.to_owned(), inode).is_none() {
                sim.names.push(names);
            }
            Ok(inode)
        })
    }

    fn sync_file(&mut self, file: &usize) -> io::Result<()> {
        self.step("sync file", |sim| {
            let file = &mut sim.inodes[*file];
            if !file.lost {
                file.durable = None;
            }
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
            sim.settlements += 1;
            Ok(())
        })
    }
}
