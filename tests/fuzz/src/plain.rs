//! Registration bodies read the plain way, by somebody who forgives nothing: a second opinion wherever it has one. And
//! the same bodies written, to be read back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use bytes::BytesMut;
use fingerpost::body::Limits;
use fingerpost::json::{Reader, write};
use fingerpost::route::{DataVersion, Name, TopicConfig, TopicMapping, TopicTable};
use flate2::{Compression, write::ZlibEncoder};

use crate::tree::Tree;

/// The time of versions that name none.
pub(crate) const NOW: u64 = 1_700_000_000_123;

pub(crate) fn unnamed() -> DataVersion {
    DataVersion { state_version: 0, timestamp: NOW as i64, counter: 0 }
}

/// Reads a document in which no name comes twice.
pub(crate) fn tree(document: &[u8], depth_max: u8) -> Option<Tree> {
    let reader = Reader::new(document).with_bare_integer_keys().with_depth_max(depth_max);
    Tree::read(reader).ok().filter(|tree| !tree.has_twins())
}

/// A member's value, which must be absent or as `read` wants it.
fn member<T>(tree: &Tree, name: &str, default: T, read: impl FnOnce(&Tree) -> Option<T>) -> Option<T> {
    match tree.member(name) {
        None => Some(default),
        Some(value) => read(value),
    }
}

fn integer<T: std::str::FromStr>(tree: &Tree) -> Option<T> {
    let Tree::Number(Some(text)) = tree else { return None };
    text.parse().ok()
}

fn name(tree: &Tree) -> Option<Option<Name>> {
    match tree {
        Tree::Null => Some(None),
        Tree::String(text) => Some(Some(text.as_str().into())),
        _ => None,
    }
}

/// Java: `RegisterBrokerBody`.
pub(crate) fn body(tree: &Tree) -> Option<TopicTable> {
    let Tree::Object(_) = tree else { return None };
    let empty = TopicTable { data_version: unnamed(), ..TopicTable::default() };
    let table = member(tree, "topicConfigSerializeWrapper", empty, |tree| wrapper(tree, true))?;
    Some(TopicTable { filter_servers: member(tree, "filterServerList", Some(Vec::new()), servers)?, ..table })
}

/// Java: `TopicConfigSerializeWrapper`.
pub(crate) fn wrapper(tree: &Tree, with_mappings: bool) -> Option<TopicTable> {
    let Tree::Object(_) = tree else { return None };
    Some(TopicTable {
        data_version: member(tree, "dataVersion", unnamed(), version)?,
        topics: member(tree, "topicConfigTable", Vec::new(), topics)?,
        mappings: if with_mappings {
            member(tree, "topicQueueMappingInfoMap", Vec::new(), mappings)?
        } else {
            Vec::new()
        },
        filter_servers: None,
    })
}

fn version(tree: &Tree) -> Option<DataVersion> {
    let Tree::Object(_) = tree else { return (*tree == Tree::Null).then(unnamed) };
    Some(DataVersion {
        state_version: member(tree, "stateVersion", 0, integer)?,
        timestamp: member(tree, "timestamp", NOW as i64, integer)?,
        counter: member(tree, "counter", 0, integer)?,
    })
}

fn topics(tree: &Tree) -> Option<Vec<TopicConfig>> {
    let Tree::Object(members) = tree else { return None };
    let topic = |(key, tree): &(String, Tree)| {
        let Some(Tree::String(name)) = tree.member("topicName") else { return None };
        Some(TopicConfig {
            name: name.as_str().into(),
            key: (key != name).then(|| key.as_str().into()),
            read_queue_nums: member(tree, "readQueueNums", 16, integer)?,
            write_queue_nums: member(tree, "writeQueueNums", 16, integer)?,
            perm: member(tree, "perm", 6, integer)?,
            topic_sys_flag: member(tree, "topicSysFlag", 0, integer)?,
        })
    };
    members.iter().map(topic).collect()
}

fn mappings(tree: &Tree) -> Option<Vec<(Name, TopicMapping)>> {
    let Tree::Object(members) = tree else { return (*tree == Tree::Null).then(Vec::new) };
    members.iter().map(|(key, tree)| Some((key.as_str().into(), mapping(tree)?))).collect()
}

fn mapping(tree: &Tree) -> Option<TopicMapping> {
    let Tree::Object(_) = tree else { return None };
    let truth = |tree: &Tree| match tree {
        Tree::Bool(value) => Some(*value),
        _ => None,
    };
    Some(TopicMapping {
        broker_name: member(tree, "bname", None, name)?,
        current_ids: member(tree, "currIdMap", BTreeMap::new(), ids)?,
        dirty: member(tree, "dirty", false, truth)?,
        epoch: member(tree, "epoch", 0, integer)?,
        scope: member(tree, "scope", None, name)?,
        topic: member(tree, "topic", None, name)?,
        total_queues: member(tree, "totalQueues", 0, integer)?,
    })
}

fn ids(tree: &Tree) -> Option<BTreeMap<i32, i32>> {
    let Tree::Object(members) = tree else { return None };
    let ids: BTreeMap<_, _> =
        members.iter().map(|(key, tree)| Some((key.parse().ok()?, integer(tree)?))).collect::<Option<_>>()?;
    // `1` and `01` are one queue, but two names.
    (ids.len() == members.len()).then_some(ids)
}

fn servers(tree: &Tree) -> Option<Option<Vec<Name>>> {
    match tree {
        Tree::Null => Some(None),
        Tree::Array(elements) => elements.iter().map(|tree| name(tree)?).collect::<Option<Vec<_>>>().map(Some),
        _ => None,
    }
}

/// The inside of a compressed body.
pub(crate) fn records(mut inside: &[u8], with_mappings: bool, depth_max: u8) -> Option<TopicTable> {
    let rest = &mut inside;
    let data_version = match record(rest)? {
        [] => unnamed(),
        json => version(&tree(json, depth_max)?)?,
    };
    let mut topics = Vec::new();
    for _ in 0..number(rest)? {
        topics.push(topic(std::str::from_utf8(record(rest)?).ok()?)?);
    }
    let filter_servers = match record(rest)? {
        [] => None,
        json => servers(&tree(json, depth_max)?)?,
    };
    let mut mappings = Vec::new();
    if with_mappings {
        for _ in 0..number(rest)? {
            let mapping = mapping(&tree(record(rest)?, depth_max)?)?;
            mappings.push((mapping.topic.clone()?, mapping));
        }
    }
    let names: BTreeSet<_> = topics.iter().map(|topic| &topic.name).collect();
    let mapped: BTreeSet<_> = mappings.iter().map(|(topic, _)| topic).collect();
    if names.len() < topics.len() || mapped.len() < mappings.len() {
        return None;
    }
    Some(TopicTable { data_version, topics, mappings, filter_servers })
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    usize::try_from(i32::from_be_bytes(*number)).ok()
}

fn record<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(rest)?;
    let (record, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(record)
}

fn topic(text: &str) -> Option<TopicConfig> {
    let parts: Vec<_> = text.split(' ').collect();
    let [name, read, write, perm, "SINGLE_TAG" | "MULTI_TAG", ..] = parts[..] else { return None };
    Some(TopicConfig {
        name: name.into(),
        key: None,
        read_queue_nums: read.parse().ok()?,
        write_queue_nums: write.parse().ok()?,
        perm: perm.parse().ok()?,
        topic_sys_flag: 0,
    })
}

/// Whether the table keeps to the limits, as far as those count what is left of it.
pub(crate) fn fits(table: &TopicTable, limits: &Limits) -> bool {
    entries(table) as u64 <= limits.entries_max
}

pub(crate) fn entries(table: &TopicTable) -> usize {
    let ids: usize = table.mappings.iter().map(|(_, mapping)| mapping.current_ids.len()).sum();
    table.topics.len() + table.mappings.len() + ids + table.filter_servers.as_ref().map_or(0, Vec::len)
}

/// The body that a broker would send for the table.
pub(crate) fn json_of(table: &TopicTable) -> Vec<u8> {
    let mut out = BytesMut::from(r#"{"topicConfigSerializeWrapper":"#);
    out.extend_from_slice(&wrapper_of(table));
    out.extend_from_slice(br#","filterServerList":"#);
    out.extend_from_slice(&servers_of(table));
    out.extend_from_slice(b"}");
    out.to_vec()
}

pub(crate) fn wrapper_of(table: &TopicTable) -> Vec<u8> {
    let mut out = BytesMut::from(r#"{"dataVersion":"#);
    out.extend_from_slice(&version_of(&table.data_version));
    out.extend_from_slice(br#","topicConfigTable":"#);
    object(&mut out, table.topics.iter(), |out, topic| {
        write::string(out, topic.key.as_ref().unwrap_or(&topic.name));
        out.extend_from_slice(br#":{"topicName":"#);
        write::string(out, &topic.name);
        for (name, value) in [
            ("readQueueNums", topic.read_queue_nums),
            ("writeQueueNums", topic.write_queue_nums),
            ("perm", topic.perm),
            ("topicSysFlag", topic.topic_sys_flag),
        ] {
            out.extend_from_slice(format!(",\"{name}\":{value}").as_bytes());
        }
        out.extend_from_slice(b"}");
    });
    out.extend_from_slice(br#","topicQueueMappingInfoMap":"#);
    object(&mut out, table.mappings.iter(), |out, (topic, mapping)| {
        write::string(out, topic);
        out.extend_from_slice(b":");
        out.extend_from_slice(&mapping_of(mapping));
    });
    out.extend_from_slice(b"}");
    out.to_vec()
}

fn object<T>(out: &mut BytesMut, items: impl Iterator<Item = T>, mut put: impl FnMut(&mut BytesMut, T)) {
    out.extend_from_slice(b"{");
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.extend_from_slice(b",");
        }
        put(out, item);
    }
    out.extend_from_slice(b"}");
}

fn version_of(version: &DataVersion) -> Vec<u8> {
    let DataVersion { state_version, timestamp, counter } = version;
    format!(r#"{{"counter":{counter},"stateVersion":{state_version},"timestamp":{timestamp}}}"#).into_bytes()
}

fn servers_of(table: &TopicTable) -> Vec<u8> {
    let servers = table.filter_servers.as_ref();
    let servers: Option<Vec<&str>> = servers.map(|servers| servers.iter().map(|server| &**server).collect());
    serde_json::to_vec(&servers).expect("strings are JSON")
}

fn mapping_of(mapping: &TopicMapping) -> Vec<u8> {
    let mut out = BytesMut::new();
    let TopicMapping { broker_name, current_ids, dirty, epoch, scope, topic, total_queues } = mapping;
    out.extend_from_slice(
        format!(r#"{{"dirty":{dirty},"epoch":{epoch},"totalQueues":{total_queues},"currIdMap":"#).as_bytes(),
    );
    object(&mut out, current_ids.iter(), |out, (from, to)| out.extend_from_slice(format!("{from}:{to}").as_bytes()));
    for (name, value) in [("bname", broker_name), ("scope", scope), ("topic", topic)] {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        match value {
            Some(value) => write::string(&mut out, value),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(b"}");
    out.to_vec()
}

/// The inside of the compressed body that a broker would send for the table.
pub(crate) fn records_of(table: &TopicTable, with_mappings: bool) -> Vec<u8> {
    fn put(out: &mut Vec<u8>, record: &[u8]) {
        out.extend((record.len() as u32).to_be_bytes());
        out.extend(record);
    }
    let mut out = Vec::new();
    put(&mut out, &version_of(&table.data_version));
    out.extend((table.topics.len() as u32).to_be_bytes());
    for topic in &table.topics {
        let TopicConfig { name, read_queue_nums, write_queue_nums, perm, .. } = topic;
        put(&mut out, format!("{name} {read_queue_nums} {write_queue_nums} {perm} MULTI_TAG {{}}").as_bytes());
    }
    match table.filter_servers {
        None => put(&mut out, b""),
        Some(_) => put(&mut out, &servers_of(table)),
    }
    if with_mappings {
        out.extend((table.mappings.len() as u32).to_be_bytes());
        for (_, mapping) in &table.mappings {
            put(&mut out, &mapping_of(mapping));
        }
    }
    out
}

pub(crate) fn deflated(inside: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(inside).and_then(|()| encoder.finish()).expect("memory takes it")
}
