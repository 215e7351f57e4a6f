//! A store that lives through thousands of crashes on one disk, and must never forget what it acknowledged.
//!
//! Each life opens the store, which takes what was left of the life before, and lets several clients write at once,
//! a few at a time. Steps of the disk fail now and then. Some step is the last: either the process is killed before
//! it, or the power fails, and then of everything that was not forced to disk each name and each content is kept,
//! lost or torn on its own. All of it is on one thread and comes from one seed, which a failure prints;
//! `FINGERPOST_CRASH_SEED` repeats it and `FINGERPOST_CRASHES` asks for more of them.

use std::env;
use std::io;

use arc_swap::ArcSwap;
use fastrand::Rng;

use super::sim::{Fault, SimDisk};
use super::*;
use crate::kv::disk::Disk;
use crate::kv::queue::{Change, Queue};
use crate::kv::table::Table;
use crate::kv::writer::Writer;
use crate::kv::{file, format};

/// What a store may do wrong, to see that the simulation would notice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flaw {
    None,
    DirectoryNotSynced,
    FileNotSynced,
    RenamedBeforeSynced,
    LeftoversKept,
    AcknowledgedBeforeCommitted,
}

/// A disk whose user leaves something out.
#[derive(Debug)]
struct Careless {
    disk: SimDisk,
    flaw: Flaw,
    unsynced: Option<usize>,
}

impl Disk for Careless {
    type Content = <SimDisk as Disk>::Content;
    type File = usize;

    fn open(&mut self, path: &Path) -> io::Result<(Self::Content, u64)> {
        self.disk.open(path)
    }

    fn is_taken(&mut self, path: &Path) -> bool {
        self.disk.is_taken(path)
    }

    fn write_temporary(&mut self, path: &Path, like: &Path, bytes: &[u8]) -> io::Result<usize> {
        self.disk.write_temporary(path, like, bytes)
    }

    fn sync_file(&mut self, file: &usize) -> io::Result<()> {
        match self.flaw {
            Flaw::FileNotSynced => Ok(()),
            Flaw::RenamedBeforeSynced => {
                self.unsynced = Some(*file);
                Ok(())
            }
            _ => self.disk.sync_file(file),
        }
    }

    fn link(&mut self, original: &Path, link: &Path) -> io::Result<()> {
        self.disk.link(original, link)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        if self.flaw == Flaw::LeftoversKept { Ok(()) } else { self.disk.remove(path) }
    }

    fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        if let Some(file) = self.unsynced.take() {
            self.disk.sync_file(&file)?;
        }
        if self.flaw == Flaw::DirectoryNotSynced { Ok(()) } else { self.disk.sync_directory(path) }
    }
}

/// What happened, to see that it was worth while.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: usize,
    refused: usize,
    /// Batches of more than one write.
    shared: usize,
    kills: usize,
    power_failures: usize,
    /// Crashes before the store was open.
    while_opening: usize,
    /// Crashes with a batch on its way to the disk.
    in_flight: usize,
    /// Of those, the batch was there afterwards.
    in_flight_kept: usize,
    /// Whether a step of this name was the last.
    last_steps: BTreeMap<&'static str, usize>,
}

struct Simulation {
    random: Rng,
    flaw: Flaw,
    place: Place,
    disk: SimDisk,
    /// What readers see.
    current: Model,
    /// What the file may hold after a crash; one of them is `current`.
    possible: Vec<Model>,
    serial: usize,
    tally: Tally,
}

impl Simulation {
    fn new(seed: u64, flaw: Flaw) -> Self {
        Self {
            random: Rng::with_seed(seed),
            flaw,
            place: place(),
            disk: SimDisk::default(),
            current: Model::new(),
            possible: vec![Model::new()],
            serial: 0,
            tally: Tally::default(),
        }
    }

    /// So many lives; the error says what was lost.
    fn run(mut self, crashes: usize) -> Result<Tally, String> {
        for crash in 0..crashes {
            self.life().map_err(|what| format!("crash {crash}: {what}"))?;
        }
        Ok(self.tally)
    }

    fn life(&mut self) -> Result<(), String> {
        self.disk.crash_before(self.random.usize(..48));
        let mut in_flight = None;
        match self.open()? {
            None => self.tally.while_opening += 1,
            Some((table, queue, mut writer)) => {
                for _ in 0..self.random.usize(1..12) {
                    let batch = self.batch();
                    let next = self.after(&batch);
                    if self.flaw == Flaw::AcknowledgedBeforeCommitted {
                        self.possible = vec![next.clone()];
                    }
                    self.write(&mut writer, &queue, &table, batch, &next)?;
                    if self.disk.has_crashed() {
                        in_flight = Some(next);
                        break;
                    }
                }
            }
        }
        self.crash(in_flight);
        Ok(())
    }

    /// None when the crash came first.
    fn open(&mut self) -> Result<Option<Parts<Careless>>, String> {
        let config = config(&self.place.path);
        let disk = || Careless { disk: self.disk.clone(), flaw: self.flaw, unsynced: None };
        if self.random.u8(..16) == 0 && self.flaw == Flaw::None {
            self.disk.inject("remove", Fault::Fails);
            let refusal =
                file::open(&config, disk()).err().ok_or("a leftover that cannot be removed was passed over")?;
            let path = self.place.path.display().to_string();
            if !refusal.to_string().contains(&path) {
                return Err(format!("a refusal that names no file: {refusal}"));
            }
            self.disk.mend();
        }
        let opened = KvStore::parts(&config, disk());
        if self.disk.has_crashed() {
            return Ok(None);
        }
        let parts = opened.map_err(|refusal| format!("it does not start: {refusal}"))?;
        let found = model_of(&parts.0.load());
        if !self.possible.contains(&found) {
            return Err(format!("found {found:?}\n but only these are possible: {:#?}", self.possible));
        }
        self.backup_is_whole()?;
        self.current = found;
        Ok(Some(parts))
    }

    /// What several clients want at once.
    fn batch(&mut self) -> Vec<Step> {
        let count = if self.random.bool() { 1 } else { self.random.usize(2..6) };
        let write = |_| {
            let random = &mut self.random;
            let namespace = ["n", "m", "", "主题"][random.usize(..4)].to_owned();
            let key = format!("k{}", random.u8(..4));
            self.serial += 1;
            // No value comes twice, so that none from the past is taken for a new one.
            let value = format!("{} \"{}\n", self.serial, "v".repeat(if random.u8(..8) == 0 { 700 } else { 3 }));
            match random.u8(..10) {
                0..7 => Step::Put(namespace, key, Some(value)),
                7 => Step::Put(namespace, key, None),
                _ => Step::Delete(namespace, key),
            }
        };
        (0..count).map(write).collect()
    }

    fn after(&self, batch: &[Step]) -> Model {
        let mut next = self.current.clone();
        for write in batch {
            apply(&mut next, write);
        }
        next
    }

    /// Has a batch written, and learns from what its clients are told what may be found after a crash.
    fn write(
        &mut self,
        writer: &mut Writer<Careless>,
        queue: &Queue,
        table: &ArcSwap<Table>,
        batch: Vec<Step>,
        next: &Model,
    ) -> Result<(), String> {
        let faulty = self.random.u8(..8) == 0;
        if faulty {
            self.injure();
        }
        let count = batch.len();
        let told = Told::default();
        for write in batch {
            queue.push(change(write), told.completion()).map_err(|error| format!("refused at once: {error}"))?;
        }
        let settlements = self.disk.settlements();
        writer.write_waiting();
        self.disk.mend();
        if self.disk.has_crashed() {
            return Ok(()); // Nobody heard of it.
        }
        let told = told.outcomes();
        if told.len() != count || told.iter().any(|outcome| outcome.is_err() != told[0].is_err()) {
            return Err(format!("{count} writes of one batch were told {told:?}"));
        }
        let seen = model_of(&table.load());
        match &told[0] {
            Ok(()) => {
                self.tally.acknowledged += count;
                self.tally.shared += usize::from(count > 1);
                self.current = next.clone();
                self.possible = vec![next.clone()];
            }
            Err(error) => {
                self.tally.refused += count;
                let replaced = error.to_string().contains("sync the directory");
                // Only where neither step nor its undoing can be trusted may what was refused be seen.
                if seen == *next && replaced {
                    self.current = next.clone();
                }
                if replaced && self.disk.settlements() > settlements {
                    self.possible = vec![self.current.clone()];
                } else if replaced {
                    self.possible.push(next.clone());
                }
            }
        }
        if seen != self.current {
            return Err(format!("told {told:?}, readers see {seen:?} and not {:?}", self.current));
        }
        self.file_is_what_readers_see()
    }

    /// Makes one step fail, or one after another.
    fn injure(&mut self) {
        let step = ["write", "sync file", "link", "rename backup", "rename", "sync directory"];
        self.disk.inject(step[self.random.usize(..6)], Fault::Fails);
        if self.random.bool() {
            self.disk.inject_after("sync directory", step[self.random.usize(..6)]);
        }
    }

    fn file_is_what_readers_see(&self) -> Result<(), String> {
        let bytes = self.disk.files().remove(&self.place.path).unwrap_or_default();
        let held = format::parse(&bytes).map_err(|damage| format!("the file is {damage:?}"))?;
        if model_of(&held) == self.current { Ok(()) } else { Err("readers see what is not in the file".to_owned()) }
    }

    /// The backup is a link to what was forced to disk before.
    fn backup_is_whole(&self) -> Result<(), String> {
        let bytes = self.disk.files().remove(&beside(&self.place.path, ".bak")).unwrap_or_default();
        format::parse(&bytes).map(drop).map_err(|damage| format!("the backup is {damage:?}"))
    }

    fn crash(&mut self, in_flight: Option<Model>) {
        if self.disk.has_crashed()
            && let Some(step) = self.disk.step_that_was_the_last()
        {
            *self.tally.last_steps.entry(step).or_default() += 1;
        }
        let early = self.flaw == Flaw::AcknowledgedBeforeCommitted;
        self.tally.in_flight += usize::from(in_flight.is_some());
        let unanswered = in_flight.clone();
        if !early {
            self.possible.extend(in_flight);
        }
        if self.random.u8(..4) == 0 {
            self.tally.kills += 1;
            self.disk = self.disk.after_kill();
        } else {
            self.tally.power_failures += 1;
            self.disk = self.disk.after_power_failure(&mut self.random);
            // What is there now stays: the disk holds nothing else.
            let bytes = self.disk.files().remove(&self.place.path).unwrap_or_default();
            if let Ok(held) = format::parse(&bytes) {
                let held = model_of(&held);
                self.tally.in_flight_kept += usize::from(unanswered.as_ref() == Some(&held));
                if self.possible.contains(&held) {
                    self.possible = vec![held];
                }
            }
        }
    }
}

/// What the clients of a batch were told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Result<(), WriteError>>>>);

impl Told {
    fn completion(&self) -> Completion {
        let told = self.clone();
        Completion::new(move |outcome| told.0.lock().unwrap().push(outcome))
    }

    fn outcomes(&self) -> Vec<Result<(), WriteError>> {
        self.0.lock().unwrap().clone()
    }
}

fn change(write: Step) -> Change {
    match write {
        Step::Put(namespace, key, value) => {
            Change::Put { namespace: namespace.into(), key: key.into(), value: value.map(Arc::from) }
        }
        Step::Delete(namespace, key) => Change::Delete { namespace: namespace.into(), key: key.into() },
        Step::Reopen => unreachable!("no client asks for it"),
    }
}

fn seed() -> u64 {
    env::var("FINGERPOST_CRASH_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().expect("a number"))
}

#[test]
fn no_acknowledged_write_is_lost_in_thousands_of_crashes_and_nothing_else_changes() {
    let crashes = env::var("FINGERPOST_CRASHES").map_or(5_000, |crashes| crashes.parse().expect("a number"));
    let seed = seed();

    let tally = Simulation::new(seed, Flaw::None).run(crashes);

    let tally = tally.unwrap_or_else(|what| panic!("FINGERPOST_CRASH_SEED={seed}: {what}"));
    println!("FINGERPOST_CRASH_SEED={seed}: {tally:?}");
    if crashes >= 1_000 {
        assert!(tally.acknowledged > 3 * crashes && tally.refused > crashes / 10, "{tally:?}");
        assert!(tally.kills > crashes / 10 && tally.power_failures > crashes / 2, "{tally:?}");
        assert!(tally.while_opening > crashes / 100 && tally.shared > crashes / 2, "{tally:?}");
        assert!(tally.in_flight_kept > 0 && tally.in_flight_kept < tally.in_flight, "{tally:?}");
        let every = ["link", "remove", "rename", "rename backup", "sync directory", "sync file", "write"];
        assert!(tally.last_steps.keys().eq(&every), "{tally:?}");
    }
}

#[test]
fn the_simulation_notices_every_step_that_is_left_out_or_comes_too_early() {
    for flaw in [
        Flaw::DirectoryNotSynced,
        Flaw::FileNotSynced,
        Flaw::RenamedBeforeSynced,
        Flaw::LeftoversKept,
        Flaw::AcknowledgedBeforeCommitted,
    ] {
        let seed = seed();

        let noticed = Simulation::new(seed, flaw).run(5_000);

        let what = noticed.expect_err(&format!("FINGERPOST_CRASH_SEED={seed}: {flaw:?} goes unnoticed"));
        println!("{flaw:?}: {}", what.lines().next().unwrap_or_default());
    }
}

/// Whatever happens while a damaged file is set aside, what it held is still there under one of its names.
#[test]
fn a_damaged_file_that_is_being_set_aside_is_never_lost() {
    const DAMAGED: &[u8] = b"{\"configTable\":{\"n\":{\"k\":7}}}";
    let seed = seed();
    let mut random = Rng::with_seed(seed);
    for step in 0..6 {
        for _ in 0..50 {
            let place = place();
            let mut disk = SimDisk::holding(&place.path, DAMAGED);
            disk.crash_before(step);
            let config = KvConfig { path: place.path.clone(), on_damage: OnDamage::SetAside };
            let first = file::open(&config, disk.clone()).map(drop);
            assert!(first.is_ok() || disk.has_crashed(), "{first:?}");
            disk = disk.after_power_failure(&mut random);

            let opened = file::open(&config, disk.clone()).expect("it starts empty, now or the second time");

            assert_eq!(model_of(&opened.table), Model::new());
            let kept = disk.files().into_values().any(|bytes| bytes == DAMAGED);
            assert!(kept, "FINGERPOST_CRASH_SEED={seed}: lost after step {step}");
        }
    }
}
