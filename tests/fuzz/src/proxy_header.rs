//! The PROXY protocol's headers: what has been said of some bytes is not taken back when more arrive, what is
//! waited for is bounded, and a header says what a plain reader finds in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fingerpost::proxy_protocol::{Header, Parsed, ProxyError, parse};

use crate::split_byte;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header that is taken, and so the most that may be waited for.
const HEADER_MAX: usize = 16 + 16 * 1024;

/// The first byte says what stands before the rest: nothing, the start of either version, or of a header of version 2
/// whose length, and perhaps checksum, is right.
pub fn check(data: &[u8]) {
    let Some((how, rest)) = split_byte(data) else { return };
    match how % 5 {
        0 => connection(rest),
        1 => connection(&[b"PROXY ", rest].concat()),
        2 => connection(&[SIGNATURE, rest].concat()),
        sums => {
            let Some((&[command, transport], rest)) = rest.split_first_chunk() else { return };
            let mut fields = rest.to_vec();
            if sums == 4 {
                fields.extend([3, 0, 4, 0, 0, 0, 0]);
            }
            let Ok(length) = u16::try_from(fields.len()) else { return };
            let mut whole = [SIGNATURE, &[command, transport], &length.to_be_bytes(), &fields].concat();
            if sums == 4 {
                let at = whole.len() - 4;
                let sum = crc32c(&whole);
                whole[at..].copy_from_slice(&sum.to_be_bytes());
            }
            connection(&whole);
        }
    }
}

fn connection(bytes: &[u8]) {
    let all = parse(bytes);
    let mut settled = None;
    for length in (0..bytes.len().min(HEADER_MAX + 1)).chain([bytes.len()]) {
        let said = parse(&bytes[..length]);
        match settled {
            None if said == Ok(Parsed::Incomplete) => assert!(length < HEADER_MAX, "it waits for ever"),
            None => {
                if let Ok(Parsed::Header(header)) = said {
                    assert_eq!(header.len, length, "it was known before, or is longer than what came");
                }
                settled = Some(said);
            }
            Some(settled) => assert_eq!(said, settled, "{length} bytes say otherwise than fewer"),
        }
    }
    assert_eq!(settled.unwrap_or(Ok(Parsed::Incomplete)), all);
    compare(bytes, all);
}

fn compare(bytes: &[u8], said: Result<Parsed, ProxyError>) {
    if bytes.starts_with(b"PROXY ") {
        let window = &bytes[..bytes.len().min(107)];
        let end = window.windows(2).position(|pair| pair == b"\r\n");
        match (end.and_then(|end| plain_line(&window[..end])), said) {
            (Some(source), said) => {
                let len = end.expect("there is a line") + 2;
                assert_eq!(said, Ok(Parsed::Header(Header { source, len })));
            }
            (None, Ok(Parsed::Header(header))) => panic!("{header:?} in a line that is none"),
            _ => {}
        }
    } else if bytes.starts_with(SIGNATURE) {
        match (plain_binary(bytes), said) {
            (Some(header), said) => assert_eq!(said, Ok(Parsed::Header(header))),
            (None, Ok(Parsed::Header(header))) => panic!("{header:?} in bytes that are none"),
            _ => {}
        }
    } else {
        assert!(matches!(said, Ok(Parsed::NotProxy | Parsed::Incomplete)), "{said:?}");
    }
}

fn plain_line(line: &[u8]) -> Option<Option<SocketAddr>> {
    if line.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return None;
    }
    let line = std::str::from_utf8(line).ok()?;
    let words: Vec<_> = line.split(' ').collect();
    if words.get(1) == Some(&"UNKNOWN") {
        return Some(None);
    }
    let [_, family, source, destination, source_port, destination_port] = words[..] else { return None };
    let ip = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
            _ => None,
        }
    };
    // A number looks like this, and in no other way.
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| port.to_string() == text);
    ip(destination)?;
    port(destination_port)?;
    Some(Some(SocketAddr::new(ip(source)?.to_canonical(), port(source_port)?)))
}

fn plain_binary(bytes: &[u8]) -> Option<Header> {
    let (prefix, rest) = bytes.split_at_checked(16)?;
    let length = usize::from(prefix[14]) << 8 | usize::from(prefix[15]);
    let addresses = match prefix[13] {
        0x00 => 0,
        0x11 | 0x12 => 12,
        0x21 | 0x22 => 36,
        0x31 | 0x32 => 216,
        _ => return None,
    };
    if !matches!(prefix[12], 0x20 | 0x21) || length > HEADER_MAX - 16 || rest.len() < length {
        return None;
    }
    let len = 16 + length;
    if prefix[12] == 0x20 || addresses == 0 {
        return Some(Header { source: None, len });
    }
    let (addresses, mut fields) = rest[..length].split_at_checked(addresses)?;
    let octet = |at: usize| addresses[at];
    let port = |at: usize| u16::from(octet(at)) << 8 | u16::from(octet(at + 1));
    let source = match prefix[13] >> 4 {
        1 => Some(SocketAddr::new(Ipv4Addr::new(octet(0), octet(1), octet(2), octet(3)).into(), port(8))),
        2 => {
            let ip = Ipv6Addr::from_bits((0..16).fold(0, |bits, at| bits << 8 | u128::from(octet(at))));
            Some(SocketAddr::new(IpAddr::from(ip).to_canonical(), port(32)))
        }
        _ => None,
    };
    while !fields.is_empty() {
        let (head, after) = fields.split_at_checked(3)?;
        let (value, after) = after.split_at_checked(usize::from(head[1]) << 8 | usize::from(head[2]))?;
        if head[0] == 3 {
            let mut zeroed = bytes[..len].to_vec();
            let at = len - after.len() - value.len();
            zeroed[at..at + value.len()].fill(0);
            if value != crc32c(&zeroed).to_be_bytes() {
                return None;
            }
        }
        fields = after;
    }
    Some(Header { source, len })
}

/// By a table, unlike the server's.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0x82f6_3b78 } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum, byte| sum >> 8 ^ TABLE[usize::from(sum as u8 ^ byte)])
}
