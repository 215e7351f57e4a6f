//! What a connection says before it is served: its first bytes tell what it speaks.
//!
//! It costs a connection that speaks frames nothing but a look: its first bytes are read as all others are, and handled
//! where they lie. Until it is over the peer is not known to anybody, and must get through it in the configured time.

use std::net::SocketAddr;

use bytes::BytesMut;

use super::service::CloseReason;

/// A connection of which nothing is known yet.
#[derive(Debug)]
pub(super) struct Opening;

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
    pub(super) fn look(&mut self, bytes: &mut BytesMut, _peer: &mut SocketAddr) -> Result<Seen, CloseReason> {
        Ok(match bytes.first() {
            None => Seen::TooLittle,
            Some(&TLS_HANDSHAKE) => Seen::Tls,
            Some(_) => Seen::Frames,
        })
    }
}

/// The type of the first TLS record. As the first byte of a frame it would announce 369 MB.
///
/// Java: `NettyRemotingServer.TlsModeHandler` looks at this byte alone, too.
const TLS_HANDSHAKE: u8 = 0x16;
