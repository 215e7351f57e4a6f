//! The queue entries of a `TopicRouteData`, the body with which a broker registers a single topic.

use super::limits::Entries;
use super::{DecodeError, Limits, reader};
use crate::json::{Kind, Reader};
use crate::route::{Name, Queue};

/// Decodes `queueDatas`; none when there is no body, no such member, or either is `null`.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Option<Vec<Queue>>, DecodeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut reader = reader(bytes, limits);
    let mut entries = Entries::new(limits);
    let mut queues = None;
    if is_null(&mut reader)? {
        return Ok(reader.finish().map(|()| None)?);
    }
    reader.begin_object()?;
    while let Some(key) = reader.next_key()? {
        match key.as_ref() {
            "queueDatas" => queues = list(&mut reader, &mut entries).map_err(|error| error.within("queueDatas"))?,
            _ => reader.skip()?,
        }
    }
    reader.finish()?;
    Ok(queues)
}

fn list(reader: &mut Reader<'_>, entries: &mut Entries) -> Result<Option<Vec<Queue>>, DecodeError> {
    if is_null(reader)? {
        return Ok(None);
    }
    let mut queues = Vec::new();
    reader.begin_array()?;
    while reader.next_element()? {
        entries.add()?;
        let queue = queue(reader).map_err(|error| error.within(format_args!("element {}", queues.len())))?;
        queues.push(queue);
    }
    Ok(Some(queues))
}

fn queue(reader: &mut Reader<'_>) -> Result<Queue, DecodeError> {
    let mut broker_name = None;
    let (mut read_queue_nums, mut write_queue_nums, mut perm, mut topic_sys_flag) = (0, 0, 0, 0);
    reader.begin_object()?;
    while let Some(key) = reader.next_key()? {
        let field = match key.as_ref() {
            "perm" => &mut perm,
            "readQueueNums" => &mut read_queue_nums,
            "topicSysFlag" => &mut topic_sys_flag,
            "writeQueueNums" => &mut write_queue_nums,
            "brokerName" => {
                broker_name = reader.text()?.map(Name::from);
                continue;
            }
            _ => {
                reader.skip()?;
                continue;
            }
        };
        *field = reader.int32()?.unwrap_or_default();
    }
    // In Java a missing name is a broker that is not registered; so is the empty one here.
    let broker_name = broker_name.unwrap_or_else(|| Name::from(""));
    Ok(Queue { broker_name, read_queue_nums, write_queue_nums, perm, topic_sys_flag })
}

/// Whether `null` stood there, which is then behind us.
fn is_null(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    let is_null = reader.peek()? == Kind::Null;
    if is_null {
        reader.skip()?;
    }
    Ok(is_null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Result<Option<Vec<Queue>>, DecodeError> {
        decode(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn the_captured_body_is_one_queue_entry() {
        let expected = Queue {
            broker_name: "broker-c".into(),
            read_queue_nums: 3,
            write_queue_nums: 3,
            perm: 6,
            topic_sys_flag: 0,
        };

        assert_eq!(decoded(include_str!("../../tests/data/body/register_topic.txt")), Ok(Some(vec![expected])));
    }

    #[test]
    fn without_the_member_there_are_no_queues() {
        for text in ["", "null", "{}", r#"{"queueDatas":null}"#, r#"{"brokerDatas":[{"brokerAddrs":{0:"a:1"}}]}"#] {
            assert_eq!(decoded(text), Ok(None), "{text}");
        }
        assert_eq!(decoded(r#"{"queueDatas":[]}"#), Ok(Some(vec![])));
    }

    #[test]
    fn missing_numbers_are_zero() {
        let queue = decoded(r#"{"queueDatas":[{}]}"#).unwrap().unwrap().remove(0);

        assert_eq!((&*queue.broker_name, queue.read_queue_nums, queue.write_queue_nums, queue.perm), ("", 0, 0, 0));
    }

    #[test]
    fn what_is_no_route_is_refused_with_its_place() {
        assert!(matches!(decoded("garbage"), Err(DecodeError::Malformed(_))));
        assert!(matches!(decoded("null x"), Err(DecodeError::Malformed(_))));
        let error = decoded(r#"{"queueDatas":[{},{"perm":[]}]}"#).unwrap_err();
        assert_eq!(error.to_string(), "queueDatas: element 1: value is not an integer at byte 26");
    }

    #[test]
    fn more_entries_than_allowed_are_refused() {
        let limits = Limits { entries_max: 2, ..Limits::default() };

        assert!(decode(br#"{"queueDatas":[{},{}]}"#, &limits).is_ok());
        let error = decode(br#"{"queueDatas":[{},{},{}]}"#, &limits).unwrap_err();
        assert_eq!(error, DecodeError::TooLarge("queueDatas: more than 2 entries".into()));
    }
}
