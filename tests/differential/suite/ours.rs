//! Our side: the server in this process, behind real sockets.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use fingerpost::config::SerializeType;

use super::play::Side;
use super::request::Sequence;
use crate::harness::Server;

/// Fingerpost, one server after another.
#[derive(Default)]
pub(crate) struct Ours {
    server: Option<Server>,
}

impl Ours {
    fn server(&self) -> &Server {
        self.server.as_ref().expect("it was started")
    }
}

impl Side for Ours {
    fn start(&mut self, sequence: &Sequence) -> SocketAddr {
        drop(self.server.take());
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = write_properties(home.path(), sequence);
        let server = Server::start_on_properties(home, &file, |config| {
            if sequence.binary_replies {
                config.net.serialize_type = SerializeType::Rocketmq;
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
