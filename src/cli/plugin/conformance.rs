//! The cases that a stand-in for a stock plugin has to pass: what the Java NameServer answered when it was asked, and
//! what a model of the tables says.

use super::cases::file::CaseFile;
use super::test::Suite;
use crate::cli::embedded;
use crate::config::nearest;

/// The cases for the stand-in of a stock plugin.
pub(super) fn suite(name: &str) -> Result<Suite, String> {
    let files = embedded::files("conformance");
    let names = || files.iter().filter_map(|(path, _)| path.strip_suffix(".toml"));
    let Some((path, text)) = files.iter().find(|(path, _)| path.strip_suffix(".toml") == Some(name)) else {
        let hint = match nearest(name, names()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are cases for {}", names().collect::<Vec<_>>().join(", ")),
        };
        return Err(format!("--conformance {name}: no such stock plugin; {hint}"));
    };
    let file = CaseFile::parse(text).map_err(|error| format!("{path}: {error}"))?;
    Ok(Suite { origin: format!("conformance/{path}"), file })
}
