//! The file of the KV store: it is loaded or refused with a place, what is loaded is what a plain reader of JSON finds,
//! and it is written and loaded again without a difference.

use std::collections::BTreeMap;

use fingerpost::json::Reader;
use fingerpost::kv::Table;
use fingerpost::kv::format::{encode, parse};

use crate::tree::Tree;

type Plain = BTreeMap<String, BTreeMap<String, String>>;

/// All of it is a file.
pub fn check(data: &[u8]) {
    let expected = serde_json::from_slice::<serde_json::Value>(data).is_ok().then(|| wanted(data));
    match parse(data) {
        Err(damage) => {
            let lines = 1 + data.iter().filter(|byte| **byte == b'\n').count();
            assert!((1..=lines).contains(&damage.line) && damage.column <= data.len() + 1, "{damage:?}");
            assert!(!damage.reason.is_empty());
            if let Some(Some(table)) = expected {
                panic!("{damage:?}, but it holds {table:?}");
            }
        }
        Ok(table) => {
            let loaded = plain(&table);
            if let Some(expected) = expected {
                assert_eq!(Some(&loaded), expected.as_ref());
            }
            let file = encode(&table);
            let again = parse(&file).expect("what is written can be loaded");
            assert_eq!(plain(&again), loaded);
            assert_eq!(encode(&again), file);
        }
    }
}

fn plain(table: &Table) -> Plain {
    let entries = |name: &str| {
        let namespace = table.namespace(name).expect("it was listed");
        namespace.entries().iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    };
    table.namespaces().keys().map(|name| (name.to_string(), entries(name))).collect()
}

/// What a file that is JSON holds, if it is of the right shape.
fn wanted(data: &[u8]) -> Option<Plain> {
    let tree = Tree::read(Reader::new(data).with_depth_max(127)).expect("serde_json reads it");
    let Tree::Object(members) = &tree else { return (tree == Tree::Null).then(Plain::new) };
    let mut tables = members.iter().filter(|(name, _)| name == "configTable");
    let (Some((_, table)), None) = (tables.next(), tables.next()) else { return None };
    let Tree::Object(namespaces) = table else { return None };
    let mut plain = Plain::new();
    for (name, namespace) in namespaces {
        // Of two with one name the last counts, be it null.
        plain.remove(name);
        match namespace {
            Tree::Null => continue,
            Tree::Object(entries) => {
                let mut values = BTreeMap::new();
                for (key, value) in entries {
                    values.remove(key);
                    match value {
                        Tree::Null => {}
                        Tree::String(value) => drop(values.insert(key.clone(), value.clone())),
                        _ => return None,
                    }
                }
                plain.insert(name.clone(), values);
            }
            _ => return None,
        }
    }
    Some(plain)
}
