//! Our own files: strict TOML. Every unknown key is told, with its line and the nearest key that exists.

use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::{Draft, read_file};
use crate::config::java::JavaKey;
use crate::config::{
    Config, ConfigError, EmbeddedPlugin, Limits, OwnLimits, PluginFile, PluginsConfig, Problem, suggest,
};

pub(super) fn read(path: &Path) -> Result<Draft, ConfigError> {
    let file = read_file(path)?;
    parse(&file).map_err(|problems| ConfigError::Invalid { path: Some(path.to_owned()), problems })
}

fn parse(file: &[u8]) -> Result<Draft, Vec<Problem>> {
    let text = std::str::from_utf8(file).map_err(|error| {
        let line = 1 + file[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        vec![Problem { line: Some(line), text: "not UTF-8".to_owned() }]
    })?;
    let document = DeTable::parse(text).map_err(|error| vec![problem(text, &error)])?;

    let mut walk = Walk { text, schema: schema(), problems: Vec::new(), lines: Vec::new() };
    walk.table(document.get_ref(), &walk.schema.clone(), "");
    match Config::deserialize(toml::Deserializer::from(document)) {
        Ok(config) if walk.problems.is_empty() => Ok(Draft { lines: walk.lines, ..Draft::new(config) }),
        Ok(_) => Err(walk.problems),
        Err(error) => {
            // serde stops at the first unknown key; the walk has found them all.
            if !error.message().starts_with("unknown field") || walk.problems.is_empty() {
                walk.problems.push(problem(text, &error));
            }
            walk.problems.sort();
            Err(walk.problems)
        }
    }
}

/// The default as a table: it has every key, because no field is optional.
fn schema() -> Table {
    table_of(Config::default())
}

fn table_of(part: impl Serialize) -> Table {
    Table::try_from(part).expect("every part of the configuration is a TOML table")
}

/// Whether a table is about one plugin. Its name may have dots.
fn is_one_plugin(path: &str) -> bool {
    let one = path.strip_prefix("plugins.files.").or_else(|| path.strip_prefix("plugins.embedded."));
    one.is_some_and(|name| !name.ends_with(".settings") && !name.ends_with(".limits"))
}

struct Walk<'a> {
    text: &'a str,
    schema: Table,
    problems: Vec<Problem>,
    lines: Vec<(String, usize)>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, known: &Table, path: &str) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let line = line_of(self.text, key.span().start);
            self.lines.push((full.clone(), line));
            match known.get(name) {
                _ if path == "policies.on-failure" => {}
                // A plugin's own settings, of which only it knows the names.
                _ if path.starts_with("plugins.files.") && path.ends_with(".settings") => {}
                _ if path == "plugins.files" => self.inner(value, &table_of(PluginFile::default()), &full),
                _ if path == "plugins.embedded" => self.inner(value, &table_of(EmbeddedPlugin::default()), &full),
                _ if is_one_plugin(path) && name == "limits" => {
                    // Each is optional here, so a default names none.
                    let all = OwnLimits::from(Limits::of_all(&PluginsConfig::default()));
                    self.inner(value, &table_of(all), &full);
                }
                Some(Value::Table(inner)) => self.inner(value, inner, &full),
                Some(_) => {}
                None => self.problems.push(Problem { line: Some(line), text: self.unknown(&full, known) }),
            }
        }
    }

    fn inner(&mut self, value: &Spanned<DeValue<'_>>, known: &Table, path: &str) {
        // Anything but a table is refused by serde, which says what it expected.
        if let DeValue::Table(table) = value.get_ref() {
            self.table(table, known, path);
        }
    }

    fn unknown(&self, full: &str, known: &Table) -> String {
        let near = suggestion(full, known, &self.schema);
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        format!("unknown key `{}`{hint}", full.escape_debug())
    }
}

/// The key that was meant: ours for a Java name, the same name in another section, or one with a name like it.
fn suggestion(full: &str, section: &Table, schema: &Table) -> Option<String> {
    let mut keys = Vec::new();
    collect(schema, "", &mut keys);
    let (path, name) = full.rsplit_once('.').unwrap_or(("", full));

    let java = JavaKey::find(name).and_then(|key| key.ours).map(str::to_owned);
    let moved = || keys.iter().find(|key| key.rsplit_once('.').is_some_and(|(_, last)| last == name)).cloned();
    let here = || {
        let near = suggest::nearest(name, section.keys().map(String::as_str))?;
        Some(if path.is_empty() { near.to_owned() } else { format!("{path}.{near}") })
    };
    let anywhere = || suggest::nearest(full, keys.iter().map(String::as_str)).map(str::to_owned);
    java.or_else(moved).or_else(here).or_else(anywhere)
}

fn collect(table: &Table, path: &str, keys: &mut Vec<String>) {
    for (name, value) in table {
        let full = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if let Value::Table(inner) = value {
            collect(inner, &full, keys);
        }
        keys.push(full);
    }
}

fn problem(text: &str, error: &toml::de::Error) -> Problem {
    let line = error.span().map(|span| line_of(text, span.start));
    let message = error.message().trim_end();
    // serde names the words it knows in backticks: the wrong one first, then those that would do.
    let mut words = message.split('`').skip(1).step_by(2);
    let near = match (message.starts_with("unknown variant"), words.next()) {
        (true, Some(wrong)) => suggest::nearest(wrong, words),
        _ => None,
    };
    let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Problem { line, text: format!("{message}{hint}") }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}
