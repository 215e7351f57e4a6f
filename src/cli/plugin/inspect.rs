//! `plugin inspect`: what a component or a library is.

use lexopt::Parser;
use serde_json::{Value, json};

use super::subject::Subject;
use super::{JSON, configuration, print};
use crate::cli::exit;
use crate::cli::words::{Given, Opt, value};
use crate::config::Config;
use crate::plugin::{Face, Fuel, Inspection, Kind, Manifest, Run};
use crate::workbench::{Plan, Workbench};

/// What it takes beside files.
pub(super) const OPTIONS: &[Opt] =
    &[value("config", "FILE", "the configuration of a server, which must name a library to have it loaded"), JSON];

pub(super) fn run(words: Parser) -> anyhow::Result<u8> {
    let given = Given::read(words, OPTIONS, (1, 1))?;
    answer(&given).map_err(anyhow::Error::msg)
}

fn answer(given: &Given) -> Result<u8, String> {
    let subject = Subject::read(&given.arguments[0])?;
    let config = configuration(given)?;
    let inspection =
        if subject.is_library() { subject.look_into_library(&config.plugins) } else { look_into_component(&subject)? };
    if given.has("json") {
        print(&as_json(&subject, &inspection).to_string());
    } else {
        print(&as_text(&subject, &inspection));
    }
    Ok(if inspection.anatomy.is_some() || inspection.manifest.is_some() { exit::OK } else { exit::NO })
}

fn look_into_component(subject: &Subject) -> Result<Inspection, String> {
    let plan = Plan { plugin: None, cache_dir: subject.cache_dir(), now: 0, fuel: Fuel::Free };
    let bench = Workbench::new(plan, Config::default()).map_err(|error| error.to_string())?;
    let memory_max = Config::default().plugins.memory_max.as_usize();
    let inspection = Inspection::new(&subject.bytes, bench.core(), Some(subject.cache_dir()), memory_max);
    inspection.map_err(|error| error.to_string())
}

fn as_text(subject: &Subject, inspection: &Inspection) -> String {
    let mut lines = vec![
        format!("file      {}", subject.path.display()),
        format!("size      {} bytes", inspection.size),
        format!("sha256    {}", inspection.sha256),
    ];
    if subject.is_library() {
        lines.push("form      native library, which nothing holds".to_owned());
    }
    match &inspection.manifest {
        Some(manifest) => lines.extend(about(manifest)),
        None => {
            let why = inspection.fault.as_deref().unwrap_or("it imports what is not offered");
            lines.push(format!("manifest  none: {why}; `fingerpost plugin check` tells more"));
        }
    }
    let Some(anatomy) = &inspection.anatomy else { return lines.join("\n") };
    for (verb, faces) in [("import", &anatomy.shape.imports), ("export", &anatomy.shape.exports)] {
        for face in faces {
            lines.push(String::new());
            lines.extend(wit(verb, face));
        }
    }
    lines.join("\n")
}

fn about(manifest: &Manifest) -> Vec<String> {
    let mut lines = vec![
        format!("name      {}", manifest.name),
        format!("version   {}", manifest.version),
        format!("kind      {}", kind(manifest.kind)),
    ];
    if !manifest.description.is_empty() {
        lines.push(format!("about     {}", manifest.description));
    }
    for entry in &manifest.codes {
        let run = if entry.run == Run::Worker { "worker" } else { "lane" };
        let promises = [("pure", entry.pure), ("glance", entry.glance.is_some())];
        let promises = promises.iter().filter(|(_, is_so)| *is_so).map(|(name, _)| format!(", {name}"));
        let access = format!("{:?}", entry.access).to_lowercase();
        lines.push(format!("code      {} {}: {access}, {run}{}", entry.code, entry.name, promises.collect::<String>()));
    }
    if manifest.kind == Kind::Policy {
        let policy = &manifest.policy;
        let setting = policy.when_setting.iter().map(|key| format!("the setting {key} is on"));
        let field = policy.when_field.iter().map(|field| match &field.equals_ignore_case {
            None => format!("the request has the field {}", field.name),
            Some(value) => format!("the field {} of the request is {value:?}", field.name),
        });
        let when: Vec<_> = setting.chain(field).collect();
        let when = if when.is_empty() { "always".to_owned() } else { format!("when {}", when.join(" and ")) };
        let pure = if policy.pure { ", pure" } else { "" };
        lines.push(format!("has a say {when}{pure}"));
    }
    if !manifest.grants.is_empty() {
        let wanted: Vec<_> = manifest.grants.iter().map(ToString::to_string).collect();
        lines.push(format!("wants     {}", wanted.join(", ")));
    }
    if let Some(key) = &manifest.enabled_when {
        lines.push(format!("used if   {key} is on"));
    }
    lines.extend(manifest.notices.iter().map(|form| format!("notice    {} {}", form.code, form.name)));
    lines
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Processor => "processor",
        Kind::Policy => "policy",
    }
}

fn wit(verb: &str, face: &Face) -> Vec<String> {
    let mut lines = vec![format!("{verb} {} {{", face.name)];
    lines.extend(face.wit.iter().map(|line| format!("  {line}")));
    lines.push("}".to_owned());
    lines
}

fn as_json(subject: &Subject, inspection: &Inspection) -> Value {
    let faces = |faces: &[Face]| -> Vec<Value> {
        let of = |face: &Face| json!({ "name": face.name, "functions": face.functions, "wit": face.wit.join("\n") });
        faces.iter().map(of).collect()
    };
    let manifest = inspection.manifest.as_ref().map(|manifest| {
        let code = |entry: &crate::plugin::CodeEntry| {
            json!({
                "code": entry.code, "name": entry.name, "access": format!("{:?}", entry.access).to_lowercase(),
                "run": format!("{:?}", entry.run).to_lowercase(), "pure": entry.pure, "glance": entry.glance.is_some(),
            })
        };
        json!({
            "name": manifest.name, "version": manifest.version, "kind": kind(manifest.kind),
            "description": manifest.description,
            "codes": manifest.codes.iter().map(code).collect::<Vec<_>>(),
            "grants": manifest.grants.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    });
    json!({
        "file": subject.path.display().to_string(),
        "size": inspection.size,
        "sha256": inspection.sha256,
        "native": subject.is_library(),
        "manifest": manifest,
        "fault": inspection.fault,
        "imports": inspection.anatomy.as_ref().map(|anatomy| faces(&anatomy.shape.imports)),
        "exports": inspection.anatomy.as_ref().map(|anatomy| faces(&anatomy.shape.exports)),
    })
}
