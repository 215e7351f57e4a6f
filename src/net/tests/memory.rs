//! Connections without a socket are served as all others are.

use std::net::SocketAddr;

use super::*;

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 4711);

impl MemoryPeer {
    fn send_all(&self, mut bytes: &[u8]) {
        eventually("it is sent", || {
            bytes = &bytes[self.send(bytes).unwrap()..];
            bytes.is_empty()
        });
    }

    fn receive_exactly(&self, size: usize) -> Vec<u8> {
        let mut received = Vec::new();
        eventually("it is received", || {
            received.extend_from_slice(&self.receive(size - received.len()));
            received.len() == size
        });
        received
    }
}

#[test]
fn a_peer_in_memory_is_served_and_has_the_address_that_it_was_given() {
    let toy = Toy::start(config());
    let peer = toy.connections.connect_in_memory(PEER, 4096).unwrap();

    let frames = [frame(1, b'h', b"one"), frame(2, b'l', b"two")].concat();
    peer.send_all(&frames);

    assert_eq!(peer.receive_exactly(frames.len()), frames);
    let connection = lock(&toy.journal.handles).pop().unwrap();
    assert_eq!(connection.peer(), PEER);
    toy.connections.close(connection.id());
    eventually("it is closed", || peer.is_at_end());
    eventually("nothing more is taken", || peer.send(b"x").is_err());
    toy.stop();
}

#[test]
fn a_peer_in_memory_that_does_not_read_is_not_read_and_then_gets_everything() {
    let toy = Toy::start(config());
    let peer = toy.connections.connect_in_memory(PEER, 1000).unwrap();
    let (count, size) = (20, 100_000u32);
    let frames: Vec<u8> = (0..count).flat_map(|number| frame(number, b'b', &size.to_be_bytes())).collect();

    peer.send_all(&frames);
    eventually("replies wait", || toy.connections.usage().unsent_bytes >= 256 * 1024);
    assert!(toy.connections.usage().unsent_bytes <= 256 * 1024 + size as usize + 13);

    for expected in 0..count {
        assert_eq!(number(&peer.receive_exactly(size as usize + 13)), expected);
    }
    toy.stop();
}

#[test]
fn a_peer_in_memory_takes_a_place_among_the_connections_and_gives_it_back() {
    let toy = Toy::start(NetConfig { connections_max: 1, ..config() });
    let peer = toy.connections.connect_in_memory(PEER, 100).unwrap();

    assert!(toy.connections.connect_in_memory(PEER, 100).is_none());
    peer.finish();
    eventually("it is closed", || peer.is_at_end() && toy.connections.count() == 0);

    assert!(toy.connections.connect_in_memory(PEER, 100).is_some());
    toy.stop();
}
