//! The settings at run time: what every request may read, and request 318 may change.
//!
//! # Invariants
//!
//! * A reader sees one moment: all changes of one update, or none. The version is part of what is read.
//! * A change is on disk before it is seen.
//! * Only keys that are [`Effect::Live`] change, once the port is known.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use hashbrown::HashMap;

use super::java::{self, Effect, Extras, JavaKey, KEYS, Kind, ValueError};
use super::{Config, Loaded, Overlay, suggest};

/// The settings, shared by every thread. A read takes no lock.
#[derive(Debug)]
pub struct Settings {
    current: ArcSwap<Snapshot>,
    writer: Mutex<Writer>,
}

/// A boolean setting, found once by its name and then read without it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flag(usize);

impl Flag {
    /// The setting of a name; none for a name that is no boolean setting.
    pub fn named(name: &str) -> Option<Self> {
        KEYS.iter().position(|key| key.name == name && is_switch(key)).map(Self)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        KEYS[self.0].name
    }
}

fn is_switch(key: &JavaKey) -> bool {
    key.kind == Kind::Bool && key.is_always_shown()
}

/// What an update starts from.
#[derive(Clone, Debug)]
struct Writer {
    config: Config,
    extras: Extras,
    overlay: Overlay,
}

/// All settings at one moment.
#[derive(Debug)]
pub struct Snapshot {
    version: u64,
    switches: Switches,
    flags: HashMap<&'static str, bool>,
    /// The same, for each of [`KEYS`].
    switched_on: Box<[bool]>,
    texts: HashMap<String, String>,
}

/// The live settings, by type: for code that reads them often, or all at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "each is explained at the configuration key of the same name")]
pub struct Switches {
    pub order_message_enable: bool,
    pub return_order_topic_config_to_broker: bool,
    pub enable_all_topic_list: bool,
    pub enable_topic_list: bool,
    pub need_wait_for_service: bool,
    pub wait_for_service_time: Duration,
    pub support_acting_master: bool,
    pub delete_topic_with_broker_registration: bool,
    /// For the next wait of the scan.
    pub scan_interval: Duration,
    /// For the next connection that is accepted; zero is never.
    pub idle_timeout: Duration,
    /// For when the server is told to stop.
    pub shutdown_gracefully: bool,
    pub shutdown_wait_time: Duration,
}

impl Switches {
    /// The switches that a configuration begins with.
    pub fn of(config: &Config) -> Self {
        let Config { net, liveness, route, requests, .. } = config;
        Self {
            order_message_enable: requests.order_message_enable,
            return_order_topic_config_to_broker: requests.return_order_topic_config_to_broker,
            enable_all_topic_list: requests.enable_all_topic_list,
            enable_topic_list: requests.enable_topic_list,
            need_wait_for_service: requests.need_wait_for_service,
            wait_for_service_time: requests.wait_for_service_time,
            support_acting_master: route.support_acting_master,
            delete_topic_with_broker_registration: route.delete_topic_with_broker_registration,
            scan_interval: liveness.scan_interval,
            idle_timeout: net.idle_timeout,
            shutdown_gracefully: net.shutdown_gracefully,
            shutdown_wait_time: net.shutdown_wait_time,
        }
    }
}

/// What became of one entry of an update. Java answers success in every case, so the caller should log it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It counts from now on.
    Applied {
        /// Which.
        key: &'static str,
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
    /// Nothing changed.
    Refused {
        /// As the sender wrote it.
        key: String,
        /// Why.
        why: Refusal,
    },
}

/// Why an entry of an update was left alone.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// There is no such key.
    #[error("is unknown{}", hint(nearest))]
    Unknown {
        /// The key that may have been meant.
        nearest: Option<&'static str>,
    },
    /// The key does not change at run time.
    #[error("does not change at run time: {0}")]
    NotLive(&'static str),
    /// The value is none of the key's.
    #[error("keeps its value: the new one {0}")]
    Value(#[from] ValueError),
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied { key, from, to } => write!(f, "`{key}` changes from {from} to {to}"),
            // The key is a stranger's text, and this goes to a log.
            Self::Refused { key, why } => write!(f, "`{}` {why}", key.escape_debug()),
        }
    }
}

/// Why an update changed nothing at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The overlay file could not be written, so a restart would have undone the change.
    #[error("cannot remember the change in {}: {source}", path.display())]
    Remember {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Settings {
    /// The settings that a loaded configuration begins with.
    pub fn new(loaded: &Loaded) -> Self {
        let Loaded { config, extras, overlay, .. } = loaded.clone();
        let writer = Writer { config, extras, overlay };
        Self { current: ArcSwap::from_pointee(writer.snapshot(1)), writer: Mutex::new(writer) }
    }

    /// With port 0 the system chose one, which 319 shows, as in Java. For the server to say before it serves.
    pub fn listening_on(&self, port: u16) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.config.net.listen_port != port {
            writer.config.net.listen_port = port;
            self.current.store(Arc::new(writer.snapshot(self.version())));
        }
    }

    /// All settings as of now. What is read from one snapshot belongs together.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// The live settings as of now, by type.
    pub fn switches(&self) -> Switches {
        self.current.load().switches
    }

    /// Whether a boolean setting is on; false for a name that is none.
    pub fn flag(&self, key: &str) -> bool {
        self.current.load().flag(key)
    }

    /// A setting as text; none for an unknown or a secret name.
    pub fn get(&self, key: &str) -> Option<String> {
        self.current.load().get(key).map(str::to_owned)
    }

    /// Every setting that may be shown, ascending by key in UTF-16 order: what request 319 prints.
    pub fn entries(&self) -> Vec<(String, String)> {
        self.current.load().entries()
    }

    /// How often settings changed, from 1.
    pub fn version(&self) -> u64 {
        self.current.load().version
    }

    /// Changes every setting that may change and leaves the others; one outcome for each entry. Of two entries with the
    /// same key the last counts. Waits for the disk, so it does not belong on a thread that serves sockets.
    pub fn update<K: AsRef<str>, V: AsRef<str>>(&self, entries: &[(K, V)]) -> Result<Vec<Outcome>, UpdateError> {
        // A writer that panicked had not stored anything: it changes a copy.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = writer.clone();
        let outcomes: Vec<_> = entries.iter().map(|(key, value)| next.take(key.as_ref(), value.as_ref())).collect();
        if next.overlay != writer.overlay {
            next.overlay.save().map_err(|source| {
                let path = next.overlay.path.clone().unwrap_or_default();
                UpdateError::Remember { path, source }
            })?;
        }
        if next.config != writer.config {
            let version = self.current.load().version + 1;
            self.current.store(Arc::new(next.snapshot(version)));
        }
        *writer = next;
        Ok(outcomes)
    }
}

impl Snapshot {
    /// As [`Settings::version`].
    pub fn version(&self) -> u64 {
        self.version
    }

    /// As [`Settings::switches`].
    pub fn switches(&self) -> Switches {
        self.switches
    }

    /// As [`Settings::flag`].
    pub fn flag(&self, key: &str) -> bool {
        self.flags.get(key).copied().unwrap_or(false)
    }

    /// Whether a boolean setting is on.
    pub fn is_on(&self, flag: Flag) -> bool {
        self.switched_on[flag.0]
    }

    /// As [`Settings::get`].
    pub fn get(&self, key: &str) -> Option<&str> {
        self.texts.get(key).map(String::as_str)
    }

    /// As [`Settings::entries`].
    pub fn entries(&self) -> Vec<(String, String)> {
        let mut entries: Vec<_> = self.texts.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        entries.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        entries
    }
}

impl Writer {
    fn snapshot(&self, version: u64) -> Snapshot {
        let mut texts = java::view(&self.config, &self.extras);
        texts.retain(|key, _| !java::is_secret(key));
        let is_on = |key: &JavaKey| is_switch(key) && texts.get(key.name).is_some_and(|value| value == "true");
        let switched_on: Box<[bool]> = KEYS.iter().map(is_on).collect();
        let flags = KEYS.iter().zip(&switched_on).filter(|(key, _)| is_switch(key));
        let flags = flags.map(|(key, on)| (key.name, *on)).collect();
        let switches = Switches::of(&self.config);
        Snapshot { version, switches, flags, switched_on, texts: texts.into_iter().collect() }
    }

    // Java: `Configuration.update`, but for the allow-list, the ranges and the file.
    fn take(&mut self, key: &str, text: &str) -> Outcome {
        self.try_take(key, text).unwrap_or_else(|why| Outcome::Refused { key: key.to_owned(), why })
    }

    fn try_take(&mut self, name: &str, text: &str) -> Result<Outcome, Refusal> {
        let Some(key) = JavaKey::find(name) else {
            let live = KEYS.iter().filter(|key| key.effect == Effect::Live).map(|key| key.name);
            return Err(Refusal::Unknown { nearest: suggest::nearest(name, live) });
        };
        match key.effect {
            Effect::Live => {}
            Effect::AtStart => return Err(Refusal::NotLive("it counts when the server starts")),
            Effect::Nothing(reason) => return Err(Refusal::NotLive(reason)),
        }
        let value = key.parse(text)?;
        let from = key.get(&mut self.config).unwrap_or_default();
        key.set(&mut self.config, &value)?;
        let to = value.into_text();
        self.overlay.entries.insert(key.name, to.clone());
        Ok(Outcome::Applied { key: key.name, from, to })
    }
}

#[cfg(test)]
mod tests;
