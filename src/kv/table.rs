//! The values: immutable once published, copied where a batch changes them. Plain data, no threads, no disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::FILE_SIZE_MAX;
use super::format::{FRAME_LEN, entry_len, namespace_len};
use super::queue::{Change, WriteError};

/// Every namespace, as of one moment.
#[derive(Clone, Debug)]
pub struct Table {
    version: u64,
    namespaces: BTreeMap<Arc<str>, Arc<Namespace>>,
    /// At least the length of the file that holds this table: kept along, because asking would mean encoding.
    encoded_len: usize,
}

/// The keys and values of one namespace, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Namespace {
    version: u64,
    entries: BTreeMap<Arc<str>, Arc<str>>,
}

impl Default for Table {
    fn default() -> Self {
        Self::loaded(BTreeMap::new())
    }
}

impl Table {
    /// Which publication this is; a higher one is later. It covers the absence of a namespace, too.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The value of a key, or none.
    pub fn get(&self, namespace: &str, key: &str) -> Option<&Arc<str>> {
        self.namespaces.get(namespace)?.get(key)
    }

    /// One namespace, or none when it does not exist.
    pub fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces.get(name)
    }

    /// Every namespace, ascending by name.
    pub fn namespaces(&self) -> &BTreeMap<Arc<str>, Arc<Namespace>> {
        &self.namespaces
    }

    pub(super) fn encoded_len(&self) -> usize {
        self.encoded_len
    }

    /// The table that a file holds; everything in it is of version 1.
    pub(super) fn loaded(namespaces: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<str>>>) -> Self {
        let mut table = Self { version: 1, namespaces: BTreeMap::new(), encoded_len: FRAME_LEN };
        for (name, entries) in namespaces {
            let entries_len: usize = entries.iter().map(|(key, value)| entry_len(key, value)).sum();
            table.encoded_len += namespace_len(&name) + entries_len;
            table.namespaces.insert(name, Arc::new(Namespace { version: 1, entries }));
        }
        table
    }

    /// Makes one change. What it touches, and the table, get `version`; a change that changes nothing leaves both.
    ///
    /// # Errors
    ///
    /// [`WriteError::Full`], and nothing has changed.
    pub(super) fn apply(&mut self, change: &Change, version: u64) -> Result<(), WriteError> {
        match change {
            Change::Put { namespace, key, value: Some(value) } => self.insert(namespace, key, value, version),
            Change::Put { namespace, key, value: None } => {
                self.add_namespace(namespace, version)?;
                self.remove(namespace, key, version);
                Ok(())
            }
            Change::Delete { namespace, key } => {
                self.remove(namespace, key, version);
                Ok(())
            }
        }
    }

    fn insert(&mut self, name: &Arc<str>, key: &Arc<str>, value: &Arc<str>, version: u64) -> Result<(), WriteError> {
        let old_len = match self.get(name, key) {
            Some(old) if old == value => return Ok(()),
            Some(old) => entry_len(key, old),
            None => 0,
        };
        let new_namespace_len = if self.namespaces.contains_key(name) { 0 } else { namespace_len(name) };
        self.encoded_len = self.grown(new_namespace_len + entry_len(key, value), old_len)?;
        self.changed(name, version).entries.insert(key.clone(), value.clone());
        Ok(())
    }

    fn add_namespace(&mut self, name: &Arc<str>, version: u64) -> Result<(), WriteError> {
        if !self.namespaces.contains_key(name) {
            self.encoded_len = self.grown(namespace_len(name), 0)?;
            self.changed(name, version);
        }
        Ok(())
    }

    fn remove(&mut self, name: &Arc<str>, key: &Arc<str>, version: u64) {
        let Some(old) = self.get(name, key) else { return };
        self.encoded_len -= entry_len(key, old);
        self.changed(name, version).entries.remove(key);
    }

    /// The encoded length after a change, unless it would grow into a file that could not be read again.
    fn grown(&self, added: usize, removed: usize) -> Result<usize, WriteError> {
        let len = self.encoded_len + added - removed;
        if len > FILE_SIZE_MAX && added > removed {
            return Err(WriteError::Full { limit: FILE_SIZE_MAX });
        }
        Ok(len)
    }

    /// The namespace, made if need be, to be changed. The first change of a batch copies it; readers keep the old one.
    fn changed(&mut self, name: &Arc<str>, version: u64) -> &mut Namespace {
        self.version = version;
        let namespace = Arc::make_mut(self.namespaces.entry(name.clone()).or_default());
        namespace.version = version;
        namespace
    }
}

impl Namespace {
    /// The publication that last changed it, comparable with [`Table::version`]. It covers the absence of a key, too.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The value of a key, or none.
    pub fn get(&self, key: &str) -> Option<&Arc<str>> {
        self.entries.get(key)
    }

    /// Every key and value, ascending by key.
    pub fn entries(&self) -> &BTreeMap<Arc<str>, Arc<str>> {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &str) -> Change {
        Change::Put { namespace: "n".into(), key: key.into(), value: Some(value.into()) }
    }

    #[test]
    fn a_change_gives_its_version_to_what_it_touches_and_to_nothing_else() {
        let mut table = Table::default();
        table.apply(&put("k", "v"), 2).unwrap();
        table.apply(&Change::Put { namespace: "other".into(), key: "k".into(), value: None }, 3).unwrap();
        table.apply(&put("k", "v"), 4).unwrap();
        table.apply(&Change::Delete { namespace: "n".into(), key: "absent".into() }, 5).unwrap();
        table.apply(&Change::Delete { namespace: "absent".into(), key: "k".into() }, 6).unwrap();

        assert_eq!(table.version(), 3);
        assert_eq!(table.namespace("n").unwrap().version(), 2);
        assert_eq!(table.namespace("other").unwrap().version(), 3);
        assert!(table.namespace("absent").is_none());
    }

    #[test]
    fn a_full_table_refuses_to_grow_but_can_be_changed_and_emptied() {
        let mut table = Table::default();
        table.apply(&put("k", "12345"), 2).unwrap();
        table.encoded_len = FILE_SIZE_MAX;

        assert!(matches!(table.apply(&put("k", "123456"), 3), Err(WriteError::Full { .. })));
        assert!(matches!(table.apply(&put("k2", ""), 3), Err(WriteError::Full { .. })));
        assert_eq!((table.version(), table.encoded_len()), (2, FILE_SIZE_MAX));

        table.apply(&put("k", "abcde"), 3).unwrap();
        table.apply(&Change::Delete { namespace: "n".into(), key: "k".into() }, 4).unwrap();
        assert!(table.encoded_len() < FILE_SIZE_MAX);
    }

    #[test]
    fn the_length_kept_along_is_that_of_a_table_loaded_afresh() {
        let mut table = Table::default();
        for (key, value) in [("a", "1"), ("b", "\n"), ("a", "\u{1}22"), ("c", "主题")] {
            table.apply(&put(key, value), 2).unwrap();
        }
        table.apply(&Change::Delete { namespace: "n".into(), key: "b".into() }, 2).unwrap();

        let fresh = Table::loaded([("n".into(), table.namespace("n").unwrap().entries().clone())].into());
        assert_eq!(table.encoded_len(), fresh.encoded_len());
    }
}
