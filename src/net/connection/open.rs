//! The first bytes of a connection: they say who is there and what is spoken, before anything is handed over.

use std::rc::Rc;

use bytes::BytesMut;
use tracing::debug;

use super::super::opening::Seen;
use super::super::service::{CloseReason, Service};
use super::super::tls::Session;
use super::Driver;
use crate::config::TlsMode;

impl<S: Service> Driver<S> {
    /// Looks at the first bytes; true when what is left of them is frames.
    pub(super) fn open(&mut self, bytes: &mut BytesMut) -> Result<bool, CloseReason> {
        let Some(opening) = &mut self.opening else { return Ok(true) };
        let link = &self.connection.link;
        let socket = self.connection.peer;
        let seen = opening.look(bytes, &mut self.connection.peer, &self.worker.shared.config)?;
        if socket != self.connection.peer {
            debug!(connection = link.id.0, proxy = %socket, peer = %self.connection.peer, "a proxy says who is there");
        }
        match seen {
            Seen::TooLittle => {
                link.began_to_open(self.worker.tick());
                Ok(false)
            }
            Seen::Frames if self.worker.shared.tls.mode() == TlsMode::Enforcing => {
                Err(CloseReason::Tls("plain bytes, which `tls.mode = \"enforcing\"` refuses".into()))
            }
            Seen::Frames => {
                self.opening = None;
                link.opened();
                Ok(true)
            }
            Seen::Tls => {
                let Some(config) = self.worker.shared.tls.current() else {
                    return Err(CloseReason::Tls("a handshake, which `tls.mode = \"disabled\"` refuses".into()));
                };
                // Copied: these bytes are in the buffer that all connections read to.
                let arrived = BytesMut::from(&bytes[..]);
                bytes.clear();
                self.stream.begin_tls(Session::new(config, Rc::clone(&self.worker.tls_scratch), arrived)?);
                self.opening = None;
                self.is_shaking_hands = true;
                link.began_to_open(self.worker.tick());
                Ok(false)
            }
        }
    }

    /// Notices when a TLS handshake is over.
    pub(super) fn see_handshake(&mut self) {
        if self.is_shaking_hands && !self.stream.is_opening() {
            self.is_shaking_hands = false;
            self.connection.link.opened();
            self.touch();
        }
    }
}
