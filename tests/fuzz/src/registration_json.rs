//! Registration bodies as JSON, and the other bodies that brokers send: what they say is what a plain reader finds,
//! they come back from what is written, no limit is exceeded, and memory grows with the bytes that came.

use fingerpost::body::registration::{Form, decode};
use fingerpost::body::{DecodeError, Limits, data_version, queues};
use fingerpost::json::Reader;

use crate::differences;
use crate::memory::peak_of;
use crate::plain::{self, NOW};
use crate::tree::Tree;

/// The first byte is the kind of body; the second the entries and the third the depth allowed, 255 standing for
/// what the server allows.
pub fn check(data: &[u8]) {
    let Some((&[kind, entries, depth], body)) = data.split_first_chunk() else { return };
    let mut limits = Limits::default();
    if entries < 255 {
        limits.entries_max = entries.into();
    }
    if depth < 255 {
        limits.depth_max = depth % 16;
    }
    match kind % 4 {
        0 => registration(body, Form::Json, &limits),
        1 => registration(body, Form::LegacyJson, &limits),
        2 => version(body, &limits),
        _ => queue_entries(body, &limits),
    }
}

fn registration(body: &[u8], form: Form, limits: &Limits) {
    let (decoded, peak) = peak_of(|| decode(body, form, NOW, limits));
    // An entry takes at least a dozen bytes of the body and at most some hundred of memory, lists double, and a name is
    // copied with room.
    assert!(peak <= 16_384 + 32 * body.len(), "{peak} bytes for a body of {}", body.len());
    let tree = plain::tree(body, limits.depth_max);
    let plain = tree.as_ref().filter(|tree| !tree.overflows()).and_then(|tree| match form {
        Form::Json => plain::body(tree),
        _ => plain::wrapper(tree, false),
    });
    if let Some(plain) = plain {
        if plain::fits(&plain, limits) {
            assert_eq!(decoded.as_ref(), Ok(&plain), "a plain reader finds more or less");
        } else {
            assert!(matches!(decoded, Err(DecodeError::TooLarge(_))), "{decoded:?}");
        }
    }
    let at = body.len() as u8;
    differences::check(body, &differences::neighbour(body, at), form, limits);
    let Ok(table) = decoded else { return };
    assert!(plain::fits(&table, limits));
    let written = match form {
        Form::Json => plain::json_of(&table),
        _ => plain::wrapper_of(&table),
    };
    assert_eq!(decode(&written, form, NOW, &Limits::default()), Ok(table));
}

fn version(body: &[u8], limits: &Limits) {
    let decoded = data_version::decode(body, NOW, limits);
    assert!(!body.is_empty() || decoded == Ok(None));
    if let Ok(decoded) = decoded {
        assert!(body.is_empty() || well_formed(body, limits), "{decoded:?}");
    }
}

fn queue_entries(body: &[u8], limits: &Limits) {
    let (decoded, peak) = peak_of(|| queues::decode(body, limits));
    assert!(peak <= 16_384 + 64 * body.len(), "{peak} bytes for a body of {}", body.len());
    if let Ok(decoded) = decoded {
        assert!(decoded.map_or(0, |queues| queues.len()) as u64 <= limits.entries_max);
        assert!(body.is_empty() || well_formed(body, limits));
    }
}

fn well_formed(body: &[u8], limits: &Limits) -> bool {
    Tree::read(Reader::new(body).with_bare_integer_keys().with_depth_max(limits.depth_max)).is_ok()
}
