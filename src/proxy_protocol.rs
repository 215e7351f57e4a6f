//! The header that a proxy puts in front of a connection to say whose it is: the PROXY protocol, versions 1 and 2, as
//! HAProxy's `proxy-protocol.txt` describes it.
//!
//! ```text
//!  1:  PROXY TCP4 192.0.2.7 198.51.100.1 40000 9876\r\n                                107 bytes at most
//!  2:  \r\n\r\n\0\r\nQUIT\n │ version, command:1 │ family, transport:1 │ length:2 │ addresses │ type:1 length:2 value
//! ```
//!
//! Pure: it is told what has arrived so far, and says whether that is a header. Only the source is kept; whether it is
//! to be believed is for whoever knows who sent it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parsed {
    /// They may become a header; more must arrive. No bytes at all may become anything.
    Incomplete,
    /// They are no header, whatever follows.
    NotProxy,
    /// They begin with a header.
    Header(Header),
}

/// What a header says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Who connected to the proxy, with an IPv4 address in its own form. None when it does not say, or the proxy speaks
    /// for itself: the address of the socket counts then.
    pub source: Option<SocketAddr>,
    /// How many bytes it takes.
    pub len: usize,
}

/// Why something that begins as a header is none. The connection is of no use: where the header would end is unknown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// Version 1: no end within the longest line that there can be.
    #[error("its line has no end within {LINE_MAX} bytes")]
    NoEnd,
    /// Version 1: a lone CR or LF.
    #[error("its line does not end in CR LF")]
    LineEnd,
    /// Version 1: neither TCP4, TCP6 nor UNKNOWN.
    #[error("its family is neither TCP4, TCP6 nor UNKNOWN")]
    Family,
    /// Version 1: not exactly two addresses and two ports, with one blank before each.
    #[error("it does not hold two addresses and two ports")]
    Fields,
    /// Version 1: no address of the family.
    #[error("an address is not of its family")]
    Address,
    /// Version 1: no number from 0 to 65535 without a zero in front.
    #[error("a port is no number up to 65535")]
    Port,
    /// Version 2: another version after its signature.
    #[error("it is of version {0}")]
    Version(u8),
    /// Version 2: neither LOCAL nor PROXY.
    #[error("its command is {0}")]
    Command(u8),
    /// Version 2: a pair of family and transport that the protocol does not have.
    #[error("its family and transport are {0:#04x}")]
    Transport(u8),
    /// Version 2: longer than any header that is meant.
    #[error("it claims {0} bytes, and {LENGTH_MAX} are allowed")]
    TooLong(u16),
    /// Version 2: its addresses do not fit into its length.
    #[error("its {0} bytes are too few for its addresses")]
    TooShort(u16),
    /// Version 2: what follows the addresses are no whole fields.
    #[error("a field after its addresses is cut off")]
    Field,
    /// Version 2: its CRC32C is that of something else.
    #[error("its checksum is wrong")]
    Checksum,
}

/// Says what `bytes`, the first of a connection, are. What it says of a whole header, no further byte changes.
///
/// # Errors
/// When they begin as a header, and cannot become one.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    if begins(bytes, LINE_START) {
        return if bytes.len() < LINE_START.len() { Ok(Parsed::Incomplete) } else { line(bytes) };
    }
    if begins(bytes, SIGNATURE) {
        return if bytes.len() < PREFIX_LEN { Ok(Parsed::Incomplete) } else { binary(bytes) };
    }
    Ok(Parsed::NotProxy)
}

/// Whether `bytes` are so much of a header that nothing else is meant.
pub fn has_begun(bytes: &[u8]) -> bool {
    bytes.starts_with(LINE_START) || bytes.starts_with(SIGNATURE)
}

/// Whether `bytes` are a start of `start`, or start with it.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(one, other)| one == other)
}

fn header(source: Option<SocketAddr>, len: usize) -> Result<Parsed, ProxyError> {
    Ok(Parsed::Header(Header { source, len }))
}

// Version 1.

fn line(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let window = &bytes[..bytes.len().min(LINE_MAX)];
    let Some(end) = window.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return if bytes.len() < LINE_MAX { Ok(Parsed::Incomplete) } else { Err(ProxyError::NoEnd) };
    };
    match window[end..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] if bytes.len() < LINE_MAX => return Ok(Parsed::Incomplete),
        _ => return Err(ProxyError::LineEnd),
    }
    // What is no ASCII is no address either.
    let said = str::from_utf8(&window[LINE_START.len()..end]).map_err(|_| ProxyError::Fields)?;
    let (family, rest) = said.split_once(' ').unwrap_or((said, ""));
    let source = match family {
        "TCP4" => Some(source_of_line(rest, |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4))?),
        "TCP6" => Some(source_of_line(rest, |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6))?),
        // Whatever else it says is to be ignored.
        "UNKNOWN" => None,
        _ => return Err(ProxyError::Family),
    };
    header(source, end + 2)
}

fn source_of_line(fields: &str, address: impl Fn(&str) -> Option<IpAddr>) -> Result<SocketAddr, ProxyError> {
    let mut fields = fields.split(' ');
    let mut next = || fields.next().ok_or(ProxyError::Fields);
    let (source, destination, source_port, destination_port) = (next()?, next()?, next()?, next()?);
    if fields.next().is_some() {
        return Err(ProxyError::Fields);
    }
    let address = |text| address(text).ok_or(ProxyError::Address);
    // The destination is not used, but a sender that gets it wrong means something else.
    address(destination)?;
    port(destination_port)?;
    Ok(SocketAddr::new(address(source)?.to_canonical(), port(source_port)?))
}

fn port(text: &str) -> Result<u16, ProxyError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(ProxyError::Port)
}

// Version 2.

fn binary(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let (version, command, transport) = (bytes[12] >> 4, bytes[12] & 0xf, bytes[13]);
    let length = u16::from_be_bytes([bytes[14], bytes[15]]);
    if version != 2 {
        return Err(ProxyError::Version(version));
    }
    if command > COMMAND_PROXY {
        return Err(ProxyError::Command(command));
    }
    let addresses_len = match transport {
        UNSPECIFIED => 0,
        TCP4 | UDP4 => 12,
        TCP6 | UDP6 => 36,
        UNIX_STREAM | UNIX_DATAGRAM => 2 * UNIX_PATH_LEN,
        _ => return Err(ProxyError::Transport(transport)),
    };
    if length > LENGTH_MAX {
        return Err(ProxyError::TooLong(length));
    }
    let speaks_for_a_peer = command == COMMAND_PROXY && transport != UNSPECIFIED;
    if speaks_for_a_peer && usize::from(length) < addresses_len {
        return Err(ProxyError::TooShort(length));
    }
    let len = PREFIX_LEN + usize::from(length);
    let Some(whole) = bytes.get(..len) else { return Ok(Parsed::Incomplete) };
    if !speaks_for_a_peer {
        // Everything behind the length is to be skipped unseen.
        return header(None, len);
    }
    let (addresses, fields) = whole[PREFIX_LEN..].split_at(addresses_len);
    walk(whole, fields)?;
    header(source_of_addresses(transport, addresses), len)
}

fn source_of_addresses(transport: u8, addresses: &[u8]) -> Option<SocketAddr> {
    let port_at = |at: usize| Some(u16::from_be_bytes(*addresses.get(at..)?.first_chunk()?));
    match transport {
        TCP4 | UDP4 => Some(SocketAddr::new(IpAddr::from(*addresses.first_chunk::<4>()?), port_at(8)?)),
        TCP6 | UDP6 => {
            Some(SocketAddr::new(IpAddr::from(*addresses.first_chunk::<16>()?).to_canonical(), port_at(32)?))
        }
        // A path is no address that anybody here could use.
        _ => None,
    }
}

/// Checks that what follows the addresses are whole fields, and the checksum if one of them is one.
fn walk(whole: &[u8], mut fields: &[u8]) -> Result<(), ProxyError> {
    while let Some((&[kind, high, low], rest)) = fields.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(len).ok_or(ProxyError::Field)?;
        if kind == CHECKSUM {
            let said = u32::from_be_bytes(value.try_into().map_err(|_| ProxyError::Field)?);
            let at = whole.len() - rest.len() - value.len();
            if said != checksum(whole, at) {
                return Err(ProxyError::Checksum);
            }
        }
        fields = rest;
    }
    if fields.is_empty() { Ok(()) } else { Err(ProxyError::Field) }
}

/// CRC32C of a header, with the four bytes at `at` taken for zeros. Bit by bit: a header is short, and comes once.
fn checksum(whole: &[u8], at: usize) -> u32 {
    let bytes = whole.iter().enumerate().map(|(index, byte)| if (at..at + 4).contains(&index) { 0 } else { *byte });
    !bytes.fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

const LINE_START: &[u8] = b"PROXY ";

/// With its CR LF; two IPv6 addresses in full, and two ports, take no more.
const LINE_MAX: usize = 107;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Everything up to the length.
const PREFIX_LEN: usize = 16;

/// The fields of a proxy that forwards a client's certificate take some KiB; the protocol would allow 64.
const LENGTH_MAX: u16 = 16 * 1024;

const COMMAND_PROXY: u8 = 1;

/// Each of the two paths is filled up with zeros.
const UNIX_PATH_LEN: usize = 108;

// The family, and how it is transported.
const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const UDP4: u8 = 0x12;
const TCP6: u8 = 0x21;
const UDP6: u8 = 0x22;
const UNIX_STREAM: u8 = 0x31;
const UNIX_DATAGRAM: u8 = 0x32;

/// Java: `PP2_TYPE_CRC32C`, which it stores and does not check.
const CHECKSUM: u8 = 0x03;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(address: &str, len: usize) -> Result<Parsed, ProxyError> {
        header(Some(address.parse().unwrap()), len)
    }

    /// A header of version 2.
    fn version_2(command: u8, transport: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[0x20 | command, transport], &length, rest].concat()
    }

    fn ipv4(fields: &[u8]) -> Vec<u8> {
        version_2(1, TCP4, &[&[192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0x26, 0x94], fields].concat())
    }

    /// A field that holds the checksum of the header it ends.
    fn with_checksum(mut header: Vec<u8>) -> Vec<u8> {
        let length = u16::from_be_bytes([header[14], header[15]]) + 7;
        header[14..16].copy_from_slice(&length.to_be_bytes());
        header.extend([CHECKSUM, 0, 4, 0, 0, 0, 0]);
        let at = header.len() - 4;
        let sum = checksum(&header, at);
        header[at..].copy_from_slice(&sum.to_be_bytes());
        header
    }

    #[test]
    fn a_line_says_who_connected() {
        let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 9876\r\n";
        assert_eq!(parse(line), source("192.0.2.7:40000", line.len()));
        let line = b"PROXY TCP6 2001:db8::7 2001:DB8:0:0:0:0:0:1 0 65535\r\n";
        assert_eq!(parse(line), source("[2001:db8::7]:0", line.len()));
    }

    #[test]
    fn an_ipv4_address_in_the_form_of_an_ipv6_one_is_shown_as_what_it_is() {
        let line = b"PROXY TCP6 ::ffff:192.0.2.7 ::1 40000 9876\r\n";
        assert_eq!(parse(line), source("192.0.2.7:40000", line.len()));
        let mut addresses = [0; 36];
        addresses[10..16].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 7]);
        assert_eq!(parse(&version_2(1, TCP6, &addresses)), source("192.0.2.7:0", 52));
    }

    #[test]
    fn a_line_of_an_unknown_family_says_nothing_whatever_it_says() {
        for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 2 three\r\n", "PROXY UNKNOWN \r\n"] {
            assert_eq!(parse(line.as_bytes()), header(None, line.len()), "{line:?}");
        }
    }

    #[test]
    fn the_longest_line_is_taken_and_a_longer_one_is_not() {
        let address = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let longest = format!("PROXY UNKNOWN {address} {address} 65535 65535\r\n");
        assert_eq!(longest.len(), LINE_MAX);
        assert_eq!(parse(longest.as_bytes()), header(None, LINE_MAX));
        let longer = longest.replace("\r\n", " \r\n");
        assert_eq!(parse(&longer.as_bytes()[..LINE_MAX - 1]), Ok(Parsed::Incomplete));
        assert_eq!(parse(longer.as_bytes()), Err(ProxyError::LineEnd));
        let endless = format!("PROXY UNKNOWN {}", "x".repeat(LINE_MAX));
        assert_eq!(parse(endless.as_bytes()), Err(ProxyError::NoEnd));
    }

    #[test]
    fn a_malformed_line_is_refused_with_its_reason() {
        let cases = [
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", ProxyError::LineEnd),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rx", ProxyError::LineEnd),
            ("PROXY \r\n", ProxyError::Family),
            ("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", ProxyError::Family),
            ("PROXY UNKNOWNS\r\n", ProxyError::Family),
            ("PROXY TCP4\r\n", ProxyError::Fields),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", ProxyError::Fields),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", ProxyError::Fields),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", ProxyError::Fields),
            ("PROXY TCP4  1.2.3.4 1.2.3.4 1\r\n", ProxyError::Address),
            ("PROXY TCP4 ::1 1.2.3.4 1 2\r\n", ProxyError::Address),
            ("PROXY TCP4 1.2.3.4 ::1 1 2\r\n", ProxyError::Address),
            ("PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", ProxyError::Address),
            ("PROXY TCP4 host 1.2.3.4 1 2\r\n", ProxyError::Address),
            ("PROXY TCP6 1.2.3.4 ::1 1 2\r\n", ProxyError::Address),
            ("PROXY TCP6 [::1] ::1 1 2\r\n", ProxyError::Address),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", ProxyError::Port),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 -2\r\n", ProxyError::Port),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", ProxyError::Port),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", ProxyError::Port),
        ];
        for (line, error) in cases {
            assert_eq!(parse(line.as_bytes()), Err(error), "{line:?}");
        }
        assert_eq!(parse(b"PROXY TCP4 \xff\r\n"), Err(ProxyError::Fields));
    }

    #[test]
    fn a_binary_header_says_who_connected() {
        assert_eq!(parse(&ipv4(b"")), source("192.0.2.7:40000", 28));
        let mut datagram = ipv4(b"");
        datagram[13] = UDP4;
        assert_eq!(parse(&datagram), source("192.0.2.7:40000", 28));

        let peer: Ipv6Addr = "2001:db8::7".parse().unwrap();
        let addresses = [&peer.octets()[..], &[0; 16], &[0x9c, 0x40, 0, 0]].concat();
        assert_eq!(parse(&version_2(1, TCP6, &addresses)), source("[2001:db8::7]:40000", 52));
        assert_eq!(parse(&version_2(1, UDP6, &addresses)), source("[2001:db8::7]:40000", 52));
    }

    #[test]
    fn a_proxy_that_speaks_for_itself_or_for_a_path_says_nothing() {
        assert_eq!(parse(&version_2(0, UNSPECIFIED, b"")), header(None, 16));
        assert_eq!(parse(&version_2(0, TCP4, b"ignored")), header(None, 23));
        assert_eq!(parse(&version_2(1, UNSPECIFIED, b"ignored")), header(None, 23));
        assert_eq!(parse(&version_2(1, UNIX_STREAM, &[b'/'; 216])), header(None, 232));
        assert_eq!(parse(&version_2(1, UNIX_DATAGRAM, &[b'/'; 216])), header(None, 232));
    }

    #[test]
    fn a_malformed_binary_header_is_refused_with_its_reason() {
        let mut other_version = ipv4(b"");
        other_version[12] = 0x31;
        assert_eq!(parse(&other_version), Err(ProxyError::Version(3)));
        assert_eq!(parse(&version_2(2, TCP4, &[0; 12])), Err(ProxyError::Command(2)));
        for transport in [0x01, 0x10, 0x13, 0x20, 0x30, 0x41, 0xff] {
            assert_eq!(parse(&version_2(1, transport, &[0; 216])), Err(ProxyError::Transport(transport)));
        }
        assert_eq!(parse(&version_2(1, TCP4, &[0; 11])), Err(ProxyError::TooShort(11)));
        assert_eq!(parse(&version_2(1, TCP6, &[0; 35])), Err(ProxyError::TooShort(35)));
        assert_eq!(parse(&version_2(1, UNIX_STREAM, &[0; 215])), Err(ProxyError::TooShort(215)));
    }

    #[test]
    fn a_claim_of_too_many_bytes_is_refused_before_they_arrive() {
        let claims = |length: u16| {
            let mut start = version_2(1, TCP4, b"");
            start[14..].copy_from_slice(&length.to_be_bytes());
            parse(&start)
        };
        assert_eq!(claims(LENGTH_MAX), Ok(Parsed::Incomplete));
        assert_eq!(claims(LENGTH_MAX + 1), Err(ProxyError::TooLong(LENGTH_MAX + 1)));
    }

    #[test]
    fn fields_after_the_addresses_are_walked_and_must_be_whole() {
        // An ALPN, a filler of nothing, one of a vendor.
        let fields = [1, 0, 2, b'h', b'2', 4, 0, 0, 0xea, 0, 1, 9];
        assert_eq!(parse(&ipv4(&fields)), source("192.0.2.7:40000", 28 + 12));
        for cut in [1, 2, 3, 4, 6, 7, 9, 10, 11] {
            assert_eq!(parse(&ipv4(&fields[..cut])), Err(ProxyError::Field), "{cut}");
        }
    }

    #[test]
    fn a_checksum_is_checked_where_one_is() {
        // The check value of CRC32C.
        assert_eq!(checksum(b"123456789", 9), 0xe306_9283);

        let mut whole = with_checksum(ipv4(&[4, 0, 1, 0]));
        assert_eq!(parse(&whole), source("192.0.2.7:40000", whole.len()));
        whole[16] ^= 1;
        assert_eq!(parse(&whole), Err(ProxyError::Checksum));
        assert_eq!(parse(&ipv4(&[CHECKSUM, 0, 3, 0, 0, 0])), Err(ProxyError::Field));
    }

    #[test]
    fn what_else_stands_at_the_start_of_a_connection_is_no_header() {
        let others: [&[u8]; 9] = [
            b"\0\0\0\x10",
            b"GET / HTTP/1.1\r\n",
            b"\x16\x03\x01",
            b"PROX\0",
            b"PROXY\t",
            b"proxy ",
            b"\r\n\r\n\r\n",
            b"\r\n\r\n\0\r\nQUIT\r",
            b"PUT ",
        ];
        for other in others {
            assert_eq!(parse(other), Ok(Parsed::NotProxy), "{other:?}");
        }
        for start in [&b""[..], b"P", b"PROXY", b"\r", b"\r\n\r\n\0\r\nQUIT\n"] {
            assert_eq!(parse(start), Ok(Parsed::Incomplete), "{start:?}");
        }
    }

    /// A header, and the source that it says.
    fn headers() -> impl Strategy<Value = (Vec<u8>, Option<SocketAddr>)> {
        let fields = prop::collection::vec((4..=255u8, prop::collection::vec(any::<u8>(), 0..40)), 0..4);
        let line = (any::<SocketAddr>(), any::<u16>()).prop_map(|(peer, port)| {
            let (family, own) = if peer.is_ipv4() { ("TCP4", "127.0.0.1") } else { ("TCP6", "::1") };
            let line = format!("PROXY {family} {} {own} {} {port}\r\n", peer.ip(), peer.port());
            (line.into_bytes(), Some(canonical(peer)))
        });
        let binary = (any::<SocketAddr>(), any::<bool>(), any::<bool>(), fields);
        let binary = binary.prop_map(|(peer, local, sums, fields)| {
            let (transport, mut rest) = match peer.ip() {
                IpAddr::V4(ip) => (TCP4, [ip.octets(), [0; 4]].concat()),
                IpAddr::V6(ip) => (TCP6, [ip.octets(), [0; 16]].concat()),
            };
            rest.extend(peer.port().to_be_bytes());
            rest.extend([0; 2]);
            for (kind, value) in &fields {
                rest.extend([*kind, 0, value.len() as u8]);
                rest.extend(value);
            }
            let header = version_2(u8::from(!local), transport, &rest);
            let header = if sums { with_checksum(header) } else { header };
            (header, (!local).then(|| canonical(peer)))
        });
        prop_oneof![line, binary]
    }

    fn canonical(address: SocketAddr) -> SocketAddr {
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    proptest! {
        #[test]
        fn a_header_is_read_as_it_was_written_whatever_follows(
            (bytes, source) in headers(),
            rest in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let whole = [&bytes[..], &rest].concat();
            prop_assert_eq!(parse(&whole), header(source, bytes.len()));
        }

        #[test]
        fn a_header_is_incomplete_until_its_last_byte((bytes, _) in headers()) {
            for end in 0..bytes.len() {
                prop_assert_eq!(parse(&bytes[..end]), Ok(Parsed::Incomplete), "{} of {}", end, bytes.len());
            }
        }

        #[test]
        fn whatever_stands_behind_a_signature_ends_in_an_answer(
            line in any::<bool>(),
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [if line { LINE_START } else { SIGNATURE }, &rest].concat();
            if let Ok(Parsed::Header(Header { len, .. })) = parse(&bytes) {
                prop_assert!(len <= bytes.len());
            }
        }
    }
}
