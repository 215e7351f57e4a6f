//! Java's properties file about TLS (`tls.config.file`), which overrides what the configuration says of it.

use std::path::Path;

use super::{Draft, parse_properties, read_file};
use crate::config::java::{JavaKey, ValueError};
use crate::config::properties::Entry;
use crate::config::{Config, ConfigError, Environment, Notice, Place, Severity};

/// Reads the file, if there is one to read. One of ours says so itself; beside a Java file, or none, it is Java's
/// default if that exists. One that was named must exist for us, and need not for Java.
pub(super) fn read(
    configuration: Option<&Path>,
    environment: &Environment,
    draft: &mut Draft,
) -> Result<(), ConfigError> {
    let is_ours = configuration.is_some_and(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let place = &mut draft.config.tls.properties_file;
    if *place == Place::Auto {
        let default = environment.tls_properties.clone().filter(|path| !is_ours && path.is_file());
        *place = default.map_or(Place::None, Place::At);
    }
    let Some(path) = place.path().map(Path::to_owned) else { return Ok(()) };
    let file = match read_file(&path) {
        Ok(file) => file,
        Err(error) if is_ours => return Err(error),
        // Java: `TlsHelper.extractTlsConfigFromFile` goes on without.
        Err(error) => {
            let line = draft.line_of("tls.properties-file").unwrap_or(0);
            let path = configuration.unwrap_or(&path).to_owned();
            let text = format!("`tls.config.file` is passed over: {error}");
            draft.notices.push(Notice { severity: Severity::Warning, path, line, text });
            return Ok(());
        }
    };
    for entry in parse_properties(&path, &file)? {
        let line = entry.line;
        if let Some(text) = take(&mut draft.config, entry) {
            draft.notices.push(Notice { severity: Severity::Warning, path: path.clone(), line, text });
        }
    }
    Ok(())
}

/// Applies one line; returns what there is to say against it.
fn take(config: &mut Config, entry: Entry) -> Option<String> {
    let name = entry.key.escape_debug();
    let Some(key) = JavaKey::find(&entry.key).filter(|key| key.name.starts_with("tls.")) else {
        return Some(format!("`{name}` has no meaning in this file; ignored"));
    };
    // Java reads them before it knows of this file.
    if matches!(key.name, "tls.server.mode" | "tls.enable" | "tls.config.file") {
        return Some(format!("`{name}` does not count in this file, as in Java"));
    }
    let refused = |error: ValueError| match key.secret {
        true => format!("`{name}`: the value {error}; ignored"),
        false => format!("`{name}`: `{}` {error}; ignored", entry.value.escape_debug()),
    };
    key.parse(&entry.value).and_then(|value| key.set(config, &value)).err().map(refused)
}
