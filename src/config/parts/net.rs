//! `[net]`: sockets, threads, and what may wait in memory.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{BindAddress, ByteSize, Networks, SerializeType};

/// `[net]`: where the server listens, and how much a peer may make it hold.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NetConfig {
    /// The local address, or the name of a host; `0.0.0.0` and `::` are every address, of IPv4 and IPv6. Java:
    /// `bindAddress`.
    pub bind_address: BindAddress,
    /// The port; 0 takes a free one. Java: `listenPort`.
    pub listen_port: u16,
    /// The largest frame that is read, its length field included. Java: `com.rocketmq.remoting.frameMaxLength`.
    pub frame_size_max: ByteSize,
    /// Connections that wait to be accepted. Java: `serverSocketBacklog`, which has no effect there.
    pub backlog: u32,
    /// Silence in both directions after which a connection is closed; 0 is never. Java:
    /// `serverChannelMaxIdleTimeSeconds`. May change at run time: new connections ask [`crate::config::Settings`].
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How long a peer may take from its first byte until everything that precedes its first frame is complete: the
    /// TLS handshake. 0 is for ever. Java: ten seconds, Netty's default for a handshake.
    #[serde(with = "humantime_serde")]
    pub opening_timeout: Duration,
    /// Threads that serve sockets; 0 is one per core.
    pub workers: u16,
    /// Connections that are open at once; more are closed when they arrive.
    pub connections_max: u32,
    /// How replies encode their header. Java: `rocketmq.serialize.type`.
    pub serialize_type: SerializeType,
    /// `SO_SNDBUF`; 0 leaves it to the system. Java: `serverSocketSndBufSize`.
    pub send_buffer_size: ByteSize,
    /// `SO_RCVBUF`; 0 leaves it to the system. Java: `serverSocketRcvBufSize`.
    pub receive_buffer_size: ByteSize,
    /// Networks of proxies: a peer in one of them may say by the PROXY protocol, version 1 or 2, who connected to it.
    /// Java believes everybody.
    pub proxy_protocol_from: Networks,
    /// Whether such a peer must say so.
    pub proxy_protocol_required: bool,
    /// Reply bytes that may wait for one peer; it is not read while more do. One reply may exceed it. Java:
    /// `writeBufferHighWaterMark`.
    pub reply_bytes_waiting_max: ByteSize,
    /// When so few are left, a peer that was no longer read is read again. Java: `writeBufferLowWaterMark`.
    pub reply_bytes_waiting_resume: ByteSize,
    /// Reply bytes that may wait for all peers together. Beyond it, a peer is not read while any reply waits for it.
    pub outgoing_bytes_max: ByteSize,
    /// Threads of the write lane; 0 is one per core.
    pub lane_threads: u16,
    /// Bytes of requests of one connection that wait in the lane before it is read no further. One request may exceed
    /// it.
    pub lane_bytes_per_connection_max: ByteSize,
    /// The same over all connections; a larger request goes alone.
    pub lane_bytes_max: ByteSize,
    /// How long a stopping server waits for the answers it owes; what takes longer is given up.
    #[serde(with = "humantime_serde")]
    pub stop_timeout: Duration,
    /// Whether a server that is told to stop first sends its clients away for a while. Java:
    /// `enableShutdownGracefully`. May change at run time.
    pub shutdown_gracefully: bool,
    /// How long that while is. Java: `shutdownWaitTimeSeconds`. May change at run time.
    #[serde(with = "humantime_serde")]
    pub shutdown_wait_time: Duration,
}

impl NetConfig {
    pub(crate) const REPLY_BYTES_WAITING_MAX: ByteSize = ByteSize::kib(256);
    pub(crate) const REPLY_BYTES_WAITING_RESUME: ByteSize = ByteSize::kib(128);
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            bind_address: BindAddress::default(),
            listen_port: 9876,
            frame_size_max: ByteSize::mib(16),
            backlog: 1024,
            idle_timeout: Duration::from_secs(120),
            opening_timeout: Duration::from_secs(10),
            workers: 0,
            connections_max: 20_000,
            serialize_type: SerializeType::Json,
            send_buffer_size: ByteSize::new(0),
            receive_buffer_size: ByteSize::new(0),
            proxy_protocol_from: Networks::default(),
            proxy_protocol_required: false,
            reply_bytes_waiting_max: Self::REPLY_BYTES_WAITING_MAX,
            reply_bytes_waiting_resume: Self::REPLY_BYTES_WAITING_RESUME,
            outgoing_bytes_max: ByteSize::mib(256),
            lane_threads: 0,
            lane_bytes_per_connection_max: ByteSize::mib(32),
            lane_bytes_max: ByteSize::mib(256),
            stop_timeout: Duration::from_secs(3),
            shutdown_gracefully: false,
            shutdown_wait_time: Duration::from_secs(30),
        }
    }
}
