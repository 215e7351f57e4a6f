//! What an operator can say about sockets, threads and waiting bytes.

use crate::config::Networks;
use crate::remoting::frame;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

/// How to listen, and how much may wait.
#[derive(Clone, Debug, PartialEq)]
pub struct NetConfig {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// Connections the kernel keeps until they are accepted. Java: `1024` in `NettyRemotingServer.initServerBootstrap`.
    pub backlog: u32,
    /// Threads that read, answer and write.
    pub workers: NonZeroUsize,
    /// Threads of the write lane.
    pub lane_threads: NonZeroUsize,
    /// Connections at the same time; one more is closed at once.
    pub connections_max: usize,
    /// Bytes of one frame, its length field included. Java: `com.rocketmq.remoting.frameMaxLength`.
    pub frame_size_max: u32,
    /// `SO_SNDBUF` of every connection; 0 leaves it to the system, which may also round it or limit it.
    pub send_buffer_size: usize,
    /// `SO_RCVBUF`, in the same way.
    pub receive_buffer_size: usize,
    /// Who may say, by the PROXY protocol, that somebody else is there. Of anybody else such a word is not believed.
    pub proxies: Networks,
    /// Those must say so.
    pub proxies_must_introduce: bool,
    /// How long a peer may take from its first byte until it is settled what it speaks. Java: Netty's
    /// `handshakeTimeoutMillis`.
    pub opening_timeout: Duration,
    /// How long a stopping server waits for the answers it owes.
    pub stop_timeout: Duration,
    /// Reply bytes that may wait for one peer; it is not read while more do. One reply may exceed it.
    pub unsent_bytes_max: usize,
    /// When so few are left, a peer that was no longer read is read again.
    pub unsent_bytes_resume: usize,
    /// Reply bytes that may wait for all peers. Beyond it, a peer is not read while any reply waits for it.
    pub unsent_bytes_total_max: usize,
    /// Replies of one connection that may be under way elsewhere: in the lane, on the disk, upstream.
    pub delayed_replies_max: usize,
    /// Bytes of one connection's jobs in the lane; one job may exceed it.
    pub lane_bytes_max: usize,
    /// Bytes of all jobs in the lane; a larger job goes alone.
    pub lane_bytes_total_max: NonZeroUsize,
    /// How long a job of a guest may wait for another one to end.
    pub guest_patience: Duration,
    /// Memory of all frames that have arrived in part. Beyond it, whoever sends more of a large frame is closed.
    pub partial_bytes_total_max: usize,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9876)),
            backlog: 1024,
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            lane_threads: NonZeroUsize::new(2).expect("two is not zero"),
            connections_max: 20_000,
            frame_size_max: frame::SIZE_MAX,
            send_buffer_size: 0,
            receive_buffer_size: 0,
            proxies: Networks::default(),
            proxies_must_introduce: false,
            opening_timeout: Duration::from_secs(10),
            stop_timeout: Duration::from_secs(3),
            unsent_bytes_max: 256 * KIB,
            unsent_bytes_resume: 128 * KIB,
            unsent_bytes_total_max: 256 * MIB,
            delayed_replies_max: 1024,
            lane_bytes_max: MIB,
            lane_bytes_total_max: NonZeroUsize::new(64 * MIB).expect("64 MiB is not zero"),
            // Whoever asked gives up after three seconds by default.
            guest_patience: Duration::from_secs(2),
            partial_bytes_total_max: 512 * MIB,
        }
    }
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
