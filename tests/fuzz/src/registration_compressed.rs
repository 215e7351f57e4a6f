//! Compressed registration bodies: the fuzzer writes what is inside, or the stream itself. What a body says is what a
//! plain reader finds, it comes back from what is written, no limit is exceeded, and memory grows with what is really
//! inflated.

use std::io::Read as _;

use fingerpost::body::registration::{Form, decode};
use fingerpost::body::{DecodeError, Limits};
use fingerpost::route::TopicTable;
use flate2::read::ZlibDecoder;

use crate::differences;
use crate::memory::peak_of;
use crate::plain::{self, NOW};

/// Bits of the first byte: the form, a stream and not what is inside, tight limits, a stream cut short, and what
/// follows the stream.
const MAPPINGS: u8 = 1;
const STREAM: u8 = 2;
const TIGHT: u8 = 4;
const CUT: u8 = 8;
const MORE: u8 = 16;

/// The first byte is made of the bits above. The second is the entries that are allowed (255 stands for what the server
/// allows), and how much is cut off.
pub fn check(data: &[u8]) {
    let Some((&[how, amount], rest)) = data.split_first_chunk() else { return };
    let form = if how & MAPPINGS == 0 { Form::Compressed } else { Form::CompressedWithMappings };
    let mut limits = Limits::default();
    if amount < 255 {
        limits.entries_max = amount.into();
    }
    if how & TIGHT != 0 {
        limits = Limits { inflated_max: 256 * u64::from(amount), inflate_ratio_max: 3, depth_max: 3, ..limits };
    }
    let mut body = if how & STREAM == 0 { plain::deflated(rest, u32::from(how >> 5)) } else { rest.to_vec() };
    if how & CUT != 0 {
        body.truncate(body.len().saturating_sub(usize::from(amount) + 1));
    }
    if how & MORE != 0 {
        body.extend(rest);
    }
    registration(&body, form, &limits);
}

/// What the stream holds, up to as much as any limit allows, and whether all of it is there.
fn inflated(body: &[u8]) -> (Vec<u8>, bool) {
    const ENOUGH: u64 = (64 << 20) + 1;
    let mut inside = Vec::new();
    let whole = ZlibDecoder::new(body).take(ENOUGH).read_to_end(&mut inside).is_ok();
    (inside, whole)
}

fn registration(body: &[u8], form: Form, limits: &Limits) {
    if body.is_empty() {
        // No stream at all is a broker that says nothing, which is not the same as a stream of nothing.
        let nothing = TopicTable { filter_servers: Some(Vec::new()), ..TopicTable::default() };
        assert_eq!(decode(body, form, NOW, limits), Ok(nothing));
        return;
    }
    let with_mappings = form == Form::CompressedWithMappings;
    let (decoded, peak) = peak_of(|| decode(body, form, NOW, limits));
    let (inside, whole) = inflated(body);
    let inflated_max = limits.inflated_max.min((body.len() as u64 * limits.inflate_ratio_max).max(1 << 20));
    let expected = inside.len().min(usize::try_from(inflated_max).expect("it is small"));
    // zlib's window and one piece of what is inflated, and then as much as for JSON.
    assert!(peak <= 160_000 + 32 * expected, "{peak} bytes for {expected} inflated ones");

    let fits = inside.len() as u64 <= inflated_max;
    let plain = plain::records(&inside, with_mappings, limits.depth_max).filter(|_| whole);
    match (plain, &decoded) {
        (Some(plain), decoded) if fits && plain::fits(&plain, limits) => {
            assert_eq!(decoded.as_ref(), Ok(&plain), "a plain reader finds more or less");
        }
        (Some(_), decoded) => assert!(matches!(decoded, Err(DecodeError::TooLarge(_))), "{decoded:?}"),
        (None, Ok(_)) => assert!(whole && fits, "what is cut off or too long was taken"),
        (None, Err(_)) => {}
    }
    let next = plain::deflated(&differences::neighbour(&inside, inside.len() as u8), 1);
    differences::check(body, &next, form, limits);
    let Ok(table) = decoded else { return };
    assert!(plain::fits(&table, limits));
    let written = plain::deflated(&plain::records_of(&table, with_mappings), 1);
    assert_eq!(decode(&written, form, NOW, &Limits::default()), Ok(table));
}
