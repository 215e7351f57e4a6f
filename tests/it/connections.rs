//! Where the server listens, whom it lets in, and what it tells of those it turns away.

use std::io::Read as _;
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use fingerpost::config::Networks;

use crate::harness::{Client, Server};
use crate::process;
use crate::requests::{Broker, Reply, cluster_info, kv_put, route};

/// Says aloud that a test does not run, and fails where all must.
fn has_ipv6() -> bool {
    let has = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        eprintln!("SKIPPED: this machine has no IPv6");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "a test was skipped");
    }
    has
}

fn server_at(address: &str, admin_from: &str) -> Server {
    let network = admin_from.parse().expect("a network");
    Server::start_with(|config, _| {
        config.net.bind_address = address.parse().expect("an address");
        config.admin.admin_from = Networks::new([network]);
    })
}

fn may_administer(address: SocketAddr) -> bool {
    match Client::connect(address).ask(kv_put("n", "k", "v")).code {
        0 => true,
        16 => false,
        code => panic!("answered {code}"),
    }
}

#[test]
fn every_address_takes_ipv4_and_ipv6_as_in_java() {
    if !has_ipv6() {
        return;
    }
    for address in ["0.0.0.0", "::", "[::]"] {
        // An IPv4 peer is one, whatever the socket it came by.
        for (network, of_ipv4, of_ipv6) in [("127.0.0.0/8", true, false), ("::1/128", false, true)] {
            let server = server_at(address, network);
            let port = server.address().port();
            assert_eq!(may_administer(([127, 0, 0, 1], port).into()), of_ipv4, "{address}, {network}");
            assert_eq!(may_administer((Ipv6Addr::LOCALHOST, port).into()), of_ipv6, "{address}, {network}");
        }
    }
}

#[test]
fn one_address_takes_its_own_kind_alone() {
    if !has_ipv6() {
        return;
    }
    for (address, other) in
        [("[::1]", SocketAddr::from(([127, 0, 0, 1], 0))), ("127.0.0.1", (Ipv6Addr::LOCALHOST, 0).into())]
    {
        let server = server_at(address, "::/0");
        let other = SocketAddr::new(other.ip(), server.address().port());

        assert_eq!(server.client().ask(cluster_info()).code, 0, "{address}");
        assert!(TcpStream::connect(other).is_err(), "{address} took {other}");
    }
}

#[test]
fn an_address_may_be_a_name_and_a_name_that_nobody_knows_is_told_with_its_key() {
    let server = server_at("localhost", "127.0.0.0/8");
    assert!(server.address().ip().is_loopback());
    assert!(may_administer(server.address()));

    let refused = Server::try_start_with(|config, _| {
        config.net.bind_address = "no-such-host.invalid".parse().expect("it may be a name");
    });

    let error = refused.err().expect("nobody knows the name").to_string();
    assert!(error.contains("`net.bind-address`") && error.contains("no-such-host.invalid"), "{error}");
}

#[test]
fn an_upstream_may_be_an_ipv6_address_in_brackets() {
    if !has_ipv6() {
        return;
    }
    let product = server_at("::1", "::1/128");
    let mut broker = product.client();
    Broker::new("p").address("[2001:db8::1]:10911").topics(&["FAR", "BOTH"]).register(&mut broker);
    let upstream = format!("[::1]:{}", product.address().port());
    let server = Server::start_with(|config, _| {
        config.cluster_test.enabled = true;
        config.cluster_test.name_servers = vec![upstream.parse().expect("host:port")];
    });

    let far = server.client().ask(route("FAR"));

    assert_eq!(far.code, 0, "{}", far.remark_text());
    assert!(far.text().contains("[2001:db8::1]:10911"), "{}", far.text());
}

/// Whether the server resets a connection, rather than serving it.
fn is_reset(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).expect("the system accepts");
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a timeout can be set");
    matches!(stream.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset)
}

#[test]
fn one_connection_too_many_is_reset_and_the_log_names_the_key() {
    let server = process::start_with_toml("[net]\nconnections-max = 2\n");
    let mut clients = [Client::connect(server.addr), Client::connect(server.addr)];
    clients.iter_mut().for_each(|client| assert_eq!(client.ask(cluster_info()).code, 0));

    for _ in 0..50 {
        assert!(is_reset(server.addr));
    }

    clients.iter_mut().for_each(|client| assert_eq!(client.ask(cluster_info()).code, 0));
    let log = server.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("connection refused")).collect();
    assert!(!told.is_empty() && told.len() < 10, "{log}");
    assert!(told[0].contains("`net.connections-max`") && told[0].contains("open=2"), "{log}");
}

/// Starts the server with these limits of open files, soft and hard.
#[cfg(target_os = "linux")]
fn start_with_files(soft: u32, hard: u32, toml: &str) -> process::Server {
    process::start_with_toml_through(&format!("ulimit -S -n {soft} && ulimit -H -n {hard} && exec \"$@\""), toml)
}

#[test]
#[cfg(target_os = "linux")]
fn the_limit_of_open_files_is_raised_as_far_as_the_system_allows() {
    const CONNECTIONS: usize = 150;
    let server = start_with_files(100, 600, "[net]\nconnections-max = 300\n");

    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| Client::connect(server.addr)).collect();

    clients.iter_mut().for_each(|client| assert_eq!(client.ask(cluster_info()).code, 0));
    assert!(!server.log().contains("WARN"), "{}", server.log());
}

#[test]
#[cfg(target_os = "linux")]
fn without_files_left_peers_wait_until_a_connection_closes() {
    const CONNECTIONS: usize = 120;
    let server = start_with_files(100, 100, "[net]\nworkers = 1\nlane-threads = 1\n");
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| Client::connect(server.addr)).collect();
    // Whoever was accepted is served all the while.
    assert_eq!(clients[0].ask(cluster_info()).code, 0);
    clients[0].wait_until(|_| server.log().contains("cannot accept connections"));

    let mut last = clients.pop().expect("there are some");
    clients.truncate(1);
    assert_eq!(last.ask(cluster_info()).code, 0, "it was let in");

    let log = server.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("cannot accept")).collect();
    assert!(told.len() < 20, "it does not ask the system in a row: {log}");
    assert!(told[0].contains("Too many open files") && told[0].contains("LimitNOFILE"), "{log}");
    assert!(log.contains("only 100 files may be open"), "it is said at the start: {log}");
}

#[test]
fn a_strangers_first_bytes_are_named_in_one_line_with_the_peer_and_the_port() {
    let server = process::start(&[]);
    let port = server.addr.port();
    let strangers: [(&[u8], &str); 5] = [
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "it speaks HTTP"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "it speaks SSH"),
        (b"*1\r\n$4\r\nPING\r\n", "it speaks some text protocol"),
        (&[0; 64], "it speaks nothing but zeros"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "`net.proxy-protocol-from`"),
    ];
    for (bytes, named) in strangers {
        let mut stranger = Client::connect(server.addr);
        let own = stranger.stream().local_addr().expect("it has an address");
        stranger.send_bytes(bytes);
        assert!(stranger.receive().is_none(), "{named} was answered");

        let log = server.log();
        let told: Vec<_> = log.lines().filter(|line| line.contains(&own.to_string())).collect();
        assert_eq!(told.len(), 1, "{log}");
        assert!(told[0].contains(named), "{log}");
        assert!(named.contains('`') || told[0].contains(&format!("port {port} speaks RocketMQ")), "{log}");
    }
}
