//! The page in the tree that has the tables of the last run on a quiet machine.

use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- cargo bench --bench servers -->\n";
const END: &str = "<!-- end -->";

/// Puts `text` in the place that the page keeps for it.
pub(crate) fn write(text: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/README.md");
    let page = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let page = replaced(&page, text).ok_or_else(|| format!("{} has no place for the tables", path.display()))?;
    fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))
}

fn replaced(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{text}\n{END}{after}"))
}
