//! TLS as clients, brokers and operators meet it.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fingerpost::config::{ClientAuth, HostPort, Secret, TlsConfig, TlsMode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion, version};

use crate::control::controlled;
use crate::harness::{Client, Server};
use crate::process;
use crate::proxy_protocol::{binary, line, networks};
use crate::record::Recorder;
use crate::requests::{Broker, cluster_info, kv_put, route};

/// An authority of these tests.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate of this name and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.0).expect("a certificate").pem(), key.serialize_pem())
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.pem().as_bytes()).expect("what was made here"))
            .expect("what was made here");
        roots
    }

    /// A client that believes this authority, and shows a certificate if it has one.
    fn client(&self, shown: Option<&(String, String)>) -> Arc<ClientConfig> {
        self.client_of(shown, rustls::DEFAULT_VERSIONS)
    }

    fn client_of(
        &self,
        shown: Option<&(String, String)>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions that are spoken")
            .with_root_certificates(self.roots());
        Arc::new(match shown {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let cert = CertificateDer::from_pem_slice(cert.as_bytes()).expect("what was made here");
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("what was made here");
                builder.with_client_auth_cert(vec![cert], key).expect("what was made here")
            }
        })
    }
}

fn write(home: &Path, name: &str, content: &str) -> std::path::PathBuf {
    let path = home.join(name);
    std::fs::write(&path, content).expect("the directory is writable");
    path
}

/// A configuration whose certificate `authority` has signed.
fn signed_by(authority: &Authority, home: &Path) -> TlsConfig {
    let (cert, key) = authority.sign("localhost");
    TlsConfig {
        test_mode: false,
        cert_path: write(home, "cert.pem", &(cert + &authority.pem())),
        key_path: write(home, "key.pem", &key),
        reload_interval: Duration::from_millis(10),
        ..TlsConfig::default()
    }
}

fn server(authority: &Authority, edit: impl FnOnce(&mut TlsConfig, &Path)) -> Server {
    Server::start_with(|config, home| {
        config.tls = signed_by(authority, home);
        edit(&mut config.tls, home);
    })
}

fn is_served(server: &Server, client: &Arc<ClientConfig>) -> bool {
    let Ok(mut client) = Client::over_tls(server.address(), client) else { return false };
    client.send(&cluster_info());
    // With TLS 1.3 a client hears that it is refused only after its handshake.
    client.try_receive().is_ok_and(|reply| reply.is_some_and(|reply| reply.code == 0))
}

#[test]
fn plain_clients_and_those_of_both_versions_are_served_on_one_port() {
    let authority = Authority::new("authority");
    let server = server(&authority, |_, _| {});

    for versions in [[&version::TLS12], [&version::TLS13]] {
        assert!(is_served(&server, &authority.client_of(None, &versions)), "{versions:?}");
    }
    assert_eq!(server.client().ask(cluster_info()).code, 0);
}

#[test]
fn a_client_that_does_not_believe_the_server_does_not_speak_to_it() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let server = server(&authority, |_, _| {});

    let error = Client::over_tls(server.address(), &other.client(None)).map(|_| ()).unwrap_err();

    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert!(is_served(&server, &authority.client(None)));
}

#[test]
fn tls_where_it_is_disabled_and_plain_bytes_where_it_is_enforced_are_told_in_one_line_that_names_the_key() {
    let hello = [&b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03"[..], &[7; 32], &[0; 8]].concat();
    for (mode, sent) in [("disabled", hello), ("enforcing", cluster_info().frame(1).to_vec())] {
        let server = process::start_with_toml(&format!("[tls]\nmode = \"{mode}\"\n"));
        let mut stranger = Client::connect(server.addr);
        let own = stranger.stream().local_addr().expect("it has an address");

        stranger.send_bytes(&sent);

        assert!(stranger.receive().is_none(), "{mode}: it was answered");
        let log = server.log();
        let told: Vec<_> = log.lines().filter(|line| line.contains(&own.to_string())).collect();
        assert_eq!(told.len(), 1, "{log}");
        assert!(told[0].contains("`tls.mode = ") && told[0].contains(mode), "{log}");
    }
}

#[test]
fn a_proxy_says_who_is_there_before_the_handshake() {
    let authority = Authority::new("authority");
    let server = Server::start_with(|config, home| {
        config.tls = signed_by(&authority, home);
        config.tls.mode = TlsMode::Enforcing;
        config.net.proxy_protocol_from = networks(&["127.0.0.0/8"]);
        config.admin.admin_from = networks(&["203.0.113.0/24"]);
    });

    for (header, code) in [
        (line("203.0.113.7:40000"), 0),
        (line("203.0.114.7:40000"), 16),
        (binary("203.0.113.7:40000"), 0),
        (binary("[2001:db8::1]:40000"), 16),
    ] {
        let mut client = server.client();
        client.send_bytes(&header);
        let mut client = client.begin_tls(&authority.client(None)).expect("it shakes hands");
        assert_eq!(client.ask(kv_put("n", "k", "v")).code, code, "{}", header.escape_ascii());
    }
}

#[test]
fn only_what_is_configured_is_spoken() {
    let authority = Authority::new("authority");
    let server = server(&authority, |tls, _| {
        tls.protocols = vec!["TLSv1.2".to_owned()];
        tls.ciphers = vec!["ECDHE-ECDSA-AES128-GCM-SHA256".to_owned()];
    });

    let client = Client::over_tls(server.address(), &authority.client(None)).unwrap();

    let suite = client.cipher_suite().unwrap();
    assert_eq!(format!("{suite:?}"), "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    assert!(!is_served(&server, &authority.client_of(None, &[&version::TLS13])));
}

#[test]
fn who_must_show_which_certificate_is_configured() {
    use ClientAuth::{None as Never, Optional, Require};
    let (authority, friends, strangers) =
        (Authority::new("authority"), Authority::new("friends"), Authority::new("strangers"));
    let (friend, stranger) = (friends.sign("friend"), strangers.sign("stranger"));
    // Whether nobody's, a stranger's and a friend's certificate let their clients in.
    for (need, must_be_friend, expected) in [
        (Never, false, [true, true, true]),
        (Never, true, [true, true, true]),
        (Optional, false, [true, true, true]),
        (Optional, true, [true, false, true]),
        (Require, false, [false, true, true]),
        (Require, true, [false, false, true]),
    ] {
        let server = server(&authority, |tls, home| {
            tls.mode = TlsMode::Enforcing;
            tls.need_client_auth = need;
            tls.auth_client = must_be_friend;
            tls.trust_cert_path = write(home, "roots.pem", &friends.pem());
        });
        for versions in [[&version::TLS12], [&version::TLS13]] {
            let served = [None, Some(&stranger), Some(&friend)]
                .map(|shown| is_served(&server, &authority.client_of(shown, &versions)));
            assert_eq!(served, expected, "{need:?}, {must_be_friend}, {versions:?}");
        }
    }
}

#[test]
fn a_certificate_that_is_itself_among_the_roots_is_believed_even_if_it_calls_itself_an_authority() {
    let authority = Authority::new("authority");
    let own = Authority::new("self-signed");
    let shown = (own.pem(), own.0.key().serialize_pem());
    let server = server(&authority, |tls, home| {
        tls.need_client_auth = ClientAuth::Require;
        tls.auth_client = true;
        tls.trust_cert_path = write(home, "roots.pem", &own.pem());
    });

    assert!(is_served(&server, &authority.client(Some(&shown))));
}

#[test]
fn a_server_whose_files_are_wrong_does_not_start_and_says_which() {
    let authority = Authority::new("authority");
    let start = |edit: &dyn Fn(&mut TlsConfig, &Path)| {
        let started = Server::try_start_with(|config, home| {
            config.tls = signed_by(&authority, home);
            edit(&mut config.tls, home);
        });
        started.map(|_| ()).unwrap_err().to_string()
    };

    let missing = start(&|tls, home| tls.cert_path = home.join("none.pem"));
    assert!(missing.starts_with("cannot read ") && missing.contains("none.pem"), "{missing}");
    let encrypted = |tls: &mut TlsConfig, home: &Path| {
        let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        tls.key_path = write(home, "encrypted.pem", key);
    };
    assert!(start(&encrypted).ends_with("encrypted.pem: the key is encrypted: set `tls.key-password`"));
    let damaged = start(&|tls, home| {
        encrypted(tls, home);
        tls.key_password = Secret::new("hush");
    });
    assert!(damaged.contains("openssl pkcs8 -topk8") && !damaged.contains("hush"), "{damaged}");
}

#[test]
fn a_renewed_certificate_counts_for_new_connections_and_the_open_ones_stay() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let server = server(&old, |_, _| {});
    let mut open = Client::over_tls(server.address(), &old.client(None)).unwrap();
    let asks = |client: &mut Client| assert_eq!(client.ask(cluster_info()).code, 0);
    asks(&mut open);

    // A damaged one first, which must not count; that it was seen is known when the next one is.
    write(server.home(), "cert.pem", "damaged");
    asks(&mut open);
    assert!(is_served(&server, &old.client(None)), "the old one stays");
    signed_by(&new, server.home());
    open.wait_until(|open| {
        asks(open);
        is_served(&server, &new.client(None))
    });

    assert!(!is_served(&server, &old.client(None)));
    asks(&mut open);
}

#[test]
fn a_broker_registers_over_tls_and_is_gone_with_its_connection_or_its_silence() {
    let authority = Authority::new("authority");
    let server = server(&authority, |tls, _| tls.mode = TlsMode::Enforcing);
    let connect = || Client::over_tls(server.address(), &authority.client(None)).unwrap();
    let (mut client, mut broker) = (connect(), connect());

    Broker::new("broker-a").topics(&["orders", "returns"]).register(&mut broker);
    assert_eq!(client.ask(route("orders")).code, 0);
    server.clock.advance(Duration::from_secs(121));
    assert_eq!(server.scan(), 1);
    assert!(broker.receive().is_none(), "its connection was closed");
    assert_eq!(client.ask(route("orders")).code, 17);

    let mut broker = connect();
    Broker::new("broker-a").topics(&["orders", "returns"]).register(&mut broker);
    assert_eq!(client.ask(route("orders")).code, 0);
    drop(broker);
    client.wait_until(|client| client.ask(route("orders")).code == 17);
}

#[test]
fn another_environment_is_asked_over_tls_by_a_server_that_it_trusts() {
    let (authority, friends) = (Authority::new("authority"), Authority::new("friends"));
    let center = server(&authority, |tls, home| {
        tls.mode = TlsMode::Enforcing;
        tls.need_client_auth = ClientAuth::Require;
        tls.auth_client = true;
        tls.trust_cert_path = write(home, "roots.pem", &friends.pem());
    });
    let mut broker = Client::over_tls(center.address(), &authority.client(Some(&friends.sign("broker")))).unwrap();
    Broker::new("broker-a").topics(&["orders", "returns"]).register(&mut broker);
    let asks_center = |roots: &Authority| {
        Server::start_with(|config, home| {
            let (cert, key) = friends.sign("friend");
            config.cluster_test.enabled = true;
            config.cluster_test.name_servers = HostPort::list(&center.address().to_string()).unwrap();
            config.tls = signed_by(&authority, home);
            config.tls.client.enabled = true;
            config.tls.client.cert_path = write(home, "friend.pem", &cert);
            config.tls.client.key_path = write(home, "friend-key.pem", &key);
            config.tls.client.auth_server = true;
            config.tls.client.trust_cert_path = write(home, "center.pem", &roots.pem());
        })
    };

    assert_eq!(asks_center(&authority).client().ask(route("orders")).code, 0);
    assert_eq!(asks_center(&friends).client().ask(route("orders")).code, 17, "it is not believed");
}

#[test]
fn a_broker_is_told_over_tls_and_the_message_ends_with_a_goodbye() {
    let authority = Authority::new("authority");
    let (cert, key) = authority.sign("localhost");
    let shown = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .expect("versions that are spoken")
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(cert.as_bytes()).expect("what was made here")],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("what was made here"),
        )
        .expect("what was made here");
    let slave = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = slave.local_addr().expect("it listens").to_string();
    let told = thread::spawn(move || {
        let (socket, _) = slave.accept().expect("somebody connects");
        let session = ServerConnection::new(Arc::new(shown)).expect("what was made here");
        let mut bytes = Vec::new();
        // Without a goodbye this is an error.
        rustls::StreamOwned::new(session, socket).read_to_end(&mut bytes).map(|_| bytes)
    });
    let server = Server::start_with(|config, home| {
        config.route.notify_min_broker_id_changed = true;
        config.tls = signed_by(&authority, home);
        config.tls.client.enabled = true;
        config.tls.client.auth_server = true;
        config.tls.client.trust_cert_path = write(home, "roots.pem", &authority.pem());
    });
    let member = |id: i64, address: &str| {
        Broker::new("a").id(id).address(address).field("enableActingMaster", "true").topics(&["T", "U"])
    };
    let mut client = server.client();
    member(0, "127.0.0.1:1").register(&mut client);
    member(1, &address).register(&mut client);

    client.ask(member(0, "127.0.0.1:1").departure());

    let bytes = told.join().expect("the thread ends").expect("the message and a goodbye");
    assert!(String::from_utf8_lossy(&bytes).contains(r#""offlineBrokerAddr":"127.0.0.1:1""#), "{bytes:?}");
}

#[test]
fn a_record_has_whom_a_proxy_names_and_what_was_asked_over_tls() {
    let authority = Authority::new("authority");
    let server = Server::start_with(|config, home| {
        controlled(config, home);
        config.tls = signed_by(&authority, home);
        config.net.proxy_protocol_from = networks(&["127.0.0.0/8"]);
    });
    let recorder = Recorder::begin(server.home(), Duration::from_secs(60), 1 << 20).expect("nobody else does");

    for peer in ["203.0.113.7:40000", "[2001:db8::1]:40001"] {
        let mut client = server.client();
        client.send_bytes(&binary(peer));
        let mut client = client.begin_tls(&authority.client(None)).expect("it shakes hands");
        assert_eq!(client.ask(cluster_info()).code, 0);
    }
    let mut plain = server.client();
    plain.send_bytes(&line("203.0.113.8:40002"));
    assert_eq!(plain.ask(cluster_info()).code, 0);

    let (text, requests) = recorder.finish();
    assert_eq!(requests, 3);
    for peer in ["203.0.113.7:40000", "[2001:db8::1]:40001", "203.0.113.8:40002"] {
        assert!(text.contains(&format!("from = \"{peer}\"")), "{text}");
    }
    assert!(!text.contains("127.0.0.1"), "{text}");
}
