//! What a plugin sees of the machine through WASI: what its grants name, and nothing else.
//!
//! Without a grant for it, there are no files, no sockets and no variables, and whoever asks for one is told so. Two
//! things nobody can be refused, so they are worth nothing: time stands still, or only counts how often it was asked
//! for, and the same numbers are random every time. What is printed goes to the log.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{Deterministic, FsPerms, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use super::printed::Printed;
use crate::config::{Destination, Grant};

/// For whom nothing is random.
const NOT_RANDOM: [u8; 61] = {
    // A prime number of bytes, so that it is long before a guest that takes eight at a time sees them again.
    let mut bytes = [0; 61];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = (at * 89 + 41) as u8;
        at += 1;
    }
    bytes
};

/// What an instance with these grants sees.
pub(super) fn context(grants: &[Grant], printed: Printed) -> WasiCtx {
    let mut context = WasiCtxBuilder::new();
    context.stdout(printed.clone()).stderr(printed.clone());
    if !grants.contains(&Grant::Clocks) {
        context.wall_clock(NoTime::default()).monotonic_clock(NoTime::default());
    }
    if !grants.contains(&Grant::Random) {
        let same = || Deterministic::new(NOT_RANDOM.to_vec());
        context.secure_random(same()).insecure_random(same()).insecure_random_seed(0);
    }
    let mut destinations = Vec::new();
    for grant in grants {
        match grant {
            Grant::FilesRead(dir) => open(&mut context, &printed, dir, FsPerms::ReadOnly),
            Grant::FilesWrite(dir) => open(&mut context, &printed, dir, FsPerms::ReadWrite),
            Grant::Network(destination) => destinations.push(*destination),
            Grant::Environment(name) => {
                if let Ok(value) = std::env::var(name) {
                    context.env(name, value);
                }
            }
            _ => {}
        }
    }
    if !destinations.is_empty() {
        context.allow_tcp(true).allow_udp(true);
        context.socket_addr_check(move |address, purpose| {
            let is_allowed = may_use(&destinations, address, purpose);
            Box::pin(async move { is_allowed })
        });
    }
    context.build()
}

fn open(context: &mut WasiCtxBuilder, printed: &Printed, dir: &Path, perms: FsPerms) {
    if let Err(error) = context.preopened_dir(dir, dir.to_string_lossy(), perms) {
        // Told for every instance, of which there may be one for every call; the directory may be there for the next.
        printed.warn(&format!("the directory {}, which was granted, cannot be opened: {error:#}", dir.display()));
    }
}

/// Who may connect somewhere may answer nobody else's call.
fn may_use(destinations: &[Destination], address: SocketAddr, purpose: SocketAddrUse) -> bool {
    match purpose {
        SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => {
            destinations.iter().any(|destination| destination.contains(address))
        }
        // Before a socket connects it is bound to whatever is free.
        SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => address.port() == 0,
        SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
    }
}

/// A clock that tells only what came before what.
#[derive(Default)]
struct NoTime(AtomicU64);

impl HostWallClock for NoTime {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for NoTime {
    fn resolution(&self) -> u64 {
        1
    }

    /// Never 0, which some runtimes take for a broken clock.
    fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_connects_to_what_is_granted_and_listens_to_nobody() {
        let Grant::Network(destination) = "network:10.0.0.0/8:80".parse().unwrap() else { panic!("a network") };
        let may = |address: &str, purpose| may_use(&[destination], address.parse().unwrap(), purpose);

        assert!(may("10.1.1.1:80", SocketAddrUse::TcpConnect) && may("10.1.1.1:80", SocketAddrUse::UdpSend));
        assert!(!may("10.1.1.1:81", SocketAddrUse::TcpConnect) && !may("11.1.1.1:80", SocketAddrUse::UdpReceive));
        assert!(may("0.0.0.0:0", SocketAddrUse::TcpBind) && !may("0.0.0.0:9876", SocketAddrUse::TcpBind));
        assert!(!may("10.1.1.1:80", SocketAddrUse::TcpListen) && !may("10.1.1.1:80", SocketAddrUse::TcpAccept));
    }

    #[test]
    fn time_without_a_grant_stands_still_and_goes_on() {
        let clock = NoTime::default();

        assert_eq!(HostWallClock::now(&clock), Duration::ZERO);
        assert_eq!([HostMonotonicClock::now(&clock), HostMonotonicClock::now(&clock)], [1, 2]);
    }
}
