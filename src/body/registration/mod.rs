//! What a broker publishes when it registers (Java: `RegisterBrokerBody`), in each of the forms it is sent in.

mod compressed;
mod mapping;
mod unique;

use super::limits::Entries;
use super::{DecodeError, Limits, Quoted, data_version, reader};
use crate::json::{Kind, Reader};
use crate::route::{Millis, Name, TopicConfig, TopicMapping, TopicTable};
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
    let mut decoder = Decoder { now, entries: Entries::new(limits) };
    let mut reader = reader(bytes, limits);
    let table = match form {
        Form::Json => decoder.body(&mut reader)?,
        Form::LegacyJson => decoder.wrapper(&mut reader, form)?,
        Form::Compressed => return compressed::decode(bytes, false, now, limits),
        Form::CompressedWithMappings => return compressed::decode(bytes, true, now, limits),
    };
    reader.finish()?;
    Ok(table)
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

struct Decoder {
    now: Millis,
    entries: Entries,
}

impl Decoder {
    /// Java: `RegisterBrokerBody`.
    fn body(&mut self, reader: &mut Reader<'_>) -> Result<TopicTable, DecodeError> {
        let mut table = self.empty_table();
        let mut servers = Some(Vec::new());
        reader.begin_object()?;
        while let Some(key) = reader.next_key()? {
            match key.as_ref() {
                "filterServerList" => {
                    servers =
                        filter_servers(reader, &mut self.entries).map_err(|error| error.within("filterServerList"))?;
                }
                "topicConfigSerializeWrapper" => {
                    table = self
                        .wrapper(reader, Form::Json)
                        .map_err(|error| error.within("topicConfigSerializeWrapper"))?;
                }
                _ => reader.skip()?,
            }
        }
        table.filter_servers = servers;
        Ok(table)
    }

    /// Java: `TopicConfigAndMappingSerializeWrapper`, or of old brokers `TopicConfigSerializeWrapper`.
    fn wrapper(&mut self, reader: &mut Reader<'_>, form: Form) -> Result<TopicTable, DecodeError> {
        let mut table = self.empty_table();
        reader.begin_object()?;
        while let Some(key) = reader.next_key()? {
            match key.as_ref() {
                "dataVersion" => {
                    let version = data_version::read(reader, self.now);
                    let version = version.map_err(|error| DecodeError::from(error).within("dataVersion"))?;
                    table.data_version = version.unwrap_or_else(|| data_version::unnamed(self.now));
                }
                "topicConfigTable" => {
                    table.topics = self.topics(reader).map_err(|error| error.within("topicConfigTable"))?;
                }
                "topicQueueMappingInfoMap" if form != Form::LegacyJson => {
                    table.mappings = self.mappings(reader).map_err(|error| error.within("topicQueueMappingInfoMap"))?;
                }
                _ => reader.skip()?,
            }
        }
        Ok(table)
    }

    fn topics(&mut self, reader: &mut Reader<'_>) -> Result<Vec<TopicConfig>, DecodeError> {
        let mut topics = Unique::by(|topic: &TopicConfig| topic.key.as_ref().unwrap_or(&topic.name));
        reader.begin_object()?;
        while let Some(key) = reader.next_key()? {
            self.entries.add()?;
            let topic = topic(reader, &key).map_err(|error| error.within(format_args!("entry {}", Quoted(&key))))?;
            topics.put(topic);
        }
        Ok(topics.into_vec())
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

    fn empty_table(&self) -> TopicTable {
        TopicTable { data_version: data_version::unnamed(self.now), ..TopicTable::default() }
    }
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
        if let Some(value) = reader.int32()? {
            *field = value;
        }
    }
    let name = name.ok_or_else(unnamed)?;
    let key = (*key != *name).then(|| Name::from(key));
    Ok(TopicConfig { name, key, read_queue_nums, write_queue_nums, perm, topic_sys_flag })
}

#[cfg(test)]
mod tests;
