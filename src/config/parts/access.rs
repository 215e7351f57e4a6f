//! `[admin]` and `[log]`: who may administer the server, and what it says.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

/// `[admin]`: requests that change the server rather than use it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AdminConfig {
    /// Networks from which such requests are accepted.
    pub admin_from: AdminFrom,
}

/// A list of networks. The default is loopback, link-local and private ones.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct AdminFrom(Vec<IpNet>);

/// Loopback, private (RFC 1918, RFC 4193) and link-local networks.
const NEAR: [&str; 8] = [
    "127.0.0.0/8",
    "::1/128",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    "169.254.0.0/16",
    "fe80::/10",
];

impl Default for AdminFrom {
    fn default() -> Self {
        Self(NEAR.iter().map(|net| net.parse().expect("the constant holds networks")).collect())
    }
}

impl AdminFrom {
    /// A list of these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// Whether a peer at `address` is in one of the networks.
    ///
    /// An IPv4 peer of a socket that also takes IPv6 appears as `::ffff:a.b.c.d`; it is the same peer. The same goes
    /// for a network that is written that way.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| canonical(*network).contains(&address))
    }
}

fn canonical(network: IpNet) -> IpNet {
    const MAPPED_PREFIX: u8 = 96;
    let IpNet::V6(v6) = network else { return network };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(MAPPED_PREFIX)) {
        (Some(address), Some(prefix)) => Ipv4Net::new(address, prefix).map_or(network, IpNet::V4),
        _ => network,
    }
}

/// `[log]`: what is logged, and how.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogConfig {
    /// Levels by target, as `RUST_LOG` has them; `RUST_LOG` wins when it is set.
    pub filter: String,
    /// The form of a line.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Full }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Time, level, target and fields.
    #[default]
    Full,
    /// Less of each.
    Compact,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(from: &AdminFrom, address: &str) -> bool {
        from.allows(address.parse().unwrap())
    }

    #[test]
    fn by_default_neighbours_may_administer_and_strangers_may_not() {
        let from = AdminFrom::default();

        for near in ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.7.7", "169.254.1.1", "::1", "fd00::7", "fe80::1"] {
            assert!(allows(&from, near), "{near}");
        }
        for far in ["8.8.8.8", "172.32.0.1", "192.169.0.1", "2001:db8::1", "0.0.0.0", "::"] {
            assert!(!allows(&from, far), "{far}");
        }
    }

    #[test]
    fn an_ipv4_peer_is_the_same_peer_in_ipv6_clothes() {
        let from = AdminFrom::default();

        assert!(allows(&from, "::ffff:10.1.2.3"));
        assert!(!allows(&from, "::ffff:8.8.8.8"));
    }

    #[test]
    fn a_network_in_ipv6_clothes_holds_ipv4_peers() {
        let from = AdminFrom::new(["::ffff:203.0.113.0/120".parse().unwrap()]);

        assert!(allows(&from, "203.0.113.9"));
        assert!(!allows(&from, "203.0.114.9"));
    }

    #[test]
    fn an_empty_list_allows_nobody() {
        assert!(!allows(&AdminFrom::new([]), "127.0.0.1"));
    }
}
