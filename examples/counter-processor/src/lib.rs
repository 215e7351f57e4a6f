//! A processor that remembers: it answers how often it was asked under a name.
//!
//! An instance has a memory of its own on every thread, and none of them survives a reload. What a plugin keeps through
//! `state` is the same for all of its instances, and for those of its next version.

use fingerpost_sdk::state::StateError;
use fingerpost_sdk::{Outcome, Processor, Refusal, code, export_processor, field, json, metrics, reply, state};

struct Counter;

impl Processor for Counter {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(_code: i32) -> Outcome {
        let name = field::required("name")?;
        let by = field::long("by").unwrap_or(1);

        let count = state::increment(&name, by).map_err(refusal)?;

        metrics::count("counted", &[], 1);
        metrics::set("highest", &[name], count as f64);
        reply::set_field("count", &json::decimal(count));
        reply::set_code(code::SUCCESS);
        Ok(())
    }
}

fn refusal(error: StateError) -> Refusal {
    match error {
        StateError::Invalid(why) | StateError::Full(why) => Refusal::error(why),
        StateError::Outdated => Refusal::error("a newer version of the plugin is in use; ask again"),
    }
}

export_processor!(Counter);
