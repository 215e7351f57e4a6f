//! What the server shows of its plugins, as JSON.
//!
//! The settings of a plugin are not shown: some of them may be secrets.

use serde_json::{Value, json};

use super::metrics::Sources;
use crate::plugin::PluginStatus;

/// Every plugin and every file that wants to be one, as of now.
pub(super) fn text(sources: &Sources) -> String {
    let generations = json!({
        "published": sources.generations.current().number(),
        "active": sources.generations.active(),
        "draining": sources.generations.draining().len(),
    });
    let plugins: Vec<Value> = sources.board.statuses().iter().map(shown).collect();
    format!("{:#}\n", json!({ "generation": generations, "plugins": plugins }))
}

fn shown(status: &PluginStatus) -> Value {
    json!({
        "name": status.name,
        "version": status.version,
        "state": status.state.name(),
        "generation": status.generation,
        "file": status.file.as_ref().map(|path| path.display().to_string()),
        "sha256": status.sha256,
        "codes": status.codes,
        "policy": status.policy,
        "granted": status.granted,
        "denied": status.denied,
        "to-grant": status.to_grant,
        "reason": status.reason,
    })
}
