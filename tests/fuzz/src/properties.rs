//! Java's properties files: what is written is read back, and the server's parser agrees with the plugin's.

use std::collections::BTreeMap;

use fingerpost::config::properties::{Entry, parse, write};

/// The parser with which request 318 is read. It was written apart from the server's.
#[allow(dead_code, reason = "the error of a plugin is only told apart from success")]
#[path = "../../../plugins/settings/src/properties.rs"]
mod plugin;

/// All of it is a file.
pub fn check(data: &[u8]) {
    let parsed = parse(data);
    compare_with_plugin(data, parsed.as_deref().ok());
    let entries = match parsed {
        Ok(entries) => entries,
        Err(error) => return assert!((1..=lines(data)).contains(&error.line), "{error:?}"),
    };
    assert!(entries.is_sorted_by(|one, next| one.line < next.line), "{entries:?}");
    assert!(entries.last().is_none_or(|entry| entry.line <= lines(data)));
    let pairs = |entries: &[Entry]| entries.iter().map(|e| (e.key.clone(), e.value.clone())).collect::<Vec<_>>();
    let text = write(entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())));
    assert!(text.is_ascii());
    assert_eq!(pairs(&parse(text.as_bytes()).expect("what is written can be read")), pairs(&entries), "{text}");
}

fn lines(data: &[u8]) -> usize {
    1 + data.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count()
}

/// The plugin reads text that came as UTF-8, keeps the last value of a name, and writes half a character as `?`.
fn compare_with_plugin(data: &[u8], entries: Option<&[Entry]>) {
    if std::str::from_utf8(data).is_err() {
        return;
    }
    let theirs = plugin::parse(data).ok();
    let whole = |text: &str| !text.contains('\u{fffd}');
    if entries.is_some_and(|entries| !entries.iter().all(|entry| whole(&entry.key) && whole(&entry.value))) {
        return;
    }
    let ours = entries.map(|entries| {
        entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect::<BTreeMap<_, _>>()
    });
    let theirs = theirs.map(|theirs| theirs.into_iter().collect::<BTreeMap<_, _>>());
    assert_eq!(ours, theirs, "the server's parser and the plugin's disagree");
}
