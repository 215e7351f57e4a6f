//! What stands before the first frame, over sockets and in memory.

use std::net::SocketAddr;

use super::*;
use crate::config::Networks;

const LINE: &[u8] = b"PROXY TCP6 2001:db8::7 ::1 40000 9876\r\n";

fn proxied() -> NetConfig {
    NetConfig { proxies: Networks::new(["127.0.0.0/8".parse().unwrap()]), ..config() }
}

/// The peer of the connection that was kept last.
fn last_peer(toy: &Toy) -> SocketAddr {
    lock(&toy.journal.handles).pop().unwrap().peer()
}

#[test]
fn who_a_proxy_names_is_the_peer_of_every_frame() {
    let toy = Toy::start(proxied());
    let mut peer = toy.connect();

    peer.send(&[LINE, &frame(1, b'h', b""), &frame(2, b'e', b"")].concat());

    assert_eq!(peer.receive_numbers(2), [1, 2]);
    assert_eq!(last_peer(&toy).to_string(), "[2001:db8::7]:40000");
    peer.send(&frame(3, b'h', b""));
    assert_eq!(peer.receive_numbers(1), [3]);
    assert_eq!(last_peer(&toy).to_string(), "[2001:db8::7]:40000");
    toy.stop();
}

#[test]
fn a_header_and_a_frame_may_be_cut_anywhere() {
    let toy = Toy::start(proxied());
    let whole = [LINE, &frame(1, b'h', b"rest")].concat();

    for cut in 1..whole.len() {
        let mut peer = toy.connect();
        peer.send(&whole[..cut]);
        // Another connection's answer comes after the first piece was looked at, or before; both must do.
        toy.connect().ping();
        peer.send(&whole[cut..]);
        assert_eq!(peer.receive_numbers(1), [1], "{cut}");
        assert_eq!(last_peer(&toy).to_string(), "[2001:db8::7]:40000", "{cut}");
    }
    toy.stop();
}

#[test]
fn a_proxy_of_this_process_is_believed_as_well() {
    let toy = Toy::start(proxied());
    let peer = toy.connections.connect_in_memory("127.0.0.9:1".parse().unwrap(), 4096).unwrap();

    let sent = frame(1, b'h', b"");
    assert_eq!(peer.send(&[LINE, &sent].concat()).unwrap(), LINE.len() + sent.len());

    eventually("it is answered", || !peer.receive(100).is_empty());
    assert_eq!(last_peer(&toy).to_string(), "[2001:db8::7]:40000");
    drop(peer);
    toy.stop();
}

#[test]
fn a_header_from_anybody_else_closes_and_nothing_behind_it_counts() {
    let toy = Toy::start(config());
    let mut peer = toy.connect();

    peer.send(&[LINE, &frame(1, b'e', b"")].concat());

    peer.assert_closed();
    assert_eq!(toy.stop().frames, 0);
}

#[test]
fn a_header_that_stops_halfway_is_closed_in_its_own_time() {
    // With no idle timeout at all.
    let config = NetConfig { opening_timeout: Duration::from_millis(40), ..proxied() };
    let toy = Toy::start_with_idle_timeout(config, || Duration::ZERO);
    let (mut silent, mut half) = (toy.connect(), toy.connect());

    half.send(&LINE[..20]);
    half.assert_closed();

    silent.ping();
    toy.stop();
}

#[test]
fn a_stranger_gets_no_answer() {
    let toy = Toy::start(config());
    for start in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"SSH-2.0-x\r\n", &[0; 100], b"PING\r\n", b"\x16\x03\x01\x02\0"] {
        let mut stranger = toy.connect();
        stranger.send(start);
        stranger.assert_closed();
    }
    assert_eq!(toy.stop().frames, 0);
}
