//! What the list of plugins shows and the log tells of what became of every file.

use std::path::{Path, PathBuf};

use super::assembly::Standing;
use super::examine::Examined;
use super::generations::Generations;
use super::ledger::{Author, Pin, Record};
use super::native;
use super::registry::{Catalogue, Origin};
use super::shelf::{Content, Shelved};
use super::sources::Sources;
use super::status::{PluginState, PluginStatus};
use super::stock;

/// Every plugin, and every file that wants to be one.
pub(super) fn list(
    sources: &Sources,
    standings: &[(PathBuf, Standing)],
    generations: &Generations,
) -> Vec<PluginStatus> {
    let catalogue = generations.current();
    let in_use = catalogue.plugins().iter().filter(|plugin| plugin.origin == Origin::Embedded);
    let mut statuses: Vec<_> = in_use.map(|plugin| PluginStatus::of(plugin, &catalogue)).collect();
    statuses.extend(unused_embedded(sources, &statuses));
    for (path, file) in sources.files() {
        let standing = standings.iter().find(|(known, _)| known == path).map(|(_, standing)| standing);
        let status = status(path, file, standing, &catalogue);
        statuses.push(with_word(
            status,
            sources.memory.ledger.record(path),
            file.sha256().map(|held| held.to_string()),
        ));
    }
    for (path, record) in sources.memory.ledger.records().filter(|(path, _)| sources.shelf.file(path).is_none()) {
        if record.disabled || record.pin.is_some() {
            let (file, native) = (Some(path.to_owned()), native::is_library(path));
            let status = PluginStatus { file, native, name: record.name.clone(), ..Default::default() };
            let status = with_word(PluginStatus { state: PluginState::Unused, ..status }, Some(record), None);
            let reason = "its file is gone, and what the operator said of it waits for its return".to_owned();
            statuses.push(PluginStatus { reason: Some(reason), ..status });
        }
    }
    for earlier in generations.draining() {
        let is_gone = |plugin: &&_| !catalogue.plugins().iter().any(|known| std::sync::Arc::ptr_eq(known, plugin));
        let gone = earlier.plugins().iter().filter(is_gone);
        statuses.extend(
            gone.map(|plugin| PluginStatus { state: PluginState::Draining, ..PluginStatus::of(plugin, &earlier) }),
        );
    }
    statuses
}

/// The embedded plugins that are not in use, and why.
fn unused_embedded(sources: &Sources, in_use: &[PluginStatus]) -> Vec<PluginStatus> {
    let is_used = |name: &str| in_use.iter().any(|status| status.name.as_deref() == Some(name));
    let unused = |name: &str| {
        let (state, reason) = if sources.config.disabled.iter().any(|known| known == name) {
            (PluginState::Disabled, "`plugins.disabled` names it")
        } else if sources.memory.ledger.disabled.contains(name) {
            (PluginState::Disabled, "the operator switched it off; `fingerpost plugin enable` with its name ends that")
        } else if stock::on_demand().any(|known| known == name) {
            (PluginState::Unused, "`policies.chain` does not name it")
        } else {
            (PluginState::Unused, "the setting that it depends on is off")
        };
        PluginStatus { name: Some(name.to_owned()), state, reason: Some(reason.to_owned()), ..PluginStatus::default() }
    };
    sources.workshop.embedded_names().filter(|name| !is_used(name)).map(unused).collect()
}

/// Adds what is remembered of a file that holds `held`.
fn with_word(mut status: PluginStatus, record: Option<&Record>, held: Option<String>) -> PluginStatus {
    let is_used = status.generation.is_some();
    status.on_disk = held.filter(|held| !is_used || status.sha256.as_ref() != Some(held));
    let Some(Record { disabled, earlier, pin, .. }) = record else { return status };
    status.earlier = earlier.iter().rev().map(ToString::to_string).collect();
    if *disabled {
        let reason = "the operator switched it off; `fingerpost plugin enable` with its name ends that";
        (status.state, status.reason) = (PluginState::Disabled, Some(reason.to_owned()));
    } else if let Some(pin) = pin.as_ref().filter(|_| is_used) {
        if status.state == PluginState::Active {
            status.state = PluginState::RolledBack;
        }
        let more = status.reason.take().map_or_else(String::new, |reason| format!("; {reason}"));
        status.reason = Some(reason_of(pin, status.on_disk.as_deref()) + &more);
    }
    status
}

/// Why a file is used with a content, and how that ends.
fn reason_of(Pin { instead_of, by, why, .. }: &Pin, on_disk: Option<&str>) -> String {
    let waits = match on_disk {
        None => "its file holds the same now".to_owned(),
        Some(held) if held == instead_of.to_string() => "its file still holds that".to_owned(),
        Some(held) => format!("its file holds {held}, which waits"),
    };
    let ends = match by {
        Author::Operator => "`fingerpost plugin reload` with its name uses what the file holds",
        Author::Failures => {
            "another content of the file is used, or this one by `fingerpost plugin reload` with its name"
        }
    };
    format!("rolled back from {instead_of} ({why}); {waits}; {ends}")
}

fn status(path: &Path, file: &Shelved, standing: Option<&Standing>, catalogue: &Catalogue) -> PluginStatus {
    let native = native::is_library(path);
    let nothing = || PluginStatus { file: Some(path.to_owned()), native, ..PluginStatus::default() };
    let of = |component: &Examined, state: PluginState| PluginStatus {
        name: Some(component.manifest.name.clone()),
        version: Some(component.manifest.version.clone()),
        sha256: Some(component.sha256()),
        state,
        ..nothing()
    };
    let known =
        |state| file.held().map_or_else(|| PluginStatus { state, ..nothing() }, |component| of(component, state));
    match standing {
        Some(Standing::Used(plugin)) => PluginStatus::of(plugin, catalogue),
        Some(Standing::Unused(reason)) => PluginStatus { reason: Some(reason.clone()), ..known(PluginState::Unused) },
        Some(Standing::Rejected(reason, Some(plugin))) => PluginStatus {
            state: PluginState::LastGood,
            reason: Some(reason.clone()),
            ..PluginStatus::of(plugin, catalogue)
        },
        Some(Standing::Rejected(reason, None)) => {
            PluginStatus { reason: Some(reason.clone()), ..known(PluginState::Rejected) }
        }
        None if matches!(file.content, Content::Embedded) => {
            let reason = "its bytes are those of an embedded plugin, which it is".to_owned();
            PluginStatus { state: PluginState::Unused, reason: Some(reason), ..nothing() }
        }
        None => known(PluginState::Arriving),
    }
}

/// Tells the log what became of a file, if that is news.
pub(super) fn report(path: &Path, standing: &Standing, earlier: Option<&Standing>, number: u64) {
    // The reason may quote the plugin, which must not be able to write lines of its own into the log.
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let path = path.display();
    match standing {
        Standing::Used(plugin) => {
            if plugin.since != number {
                return;
            }
            let (name, version, sha256) = (&plugin.name, one_line(&plugin.manifest.version), plugin.component.sha256());
            tracing::info!(%path, plugin = %name, version, sha256, "plugin in use");
            if let Some(line) = plugin.line_to_grant_all() {
                tracing::warn!(plugin = %name, "it wants what is not granted; this would grant it: {line}");
            }
        }
        Standing::Unused(reason) => {
            if !matches!(earlier, Some(Standing::Unused(known)) if known == reason) {
                tracing::info!(%path, "not used: {}", one_line(reason));
            }
        }
        Standing::Rejected(reason, last_good) => {
            if matches!(earlier, Some(Standing::Rejected(known, _)) if known == reason) {
                return;
            }
            let instead = if last_good.is_some() { "; what was in use of it before goes on" } else { "" };
            tracing::error!(%path, "plugin rejected: {}{instead}", one_line(reason));
        }
    }
}
