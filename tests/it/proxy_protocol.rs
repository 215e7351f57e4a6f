//! Peers behind a proxy: who a proxy names is who is there, if the operator trusts the proxy.

use std::net::SocketAddr;

use fingerpost::config::Networks;

use crate::guests::log;
use crate::harness::{Ask, Client, Server};
use crate::process;
use crate::requests::{Broker, Reply, cluster_info, kv_put};

pub(crate) fn networks(of: &[&str]) -> Networks {
    Networks::new(of.iter().map(|one| one.parse().expect("a network")))
}

/// A server that believes proxies on the loopback, and that one network may administer.
fn behind_a_proxy(admin_from: &'static str) -> Server {
    Server::start_with(move |config, _| {
        config.net.proxy_protocol_from = networks(&["127.0.0.0/8"]);
        config.admin.admin_from = networks(&[admin_from]);
    })
}

/// A connection through a proxy that says this.
fn through(server: &Server, header: &[u8]) -> Client {
    let mut client = server.client();
    client.send_bytes(header);
    client
}

pub(crate) fn line(peer: &str) -> Vec<u8> {
    let peer: SocketAddr = peer.parse().expect("an address");
    let (family, own) = if peer.is_ipv4() { ("TCP4", "127.0.0.1") } else { ("TCP6", "::1") };
    format!("PROXY {family} {} {own} {} 9876\r\n", peer.ip(), peer.port()).into_bytes()
}

/// The same in version 2, with a field of a vendor behind the addresses.
pub(crate) fn binary(peer: &str) -> Vec<u8> {
    let peer: SocketAddr = peer.parse().expect("an address");
    let (family, addresses) = match peer {
        SocketAddr::V4(peer) => (0x11, [peer.ip().octets().to_vec(), vec![127, 0, 0, 1]].concat()),
        SocketAddr::V6(peer) => (0x21, [peer.ip().octets(), [0; 16]].concat()),
    };
    let ports = [peer.port().to_be_bytes(), 9876u16.to_be_bytes()].concat();
    let rest = [addresses, ports, vec![0xea, 0, 3, 1, 2, 3]].concat();
    [b"\r\n\r\n\0\r\nQUIT\n\x21", &[family, 0, rest.len() as u8][..], &rest].concat()
}

#[test]
fn who_a_proxy_names_may_administer_or_not() {
    let server = behind_a_proxy("203.0.113.0/24");

    for (header, code) in [
        (line("203.0.113.7:40000"), 0),
        (line("203.0.114.7:40000"), 16),
        (binary("203.0.113.7:40000"), 0),
        (binary("203.0.114.7:40000"), 16),
        (binary("[2001:db8::1]:40000"), 16),
        (line("[::ffff:203.0.113.7]:40000"), 0),
    ] {
        let reply = through(&server, &header).ask(kv_put("n", "k", "v"));
        assert_eq!(reply.code, code, "{}", header.escape_ascii());
        assert_eq!(code == 16, reply.remark_text().contains("`admin.admin-from`"), "{}", reply.remark_text());
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_has_its_own_address() {
    let server = behind_a_proxy("127.0.0.0/8");

    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", b""] {
        assert_eq!(through(&server, header).ask(kv_put("n", "k", "v")).code, 0, "{}", header.escape_ascii());
    }
}

#[test]
fn a_broker_behind_a_proxy_registers_under_the_address_it_gives() {
    let server = behind_a_proxy("127.0.0.0/8");
    let mut broker = through(&server, &line("[2001:db8::7]:40000"));

    Broker::new("a").address("[2001:db8::7]:10911").topics(&["T", "U"]).register(&mut broker);

    let mut client = server.client();
    assert!(client.ask(cluster_info()).text().contains("{0:\"[2001:db8::7]:10911\"}"));
    drop(broker);
    client.wait_until(|client| !client.ask(cluster_info()).text().contains("10911"));
}

#[test]
fn what_is_logged_of_a_request_names_who_the_proxy_named() {
    log();
    let server = behind_a_proxy("198.51.100.0/24");

    let mut client = through(&server, &binary("198.51.100.23:4711"));
    assert_eq!(client.ask(Ask::new(318).body("waitSecondsForService=46")).code, 0);

    let told = log().lines(&["198.51.100.23:4711", "`waitSecondsForService` changes from 45 to 46"]);
    assert_eq!(told.len(), 1, "{told:?}");
}

/// What a server logs of a connection that it closes.
fn log_of(settings: &[(&str, &str)], toml: &str, sent: &[u8]) -> String {
    let server = if toml.is_empty() { process::start(settings) } else { process::start_with_toml(toml) };
    let mut stranger = Client::connect(server.addr);
    stranger.send_bytes(sent);
    assert!(stranger.receive().is_none(), "it was answered");
    server.log()
}

#[test]
fn a_header_from_anybody_else_closes_and_the_log_names_the_key() {
    let log = log_of(&[], "", &line("203.0.113.7:40000"));

    let told: Vec<_> = log.lines().filter(|line| line.contains("connection closed")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("`net.proxy-protocol-from`") && told[0].contains("peer=127.0.0.1:"), "{log}");
    assert!(!log.contains("203.0.113.7"), "a stranger's word is not believed: {log}");
}

#[test]
fn a_malformed_header_closes_with_its_reason() {
    let toml = "[net]\nproxy-protocol-from = ['127.0.0.1/32']\n";

    let log = log_of(&[], toml, b"PROXY TCP4 203.0.113.7 127.0.0.1 40000\r\n");

    assert!(log.contains("PROXY protocol: the header is malformed: it does not hold two addresses"), "{log}");
}

#[test]
fn a_proxy_that_must_say_who_is_there_and_does_not_is_closed() {
    let toml = "[net]\nproxy-protocol-from = ['127.0.0.1/32']\nproxy-protocol-required = true\n";

    let log = log_of(&[], toml, &cluster_info().frame(1));

    assert!(log.contains("`net.proxy-protocol-required`"), "{log}");
}
