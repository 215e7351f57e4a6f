//! `TopicQueueMappingInfo`: how the queues of a static topic map to one broker.

use crate::body::limits::Entries;
use crate::body::{DecodeError, Quoted};
use crate::json::{Kind, Reader};
use crate::route::{Name, TopicMapping};
use std::collections::BTreeMap;

/// Reads one mapping.
pub(super) fn read(reader: &mut Reader<'_>, entries: &mut Entries) -> Result<TopicMapping, DecodeError> {
    let mut mapping = TopicMapping::default();
    reader.begin_object()?;
    while let Some(key) = reader.next_key()? {
        match key.as_ref() {
            "bname" => mapping.broker_name = name(reader)?,
            "currIdMap" => {
                mapping.current_ids = current_ids(reader, entries).map_err(|error| error.within("currIdMap"))?;
            }
            "dirty" => mapping.dirty = reader.boolean()?.unwrap_or_default(),
            "epoch" => mapping.epoch = reader.int64()?.unwrap_or_default(),
            "scope" => mapping.scope = name(reader)?,
            "topic" => mapping.topic = name(reader)?,
            "totalQueues" => mapping.total_queues = reader.int32()?.unwrap_or_default(),
            _ => reader.skip()?,
        }
    }
    Ok(mapping)
}

/// A text that may be absent.
pub(super) fn name(reader: &mut Reader<'_>) -> Result<Option<Name>, DecodeError> {
    Ok(reader.text()?.map(Name::from))
}

/// Logical to physical queue. Brokers write the keys bare (`{0:0}`), other senders quote them.
fn current_ids(reader: &mut Reader<'_>, entries: &mut Entries) -> Result<BTreeMap<i32, i32>, DecodeError> {
    let mut ids = BTreeMap::new();
    if reader.peek()? == Kind::Null {
        reader.skip()?;
        return Ok(ids);
    }
    reader.begin_object()?;
    while let Some(key) = reader.next_key()? {
        let Ok(logical) = key.parse() else {
            return Err(DecodeError::Malformed(format!("key {} is not an integer", Quoted(&key))));
        };
        if let Some(physical) = reader.int32()? {
            entries.add()?;
            ids.insert(logical, physical);
        }
    }
    Ok(ids)
}
