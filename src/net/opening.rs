//! What a connection says before it is served: its first bytes tell who is there, and what it speaks.
//!
//! ```text
//!  PROXY header (if a proxy is there) ─▶ TLS handshake ─▶ …
//!                                      └▶ frames
//! ```
//!
//! It costs a connection that speaks frames nothing but a look: its first bytes are read as all others are, and handled
//! where they lie. Until it is over the peer is not known to anybody, and must get through it in the configured time.

use std::fmt::Write;
use std::net::SocketAddr;

use bytes::{Buf, BytesMut};

use super::config::NetConfig;
use super::service::CloseReason;
use crate::proxy_protocol::{self, Parsed};
use crate::remoting::frame;

/// A connection of which nothing is known yet.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// A proxy has said who is there. It says so once.
    is_introduced: bool,
}

/// What the first bytes say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// Too little to tell; what is left of the bytes comes again, with more behind it.
    TooLittle,
    /// Frames follow.
    Frames,
    /// A TLS handshake follows.
    Tls,
}

impl Opening {
    /// Looks at everything that has arrived so far, takes off what stands before the first frame or handshake, and
    /// corrects `peer` if that tells who the peer really is.
    pub(super) fn look(
        &mut self,
        bytes: &mut BytesMut,
        peer: &mut SocketAddr,
        config: &NetConfig,
    ) -> Result<Seen, CloseReason> {
        if !self.is_introduced && !self.take_introduction(bytes, peer, config)? {
            return Ok(Seen::TooLittle);
        }
        match bytes.first() {
            Some(&TLS_HANDSHAKE) => Ok(Seen::Tls),
            _ if bytes.len() < LENGTH => Ok(Seen::TooLittle),
            _ => match frame::split(&bytes[..LENGTH], config.frame_size_max) {
                Ok(_) => Ok(Seen::Frames),
                Err(error) => Err(stranger(bytes, config.address.port()).unwrap_or(CloseReason::Frame(error))),
            },
        }
    }

    /// Takes off the header of a proxy; false while it is not known whether there is one.
    fn take_introduction(
        &mut self,
        bytes: &mut BytesMut,
        peer: &mut SocketAddr,
        config: &NetConfig,
    ) -> Result<bool, CloseReason> {
        let parsed = proxy_protocol::parse(bytes);
        let is_header = match &parsed {
            Ok(Parsed::Incomplete) => proxy_protocol::has_begun(bytes),
            Ok(Parsed::NotProxy) => false,
            Ok(Parsed::Header(_)) | Err(_) => true,
        };
        let is_proxy = config.proxies.contain(peer.ip());
        if is_header && !is_proxy {
            let why = "a header came from a peer that is not in `net.proxy-protocol-from`";
            return Err(CloseReason::Proxy(why.into()));
        }
        match parsed {
            Ok(Parsed::Incomplete) => Ok(false),
            Ok(Parsed::NotProxy) if is_proxy && config.proxies_must_introduce => {
                let why = "no header came, which `net.proxy-protocol-required` demands of a peer in \
                           `net.proxy-protocol-from`";
                Err(CloseReason::Proxy(why.into()))
            }
            Ok(Parsed::NotProxy) => {
                self.is_introduced = true;
                Ok(true)
            }
            Ok(Parsed::Header(header)) => {
                bytes.advance(header.len);
                *peer = header.source.unwrap_or(*peer);
                self.is_introduced = true;
                Ok(true)
            }
            Err(error) => Err(CloseReason::Proxy(format!("the header is malformed: {error}").into())),
        }
    }
}

/// What somebody speaks whose first bytes are no frame, as far as they tell.
fn stranger(bytes: &[u8], port: u16) -> Option<CloseReason> {
    let speaks = if HTTP.iter().any(|start| bytes.starts_with(start)) {
        "HTTP"
    } else if bytes.starts_with(b"SSH-") {
        "SSH"
    } else if bytes.starts_with(b"PROXY ") || bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
        "the PROXY protocol a second time"
    } else if bytes.iter().take(EXCERPT_MAX).all(|byte| *byte == 0) {
        "nothing but zeros"
    } else if bytes.iter().take(EXCERPT_MAX).all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')) {
        "some text protocol"
    } else {
        return None;
    };
    let mut text = format!("it speaks {speaks}, and port {port} speaks RocketMQ's remoting protocol; it began with \"");
    let excerpt = bytes.iter().take(EXCERPT_MAX).take_while(|byte| !matches!(byte, b'\r' | b'\n'));
    for byte in excerpt {
        // A stranger must not be able to write lines of its own into the log.
        write!(text, "{}", byte.escape_ascii()).expect("a string takes what is written");
    }
    text.push('"');
    Some(CloseReason::Stranger(text.into()))
}

/// The length of a frame, which decides whether it is one.
const LENGTH: usize = 4;

/// How requests of HTTP begin, and version 2 of it.
const HTTP: [&[u8]; 10] = [b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"DELE", b"PATC", b"CONN", b"TRAC", b"PRI "];

/// As much of a stranger's first bytes as is worth a place in the log.
const EXCERPT_MAX: usize = 24;

/// The type of the first TLS record. As the first byte of a frame it would announce 369 MB.
///
/// Java: `NettyRemotingServer.TlsModeHandler` looks at this byte alone, too.
const TLS_HANDSHAKE: u8 = 0x16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Networks;
    use crate::proxy_protocol::ProxyError;

    const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 9876\r\n";

    fn config() -> NetConfig {
        let proxies = Networks::new(["10.0.0.0/8".parse().unwrap()]);
        NetConfig { proxies, address: "0.0.0.0:9876".parse().unwrap(), ..NetConfig::default() }
    }

    /// What comes of bytes that arrive together: what was seen, who is there, and what is left.
    fn look(peer: &str, bytes: &[u8]) -> Result<(Seen, String, Vec<u8>), CloseReason> {
        look_in_pieces(&config(), peer, &[bytes])
    }

    fn look_in_pieces(
        config: &NetConfig,
        peer: &str,
        pieces: &[&[u8]],
    ) -> Result<(Seen, String, Vec<u8>), CloseReason> {
        let (mut opening, mut peer, mut bytes) = (Opening::default(), peer.parse().unwrap(), BytesMut::new());
        let mut seen = Seen::TooLittle;
        for piece in pieces {
            assert_eq!(seen, Seen::TooLittle, "it was settled before {piece:?}");
            bytes.extend_from_slice(piece);
            seen = opening.look(&mut bytes, &mut peer, config)?;
        }
        Ok((seen, peer.to_string(), bytes.to_vec()))
    }

    fn why(result: Result<(Seen, String, Vec<u8>), CloseReason>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn frames_and_handshakes_are_left_as_they_came() {
        let (proxy, other) = ("10.0.0.1:5", "192.0.2.1:5");
        for peer in [proxy, other] {
            assert_eq!(look(peer, &[0, 0, 0, 9, 1]), Ok((Seen::Frames, peer.to_owned(), vec![0, 0, 0, 9, 1])));
            assert_eq!(look(peer, &[0x16]), Ok((Seen::Tls, peer.to_owned(), vec![0x16])));
            assert_eq!(look(peer, &[0, 0, 0]), Ok((Seen::TooLittle, peer.to_owned(), vec![0, 0, 0])));
        }
    }

    #[test]
    fn a_proxy_says_who_is_there_before_frames_and_before_a_handshake() {
        for (rest, seen) in [(&[0, 0, 0, 9][..], Seen::Frames), (&[0x16], Seen::Tls), (&[], Seen::TooLittle)] {
            let whole = [LINE, rest].concat();
            assert_eq!(look("10.0.0.1:5", &whole), Ok((seen, "192.0.2.7:40000".to_owned(), rest.to_vec())));
        }
    }

    #[test]
    fn a_header_may_come_byte_by_byte() {
        let whole = [LINE, &[0, 0, 0, 9]].concat();
        let pieces: Vec<_> = whole.chunks(1).collect();

        let seen = look_in_pieces(&config(), "10.0.0.1:5", &pieces);

        assert_eq!(seen, Ok((Seen::Frames, "192.0.2.7:40000".to_owned(), vec![0, 0, 0, 9])));
    }

    #[test]
    fn a_proxy_that_speaks_for_itself_keeps_its_address() {
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        for header in [&local[..], b"PROXY UNKNOWN\r\n"] {
            let whole = [header, &[0, 0, 0, 9]].concat();
            assert_eq!(
                look("10.0.0.1:5", &whole),
                Ok((Seen::Frames, "10.0.0.1:5".to_owned(), vec![0, 0, 0, 9])),
                "{header:?}"
            );
        }
    }

    #[test]
    fn nobody_else_is_believed_as_soon_as_it_is_a_header() {
        for bytes in [LINE, b"PROXY ", b"PROXY nonsense\n", b"\r\n\r\n\0\r\nQUIT\n"] {
            assert!(why(look("192.0.2.1:5", bytes)).contains("`net.proxy-protocol-from`"), "{bytes:?}");
        }
        assert_eq!(look("192.0.2.1:5", b"PROXY").unwrap().0, Seen::TooLittle);
    }

    #[test]
    fn by_default_nobody_is_believed() {
        let seen = look_in_pieces(&NetConfig::default(), "127.0.0.1:5", &[LINE]);

        assert!(why(seen).contains("`net.proxy-protocol-from`"));
    }

    #[test]
    fn a_proxy_that_stammers_is_told_why() {
        let seen = look("10.0.0.1:5", b"PROXY TCP4 1.2.3.4\r\n");

        assert_eq!(why(seen), format!("PROXY protocol: the header is malformed: {}", ProxyError::Fields));
    }

    #[test]
    fn a_second_header_is_none() {
        let seen = look("10.0.0.1:5", &[LINE, LINE].concat());

        assert!(why(seen).contains("the PROXY protocol a second time"));
    }

    #[test]
    fn a_proxy_may_be_bound_to_say_who_is_there() {
        let config = NetConfig { proxies_must_introduce: true, ..config() };
        for start in [&[0, 0, 0, 9][..], &[0x16]] {
            let silent = look_in_pieces(&config, "10.0.0.1:5", &[start]);
            assert!(why(silent).contains("`net.proxy-protocol-required`"));
            assert!(look_in_pieces(&config, "192.0.2.1:5", &[start]).is_ok(), "nobody else is bound");
        }
        assert!(look_in_pieces(&config, "10.0.0.1:5", &[LINE, &[0, 0, 0, 9]]).is_ok());
    }

    #[test]
    fn what_a_stranger_speaks_is_named_with_the_port_it_came_to() {
        for (bytes, named) in [
            (&b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"[..], "it speaks HTTP, and port 9876"),
            (b"POST / HTTP/1.1\r\n", "it speaks HTTP, and port 9876"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "it speaks HTTP, and port 9876"),
            (b"SSH-2.0-OpenSSH_9.6\r\n", "it speaks SSH"),
            (b"*1\r\n$4\r\nPING\r\n", "it speaks some text protocol"),
            (b"stats\r\n", "it speaks some text protocol"),
            (&[0; 4], "it speaks nothing but zeros"),
        ] {
            assert!(why(look("192.0.2.1:5", bytes)).contains(named), "{bytes:?}");
        }
        let nameless = look("192.0.2.1:5", &[0xff, 0xff, 0xff, 0xff]);
        assert!(matches!(nameless, Err(CloseReason::Frame(_))), "{nameless:?}");
    }

    #[test]
    fn a_stranger_cannot_write_lines_of_its_own_into_the_log() {
        let text =
            why(look("192.0.2.1:5", b"GET /\x1b[31m\n\nINFO all is well \xff and much more than is worth telling"));
        assert!(text.ends_with("it began with \"GET /\\x1b[31m\""), "{text}");
    }
}
