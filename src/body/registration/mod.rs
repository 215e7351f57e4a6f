//! What a broker publishes when it registers (Java: `RegisterBrokerBody`), in each of the forms it is sent in.

mod compressed;
mod imprint;
mod mapping;
mod unique;
mod usual;

use super::limits::Entries;
use super::{DecodeError, Limits, Quoted, data_version, reader};
use crate::json::{Kind, Reader};
use crate::route::{self, Millis, Name, Told, TopicConfig, TopicMapping, TopicTable};
use imprint::{Entry, Imprint, Kept, Topics};
use std::borrow::Cow;
use unique::Unique;

/// How the body is written. The header says which; this module does not know how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// `RegisterBrokerBody` as JSON.
    Json,
    /// `TopicConfigSerializeWrapper` as JSON, from brokers that know neither filter servers nor mappings.
    LegacyJson,
    /// A zlib stream without static-topic mappings.
    Compressed,
    /// A zlib stream that ends with static-topic mappings.
    CompressedWithMappings,
}

/// Decodes the body of a registration. `now` is the time of a data version that names none.
pub fn decode(bytes: &[u8], form: Form, now: Millis, limits: &Limits) -> Result<TopicTable, DecodeError> {
    if bytes.is_empty() {
        return Ok(without_body(form));
    }
    Ok(read(bytes, form, (now, None), limits)?.table)
}

/// Decodes the body of a registration as a difference from one of the bodies that are `known` by their imprints, where
/// that can be done; and makes an imprint of it.
pub fn decode_after<'a>(
    bytes: &[u8],
    form: Form,
    now: Millis,
    limits: &Limits,
    known: impl Iterator<Item = &'a route::Imprint>,
) -> Result<Told, DecodeError> {
    if bytes.is_empty() {
        return Ok(without_body(form).into());
    }
    let body = imprint::hash_body(bytes);
    let mut before = None;
    for (index, shared) in known.enumerate() {
        if let Some(told) = Imprint::again(shared, form, body) {
            return Ok(told);
        }
        // Of several brokers on one connection, the body does not say whose it is.
        before = Imprint::of(shared, form).filter(|_| index == 0).map(|imprint| (shared, imprint));
    }
    let what = (form, body, now);
    let entries = before.map_or(&[][..], |(_, before)| before.entries());
    let told = imprint::told(read(bytes, form, (now, Some(entries)), limits)?, what, before);
    match told {
        Some(told) => Ok(told),
        None => Ok(read(bytes, form, (now, None), limits)?.table.into()),
    }
}

/// What is published without a body: nothing, by data version (0, 0, 0). Only old brokers say nothing about filter
/// servers either. Java: `DefaultRequestProcessor.registerBroker`.
fn without_body(form: Form) -> TopicTable {
    let filter_servers = (form != Form::LegacyJson).then(Vec::new);
    TopicTable { filter_servers, ..TopicTable::default() }
}

/// What a body says, but for the topics that are known already.
struct Body {
    table: TopicTable,
    kept: Kept,
}

/// `before` are the topics that are known; none when nothing is to be known again either.
fn read(
    bytes: &[u8],
    form: Form,
    (now, before): (Millis, Option<&[Entry]>),
    limits: &Limits,
) -> Result<Body, DecodeError> {
    let mut decoder = Decoder { now, entries: Entries::new(limits), before };
    let mut reader = match form {
        Form::Json | Form::LegacyJson => reader(bytes, limits),
        Form::Compressed => return compressed::decode(bytes, false, (now, before), limits),
        Form::CompressedWithMappings => return compressed::decode(bytes, true, (now, before), limits),
    };
    let body = if form == Form::Json { decoder.body(&mut reader)? } else { decoder.wrapper(&mut reader, form)? };
    reader.finish()?;
    Ok(body)
}

/// Reads an array of strings; none is `null`.
fn filter_servers(reader: &mut Reader<'_>, entries: &mut Entries) -> Result<Option<Vec<Name>>, DecodeError> {
    if reader.peek()? == Kind::Null {
        reader.skip()?;
        return Ok(None);
    }
    let mut servers = Vec::new();
    reader.begin_array()?;
    while reader.next_element()? {
        if let Some(server) = mapping::name(reader)? {
            entries.add()?;
            servers.push(server);
        }
    }
    Ok(Some(servers))
}

struct Decoder<'a> {
    now: Millis,
    entries: Entries,
    before: Option<&'a [Entry]>,
}

impl Decoder<'_> {
    /// Java: `RegisterBrokerBody`.
    fn body(&mut self, reader: &mut Reader<'_>) -> Result<Body, DecodeError> {
        let mut body = self.empty();
        let mut servers = Some(Vec::new());
        reader.begin_object()?;
        while let Some(key) = reader.next_key()? {
            match key.as_ref() {
                "filterServerList" => {
                    servers =
                        filter_servers(reader, &mut self.entries).map_err(|error| error.within("filterServerList"))?;
                }
                "topicConfigSerializeWrapper" => {
                    body = self
                        .wrapper(reader, Form::Json)
                        .map_err(|error| error.within("topicConfigSerializeWrapper"))?;
                }
                _ => reader.skip()?,
            }
        }
        body.table.filter_servers = servers;
        Ok(body)
    }

    /// Java: `TopicConfigAndMappingSerializeWrapper`, or of old brokers `TopicConfigSerializeWrapper`.
    fn wrapper(&mut self, reader: &mut Reader<'_>, form: Form) -> Result<Body, DecodeError> {
        let Body { mut table, mut kept } = self.empty();
        reader.begin_object()?;
        while let Some(key) = reader.next_key()? {
            match key.as_ref() {
                "dataVersion" => {
                    let version = data_version::read(reader, self.now);
                    let version = version.map_err(|error| DecodeError::from(error).within("dataVersion"))?;
                    table.data_version = version.unwrap_or_else(|| data_version::unnamed(self.now));
                }
                "topicConfigTable" => {
                    let topics = self.topics(reader).map_err(|error| error.within("topicConfigTable"))?;
                    (table.topics, kept) = topics.finish();
                }
                "topicQueueMappingInfoMap" if form != Form::LegacyJson => {
                    table.mappings = self.mappings(reader).map_err(|error| error.within("topicQueueMappingInfoMap"))?;
                }
                _ => reader.skip()?,
            }
        }
        Ok(Body { table, kept })
    }

    fn topics(&mut self, reader: &mut Reader<'_>) -> Result<Topics<'_>, DecodeError> {
        let mut topics = Topics::new(self.before);
        reader.begin_object()?;
        while let Some(rest) = reader.peek_member()? {
            let ends = |length: usize| matches!(rest.get(length), Some(b',' | b'}'));
            if let Some(length) = topics.keep(rest, ends, key_of) {
                self.entries.add()?;
                reader.pass_member(length);
                continue;
            }
            let is_allowed = reader.is_utf8() && reader.levels_left() >= usual::LEVELS;
            if let Some((topic, length)) = usual::topic(rest).filter(|_| is_allowed) {
                self.entries.add()?;
                topics.put(topic, &rest[..length], true);
                reader.pass_member(length);
                continue;
            }
            let from = reader.offset();
            let Some(key) = reader.next_key()? else { break };
            self.entries.add()?;
            let topic = topic(reader, &key).map_err(|error| error.within(format_args!("entry {}", Quoted(&key))))?;
            let is_plain = matches!(key, Cow::Borrowed(_)) && rest.first() == Some(&b'"');
            topics.put(topic, &rest[..reader.offset() - from], is_plain);
        }
        Ok(topics)
    }

    fn mappings(&mut self, reader: &mut Reader<'_>) -> Result<Vec<(Name, TopicMapping)>, DecodeError> {
        let mut mappings = Unique::by(|(topic, _): &(Name, TopicMapping)| topic);
        if reader.peek()? == Kind::Null {
            reader.skip()?;
            return Ok(mappings.into_vec());
        }
        reader.begin_object()?;
        while let Some(key) = reader.next_key()? {
            self.entries.add()?;
            let mapping = mapping::read(reader, &mut self.entries);
            let mapping = mapping.map_err(|error| error.within(format_args!("entry {}", Quoted(&key))))?;
            mappings.put((Name::from(key), mapping));
        }
        Ok(mappings.into_vec())
    }

    /// Without a topic table nothing is passed over, and nothing known again.
    fn empty(&self) -> Body {
        let table = TopicTable { data_version: data_version::unnamed(self.now), ..TopicTable::default() };
        Body { table, kept: Kept::default() }
    }
}

/// The key of a topic whose bytes were plain: what stands between the first two quotes.
fn key_of(bytes: &[u8]) -> &[u8] {
    let key = bytes.get(1..).unwrap_or_default();
    let length = key.iter().position(|byte| *byte == b'"');
    &key[..length.unwrap_or(key.len())]
}

/// Reads one topic, which stands under `key`. Java: `TopicConfig`.
fn topic(reader: &mut Reader<'_>, key: &str) -> Result<TopicConfig, DecodeError> {
    let unnamed = || DecodeError::UnnamedTopic(format!("topicConfigTable entry {}", Quoted(key)));
    if reader.peek()? == Kind::Null {
        return Err(unnamed());
    }
    let mut name = None;
    // Java: TopicConfig.defaultReadQueueNums, defaultWriteQueueNums, PermName.PERM_READ | PERM_WRITE
    let (mut read_queue_nums, mut write_queue_nums, mut perm, mut topic_sys_flag) = (16, 16, 6, 0);
    reader.begin_object()?;
    while let Some(member) = reader.next_key()? {
        let field = match member.as_ref() {
            "perm" => &mut perm,
            "readQueueNums" => &mut read_queue_nums,
            "topicSysFlag" => &mut topic_sys_flag,
            "writeQueueNums" => &mut write_queue_nums,
            "topicName" => {
                name = mapping::name(reader)?;
                continue;
            }
            _ => {
                reader.skip()?;
                continue;
            }
        };
        // Java's setters take an `int`: what is null is 0, and not what a missing one would be.
        *field = reader.int32()?.unwrap_or_default();
    }
    let name = name.ok_or_else(unnamed)?;
    let key = (*key != *name).then(|| Name::from(key));
    Ok(TopicConfig { name, key, read_queue_nums, write_queue_nums, perm, topic_sys_flag })
}

#[cfg(test)]
mod tests;
