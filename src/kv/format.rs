//! The bytes of the file, as Java writes and reads them: `{"configTable":{"<namespace>":{"<key>":"<value>"}}}`, on one
//! line without a newline, names ascending.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::table::{Namespace, Table};

/// Where and why a file is not what the format promises.
#[derive(Debug)]
pub struct Damage {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in bytes; 0 is before the first.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
}

// Java: KVConfigSerializeWrapper
#[derive(Deserialize)]
#[serde(expecting = "an object with the member `configTable`")]
struct Document {
    #[serde(rename = "configTable")]
    config_table: BTreeMap<String, Option<BTreeMap<String, Option<String>>>>,
}

/// Reads a file. No text, or only blanks, or `null`, is an empty table.
///
/// A key without a value is dropped and its namespace kept: Java holds such a key, and shows it to nobody. A namespace
/// that is null counts as absent, as in Java.
// Java: KVConfigManager.load
pub fn parse(bytes: &[u8]) -> Result<Table, Damage> {
    let text = bytes.trim_ascii_start();
    match text.first() {
        None => return Ok(Table::default()),
        // serde would take the elements of an array for the members of the object.
        Some(b'[') => return Err(Damage::at(bytes, bytes.len() - text.len(), "an array, expected an object")),
        Some(_) => {}
    }
    let document: Option<Document> = serde_json::from_slice(bytes).map_err(|error| Damage::from(&error))?;
    let Some(document) = document else { return Ok(Table::default()) };
    let namespaces = document.config_table.into_iter().filter_map(|(name, entries)| {
        let present = entries?.into_iter().filter_map(|(key, value)| Some((Arc::from(key), Arc::from(value?))));
        Some((Arc::from(name), present.collect()))
    });
    Ok(Table::loaded(namespaces.collect()))
}

impl Damage {
    fn at(bytes: &[u8], offset: usize, reason: &str) -> Self {
        let before = bytes.get(..offset).unwrap_or(bytes);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        Self { line, column, reason: reason.to_owned() }
    }
}

impl From<&serde_json::Error> for Damage {
    fn from(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        // serde_json repeats the position at the end of its text; ours stands in front.
        let reason = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text).to_owned();
        Self { line, column, reason }
    }
}

/// Writes a file.
// Java: KVConfigManager.persist
pub fn encode(table: &Table) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(table.encoded_len());
    serde_json::to_writer(&mut bytes, table).expect("strings under string keys always encode, and memory takes them");
    bytes
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_map(Some(1))?;
        document.serialize_entry("configTable", &Namespaces(self.namespaces()))?;
        document.end()
    }
}

struct Namespaces<'a>(&'a BTreeMap<Arc<str>, Arc<Namespace>>);

impl Serialize for Namespaces<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, namespace)| (&**name, Entries(namespace.entries()))))
    }
}

struct Entries<'a>(&'a BTreeMap<Arc<str>, Arc<str>>);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (&**key, &**value)))
    }
}

/// The length of a file that holds nothing.
pub(super) const FRAME_LEN: usize = r#"{"configTable":{}}"#.len();

/// What a namespace adds to the file, without its entries: `"name":{},`.
pub(super) fn namespace_len(name: &str) -> usize {
    quoted_len(name) + ":{},".len()
}

/// What an entry adds to the file: `"key":"value",`.
pub(super) fn entry_len(key: &str, value: &str) -> usize {
    quoted_len(key) + quoted_len(value) + ":,".len()
}

/// The length of a string between its quotes, escaped as serde_json does it.
fn quoted_len(text: &str) -> usize {
    let escaped = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    });
    2 + escaped.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    fn parsed(text: &str) -> String {
        String::from_utf8(encode(&parse(text.as_bytes()).unwrap())).unwrap()
    }

    #[test]
    fn a_file_that_java_wrote_is_written_again_byte_for_byte() {
        let text = r#"{"configTable":{"EMPTIED":{},"ORDER_TOPIC_CONFIG":{"OrderA":"broker-a:4;broker-b:4","主题":"a/b <\"\\\n>"}}}"#;

        assert_eq!(parsed(text), text);
    }

    #[test]
    fn names_are_written_in_ascending_order() {
        assert_eq!(
            parsed(r#"{ "configTable" : {"b":{"y":"1","x":"2"}, "a":{}} }"#),
            r#"{"configTable":{"a":{},"b":{"x":"2","y":"1"}}}"#
        );
    }

    #[test]
    fn null_values_are_dropped_but_their_namespace_stays() {
        assert_eq!(parsed(r#"{"configTable":{"n":{"k":null},"gone":null}}"#), r#"{"configTable":{"n":{}}}"#);
    }

    #[test]
    fn a_blank_file_is_an_empty_table() {
        for text in ["", " \n", "null"] {
            assert_eq!(parsed(text), r#"{"configTable":{}}"#);
        }
    }

    #[test]
    fn damage_is_named_with_line_column_and_reason() {
        let cases: [(&[u8], usize, usize, &str); 6] = [
            (b"{}", 1, 2, "missing field `configTable`"),
            (b"{\"configTable\":\n{\"n\":{\"k\":\"v\"}", 2, 14, "EOF while parsing an object"),
            (b" \n [{}]", 2, 2, "an array, expected an object"),
            (b"5", 1, 1, "invalid type: integer `5`, expected an object with the member `configTable`"),
            (b"{\"configTable\":{\"n\":{\"k\":5}}}", 1, 26, "invalid type: integer `5`, expected a string"),
            (b"{\"configTable\":{\"n\":{\"k\":\"\xff\"}}}", 1, 27, "invalid unicode code point"),
        ];
        for (bytes, line, column, reason) in cases {
            let damage = parse(bytes).unwrap_err();
            assert!(damage.reason.starts_with(reason), "{damage:?}");
            assert_eq!((damage.line, damage.column), (line, column), "{damage:?}");
            assert!(!damage.reason.contains("line"), "{damage:?}");
        }
    }

    proptest! {
        #[test]
        fn the_length_kept_along_is_never_less_than_the_file(
            namespaces in btree_map(any::<String>(), btree_map(any::<String>(), any::<String>(), 0..4), 0..4),
        ) {
            let entries: usize = namespaces.values().map(BTreeMap::len).sum();
            let commas_max = entries + namespaces.len();
            let table = Table::loaded(namespaces.into_iter().map(|(name, entries)| {
                (name.into(), entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
            }).collect());

            let file = encode(&table).len();

            prop_assert!(table.encoded_len() >= file);
            prop_assert!(table.encoded_len() <= file + commas_max);
        }
    }
}
