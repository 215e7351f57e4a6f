//! What counts of a plugins directory, and when.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Looks, and returns whether something new counts and what was examined for that. The operator names `a.so`.
fn look(shelf: &mut Shelf, dir: &Path, foresees: bool) -> (bool, Vec<String>) {
    let dirs = [dir.to_owned()];
    let files = BTreeMap::from([("a.so".to_owned(), PluginFile { native: true, ..PluginFile::default() })]);
    let look = Look { dirs: &dirs, size_max: 100, files: &files, allows_shared: false, at_once: false };
    let mut examined = Vec::new();
    let examine = |_: &Path, _, bytes: &[u8]| {
        examined.push(String::from_utf8_lossy(bytes).into_owned());
        if bytes.ends_with(b"whole") { Ok(Found::Embedded) } else { Err(RejectReason::Panicked) }
    };
    let did = if foresees { shelf.foresee(look, examine) } else { shelf.look(look, examine) };
    (did, examined)
}

fn private_directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    dir
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn what_a_file_holds_is_made_ready_while_it_settles_and_used_only_then() {
    let (dir, mut shelf) = (private_directory(), Shelf::default());
    let path = dir.path().join("a.wasm");
    write(&path, "whole");

    assert_eq!(look(&mut shelf, dir.path(), false), (false, vec![]));
    assert_eq!(look(&mut shelf, dir.path(), true), (true, vec!["whole".to_owned()]));
    assert!(matches!(shelf.file(&path).unwrap().content, Content::Arriving));
    assert_eq!(look(&mut shelf, dir.path(), true), (false, vec![]), "once");
    assert_eq!(look(&mut shelf, dir.path(), false), (true, vec![]), "it is ready");
    assert!(matches!(shelf.file(&path).unwrap().content, Content::Embedded));
    assert_eq!(look(&mut shelf, dir.path(), true), (false, vec![]), "nothing arrives");
}

#[test]
fn what_was_made_ready_of_a_file_that_was_not_whole_yet_counts_for_nothing() {
    let (dir, mut shelf) = (private_directory(), Shelf::default());
    let path = dir.path().join("a.wasm");
    write(&path, "half");
    look(&mut shelf, dir.path(), false);
    assert_eq!(look(&mut shelf, dir.path(), true), (true, vec!["half".to_owned()]));

    write(&path, "the whole");
    assert_eq!(look(&mut shelf, dir.path(), false), (false, vec![]), "it has changed, and is not told to be bad");
    assert_eq!(look(&mut shelf, dir.path(), true), (false, vec![]), "a copy that takes long is not read each time");
    assert_eq!(look(&mut shelf, dir.path(), false), (true, vec!["the whole".to_owned()]));
    assert!(matches!(shelf.file(&path).unwrap().content, Content::Embedded));
}

#[test]
fn what_was_made_ready_before_its_signature_came_is_looked_at_again_with_it() {
    let (dir, mut shelf) = (private_directory(), Shelf::default());
    write(&dir.path().join("a.wasm"), "whole");
    look(&mut shelf, dir.path(), false);
    assert_eq!(look(&mut shelf, dir.path(), true), (true, vec!["whole".to_owned()]));

    write(&dir.path().join("a.wasm.sig"), "by somebody");
    assert_eq!(look(&mut shelf, dir.path(), false), (false, vec![]), "it settles anew");
    assert_eq!(look(&mut shelf, dir.path(), false), (true, vec!["whole".to_owned()]));
}

#[test]
fn what_was_made_ready_is_made_anew_when_the_operator_has_said_something_else() {
    let (dir, mut shelf) = (private_directory(), Shelf::default());
    write(&dir.path().join("a.wasm"), "whole");
    look(&mut shelf, dir.path(), false);
    look(&mut shelf, dir.path(), true);

    shelf.doubt();

    assert_eq!(look(&mut shelf, dir.path(), false), (true, vec!["whole".to_owned()]));
}

#[test]
fn a_library_that_settles_is_not_loaded_before_it_is_whole() {
    let (dir, mut shelf) = (private_directory(), Shelf::default());
    for library in ["a.so", "not-named.so"] {
        write(&dir.path().join(library), "whole");
    }

    look(&mut shelf, dir.path(), false);

    assert_eq!(look(&mut shelf, dir.path(), true), (false, vec![]));
    assert_eq!(look(&mut shelf, dir.path(), false), (true, vec!["whole".to_owned()]), "only the one that is named");
}
