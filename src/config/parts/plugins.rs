//! `[plugins]` and `[policies]`: what the operator decides about plugins, and never the plugin itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::OwnLimits;
use crate::config::{ByteSize, Grant, Place, Sha256, SigningKey, sha256};

/// `[plugins]`: where plugins come from, and what they may use.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PluginsConfig {
    /// Directories whose `.wasm` files are plugins, for as long as they are there, and so are the native libraries that
    /// `files` names.
    pub dirs: Vec<PathBuf>,
    /// Where compiled components are kept. `auto` is `fingerpost` in the user's cache directory, or nowhere without a
    /// home; with `none`, every start compiles.
    pub cache_dir: Place,
    /// Time between two looks at the directories; zero is never.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
    /// Whether directories and files that others may write are used.
    pub allow_shared_dirs: bool,
    /// If there are any, a file is used only if one of these keys has signed it.
    pub signed_by: Vec<SigningKey>,
    /// A larger file is refused unread.
    pub component_size_max: ByteSize,
    /// Embedded plugins, by name, that are not used.
    pub disabled: Vec<String>,
    /// Time of the processor for one call on a worker.
    #[serde(with = "humantime_serde")]
    pub worker_deadline: Duration,
    /// Time of the processor for one call in the write lane.
    #[serde(with = "humantime_serde")]
    pub lane_deadline: Duration,
    /// What the instances of one plugin may grow by, together; each may begin with as much.
    pub memory_max: ByteSize,
    /// Entries of one table of an instance.
    pub table_entries_max: u32,
    /// The largest body that a plugin may answer.
    pub reply_size_max: ByteSize,
    /// What one plugin may keep from one call to the next.
    pub state_max: ByteSize,
    /// Requests that may wait until a route changes.
    pub waiting_max: usize,
    /// So many failures take a new content of a file back, if they are among its first calls; with 0, none do.
    pub rollback_failures: u32,
    /// How many calls are the first.
    pub rollback_calls: u32,
    /// Where the server remembers what operators say about plugins while it runs. `auto` is a directory beside the KV
    /// file; with `none`, it lasts until the server stops.
    pub state_dir: Place,
    /// Calls of host functions in one call.
    pub host_calls_max: u32,
    /// Lines of one plugin in the log, in a second.
    pub log_lines_max: u32,
    /// So many failures in a row take a plugin out; with 0, none do.
    pub failures_max: u32,
    /// So many failures in a second do, if they are half of its calls or more; with 0, none do.
    pub failures_per_second_max: u32,
    /// Until a plugin that was taken out is tried again.
    #[serde(with = "humantime_serde")]
    pub retry_after: Duration,
    /// The same, for one that fails whenever it is tried: each pause is twice as long as the one before, up to this.
    #[serde(with = "humantime_serde")]
    pub retry_after_max: Duration,
    /// `[plugins.files."name.wasm"]`: what single files may do; or, by `"sha256:…"`, single contents in any file.
    pub files: BTreeMap<String, PluginFile>,
    /// `[plugins.embedded."name"]`: what is special about single embedded plugins.
    pub embedded: BTreeMap<String, EmbeddedPlugin>,
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self {
            dirs: vec![PathBuf::from("plugins")],
            cache_dir: Place::Auto,
            reload_interval: Duration::from_millis(150),
            allow_shared_dirs: false,
            signed_by: Vec::new(),
            component_size_max: ByteSize::mib(2),
            disabled: Vec::new(),
            worker_deadline: Duration::from_millis(50),
            lane_deadline: Duration::from_secs(5),
            memory_max: ByteSize::mib(64),
            table_entries_max: 100_000,
            reply_size_max: ByteSize::mib(16),
            state_max: ByteSize::mib(1),
            waiting_max: 10_000,
            rollback_failures: 3,
            rollback_calls: 20,
            state_dir: Place::Auto,
            host_calls_max: 1_000_000,
            log_lines_max: 100,
            failures_max: 5,
            failures_per_second_max: 100,
            retry_after: Duration::from_secs(1),
            retry_after_max: Duration::from_secs(60),
            files: BTreeMap::new(),
            embedded: BTreeMap::new(),
        }
    }
}

/// What one file may do beyond what every plugin may.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PluginFile {
    /// Whether it takes over the request codes, and may have the name, of another plugin. Without it, a file that wants
    /// a code that is answered already is rejected whole.
    #[serde(rename = "override")]
    pub overrides: bool,
    /// Whether it is a native library that is to be loaded into this process, where nothing holds it.
    pub native: bool,
    /// What it may write and reach.
    pub grants: BTreeSet<Grant>,
    /// Settings of its own: what it is told when it asks for a setting by one of these names.
    pub settings: BTreeMap<String, String>,
    /// The only content that it is used with.
    #[serde(with = "sha256::optional")]
    pub sha256: Option<Sha256>,
    /// What a failing call means.
    pub on_failure: ProcessorFailure,
    /// Where it may use up more or less than every plugin may.
    pub limits: OwnLimits,
}

impl PluginFile {
    const OF_CONTENT: &str = "sha256:";

    /// The key of `[plugins.files]` that means a content.
    pub fn key_of(content: Sha256) -> String {
        format!("{}{content}", Self::OF_CONTENT)
    }

    /// The content that a key of `[plugins.files]` means; none for one that means a file, or nothing.
    pub fn content_of(key: &str) -> Option<Sha256> {
        let content = key.strip_prefix(Self::OF_CONTENT)?.parse().ok()?;
        // One content has one key.
        (Self::key_of(content) == key).then_some(content)
    }
}

/// What is special about one embedded plugin.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EmbeddedPlugin {
    /// Where it may use up more or less than every plugin may.
    pub limits: OwnLimits,
}

/// What happens to a request whose plugin failed, or is taken out because it failed too often.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessorFailure {
    /// Whoever asked gets an error.
    #[default]
    Close,
    /// The plugin is asked that answered this code before it was taken over, unless the failed call has written
    /// something.
    Fallback,
}

/// `[policies]`: which part of a route a client is shown.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PoliciesConfig {
    /// The policies, in the order in which they see a route. One that is not named is not active; one that is named
    /// must be there, or be in `plugins.disabled`.
    pub chain: Vec<String>,
    /// `[policies.on-failure]`: what a failing policy means, by policy.
    pub on_failure: BTreeMap<String, PolicyFailure>,
}

impl Default for PoliciesConfig {
    fn default() -> Self {
        Self { chain: vec!["acting-master".to_owned(), "zone".to_owned()], on_failure: BTreeMap::new() }
    }
}

impl PoliciesConfig {
    /// What a failure of the policy `name` means.
    pub fn failure_of(&self, name: &str) -> PolicyFailure {
        self.on_failure.get(name).copied().unwrap_or_default()
    }
}

/// What happens to a lookup whose policy trapped or took too long.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyFailure {
    /// The client gets an error, as from a hook that throws in Java. A route that was not rewritten may lead astray, so
    /// showing it has to be asked for.
    #[default]
    Close,
    /// The client is shown the route as it was.
    Skip,
}
