//! Networks, as operators write them, and the clients in them. Pure: works without a host.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Where IPv4 addresses begin within IPv6 ones.
const MAPPED_PREFIX: u8 = 96;

/// A network, `10.0.0.0/8` or `fd00::/8`, or one address, `192.0.2.7`.
///
/// Nobody is in a network of the other family: everybody is `0.0.0.0/0` and `::/0`. IPv4 addresses that are written as
/// IPv6 ones are the IPv4 addresses that they are: `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    /// Any address of it.
    address: IpAddr,
    /// How many bits all of its addresses begin with.
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NetworkError {
    /// It is neither an address nor an address, `/` and a length.
    Malformed,
    /// It begins with an IPv4 address that is written as an IPv6 one, and is wider than all of IPv4.
    WiderThanIpv4,
}

impl Network {
    /// Whether a client at `address` is in it, whatever socket it came through.
    pub fn covers(&self, address: IpAddr) -> bool {
        let alike = match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => (network.to_bits() ^ address.to_bits()).leading_zeros(),
            (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits() ^ address.to_bits()).leading_zeros(),
            _ => return false,
        };
        alike >= self.prefix.into()
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let written: IpAddr = address.parse().map_err(|_| NetworkError::Malformed)?;
        let longest = if written.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(longest), |digits| length(digits).filter(|prefix| *prefix <= longest));
        let prefix = prefix.ok_or(NetworkError::Malformed)?;
        let address = written.to_canonical();
        if address.is_ipv4() == written.is_ipv4() {
            return Ok(Self { address, prefix });
        }
        let prefix = prefix.checked_sub(MAPPED_PREFIX).ok_or(NetworkError::WiderThanIpv4)?;
        Ok(Self { address, prefix })
    }
}

/// A number without a sign.
fn length(digits: &str) -> Option<u8> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

impl NetworkError {
    /// What is wrong, to go on from what was written: `` `10.0.0.0/33` is no network … ``.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "is no network, as `10.0.0.0/8` or `fd00::/8`, and no address",
            Self::WiderThanIpv4 => {
                "is wider than all of IPv4, with which it begins; write IPv4 networks as `10.0.0.0/8`, others as `fd00::/8`"
            }
        }
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error for NetworkError {}

/// Where a peer is, without its port: of what [`request::peer`](crate::request::peer) says. A reply that rests on it is not
/// remembered by the server, so ask for it only when it matters.
///
/// An IPv4 client of a socket for both families is an IPv4 client.
pub fn address_of(peer: &str) -> Option<IpAddr> {
    peer.parse::<SocketAddr>().ok().map(|peer| peer.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn covers(network: &str, client: &str) -> bool {
        let network: Network = network.parse().unwrap_or_else(|error| panic!("{network}: {error}"));
        network.covers(client.parse().unwrap())
    }

    #[test]
    fn a_network_covers_the_addresses_that_begin_as_it_does() {
        for (network, inside, outside) in [
            ("10.20.0.0/16", ["10.20.0.0", "10.20.255.255"], ["10.21.0.0", "10.19.255.255"]),
            ("10.20.7.9/16", ["10.20.0.0", "10.20.255.255"], ["10.21.0.0", "10.19.255.255"]),
            ("192.0.2.8/31", ["192.0.2.8", "192.0.2.9"], ["192.0.2.7", "192.0.2.10"]),
            ("fd00:20::/64", ["fd00:20::", "fd00:20::ffff:0:0:1"], ["fd00:20:0:1::", "fd00:1f::"]),
            ("128.0.0.0/1", ["128.0.0.0", "255.255.255.255"], ["127.255.255.255", "8000::"]),
            ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::", "fd00::1"]),
            ("::/0", ["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"], ["0.0.0.0", "10.0.0.1"]),
        ] {
            assert!(inside.into_iter().all(|client| covers(network, client)), "{network}");
            assert!(!outside.into_iter().any(|client| covers(network, client)), "{network}");
        }
    }

    #[test]
    fn one_address_covers_itself() {
        for address in ["192.0.2.7", "fd00::7"] {
            assert!(covers(address, address), "{address}");
        }
        assert!(!covers("192.0.2.7", "192.0.2.6") && !covers("fd00::7", "fd00::6"));
    }

    #[test]
    fn an_ipv4_network_is_the_same_in_ipv6_clothes_and_so_is_a_client() {
        for (clothed, plain) in [
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:a14:0/112", "10.20.0.0/16"),
            ("::ffff:10.0.0.5", "10.0.0.5/32"),
            ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(clothed.parse::<Network>(), plain.parse(), "{clothed}");
        }
        assert!(covers("10.0.0.0/8", "::ffff:10.1.2.3") && covers("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(!covers("::ffff:10.0.0.0/104", "11.1.2.3") && !covers("::ffff:10.0.0.0/104", "::a00:1"));
    }

    #[test]
    fn what_would_be_all_of_ipv4_and_more_is_refused_because_it_would_cover_nobody_of_ipv4() {
        for text in ["::ffff:10.0.0.0/95", "::ffff:10.0.0.0/8", "::ffff:0:0/0"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::WiderThanIpv4), "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "fd00::/129",
            "10.0.0/8",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "10.0.0.0/ 8",
            " 10.0.0.0/8",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/256",
            "[fd00::]/8",
            "10.0.0.0:1",
            "office",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn a_client_is_who_it_is_whatever_socket_it_came_through() {
        assert_eq!(address_of("10.0.0.1:5"), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(address_of("[::ffff:10.0.0.1]:7"), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(address_of("[fd00::1]:5"), "fd00::1".parse().ok());
        assert_eq!((address_of("10.0.0.1"), address_of("")), (None, None));
    }
}
