//! Our side: the server in this process, behind real sockets.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use fingerpost::config::{ByteSize, SerializeType};

use super::play::Side;
use super::request::Sequence;
use crate::harness::Server;

/// Fingerpost, one server after another.
pub(crate) struct Ours {
    server: Option<Server>,
    remembers: bool,
    /// Replies of servers that are gone which were remembered ones.
    hits: u64,
}

impl Ours {
    pub(crate) fn new(remembers: bool) -> Self {
        Self { server: None, remembers, hits: 0 }
    }

    /// How many replies were remembered ones.
    pub(crate) fn hits(&self) -> u64 {
        self.hits + self.server.as_ref().map_or(0, |server| server.memo().hits)
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it was started")
    }
}

impl Side for Ours {
    fn start(&mut self, sequence: &Sequence) -> SocketAddr {
        self.hits = self.hits();
        drop(self.server.take());
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = write_properties(home.path(), sequence);
        let server = Server::start_on_properties(home, &file, |config| {
            if sequence.binary_replies {
                config.net.serialize_type = SerializeType::Rocketmq;
            }
            if !self.remembers {
                config.memo.size = ByteSize::new(0);
            }
        });
        self.server.insert(server).address()
    }

    fn age(&mut self, millis: u64) {
        self.server().clock.advance(Duration::from_millis(millis));
    }

    fn scan(&mut self) {
        self.server().scan();
    }

    fn connections(&self) -> Option<usize> {
        Some(self.server().running().connections())
    }
}

/// The file that both servers start with, in a directory of the server's own.
pub(crate) fn write_properties(home: &Path, sequence: &Sequence) -> std::path::PathBuf {
    let file = home.join("namesrv.properties");
    let mut text = String::new();
    let kv = home.join("kvConfig.json");
    let local = [("listenPort", "0"), ("bindAddress", "127.0.0.1"), ("rocketmqHome", "/home/nobody")];
    let given = sequence.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    for (key, value) in local.into_iter().chain([("kvConfigPath", kv.to_str().expect("a plain path"))]).chain(given) {
        writeln!(text, "{key}={value}").expect("a string takes all that is written to it");
    }
    std::fs::write(&file, text).expect("the temporary directory is writable");
    file
}
