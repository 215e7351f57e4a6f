//! TLS between the toy services and their peers.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

use super::*;
use crate::config::{TlsConfig, TlsMode};

const KIB: usize = 1024;

fn start(mode: TlsMode, config: NetConfig) -> Toy {
    let (terms, _) = Terms::new(&TlsConfig { mode, ..TlsConfig::default() }).unwrap();
    Toy::start_with_tls(config, || Duration::from_secs(120), terms)
}

/// A peer that speaks TLS and believes everybody.
struct TlsPeer(StreamOwned<ClientConnection, TcpStream>);

impl TlsPeer {
    fn over(peer: Peer) -> Self {
        Self(StreamOwned::new(client(), peer.0))
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn receive_exactly(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn ping(&mut self) {
        let ping = frame(0, b'e', b"");
        self.send(&ping);
        assert_eq!(self.receive_exactly(ping.len()), ping);
    }
}

fn client() -> ClientConnection {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believer))
        .with_no_client_auth();
    ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap()
}

#[derive(Debug)]
struct Believer;

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[test]
fn both_kinds_of_peers_are_served_on_one_port() {
    let toy = start(TlsMode::Permissive, config());
    let (mut plain, mut secret) = (toy.connect(), TlsPeer::over(toy.connect()));

    for _ in 0..3 {
        plain.ping();
        secret.ping();
    }

    toy.stop();
}

#[test]
fn what_the_mode_refuses_is_closed_without_a_word() {
    let enforcing = start(TlsMode::Enforcing, config());
    let mut plain = enforcing.connect();
    plain.send(&frame(1, b'e', b""));
    plain.assert_closed();
    TlsPeer::over(enforcing.connect()).ping();
    enforcing.stop();

    let disabled = start(TlsMode::Disabled, config());
    let mut secret = disabled.connect();
    secret.send(&[0x16, 3, 1]);
    secret.assert_closed();
    disabled.connect().ping();
    disabled.stop();
}

#[test]
fn pipelined_frames_over_tls_cost_one_read_and_their_replies_one_write() {
    let toy = start(TlsMode::Permissive, config());
    let mut peer = TlsPeer::over(toy.connect());
    peer.ping();
    let frames: Vec<u8> = (0..16).flat_map(|number| frame(number, b'e', b"payload")).collect();

    for _ in 0..10 {
        peer.send(&frames);
        assert_eq!(peer.receive_exactly(frames.len()), frames);
    }

    let usage = toy.stop();
    assert_eq!((usage.reads, usage.writes), (12, 11), "before it a hello was read, and a ping answered");
}

#[test]
fn records_may_arrive_byte_by_byte() {
    let toy = start(TlsMode::Permissive, config());
    let mut peer = TlsPeer::over(toy.connect());
    let frames = [frame(1, b'e', b"first"), frame(2, b'e', &[7; 40_000])].concat();

    peer.ping();
    // What the session seals is sent by hand.
    peer.0.conn.writer().write_all(&frames).unwrap();
    let mut records = Vec::new();
    while peer.0.conn.wants_write() {
        peer.0.conn.write_tls(&mut records).unwrap();
    }
    assert!(records.len() > frames.len());
    for piece in records.chunks(1).take(100) {
        peer.0.sock.write_all(piece).unwrap();
    }
    for piece in records[100..].chunks(777) {
        peer.0.sock.write_all(piece).unwrap();
    }

    assert_eq!(peer.receive_exactly(frames.len()), frames);
    eventually("an idle connection holds no buffer", || toy.connections.usage().partial_bytes == 0);
    toy.stop();
}

#[test]
fn large_frames_and_replies_cross_records() {
    let toy = start(TlsMode::Permissive, config());
    let mut peer = TlsPeer::over(toy.connect());
    for size in [16 * KIB - 13, 16 * KIB, 300 * KIB, 3_000_000] {
        let echo = frame(1, b'e', &vec![5; size]);
        peer.send(&echo);
        assert!(peer.receive_exactly(echo.len()) == echo, "an echo of {size} bytes");
        // Of two parts, which others share.
        peer.send(&frame(2, b'b', &(size as u32).to_be_bytes()));
        assert_eq!(number(&peer.receive_exactly(13 + size)), 2);
    }
    toy.stop();
}

#[test]
fn a_peer_that_does_not_read_over_tls_is_not_read_and_then_gets_everything() {
    let toy = start(TlsMode::Permissive, config());
    let (mut peer, mut other) = (TlsPeer::over(toy.connect()), toy.connect());
    let (count, size) = (500, 64 * KIB);
    peer.ping();
    let frames: Vec<u8> = (0..count).flat_map(|number| frame(number, b'k', &(size as u32).to_be_bytes())).collect();
    peer.send(&frames);

    eventually("replies wait", || toy.connections.usage().unsent_bytes >= 256 * KIB);
    for _ in 0..200 {
        other.ping();
        let usage = toy.connections.usage();
        assert!(usage.unsent_bytes <= 256 * KIB + size + 13, "{} bytes wait", usage.unsent_bytes);
        assert!(usage.partial_bytes <= 256 * KIB, "{} bytes are sealed, or not read", usage.partial_bytes);
    }

    for expected in 0..count {
        assert_eq!(number(&peer.receive_exactly(13 + size)), expected);
    }
    toy.stop();
}

#[test]
fn a_handshake_that_stalls_is_given_up_and_so_is_silence_after_it() {
    let stalled = NetConfig { opening_timeout: Duration::from_millis(300), ..config() };
    let toy = start(TlsMode::Permissive, stalled);
    let mut hello = Vec::new();
    client().write_tls(&mut hello).unwrap();
    let (mut started, mut halfway, mut served) = (toy.connect(), toy.connect(), TlsPeer::over(toy.connect()));
    served.ping();

    let start = Instant::now();
    started.send(&hello[..1]);
    halfway.send(&hello);
    started.assert_closed();
    // Our half of the handshake, and then the end.
    assert!(!halfway.receive_to_end().is_empty());

    assert!(start.elapsed() >= Duration::from_millis(300));
    served.ping();
    toy.stop();

    let (terms, _) = Terms::new(&TlsConfig::default()).unwrap();
    let toy = Toy::start_with_tls(config(), || Duration::from_millis(300), terms);
    let mut silent = TlsPeer::over(toy.connect());
    silent.0.conn.complete_io(&mut silent.0.sock).unwrap();
    assert_eq!(silent.0.read(&mut [0]).unwrap(), 0, "with a goodbye");
    toy.stop();
}

#[test]
fn a_handshake_that_goes_wrong_is_refused_with_an_alert() {
    let toy = start(TlsMode::Permissive, config());
    let mut peer = toy.connect();

    // A hello of one byte.
    peer.send(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]);

    let alert = peer.receive_to_end();
    assert_eq!(alert.first(), Some(&0x15), "{alert:?}");
    let mut shouting = toy.connect();
    shouting.send(&[&[0x16, 3, 1, 0, 5], &b"hello"[..]].concat());
    shouting.assert_closed();
    toy.connect().ping();
    toy.stop();
}

#[test]
fn a_stopping_server_gives_the_answers_it_owes_over_tls_and_says_goodbye() {
    let mut toy = start(TlsMode::Permissive, config());
    let mut peer = TlsPeer::over(toy.connect());
    let size = 3_000_000u32;
    peer.send(&[frame(1, b'F', b""), frame(2, b'k', &size.to_be_bytes())].concat());
    toy.journal.wait_for(2, Event::Called);

    let server = toy.server.take().unwrap();
    let stopping = std::thread::spawn(move || server.stop());
    assert_eq!(number(&peer.receive_exactly(13 + size as usize)), 2);
    toy.later.add_permits(1);

    assert_eq!(number(&peer.receive_exactly(13)), 1);
    assert_eq!(peer.0.read(&mut [0]).unwrap(), 0, "the end, not a torn connection");
    stopping.join().unwrap();
    let Usage { reads, writes, frames, .. } = toy.connections.usage();
    assert_eq!(toy.connections.usage(), Usage { reads, writes, frames, ..Usage::default() });
}

#[test]
fn a_connection_over_tls_can_be_closed_by_its_id() {
    let toy = start(TlsMode::Enforcing, config());
    let mut peer = TlsPeer::over(toy.connect());
    peer.send(&frame(1, b'h', b""));
    peer.receive_exactly(13);
    let connection = lock(&toy.journal.handles).pop().unwrap();

    toy.connections.close(connection.id());

    assert_eq!(peer.0.read(&mut [0]).unwrap(), 0);
    toy.journal.wait(|events| events.contains(&Event::Closed(connection.id())));
    toy.stop();
}

#[test]
fn tls_over_a_pipe_in_memory_works_through_the_narrowest_of_them() {
    let toy = start(TlsMode::Permissive, config());
    let peer = toy.connections.connect_in_memory(([192, 0, 2, 7], 4711).into(), 100).unwrap();
    let mut session = client();
    let frames = [frame(1, b'e', &[3; 5000]), frame(2, b'l', b"")].concat();
    session.writer().write_all(&frames).unwrap();

    let (mut waiting, mut received) = (Vec::new(), Vec::new());
    eventually("everything has come back", || {
        while session.wants_write() {
            session.write_tls(&mut waiting).unwrap();
        }
        let sent = peer.send(&waiting).unwrap();
        waiting.drain(..sent);
        session.read_tls(&mut &peer.receive(100)[..]).unwrap();
        session.process_new_packets().unwrap();
        let _ = session.reader().read_to_end(&mut received);
        received.len() == frames.len()
    });

    assert_eq!(received, frames);
    toy.stop();
}
