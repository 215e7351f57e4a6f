//! `plugin list`: the plugins of a running server, as a table.

use lexopt::Parser;
use serde::Deserialize;

use super::Given;
use crate::control::Request;

/// `plugin list`
pub(in crate::cli) fn list(words: Parser) -> anyhow::Result<u8> {
    let given = Given::read(words, (0, 0), false)?;
    given.ask(&Request::List {}, |answer| Ok(table(&Listed::deserialize(answer)?)))
}

#[derive(Deserialize)]
struct Listed {
    generation: Generation,
    complaints: Vec<String>,
    plugins: Vec<Plugin>,
}

#[derive(Deserialize)]
struct Generation {
    published: u64,
    active: u64,
    draining: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Plugin {
    name: Option<String>,
    version: Option<String>,
    state: String,
    file: Option<String>,
    #[serde(default)]
    native: bool,
    codes: Vec<i32>,
    policy: Option<usize>,
    denied: Vec<String>,
    to_grant: Option<String>,
    reason: Option<String>,
    on_disk: Option<String>,
    #[serde(default)]
    trouble: Option<String>,
}

const COLUMNS: [&str; 5] = ["NAME", "VERSION", "STATE", "ANSWERS", "FROM"];

/// Codes in a row of the table; those beyond are counted.
const CODES_SHOWN: usize = 6;

fn table(listed: &Listed) -> String {
    let rows: Vec<_> = listed.plugins.iter().map(row).collect();
    let width = |at: usize| {
        let cells = rows.iter().map(|(cells, _)| cells[at].chars().count());
        cells.chain([COLUMNS[at].len()]).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..COLUMNS.len()).map(width).collect();
    let line = |cells: [&str; COLUMNS.len()]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text: String = listed.complaints.iter().map(|complaint| format!("! {complaint}\n")).collect();
    text += &line(COLUMNS);
    for (cells, notes) in &rows {
        text += &line(cells.each_ref().map(String::as_str));
        notes.iter().for_each(|note| text += &format!("    {note}\n"));
    }
    let Generation { published, active, draining } = &listed.generation;
    text += &match (active == published, draining) {
        (true, 0) => format!("generation {published}\n"),
        (true, _) => format!("generation {published}; requests of {draining} earlier ones are being finished\n"),
        (false, _) => format!("generation {published}; some threads still use {active}\n"),
    };
    text
}

fn row(plugin: &Plugin) -> ([String; COLUMNS.len()], Vec<String>) {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let codes = || {
        let more = plugin.codes.len().saturating_sub(CODES_SHOWN);
        let shown = plugin.codes.iter().take(CODES_SHOWN).map(i32::to_string);
        shown.chain((more > 0).then(|| format!("and {more} more"))).collect::<Vec<_>>().join(" ")
    };
    let answers = match plugin.policy {
        Some(place) => format!("policy {place}"),
        None if plugin.codes.is_empty() => "-".to_owned(),
        None => codes(),
    };
    let mut from = plugin.file.clone().unwrap_or_else(|| "embedded".to_owned());
    if plugin.native {
        from += " (native)";
    }
    let cells = [or_dash(&plugin.name), or_dash(&plugin.version), plugin.state.clone(), answers, from];
    let grant = plugin.to_grant.as_ref().map_or_else(String::new, |line| format!("; this would grant it: {line}"));
    let denied = plugin.denied.join(", ");
    let denied = (!denied.is_empty()).then(|| format!("wants and is not granted: {denied}{grant}"));
    let differs = plugin.on_disk.as_ref().filter(|_| plugin.reason.is_none());
    let differs = differs.map(|held| format!("its file holds {held}, which is not in use"));
    (cells, [plugin.reason.clone(), plugin.trouble.clone(), differs, denied].into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plugin(name: &str, state: &str, codes: &[i32]) -> Value {
        json!({
            "name": name, "version": "0.1.0", "state": state, "generation": 1, "file": null, "sha256": "ab",
            "codes": codes, "policy": null, "denied": [], "reason": null, "on-disk": null, "earlier": [],
        })
    }

    #[test]
    fn the_table_is_as_wide_as_it_must_be_and_says_what_is_wrong_below_each_plugin() {
        let mut zone = plugin("zone", "active", &[]);
        zone["policy"] = json!(2);
        let mut hello = plugin("hello-processor", "rolled-back", &[1, 2, 3, 4, 5, 6, 7, 8]);
        hello["file"] = json!("/p/hello.wasm");
        hello["reason"] = json!("rolled back");
        hello["denied"] = json!(["kv.write"]);
        hello["to-grant"] = json!("grants = …");
        let mut greet = plugin("greet", "active", &[9102]);
        greet["file"] = json!("/p/greet.so");
        greet["native"] = json!(true);
        let broken = json!({
            "name": null, "version": null, "state": "rejected", "file": "/p/b.wasm", "codes": [], "policy": null,
            "denied": [], "reason": "no component", "on-disk": "cd",
        });
        let generation = json!({ "published": 4, "active": 4, "draining": 0 });
        let listed = json!({
            "generation": generation, "complaints": ["state.json was damaged"], "plugins": [zone, hello, greet, broken],
        });

        let shown = table(&Listed::deserialize(&listed).unwrap());

        let expected = "\
! state.json was damaged
NAME             VERSION  STATE        ANSWERS                 FROM
zone             0.1.0    active       policy 2                embedded
hello-processor  0.1.0    rolled-back  1 2 3 4 5 6 and 2 more  /p/hello.wasm
    rolled back
    wants and is not granted: kv.write; this would grant it: grants = …
greet            0.1.0    active       9102                    /p/greet.so (native)
-                -        rejected     -                       /p/b.wasm
    no component
generation 4
";
        assert_eq!(shown, expected);
    }
}
