//! What the server shows of its plugins, as JSON.
//!
//! A plugin whose file holds something else than what is in use has the digest of that in `on-disk`.
//!
//! The settings of a plugin are not shown: some of them may be secrets.

use std::time::Duration;

use serde_json::{Value, json};

use crate::plugin::{Board, Generations, PluginStatus};

/// Every plugin and every file that wants to be one, as of now.
pub(crate) fn list(generations: &Generations, board: &Board, now: Duration) -> Value {
    let generation = json!({
        "published": generations.current().number(),
        "active": generations.active(),
        "draining": generations.draining().len(),
    });
    let plugins: Vec<Value> = board.statuses(&generations.current(), now).iter().map(shown).collect();
    json!({ "generation": generation, "complaints": *board.complaints(), "plugins": plugins })
}

fn shown(status: &PluginStatus) -> Value {
    json!({
        "name": status.name,
        "version": status.version,
        "state": status.state.name(),
        "generation": status.generation,
        "file": status.file.as_ref().map(|path| path.display().to_string()),
        "native": status.native,
        "sha256": status.sha256,
        "codes": status.codes,
        "policy": status.policy,
        "granted": status.granted,
        "denied": status.denied,
        "to-grant": status.to_grant,
        "reason": status.reason,
        "on-disk": status.on_disk,
        "earlier": status.earlier,
        "trouble": status.trouble,
    })
}
