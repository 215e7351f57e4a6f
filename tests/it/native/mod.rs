//! Native plugins: libraries that the configuration names answer, and everything about them that can be wrong is told.

mod abi;
mod author;
mod libraries;
mod life;
mod reload;
mod roles;
mod wrong;

use std::path::Path;

use fingerpost::config::{Config, PluginFile};
use fingerpost::server::{PluginState, PluginStatus};

use crate::guests::drop_in_bytes;
use crate::harness::Server;

/// Puts a library into the plugins directory, and has it loaded.
fn name(config: &mut Config, home: &Path, file: &str, library: &[u8]) {
    drop_in_bytes(home, file, library);
    config.plugins.files.insert(file.to_owned(), PluginFile { native: true, ..PluginFile::default() });
}

/// A server with one library.
fn start(file: &str, library: &[u8]) -> Server {
    Server::start_with(|config, home| name(config, home, file, library))
}

fn status(server: &Server, file: &str) -> PluginStatus {
    let all = server.running().plugins();
    let is_it = |status: &&PluginStatus| status.file.as_ref().is_some_and(|path| path.ends_with(file));
    all.iter().find(is_it).cloned().unwrap_or_else(|| panic!("{file} is not in {all:?}"))
}

fn reason(server: &Server, file: &str) -> (PluginState, String) {
    let status = status(server, file);
    (status.state, status.reason.unwrap_or_default())
}
