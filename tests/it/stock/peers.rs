//! Clients of any network, for what depends on who asks: a proxy on the loopback names them.

use fingerpost::config::Config;

use crate::harness::{Client, Server};
use crate::proxy_protocol::{line, networks};

/// A server that believes proxies on the loopback.
pub(super) fn behind_a_proxy(edit: impl FnOnce(&mut Config)) -> Server {
    Server::start_with(|config, _| {
        config.net.proxy_protocol_from = networks(&["127.0.0.0/8"]);
        edit(config);
    })
}

/// A client with this address.
pub(super) fn from(server: &Server, peer: &str) -> Client {
    let mut client = server.client();
    client.send_bytes(&line(peer));
    client
}
