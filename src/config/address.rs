//! Addresses as an operator writes them: where to listen, and the networks that somebody may come from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

/// Where to listen: an address, an IPv6 one with or without brackets, or the name of a host, which is looked up when
/// the server starts. Shown as it was written.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BindAddress(String);

/// The text is none of these.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither an address nor the name of a host")]
pub struct BindAddressError(String);

impl BindAddress {
    /// The address to listen on. A name may have several: the first counts, and IPv4 comes first, as in Java.
    ///
    /// # Errors
    /// When nobody knows the name.
    pub fn resolve(&self, port: u16) -> std::io::Result<SocketAddr> {
        let found: Vec<_> = (self.host(), port).to_socket_addrs()?.collect();
        let first = found.iter().find(|address| address.is_ipv4()).or(found.first()).copied();
        let first = first.ok_or_else(|| std::io::Error::other("the name has no address"))?;
        // Through `::ffff:a.b.c.d` IPv4 is meant. Anything else keeps its scope.
        Ok(match first.ip().to_canonical() {
            IpAddr::V4(ip) => SocketAddr::from((ip, port)),
            IpAddr::V6(_) => first,
        })
    }

    /// Without brackets.
    fn host(&self) -> &str {
        self.0.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(&self.0)
    }
}

impl FromStr for BindAddress {
    type Err = BindAddressError;

    fn from_str(text: &str) -> Result<Self, BindAddressError> {
        let address = Self(text.to_owned());
        // Behind `%` is the interface of a link-local address.
        let is_ipv6 = address.host().split('%').next().is_some_and(|host| host.parse::<Ipv6Addr>().is_ok());
        let is_name = |text: &str| {
            let in_names = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
            (1..=NAME_LEN_MAX).contains(&text.len()) && text.chars().all(in_names)
        };
        if is_ipv6 || is_name(text) { Ok(address) } else { Err(BindAddressError(text.to_owned())) }
    }
}

impl TryFrom<String> for BindAddress {
    type Error = BindAddressError;

    fn try_from(text: String) -> Result<Self, BindAddressError> {
        text.parse()
    }
}

impl From<BindAddress> for String {
    fn from(address: BindAddress) -> Self {
        address.0
    }
}

impl From<IpAddr> for BindAddress {
    fn from(address: IpAddr) -> Self {
        Self(address.to_string())
    }
}

impl From<[u8; 4]> for BindAddress {
    fn from(address: [u8; 4]) -> Self {
        IpAddr::from(address).into()
    }
}

impl Default for BindAddress {
    fn default() -> Self {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED).into()
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an HTTP server listens: nowhere (`off`), at a port of the loopback (`9877`), or at an address
/// (`10.0.0.1:9877`).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HttpListen(Option<SocketAddr>);

/// The text is none of these.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither \"off\", nor a port, nor address:port")]
pub struct HttpListenError(String);

impl HttpListen {
    /// The address, unless it is off.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0
    }
}

impl From<SocketAddr> for HttpListen {
    fn from(address: SocketAddr) -> Self {
        Self(Some(address))
    }
}

impl TryFrom<String> for HttpListen {
    type Error = HttpListenError;

    fn try_from(text: String) -> Result<Self, HttpListenError> {
        if text == "off" {
            return Ok(Self(None));
        }
        let port = text.parse().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        port.or_else(|_| text.parse()).map(Self::from).map_err(|_| HttpListenError(text))
    }
}

impl From<HttpListen> for String {
    fn from(listen: HttpListen) -> Self {
        listen.0.map_or_else(|| "off".to_owned(), |address| address.to_string())
    }
}

/// A name in the DNS is no longer.
const NAME_LEN_MAX: usize = 253;

/// A list of networks, by default empty.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Networks(Vec<IpNet>);

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

impl Networks {
    /// A list of these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// Loopback, link-local and private ones.
    pub fn near() -> Self {
        Self(NEAR.iter().map(|net| net.parse().expect("the constant holds networks")).collect())
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a peer at `address` is in one of the networks.
    ///
    /// An IPv4 peer of a socket that also takes IPv6 appears as `::ffff:a.b.c.d`; it is the same peer. The same goes
    /// for a network that is written that way.
    pub fn contain(&self, address: IpAddr) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn contain(networks: &Networks, address: &str) -> bool {
        networks.contain(address.parse().unwrap())
    }

    #[test]
    fn an_http_server_is_off_or_on_the_loopback_unless_an_address_is_named() {
        let address = |text: &str| HttpListen::try_from(text.to_owned()).map(String::from);

        for (text, shown) in
            [("off", "off"), ("9877", "127.0.0.1:9877"), ("[::]:1", "[::]:1"), ("1.2.3.4:0", "1.2.3.4:0")]
        {
            assert_eq!(address(text).unwrap(), shown);
        }
        for text in ["", "on", "70000", "localhost:1", ":1"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn neighbours_are_near_and_strangers_are_not() {
        let near = Networks::near();

        for one in ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.7.7", "169.254.1.1", "::1", "fd00::7", "fe80::1"] {
            assert!(contain(&near, one), "{one}");
        }
        for one in ["8.8.8.8", "172.32.0.1", "192.169.0.1", "2001:db8::1", "0.0.0.0", "::"] {
            assert!(!contain(&near, one), "{one}");
        }
    }

    #[test]
    fn an_ipv4_peer_is_the_same_peer_in_ipv6_clothes() {
        let near = Networks::near();

        assert!(contain(&near, "::ffff:10.1.2.3"));
        assert!(!contain(&near, "::ffff:8.8.8.8"));
    }

    #[test]
    fn a_network_in_ipv6_clothes_holds_ipv4_peers() {
        let networks = Networks::new(["::ffff:203.0.113.0/120".parse().unwrap()]);

        assert!(contain(&networks, "203.0.113.9"));
        assert!(!contain(&networks, "203.0.114.9"));
    }

    #[test]
    fn an_empty_list_holds_nobody() {
        assert!(!contain(&Networks::default(), "127.0.0.1"));
    }

    #[test]
    fn a_place_to_listen_is_written_as_in_java_and_shown_as_written() {
        let resolved = |text: &str| {
            let address: BindAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            address.resolve(7).unwrap().to_string()
        };

        assert_eq!(resolved("0.0.0.0"), "0.0.0.0:7");
        assert_eq!((resolved("::"), resolved("[::]")), ("[::]:7".to_owned(), "[::]:7".to_owned()));
        assert_eq!((resolved("::1"), resolved("[::1]")), ("[::1]:7".to_owned(), "[::1]:7".to_owned()));
        assert_eq!(resolved("::ffff:127.0.0.1"), "127.0.0.1:7");
        assert_eq!(resolved("localhost"), "127.0.0.1:7");
    }

    #[test]
    fn what_is_neither_address_nor_name_is_refused() {
        for text in ["", " ", "a b", "127.0.0.1:9876", "[::1]:9876", "[::1", "::1]", "[127.0.0.1]", "1::2::3", "a/b"] {
            assert!(text.parse::<BindAddress>().is_err(), "{text}");
        }
        for text in ["mq-1.example", "my_host", "fe80::1%eth0", "[fe80::1%2]"] {
            assert!(text.parse::<BindAddress>().is_ok(), "{text}");
        }
    }
}
