//! The compressed form of a registration body: one zlib stream of records with a length before each.
//!
//! Java: `RegisterBrokerBody.encode` and `decode`. All numbers are 32 bits, the highest byte first: the data version;
//! the number of topics and each; the filter servers; and from newer brokers the number of static-topic mappings and
//! each. The topics are text, everything else is JSON.
//!
//! # Invariants
//!
//! * The stream is inflated piece by piece, and never further than [`Limits`] allow; only the record that is being read
//!   is held, and it grows with the bytes that arrive.
//! * A stream counts only as a whole: what follows the last record is inflated too, so that the checksum at its end is
//!   compared. Java stops reading at the last record.

use super::imprint::{Entry, Topics};
use super::unique::Unique;
use super::{Body, mapping};
use crate::body::limits::Entries;
use crate::body::{DecodeError, Limits, Quoted, data_version, reader};
use crate::route::{Millis, Name, TopicConfig, TopicMapping, TopicTable};
use flate2::{Decompress, FlushDecompress, Status};
use std::fmt;
use std::io::{self, BufReader, Read};

/// How much is inflated at a time.
const CHUNK_SIZE: usize = 32 << 10;

/// Decodes a compressed body. Whether it ends with mappings is for the caller to know: the stream does not say.
pub(super) fn decode(
    bytes: &[u8],
    with_mappings: bool,
    (now, before): (Millis, Option<&[Entry]>),
    limits: &Limits,
) -> Result<Body, DecodeError> {
    let mut records = Records::new(bytes, limits);
    let mut entries = Entries::new(limits);

    let data_version = data_version::decode(records.record("data version")?, now, limits)
        .map_err(|error| error.within("data version"))?
        .unwrap_or_else(|| data_version::unnamed(now));
    let (topics, kept) = topics(&mut records, &mut entries, before)?.finish();
    let filter_servers = filter_servers(records.record("filter servers")?, &mut entries, limits)?;
    let mappings = if with_mappings { mappings(&mut records, &mut entries, limits)? } else { Vec::new() };

    records.finish()?;
    Ok(Body { table: TopicTable { data_version, topics, mappings, filter_servers }, kept })
}

fn topics<'a>(
    records: &mut Records<'_>,
    entries: &mut Entries,
    before: Option<&'a [Entry]>,
) -> Result<Topics<'a>, DecodeError> {
    let mut topics = Topics::new(before);
    let count = records.count("number of topics", entries)?;
    for index in 0..count {
        entries.add()?;
        let place = Numbered("topic", index);
        let record = records.record(place)?;
        if topics.keep(record, |length| length == record.len(), key_of).is_none() {
            topics.put(topic(record, place)?, record, true);
        }
    }
    Ok(topics)
}

/// The name, which ends at the first blank.
fn key_of(record: &[u8]) -> &[u8] {
    record.split(|byte| *byte == b' ').next().unwrap_or_default()
}

/// Reads `name readQueueNums writeQueueNums perm filterType [attributes]`. Java: `TopicConfig.decode`.
///
/// The attributes are not ours to know; what is left of them may hold blanks. The system flag is not sent.
fn topic(record: &[u8], place: Numbered) -> Result<TopicConfig, DecodeError> {
    let malformed = |what: fmt::Arguments<'_>| DecodeError::Malformed(format!("{place}: {what}"));
    let text = std::str::from_utf8(record).map_err(|_| malformed(format_args!("not UTF-8")))?;
    let mut parts = text.split(' ');
    let mut part = || parts.next().ok_or_else(|| DecodeError::UnnamedTopic(place.to_string()));
    let (name, [read_queue_nums, write_queue_nums, perm], filter_type) =
        (part()?, [part()?, part()?, part()?], part()?);

    let number = |text: &str| text.parse().map_err(|_| malformed(format_args!("{} is not an integer", Quoted(text))));
    if !matches!(filter_type, "SINGLE_TAG" | "MULTI_TAG") {
        return Err(malformed(format_args!("unknown filter type {}", Quoted(filter_type))));
    }
    Ok(TopicConfig {
        name: Name::from(name),
        key: None,
        read_queue_nums: number(read_queue_nums)?,
        write_queue_nums: number(write_queue_nums)?,
        perm: number(perm)?,
        topic_sys_flag: 0,
    })
}

/// Reads the JSON array of filter servers; as in Java, bad JSON is an empty list.
fn filter_servers(record: &[u8], entries: &mut Entries, limits: &Limits) -> Result<Option<Vec<Name>>, DecodeError> {
    if record.is_empty() {
        return Ok(None);
    }
    let mut reader = reader(record, limits);
    let servers = super::filter_servers(&mut reader, entries);
    match servers.and_then(|servers| reader.finish().map(|()| servers).map_err(DecodeError::from)) {
        Err(DecodeError::Malformed(_)) => Ok(Some(Vec::new())),
        other => other.map_err(|error| error.within("filter servers")),
    }
}

fn mappings(
    records: &mut Records<'_>,
    entries: &mut Entries,
    limits: &Limits,
) -> Result<Vec<(Name, TopicMapping)>, DecodeError> {
    let mut mappings = Unique::by(|(topic, _): &(Name, TopicMapping)| topic);
    let count = records.count("number of mappings", entries)?;
    for index in 0..count {
        entries.add()?;
        let place = Numbered("mapping", index);
        let mapping = mapping(records.record(place)?, entries, limits).map_err(|error| error.within(place))?;
        mappings.put(mapping);
    }
    Ok(mappings.into_vec())
}

fn mapping(record: &[u8], entries: &mut Entries, limits: &Limits) -> Result<(Name, TopicMapping), DecodeError> {
    let mut reader = reader(record, limits);
    let mapping = mapping::read(&mut reader, entries)?;
    reader.finish()?;
    let topic = mapping.topic.clone().ok_or_else(|| DecodeError::Malformed("names no topic".into()))?;
    Ok((topic, mapping))
}

/// The place of a record among those of its kind, counted from 1.
#[derive(Clone, Copy)]
struct Numbered(&'static str, u32);

impl fmt::Display for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, u64::from(self.1) + 1)
    }
}

/// The numbers and records of an inflated stream, in order.
struct Records<'a> {
    stream: BufReader<Inflate<'a>>,
    record: Vec<u8>,
}

impl<'a> Records<'a> {
    fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        let stream = Inflate {
            zlib: Decompress::new(true),
            rest: bytes,
            ended: false,
            inflated: 0,
            inflated_max: limits.inflated_max_of(bytes.len()),
        };
        Self { stream: BufReader::with_capacity(CHUNK_SIZE, stream), record: Vec::new() }
    }

    /// A length or a count, which Java reads with a sign.
    fn number(&mut self, what: impl fmt::Display) -> Result<u32, DecodeError> {
        let mut bytes = [0; 4];
        self.stream.read_exact(&mut bytes).map_err(|error| self.failed(error, &what))?;
        let number = i32::from_be_bytes(bytes);
        u32::try_from(number).map_err(|_| DecodeError::Malformed(format!("{what}: {number} is negative")))
    }

    /// How many records of a kind follow.
    fn count(&mut self, what: impl fmt::Display, entries: &Entries) -> Result<u32, DecodeError> {
        let count = self.number(&what)?;
        entries.announced(count.into()).map_err(|error| error.within(what))?;
        Ok(count)
    }

    /// The next record. The length before it reserves nothing.
    fn record(&mut self, what: impl fmt::Display) -> Result<&[u8], DecodeError> {
        let length = self.number(&what)?;
        self.record.clear();
        let read = (&mut self.stream).take(length.into()).read_to_end(&mut self.record);
        match read {
            Ok(read) if read as u64 == u64::from(length) => Ok(&self.record),
            Ok(_) => Err(self.failed(io::ErrorKind::UnexpectedEof.into(), what)),
            Err(error) => Err(self.failed(error, what)),
        }
    }

    /// Inflates and drops what follows the last record, to learn whether the stream is whole.
    fn finish(mut self) -> Result<(), DecodeError> {
        io::copy(&mut self.stream, &mut io::sink()).map_err(|error| self.failed(error, "checksum"))?;
        Ok(())
    }

    /// Why the stream could not give `what`. Only its end says something of the record; the stream is ahead of it.
    fn failed(&self, error: io::Error, what: impl fmt::Display) -> DecodeError {
        let stream = self.stream.get_ref();
        match error.kind() {
            io::ErrorKind::FileTooLarge => {
                DecodeError::TooLarge(format!("compressed body inflates to more than {} bytes", stream.inflated_max))
            }
            io::ErrorKind::UnexpectedEof => {
                DecodeError::Malformed(format!("{what}: compressed body ends after {} bytes", stream.inflated))
            }
            _ => DecodeError::Malformed(format!("corrupt zlib stream after {} bytes", stream.inflated)),
        }
    }
}

/// Inflates one zlib stream as far as it may, and says so when it was cut off. What follows the stream is ignored.
struct Inflate<'a> {
    zlib: Decompress,
    rest: &'a [u8],
    ended: bool,
    inflated: u64,
    inflated_max: u64,
}

impl Read for Inflate<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !out.is_empty() {
            let (consumed, produced) = (self.zlib.total_in(), self.zlib.total_out());
            let status = self.zlib.decompress(self.rest, out, FlushDecompress::None).map_err(io::Error::other)?;
            let (consumed, produced) = (self.zlib.total_in() - consumed, self.zlib.total_out() - produced);
            self.rest = &self.rest[consumed as usize..];
            self.inflated += produced;
            self.ended = status == Status::StreamEnd;
            if self.inflated > self.inflated_max {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            if produced > 0 {
                return Ok(produced as usize);
            }
            if consumed == 0 && !self.ended {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(0)
    }
}
