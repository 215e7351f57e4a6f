//! A request on its way to a plugin.

use crate::net::Connection;
use crate::remoting::Command;

/// A decoded command, and the connection it came in on.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) caller: Connection,
}

impl Request {
    /// The value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.command.field(name).map(|value| &**value)
    }
}
