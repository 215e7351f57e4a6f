//! `plugin check`: whether a server would use a component or a library, finding by finding, each with what to do.

use lexopt::Parser;
use serde_json::{Value, json};

use super::subject::Subject;
use super::{JSON, configuration, print};
use crate::cli::exit;
use crate::cli::words::{Given, Opt, value};
use crate::config::{ByteSize, Config};
use crate::plugin::{
    Anatomy, Fuel, Inspection, Kind, LIBRARY_SIZE_MAX, Manifest, PluginState, PluginStatus, Run, check_signature,
    place_of_file_is_shared, stock_names,
};
use crate::workbench::{Plan, Workbench};

/// The moment of a check, which nothing depends on.
const NOW_MS: u64 = 0;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Severity {
    Good,
    /// Worth knowing.
    Note,
    /// It would be used, and not do what it is meant to.
    Warning,
    /// A server would not use it.
    Error,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

#[derive(Debug)]
struct Finding {
    severity: Severity,
    what: String,
    /// What to do, by line.
    todo: Vec<String>,
}

/// The findings about one file.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, what: impl Into<String>, todo: &[&str]) {
        let todo = todo.iter().map(|line| (*line).to_owned()).collect();
        self.0.push(Finding { severity, what: what.into(), todo });
    }

    fn worst(&self) -> Severity {
        self.0.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Good)
    }
}

/// What it takes beside files.
pub(super) const OPTIONS: &[Opt] =
    &[value("config", "FILE", "the configuration of a server, whose limits, files and chain count"), JSON];

pub(super) fn run(words: Parser) -> anyhow::Result<u8> {
    let given = Given::read(words, OPTIONS, (1, usize::MAX))?;
    answer(&given).map_err(anyhow::Error::msg)
}

fn answer(given: &Given) -> Result<u8, String> {
    let config = configuration(given)?;
    let mut reports = Vec::new();
    let mut worst = Severity::Good;
    for path in &given.arguments {
        let subject = Subject::read(path)?;
        let findings = check(&subject, &config)?;
        worst = worst.max(findings.worst());
        reports.push((subject, findings));
    }
    if given.has("json") {
        let list: Vec<_> = reports.iter().map(|(subject, findings)| as_json(subject, findings)).collect();
        print(&Value::Array(list).to_string());
    } else {
        let texts: Vec<_> = reports.iter().map(|(subject, findings)| as_text(subject, findings)).collect();
        print(&texts.join("\n"));
    }
    Ok(if worst == Severity::Error { exit::NO } else { exit::OK })
}

fn check(subject: &Subject, config: &Config) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let inspection = if subject.is_library() {
        look_at_library(subject, &mut findings);
        subject.look_into_library(&config.plugins)
    } else {
        look_at_file(subject, config, &mut findings);
        look_into_component(subject, config)?
    };
    look_at_place(subject, config, &mut findings);
    look_at_imports(&inspection, &mut findings);
    if let Some(fault) = &inspection.fault {
        let hint = match subject.is_library() {
            true => hint_for_library(subject, config),
            false => hint_for(&subject.bytes, inspection.anatomy.as_ref()),
        };
        findings.add(Severity::Error, fault.as_str(), &hint.iter().map(String::as_str).collect::<Vec<_>>());
    }
    if let Some(manifest) = &inspection.manifest {
        look_at_manifest(manifest, subject, &inspection, &mut findings);
        look_at_server(subject, config, manifest, &mut findings)?;
    }
    Ok(findings)
}

fn look_into_component(subject: &Subject, config: &Config) -> Result<Inspection, String> {
    let plan = Plan { plugin: None, cache_dir: subject.cache_dir(), now: NOW_MS, fuel: Fuel::Free };
    let memory_max = config.plugins.memory_max.as_usize();
    // The chain of the operator may name what is about to be checked, which an empty bench has not.
    let bench = Workbench::new(plan, Config::default()).map_err(|error| error.to_string())?;
    let cache = Some(subject.cache_dir());
    Inspection::new(&subject.bytes, bench.core(), cache, memory_max).map_err(|error| error.to_string())
}

fn look_at_library(subject: &Subject, findings: &mut Findings) {
    let size = subject.bytes.len() as u64;
    let what = format!("it has {size} bytes, of {LIBRARY_SIZE_MAX} that a native library may have");
    if size > LIBRARY_SIZE_MAX {
        findings.add(Severity::Error, what, &["what a debugger wants can be left out of it: `strip`"]);
    } else {
        findings.add(Severity::Good, what, &[]);
    }
    findings.add(
        Severity::Note,
        "it is a native library: nothing holds it, no deadline ends its calls, and a fault of it is one of the server",
        &["what is trusted is said in plugins/native-abi/README.md; a component costs at most itself"],
    );
}

/// What to do about a library that is not loaded, or not used.
fn hint_for_library(subject: &Subject, config: &Config) -> Vec<String> {
    if config.plugins.files.get(&subject.file_name).is_some_and(|word| word.native) {
        return Vec::new();
    }
    vec![
        "to look into a library is to run it, so that is done only with a configuration that says so, by \
         `--config FILE`:"
            .to_owned(),
        format!("    [plugins.files.{:?}]", subject.file_name),
        "    native = true".to_owned(),
    ]
}

fn look_at_file(subject: &Subject, config: &Config, findings: &mut Findings) {
    let (size, limit) = (subject.bytes.len() as u64, config.plugins.component_size_max);
    if size > limit.get() {
        let room = ByteSize::mib(u32::try_from(size.div_ceil(1 << 20)).unwrap_or(u32::MAX));
        findings.add(
            Severity::Error,
            format!("it has {size} bytes, and `plugins.component-size-max` allows {limit}"),
            &[
                "make it smaller (in Rust: opt-level = \"s\", lto, strip), or, in the server's configuration:",
                "    [plugins]",
                &format!("    component-size-max = \"{room}\""),
            ],
        );
    } else {
        findings.add(Severity::Good, format!("it has {size} bytes, of {limit} that a server reads"), &[]);
    }
    if !subject.file_name.ends_with(".wasm") || subject.file_name.starts_with('.') {
        findings.add(
            Severity::Warning,
            format!("a server does not look at files with a name as {:?}", subject.file_name),
            &["in a plugins directory, it has to end in .wasm and must not begin with a dot"],
        );
    }
}

fn look_at_place(subject: &Subject, config: &Config, findings: &mut Findings) {
    match check_signature(&config.plugins.signed_by, &subject.path, &subject.bytes) {
        Err(error) => findings.add(Severity::Error, error.to_string(), &[]),
        Ok(()) if config.plugins.signed_by.is_empty() => {}
        Ok(()) => findings.add(Severity::Good, "it is signed by one of `plugins.signed-by`", &[]),
    }
    match place_of_file_is_shared(&subject.path) {
        Ok(Some(why)) => findings.add(
            Severity::Note,
            format!("where it lies now, a server would not use it: {why}"),
            &["that matters only if this is a plugins directory: let only the server's user write there"],
        ),
        Ok(None) => {}
        Err(error) => findings.add(Severity::Note, format!("its place cannot be looked at: {error}"), &[]),
    }
}

fn look_at_imports(inspection: &Inspection, findings: &mut Findings) {
    let Some(Anatomy { shape, faults, kind }) = &inspection.anatomy else { return };
    let role = match kind {
        Some(Kind::Policy) => "policy",
        _ => "processor",
    };
    for fault in faults {
        let todo = if fault.is_offered_to_the_other {
            let other = if role == "policy" { "processors" } else { "policies" };
            format!("only {other} are offered that; do without it, or make it one of them")
        } else if fault.name.starts_with("fingerpost:nameserver/") {
            "build it against the contract of this server (`fingerpost plugin new` writes it out, in wit/)".to_owned()
        } else if fault.name.starts_with("wasi:") {
            "this version of WASI is not offered: build for WASI 0.2 (wasm32-wasip2), or without WASI".to_owned()
        } else {
            "nothing but the contract and WASI 0.2 is offered: leave out what imports it".to_owned()
        };
        let what = format!("it imports {}, which is not offered to a {role}: {}", fault.name, fault.reason);
        findings.add(Severity::Error, what, &[&todo]);
    }
    if !faults.is_empty() {
        return;
    }
    let functions: usize = shape.imports.iter().map(|face| face.functions.len()).sum();
    let count = shape.imports.len();
    findings.add(
        Severity::Good,
        format!("it imports {functions} functions of {count} interfaces, and all are offered to a {role}"),
        &[],
    );
    if role == "processor" && shape.imports.iter().any(|face| face.name.starts_with("wasi:")) {
        findings.add(
            Severity::Note,
            "it imports WASI, which has no files, sockets or environment here; so it stays in the write lane",
            &["without WASI (wasm32-unknown-unknown in Rust), `run = \"worker\"` would count"],
        );
    }
}

/// What to do about bytes that are no plugin.
fn hint_for(bytes: &[u8], anatomy: Option<&Anatomy>) -> Vec<String> {
    let Some(anatomy) = anatomy else {
        let hint = match bytes {
            [] => "the file is empty: was it still being written?",
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
                "it is a core module, not a component: link it with wasm-component-ld, or make a component of it with \
                 `wasm-tools component new`"
            }
            [0, b'a', b's', b'm', ..] => "it may be damaged, or use what this engine does not have",
            _ => "it does not begin as WebAssembly does: is it the right file?",
        };
        return vec![hint.to_owned()];
    };
    if anatomy.kind.is_some() {
        return Vec::new();
    }
    let exports: Vec<_> = anatomy.shape.exports.iter().map(|face| face.name.as_str()).collect();
    if let Some(other) = exports.iter().find(|name| name.starts_with("fingerpost:nameserver/")) {
        return vec![format!("it exports {other}: is it built against another version of the contract?")];
    }
    let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
    vec![format!("it exports {exports}; a plugin exports one of the worlds of wit/world.wit")]
}

fn look_at_manifest(manifest: &Manifest, subject: &Subject, inspection: &Inspection, findings: &mut Findings) {
    let Manifest { name, version, codes, .. } = manifest;
    match manifest.kind {
        Kind::Policy => findings.add(Severity::Good, format!("it is the policy {name} {version}"), &[]),
        Kind::Processor => {
            let of = |entry: &crate::plugin::CodeEntry| format!("{} {}", entry.code, entry.name);
            let codes: Vec<_> = codes.iter().map(of).collect();
            let what = format!("it is the processor {name} {version} of {}", codes.join(", "));
            findings.add(Severity::Good, what, &[]);
        }
    }
    if manifest.overrides {
        findings.add(
            Severity::Warning,
            "`override = true` in its manifest is heeded of embedded plugins only",
            &["it is the operator's to say, in [plugins.files]; leave it out"],
        );
    }
    let imports_wasi = inspection.anatomy.iter().flat_map(|anatomy| &anatomy.shape.imports);
    let imports_wasi = imports_wasi.into_iter().any(|face| face.name.starts_with("wasi:"));
    let on_worker: Vec<_> = codes.iter().filter(|entry| entry.run == Run::Worker).map(|entry| entry.code).collect();
    if !on_worker.is_empty() && subject.is_library() {
        let what = format!("{on_worker:?} ask for a worker, and a library gets none: nobody could end its call there");
        findings.add(Severity::Note, what, &["it is answered in the write lane; `run = \"lane\"` says so"]);
    } else if !on_worker.is_empty() && !imports_wasi {
        findings.add(
            Severity::Note,
            format!(
                "{on_worker:?} ask for a worker, and begin in the write lane; they move after 1000 fast calls in a row"
            ),
            &[],
        );
    }
}

/// What a server with this configuration makes of it.
fn look_at_server(
    subject: &Subject,
    config: &Config,
    manifest: &Manifest,
    findings: &mut Findings,
) -> Result<(), String> {
    let to_play = subject.to_play();
    let plan = Plan {
        plugin: Some((to_play.file_name, to_play.bytes)),
        cache_dir: subject.cache_dir(),
        now: NOW_MS,
        fuel: Fuel::Free,
    };
    let mut config = config.clone();
    let in_chain = config.policies.chain.contains(&manifest.name);
    // What else lies in the operator's directories is not here.
    config.policies.chain.retain(|name| *name == manifest.name || stock_names().any(|stock| stock == name));
    let bench = Workbench::new(plan, config).map_err(|error| error.to_string())?;
    let status = bench.status().unwrap_or_default();
    match status.state {
        // The server that said so was told to read a file of any size.
        PluginState::Active if findings.worst() == Severity::Error => {
            findings.add(Severity::Note, "but for that, a server uses it", &[]);
        }
        PluginState::Active => findings.add(Severity::Good, "a server uses it", &[]),
        // What it needs is told below.
        PluginState::Unused if manifest.kind == Kind::Policy && !in_chain => {}
        PluginState::Unused => {
            findings.add(Severity::Note, format!("a server has no use for it: {}", reason(&status)), &[]);
        }
        _ => {
            findings.add(Severity::Error, reason(&status), &[]);
        }
    }
    let section = format!("    [plugins.files.{:?}]", subject.file_name);
    if !status.denied.is_empty() {
        let line = format!("    grants = {:?}", manifest.grants.iter().map(ToString::to_string).collect::<Vec<_>>());
        let denied = status.denied.join(", ");
        findings.add(
            Severity::Warning,
            format!("it wants {denied}, and has no such grant: what it is denied fails when it tries"),
            &["the operator can grant it, in the server's configuration:", &section, &line],
        );
    }
    let is_good = matches!(status.state, PluginState::Active | PluginState::Unused);
    if manifest.kind == Kind::Policy && is_good && !in_chain {
        findings.add(
            Severity::Warning,
            "no route is shown to it: `policies.chain` does not name it",
            &[
                "in the server's configuration:",
                "    [policies]",
                &format!("    chain = [\"acting-master\", \"zone\", {:?}]", manifest.name),
            ],
        );
    }
    Ok(())
}

fn reason(status: &PluginStatus) -> String {
    status.reason.clone().unwrap_or_else(|| status.state.name().to_owned())
}

fn as_text(subject: &Subject, findings: &Findings) -> String {
    let mut lines = vec![subject.path.display().to_string()];
    for Finding { severity, what, todo } in &findings.0 {
        // What a plugin says of itself must not make lines of its own.
        let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
        lines.push(format!("  {:8} {what}", severity.name()));
        lines.extend(todo.iter().map(|line| format!("           {line}")));
    }
    lines.join("\n")
}

fn as_json(subject: &Subject, findings: &Findings) -> Value {
    let of =
        |finding: &Finding| json!({ "severity": finding.severity.name(), "what": finding.what, "todo": finding.todo });
    json!({
        "file": subject.path.display().to_string(),
        "usable": findings.worst() != Severity::Error,
        "findings": findings.0.iter().map(of).collect::<Vec<_>>(),
    })
}
