//! The store as its users see it. Failing disks are in [`faults`], crashing ones in [`crashes`], the rules of
//! waiting in [`waiting`].

mod crashes;
mod faults;
mod sim;
mod waiting;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// What a store should hold.
type Model = BTreeMap<String, BTreeMap<String, String>>;

fn config(path: &Path) -> KvConfig {
    KvConfig { path: path.to_owned(), on_damage: OnDamage::Refuse }
}

fn open(path: &Path) -> KvStore {
    KvStore::open(config(path)).unwrap()
}

fn contents(store: &KvStore) -> Model {
    model_of(&store.snapshot())
}

fn model_of(table: &Table) -> Model {
    let namespaces = table.namespaces();
    let text = |(name, value): (&Arc<str>, &Arc<str>)| (name.to_string(), value.to_string());
    namespaces.iter().map(|(name, space)| (name.to_string(), space.entries().iter().map(text).collect())).collect()
}

/// Puts and waits for the disk.
fn put(store: &KvStore, namespace: &str, key: &str, value: Option<&str>) -> Result<(), WriteError> {
    let (send, outcome) = mpsc::channel();
    let _ = store.put(namespace, key, value, Completion::new(move |result| send.send(result).unwrap()));
    outcome.recv().unwrap()
}

fn delete(store: &KvStore, namespace: &str, key: &str) -> Result<(), WriteError> {
    let (send, outcome) = mpsc::channel();
    let _ = store.delete(namespace, key, Completion::new(move |result| send.send(result).unwrap()));
    outcome.recv().unwrap()
}

struct Place {
    directory: TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    // Its real name: what is compared with it has been resolved.
    let path = directory.path().canonicalize().unwrap().join("kvConfig.json");
    Place { directory, path }
}

fn place_with(content: &str) -> Place {
    let place = place();
    fs::write(&place.path, content).unwrap();
    place
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

#[test]
fn a_value_is_read_back_and_is_in_the_file_as_java_writes_it() {
    let place = place();
    let store = open(&place.path);

    put(&store, "ORDER_TOPIC_CONFIG", "OrderA", Some("broker-a:4;broker-b:4")).unwrap();

    assert_eq!(store.get("ORDER_TOPIC_CONFIG", "OrderA").as_deref(), Some("broker-a:4;broker-b:4"));
    assert_eq!(
        fs::read_to_string(&place.path).unwrap(),
        r#"{"configTable":{"ORDER_TOPIC_CONFIG":{"OrderA":"broker-a:4;broker-b:4"}}}"#
    );
}

#[test]
fn an_emptied_namespace_stays_and_survives_a_restart() {
    let place = place();
    let store = open(&place.path);
    put(&store, "n", "k", Some("v")).unwrap();
    delete(&store, "n", "k").unwrap();
    drop(store);

    let store = open(&place.path);

    assert!(store.namespace("n").unwrap().entries().is_empty());
    assert_eq!(store.get("n", "k"), None);
}

#[test]
fn a_put_without_a_value_makes_the_namespace_and_removes_the_key() {
    let place = place();
    let store = open(&place.path);
    put(&store, "n", "k", Some("v")).unwrap();

    put(&store, "n", "k", None).unwrap();
    put(&store, "new", "k", None).unwrap();

    assert_eq!(fs::read_to_string(&place.path).unwrap(), r#"{"configTable":{"n":{},"new":{}}}"#);
    assert_eq!(store.get("n", "k"), None);
}

#[test]
fn deleting_what_is_not_there_succeeds_and_makes_no_namespace() {
    let place = place();
    let store = open(&place.path);

    delete(&store, "unknown", "k").unwrap();

    assert!(store.namespace("unknown").is_none());
}

#[test]
fn a_file_with_null_values_as_java_may_have_it_is_read_without_them() {
    let place = place_with(r#"{"configTable":{"n":{"gone":null,"k":"v"},"empty":{"gone":null}}}"#);

    let store = open(&place.path);

    assert_eq!(contents(&store), [("n", &[("k", "v")][..]), ("empty", &[])].map(model).into());
}

/// One namespace of a [`Model`].
fn model((name, entries): (&str, &[(&str, &str)])) -> (String, BTreeMap<String, String>) {
    (name.to_owned(), entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

#[test]
fn a_missing_directory_is_made_and_a_missing_or_empty_file_is_an_empty_store() {
    let place = place();
    let nested = place.directory.path().join("a/b/kv.json");

    assert!(contents(&open(&nested)).is_empty());
    fs::write(&nested, "").unwrap();
    assert!(contents(&open(&nested)).is_empty());
}

#[test]
fn a_second_server_on_the_same_file_is_refused_until_the_first_is_gone() {
    let place = place();
    let first = open(&place.path);
    put(&first, "n", "k", Some("v")).unwrap(); // Replaces the file; the lock must not go with it.

    let refusal = KvStore::open(config(&place.path)).unwrap_err();
    assert!(matches!(&refusal, OpenError::Locked { path, .. } if *path == place.path), "{refusal}");
    assert!(refusal.to_string().contains("in use by another server"), "{refusal}");

    drop(first);
    assert_eq!(open(&place.path).get("n", "k").as_deref(), Some("v"));
}

#[cfg(unix)]
#[test]
fn a_link_to_the_file_leads_to_the_same_lock_and_stays_a_link() {
    let place = place_with(r#"{"configTable":{}}"#);
    let link = place.directory.path().join("link.json");
    std::os::unix::fs::symlink(&place.path, &link).unwrap();

    let store = open(&link);
    put(&store, "n", "k", Some("v")).unwrap();

    assert!(matches!(KvStore::open(config(&place.path)), Err(OpenError::Locked { .. })));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&place.path).unwrap().contains("\"v\""));
}

#[cfg(unix)]
#[test]
fn the_permissions_of_the_file_outlive_its_replacement() {
    use std::os::unix::fs::PermissionsExt;
    let place = place_with("");
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o640)).unwrap();

    put(&open(&place.path), "n", "k", Some("v")).unwrap();

    assert_eq!(fs::metadata(&place.path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_damaged_file_stops_the_start_and_says_where_and_what_to_do() {
    let place = place_with("{\"configTable\":\n{\"n\": oops}}");

    let refusal = KvStore::open(config(&place.path)).unwrap_err();

    assert!(matches!(&refusal, OpenError::Damaged { line: 2, column: 7, .. }), "{refusal:?}");
    let text = refusal.to_string();
    assert!(text.contains("line 2, column 7") && text.contains("kv.on-damage = \"set-aside\""), "{text}");
    assert_eq!(fs::read_to_string(&place.path).unwrap(), "{\"configTable\":\n{\"n\": oops}}");
}

#[test]
fn a_file_without_its_table_stops_the_start() {
    let place = place_with("{}");

    let refusal = KvStore::open(config(&place.path)).unwrap_err();

    assert!(matches!(&refusal, OpenError::Damaged { reason, .. } if reason.contains("configTable")), "{refusal}");
}

#[test]
fn a_damaged_file_is_set_aside_when_asked_and_never_over_an_earlier_one() {
    let place = place();
    let config = KvConfig { on_damage: OnDamage::SetAside, ..config(&place.path) };
    for damaged in ["first", "second"] {
        fs::write(&place.path, damaged).unwrap();
        let store = KvStore::open(config.clone()).unwrap();
        assert!(contents(&store).is_empty());
        assert!(!place.path.exists());
        put(&store, "n", "k", Some("v")).unwrap();
    }

    assert_eq!(fs::read_to_string(beside(&place.path, ".damaged-1")).unwrap(), "first");
    assert_eq!(fs::read_to_string(beside(&place.path, ".damaged-2")).unwrap(), "second");
    assert_eq!(open(&place.path).get("n", "k").as_deref(), Some("v"));
}

#[test]
fn a_path_that_cannot_hold_a_file_is_refused_by_name() {
    let place = place_with("");
    let directory = place.directory.path();

    assert!(matches!(KvStore::open(config(directory)), Err(OpenError::NotAFile { .. })));
    assert!(matches!(KvStore::open(config(Path::new(""))), Err(OpenError::NotAFile { .. })));
    let under_a_file = KvStore::open(config(&place.path.join("kv.json"))).unwrap_err();
    assert!(under_a_file.to_string().starts_with("cannot "), "{under_a_file}");
    assert!(under_a_file.to_string().contains("kvConfig.json"), "{under_a_file}");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let place = place_with("");
    fs::File::options().write(true).open(&place.path).unwrap().set_len(FILE_SIZE_MAX as u64 + 1).unwrap();

    let refusal = KvStore::open(config(&place.path)).unwrap_err();

    assert!(matches!(refusal, OpenError::TooLarge { limit: FILE_SIZE_MAX, .. }), "{refusal}");
}

#[test]
fn the_previous_content_is_kept_as_a_backup() {
    let place = place();
    let store = open(&place.path);
    put(&store, "n", "k", Some("1")).unwrap();
    assert!(!beside(&place.path, ".bak").exists());

    for value in ["2", "3", "4"] {
        let before = fs::read(&place.path).unwrap();
        put(&store, "n", "k", Some(value)).unwrap();
        assert_eq!(fs::read(beside(&place.path, ".bak")).unwrap(), before);
    }
}

#[test]
fn nothing_but_the_file_its_lock_and_its_backup_is_left_behind() {
    let place = place();
    for leftover in [".tmp", ".bak.tmp"] {
        fs::write(beside(&place.path, leftover), "of a crash").unwrap();
    }
    let store = open(&place.path);
    put(&store, "n", "k", Some("1")).unwrap();
    put(&store, "n", "k", Some("2")).unwrap();

    let mut names: Vec<_> =
        fs::read_dir(place.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["kvConfig.json", "kvConfig.json.bak", "kvConfig.json.lock"]);
}

#[test]
fn what_is_too_long_is_refused_before_it_is_queued() {
    let place = place();
    let store = open(&place.path);
    let (name, value) = ("n".repeat(NAME_LEN_MAX), "v".repeat(VALUE_LEN_MAX));
    let (long_name, long_value) = (format!("{name}n"), format!("{value}v"));

    assert!(matches!(put(&store, &long_name, "k", None), Err(WriteError::TooLong { what: "namespace", .. })));
    assert!(matches!(put(&store, "n", &long_name, None), Err(WriteError::TooLong { what: "key", .. })));
    assert!(matches!(put(&store, "n", "k", Some(&long_value)), Err(WriteError::TooLong { what: "value", .. })));
    assert!(matches!(delete(&store, "n", &long_name), Err(WriteError::TooLong { what: "key", .. })));
    put(&store, &name, &name, Some(&value)).unwrap();
}

#[test]
fn a_snapshot_does_not_change_and_versions_only_rise() {
    let place = place();
    let store = open(&place.path);
    put(&store, "a", "k", Some("1")).unwrap();
    let before = store.snapshot();

    put(&store, "b", "k", Some("2")).unwrap();

    let after = store.snapshot();
    assert_eq!(before.get("b", "k"), None);
    assert!(after.version() > before.version());
    assert_eq!(after.namespace("b").unwrap().version(), after.version());
    assert_eq!(after.namespace("a").unwrap().version(), before.namespace("a").unwrap().version());
}

#[test]
fn the_configuration_is_written_in_kebab_case_and_refuses_a_damaged_file_by_default() {
    let config: KvConfig = toml::from_str("path = \"kv.json\"").unwrap();
    assert_eq!(config.on_damage, OnDamage::Refuse);
    let config: KvConfig = toml::from_str("path = \"kv.json\"\non-damage = \"set-aside\"").unwrap();
    assert_eq!(config.on_damage, OnDamage::SetAside);
}

#[derive(Clone, Debug)]
enum Step {
    Put(String, String, Option<String>),
    Delete(String, String),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || prop_oneof![4 => "[ab]", 1 => ".{0,3}"];
    prop_oneof![
        6 => (name(), name(), proptest::option::weighted(0.8, ".{0,6}")).prop_map(|(n, k, v)| Step::Put(n, k, v)),
        3 => (name(), name()).prop_map(|(n, k)| Step::Delete(n, k)),
        1 => Just(Step::Reopen),
    ]
}

fn apply(model: &mut Model, step: &Step) {
    match step {
        Step::Put(namespace, key, Some(value)) => {
            model.entry(namespace.clone()).or_default().insert(key.clone(), value.clone());
        }
        Step::Put(namespace, key, None) => {
            model.entry(namespace.clone()).or_default().remove(key);
        }
        Step::Delete(namespace, key) => {
            if let Some(entries) = model.get_mut(namespace) {
                entries.remove(key);
            }
        }
        Step::Reopen => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_sequence_of_writes_and_restarts_leaves_what_a_plain_map_would_hold(
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let place = place();
        let mut store = open(&place.path);
        let mut model = Model::new();
        let writes = Writes::new();
        for step in &steps {
            apply(&mut model, step);
            match step {
                Step::Put(namespace, key, value) => {
                    store.put(namespace, key, value.as_deref(), writes.track()).unwrap();
                }
                Step::Delete(namespace, key) => store.delete(namespace, key, writes.track()).unwrap(),
                Step::Reopen => {
                    drop(store);
                    store = open(&place.path);
                    prop_assert_eq!(&contents(&store), &model);
                }
            }
        }
        let (send, outcome) = mpsc::channel();
        writes.then(move |result| send.send(result).unwrap());

        outcome.recv().unwrap().unwrap();
        prop_assert_eq!(&contents(&store), &model);
        drop(store);
        prop_assert_eq!(&contents(&open(&place.path)), &model);
        if !steps.is_empty() && place.path.exists() {
            let expected = serde_json::to_string(&serde_json::json!({ "configTable": model })).unwrap();
            prop_assert_eq!(fs::read_to_string(&place.path).unwrap(), expected);
        }
    }
}
