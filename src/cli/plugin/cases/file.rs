//! A file of cases, as it is written: what a plugin finds, what it is asked, and what has to come of it.
//!
//! Unknown keys are refused: an expectation that nobody looks at would pass for ever.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::config::{self, Config, ConfigError, Environment, PluginFile};
use crate::recording::BYTES_MAX;
use crate::workbench::TemporaryHome;

/// No file of cases is longer than the longest record; whatever is, was named by mistake.
const FILE_SIZE_MAX: u64 = BYTES_MAX.get();

/// What a file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct CaseFile {
    /// The operator's word about the file that is tried: `[plugins.files."NAME.wasm"]`.
    #[serde(default)]
    pub(crate) plugin: PluginFile,
    /// What a configuration file would say.
    #[serde(default)]
    config: toml::Table,
    /// When every case begins.
    #[serde(default, with = "humantime_serde")]
    now: Option<SystemTime>,
    /// What the KV store holds, by namespace.
    #[serde(default)]
    pub(crate) kv: BTreeMap<String, BTreeMap<String, String>>,
    /// Who is registered.
    #[serde(default, rename = "broker")]
    pub(crate) brokers: Vec<Broker>,
    #[serde(default, rename = "case")]
    pub(crate) cases: Vec<Case>,
}

/// One broker.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Broker {
    pub(crate) name: String,
    #[serde(default = "default_cluster")]
    pub(crate) cluster: String,
    /// 0 is the master.
    #[serde(default)]
    pub(crate) id: i64,
    /// `NAME-ID:10911` if nothing is said.
    pub(crate) address: Option<String>,
    pub(crate) zone: Option<String>,
    pub(crate) acting_master: Option<bool>,
    /// Silence after which it is forgotten.
    #[serde(default, with = "humantime_serde")]
    pub(crate) timeout: Option<Duration>,
    #[serde(default)]
    pub(crate) topics: BTreeMap<String, TopicEntry>,
}

/// What a broker says of a topic.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TopicEntry {
    pub(crate) read: i32,
    pub(crate) write: i32,
    pub(crate) perm: i32,
    pub(crate) flag: i32,
}

impl Default for TopicEntry {
    fn default() -> Self {
        Self { read: 4, write: 4, perm: 6, flag: 0 }
    }
}

/// One case: a step, or several in a row.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default, with = "humantime_serde")]
    wait: Option<Duration>,
    close: Option<String>,
    request: Option<Request>,
    route: Option<RouteQuestion>,
    reply: Option<Reply>,
    shown: Option<toml::Value>,
    then: Option<toml::Table>,
    #[serde(default, rename = "step")]
    steps: Vec<Step>,
}

/// What happens next, and what has to come of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Step {
    /// What is said of it when it fails.
    pub(crate) name: String,
    /// First, so much time passes.
    #[serde(with = "humantime_serde")]
    pub(crate) wait: Option<Duration>,
    /// Then the connection from this address is closed.
    pub(crate) close: Option<String>,
    /// Then this is asked,
    pub(crate) request: Option<Request>,
    /// or this.
    pub(crate) route: Option<RouteQuestion>,
    /// The answer to the request; code 0 if nothing is said.
    pub(crate) reply: Option<Reply>,
    /// The answer to the question for a route.
    pub(crate) shown: Option<toml::Value>,
    /// What the tables and the KV store hold in the end.
    pub(crate) then: Option<toml::Table>,
}

/// A request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Request {
    pub(crate) code: i32,
    pub(crate) fields: toml::Table,
    /// As text,
    pub(crate) body: Option<String>,
    /// or as a value that is written as JSON,
    pub(crate) body_json: Option<toml::Value>,
    /// or in hexadecimal.
    pub(crate) body_hex: Option<String>,
    /// The client's version, as Java counts them.
    pub(crate) version: Option<i32>,
    pub(crate) oneway: bool,
    /// Whether the header is in RocketMQ's binary form.
    pub(crate) binary: bool,
    /// Who asks, as `10.1.2.3:4000`. Each address is a connection.
    pub(crate) from: Option<String>,
    /// Instead of all that: the whole frame, in hexadecimal.
    pub(crate) frame_hex: Option<String>,
}

/// What a client wants to know of a topic.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RouteQuestion {
    pub(crate) topic: String,
    /// Fields of its request.
    pub(crate) fields: toml::Table,
    pub(crate) from: Option<String>,
    pub(crate) code: i32,
    pub(crate) version: Option<i32>,
}

/// What has to be answered.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Reply {
    pub(crate) code: Option<i32>,
    /// `false` if there must be none.
    pub(crate) remark: Option<toml::Value>,
    pub(crate) remark_contains: Vec<String>,
    /// Those that are named; `false` for one that must not be there.
    pub(crate) fields: toml::Table,
    pub(crate) body: Option<String>,
    pub(crate) body_contains: Vec<String>,
    /// What is named of it.
    pub(crate) body_json: Option<toml::Value>,
    /// The whole of it, as text; what has no order is compared without.
    pub(crate) body_json_text: Option<String>,
    /// Nothing is answered.
    pub(crate) none: bool,
    /// The connection is closed.
    pub(crate) closed: bool,
    /// Whatever comes.
    pub(crate) any: bool,
}

fn default_cluster() -> String {
    "DefaultCluster".to_owned()
}

/// When cases begin that say nothing else: 2026-01-01T00:00:00Z.
const DEFAULT_NOW_MS: u64 = 1_767_225_600_000;

impl Case {
    /// What happens, in order.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let own = Step {
            name: String::new(),
            wait: self.wait,
            close: self.close.clone(),
            request: self.request.clone(),
            route: self.route.clone(),
            reply: self.reply.clone(),
            shown: self.shown.clone(),
            then: self.then.clone(),
        };
        let is_empty = own.wait.is_none() && own.close.is_none() && own.request.is_none() && own.route.is_none();
        let is_empty = is_empty && own.reply.is_none() && own.shown.is_none() && own.then.is_none();
        self.steps.iter().cloned().chain((!is_empty).then_some(own)).collect()
    }
}

impl CaseFile {
    /// # Errors
    /// When it cannot be read or understood; the text says where and what to do.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut text = String::new();
        let file = fs::File::open(path).map_err(failed)?;
        file.take(FILE_SIZE_MAX + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > FILE_SIZE_MAX {
            return Err(format!("{}: longer than {FILE_SIZE_MAX} bytes, so it is no file of cases", path.display()));
        }
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let at = line.map_or_else(String::new, |line| format!("line {line}: "));
            // serde names the words it knows in backticks: the wrong one first, then those that would do.
            let message = error.message().trim_end().to_owned();
            let mut words = message.split('`').skip(1).step_by(2);
            let nearest = words.next().and_then(|wrong| config::nearest(wrong, words));
            let hint = nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            format!("{at}{message}{hint}")
        })?;
        if file.cases.is_empty() {
            return Err("it has no [[case]]".to_owned());
        }
        for case in &file.cases {
            let steps = case.steps();
            if steps.is_empty() {
                return Err(format!("case {:?} does nothing: give it a `request` or a `route`", case.name));
            }
            for (at, step) in (1..).zip(&steps) {
                step.check().map_err(|why| format!("case {:?}, step {at}: {why}", case.name))?;
            }
        }
        Ok(file)
    }

    /// When every case begins, in milliseconds.
    pub(crate) fn now(&self) -> u64 {
        let since = self.now.and_then(|now| now.duration_since(SystemTime::UNIX_EPOCH).ok());
        since.map_or(DEFAULT_NOW_MS, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The configuration of the server, with the word about the file that is tried.
    pub(crate) fn configuration(&self, file_name: &str) -> Result<Config, String> {
        let mut config = configuration_of(&self.config)?;
        config.plugins.files.insert(file_name.to_owned(), self.plugin.clone());
        Ok(config)
    }
}

impl Step {
    fn check(&self) -> Result<(), &'static str> {
        match (&self.request, &self.route) {
            (Some(_), Some(_)) => return Err("it has both a `request` and a `route`; make two steps of it"),
            (None, _) if self.reply.is_some() => return Err("a `reply` belongs to a `request`"),
            (_, None) if self.shown.is_some() => return Err("`shown` belongs to a `route`"),
            (_, Some(_)) if self.shown.is_none() => return Err("a `route` needs `shown`, what the client has to see"),
            _ => {}
        }
        let Some(request) = &self.request else { return Ok(()) };
        let bodies = [request.body.is_some(), request.body_json.is_some(), request.body_hex.is_some()];
        match bodies.iter().filter(|given| **given).count() {
            0 | 1 => Ok(()),
            _ => Err("a request has one body: `body`, `body-json` or `body-hex`"),
        }
    }
}

/// What a server would make of a configuration file with this in it.
fn configuration_of(table: &toml::Table) -> Result<Config, String> {
    if table.is_empty() {
        return Ok(Config::default());
    }
    let home = TemporaryHome::new().map_err(|error| error.to_string())?;
    let path = home.path().join("namesrv.toml");
    let text = toml::to_string(table).map_err(|error| format!("[config]: {error}"))?;
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    // Without the home of whoever runs this, nothing of theirs is read.
    let environment = Environment { home: Some(home.path().to_owned()), ..Environment::default() };
    match config::load(Some(&path), &environment) {
        Ok(loaded) => Ok(loaded.config),
        // The lines are those of a file that nobody wrote.
        Err(ConfigError::Invalid { problems, .. }) => {
            let problems: Vec<_> = problems.into_iter().map(|problem| problem.text).collect();
            Err(format!("[config]: {}", problems.join("; ")))
        }
        Err(error) => Err(format!("[config]: {error}")),
    }
}

/// The files of cases that a path means: itself, or those of a directory.
pub(crate) fn files_of(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(format!("{}: there is no .toml file in this directory", path.display()));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_a_step_or_several_and_begins_at_a_known_time() {
        let file = CaseFile::parse(
            r#"
            [[case]]
            name = "one"
            request = { code = 7 }
            [[case]]
            name = "two"
            [[case.step]]
            wait = "3s"
            [[case.step]]
            route = { topic = "t" }
            shown = ["a"]
            "#,
        )
        .unwrap();

        assert_eq!(file.now(), DEFAULT_NOW_MS);
        assert_eq!(file.cases.iter().map(|case| case.steps().len()).collect::<Vec<_>>(), [1, 2]);
        let at = CaseFile::parse("now = \"2026-01-01T00:00:01Z\"\n[[case]]\nname = \"x\"\nwait = \"1s\"").unwrap();
        assert_eq!(at.now(), DEFAULT_NOW_MS + 1000);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_what_was_meant() {
        for (text, told) in [
            ("", "no [[case]]"),
            ("[[case]]\nname = \"x\"", "does nothing"),
            ("[[case]]\nname = \"x\"\nrequst = { code = 1 }", "line 3: "),
            ("[[case]]\nname = \"x\"\nrequst = { code = 1 }", "did you mean `request`?"),
            ("[[case]]\nname = \"x\"\nrequest = { code = 1 }\nreply = { cod = 1 }", "did you mean `code`?"),
            ("[[case]]\nname = \"x\"\nroute = { topic = \"t\" }", "needs `shown`"),
            ("[[case]]\nname = \"x\"\nwait = \"1s\"\nreply = {}", "belongs to a `request`"),
            ("[[case]]\nname = \"x\"\nrequest = { code = 1, body = \"\", body-hex = \"\" }", "one body"),
            ("[[broker]]\nname = \"x\"\ntopic = {}\n[[case]]\nname = \"x\"", "did you mean `topics`?"),
        ] {
            let error = CaseFile::parse(text).unwrap_err();
            assert!(error.contains(told), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_configuration_is_what_a_configuration_file_would_make_of_it() {
        let file = |config: &str| {
            CaseFile::parse(&format!("[config]\n{config}\n[[case]]\nname = \"x\"\nwait = \"1s\"")).unwrap()
        };

        let config = file("policies.chain = [\"zone\"]\nrequests.order-message-enable = true").configuration("a.wasm");
        let config = config.unwrap();
        assert_eq!(config.policies.chain, ["zone"]);
        assert!(config.requests.order_message_enable && config.plugins.files.contains_key("a.wasm"));

        let error = file("requests.order-mesage-enable = true").configuration("a.wasm").unwrap_err();
        assert!(error.contains("did you mean `requests.order-message-enable`?"), "{error}");
    }
}
