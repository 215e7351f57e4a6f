//! Bytes that are no request, and close the connection, or should.

use fastrand::Rng;

use super::super::oddities::{FORGIVEN, HEADER, REFUSED, SHARED};
use super::{choose, once_in, pick};

pub(super) fn bytes(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..4) {
        0 => pick(rng, &FRAMES).to_vec(),
        1 => binary(choose(rng, &BINARY_HEADERS)),
        2 if once_in(rng, 3) => json(&choose(rng, &SHARED).within(HEADER)),
        2 if once_in(rng, 4) => json(&choose(rng, &REFUSED).within(HEADER)),
        2 => json(&choose(rng, &FORGIVEN).within(HEADER)),
        _ => json(choose(rng, &JSON_HEADERS)),
    }
}

/// Whole first bytes.
const FRAMES: [&[u8]; 8] = [
    &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2, b'{', b'}', 0, 0],
    &[0, 0, 0, 0, 0, 0, 0, 2, b'{', b'}', 0, 0],
    &[0, 0, 0, 3, 0, 0, 0, 2, b'{', b'}', 0, 0],
    &[0, 0, 0, 8, 0, 0, 0, 9, b'{', b'}', b' ', b' '],
    &[0, 0, 0, 8, 0, 0xff, 0xff, 0xff, b'{', b'}', b' ', b' '],
    &[0, 0, 0, 8, 2, 0, 0, 4, b'{', b'}', b' ', b' '],
    &[0, 0, 0, 8, 0xff, 0, 0, 4, b'{', b'}', b' ', b' '],
    &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 4, b'{', b'}', b' ', b' '],
];

const JSON_HEADERS: [&[u8]; 20] = [
    b"    ",
    b"null",
    b"[206]",
    b"206 ",
    b"\"x\"  ",
    b"{code:206}",
    b"{\"code\":206",
    b"{\"code\":206}x",
    b"{\"code\":206}{}",
    b"\xef\xbb\xbf{\"code\":206}",
    b"{\"code\":206,\"remark\":\"\xff\"}",
    b"{\"code\":206,\"opaque\":4294967296}",
    b"{\"code\":99999999999}",
    b"{\"code\":\" 206\"}",
    b"{\"code\":\"x\"}",
    b"{\"code\":206,\"extFields\":[1]}",
    b"{\"code\":206,\"extFields\":\"x\"}",
    b"{\"code\":206,\"language\":{}}",
    b"{\"code\":206,\"body\":\"x\"}",
    b"{\"code\":{}}",
];

const BINARY_HEADERS: [&[u8]; 6] = [
    &[],
    &[0, 206],
    &[0, 206, 0, 2, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    &[0, 206, 0, 2, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0],
    &[0, 206, 0, 2, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
    &[0, 206, 0, 2, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 9, b'a', b'b'],
];

fn json(header: &[u8]) -> Vec<u8> {
    frame(0, header)
}

fn binary(header: &[u8]) -> Vec<u8> {
    frame(1, header)
}

fn frame(form: u8, header: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    // A few bytes of body, so that nobody waits for the twelve bytes in which Java looks for a PROXY header.
    frame.extend_from_slice(&(4 + header.len() as u32 + 8).to_be_bytes());
    frame.extend_from_slice(&((u32::from(form) << 24) | header.len() as u32).to_be_bytes());
    frame.extend_from_slice(header);
    frame.extend_from_slice(b"a body !");
    frame
}
