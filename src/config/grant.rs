//! What the operator may let a plugin do, as it is written in the configuration and in manifests.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

/// A power that no plugin has unless the operator gives it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Grant {
    /// `routes.write`: write the route tables.
    RoutesWrite,
    /// `kv.write`, `kv.write:NAMESPACE`: write the KV store, or one namespace of it.
    KvWrite(Option<String>),
    /// `settings.write`: change settings at run time.
    SettingsWrite,
    /// `upstream`, `upstream:NAME`, `upstream:HOST:PORT`: ask the configured upstreams, one of them, or that server.
    Upstream(Option<String>),
    /// `files.read:/DIR`: read what is below a directory, through WASI like all that follows.
    FilesRead(PathBuf),
    /// `files.write:/DIR`: read and write there.
    FilesWrite(PathBuf),
    /// `network:ADDRESS:PORT`: connect to an address, or to a network as `10.0.0.0/8:*`.
    Network(Destination),
    /// `environment:NAME`: see a variable of the server's environment.
    Environment(String),
    /// `clocks`: see what time it is.
    Clocks,
    /// `random`: get numbers that nobody can guess.
    Random,
}

/// Where to somebody may connect.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Destination {
    network: IpNet,
    /// None is any.
    port: Option<u16>,
}

/// The text is no grant.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is no grant; there are \"routes.write\", \"kv.write\", \"kv.write:NAMESPACE\", \"settings.write\", \
     \"upstream\", \"upstream:NAME\", \"upstream:HOST:PORT\", \"files.read:/DIRECTORY\", \"files.write:/DIRECTORY\", \
     \"network:ADDRESS:PORT\", \"environment:NAME\", \"clocks\" and \"random\""
)]
pub struct GrantError(String);

impl Grant {
    /// Whether whoever has this may do what `wanted` names.
    pub fn covers(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::KvWrite(None), Self::KvWrite(_)) | (Self::Upstream(None), Self::Upstream(_)) => true,
            (Self::FilesWrite(dir), Self::FilesRead(below) | Self::FilesWrite(below))
            | (Self::FilesRead(dir), Self::FilesRead(below)) => below.starts_with(dir),
            (Self::Network(all), Self::Network(some)) => {
                all.network.contains(&some.network) && (all.port.is_none() || all.port == some.port)
            }
            _ => self == wanted,
        }
    }

    /// Whether only what imports WASI has a use for it.
    pub fn is_for_wasi(&self) -> bool {
        !matches!(self, Self::RoutesWrite | Self::KvWrite(_) | Self::SettingsWrite | Self::Upstream(_))
    }
}

impl Destination {
    /// Whether it is one of those.
    pub fn contains(&self, address: SocketAddr) -> bool {
        // An IPv4 address may come in IPv6's clothes.
        self.network.contains(&address.ip().to_canonical()) && self.port.is_none_or(|port| port == address.port())
    }
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let error = || GrantError(text.chars().take(80).collect());
        let (name, value) = match text.split_once(':') {
            None => (text, None),
            Some((_, "")) => return Err(error()),
            Some((name, value)) => (name, Some(value)),
        };
        match (name, value) {
            ("routes.write", None) => Ok(Self::RoutesWrite),
            ("kv.write", namespace) => Ok(Self::KvWrite(namespace.map(str::to_owned))),
            ("settings.write", None) => Ok(Self::SettingsWrite),
            ("upstream", name) => Ok(Self::Upstream(name.map(str::to_owned))),
            ("files.read", Some(dir)) => directory(dir).map(Self::FilesRead).ok_or_else(error),
            ("files.write", Some(dir)) => directory(dir).map(Self::FilesWrite).ok_or_else(error),
            ("network", Some(value)) => value.parse().map(Self::Network).map_err(|()| error()),
            ("environment", Some(name)) if !name.contains('=') => Ok(Self::Environment(name.to_owned())),
            ("clocks", None) => Ok(Self::Clocks),
            ("random", None) => Ok(Self::Random),
            _ => Err(error()),
        }
    }
}

/// An absolute path without detours, so that what is below it can be told by its text.
fn directory(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let is_plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    (path.is_absolute() && is_plain).then(|| path.components().collect())
}

impl FromStr for Destination {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, port) = text.rsplit_once(':').ok_or(())?;
        let address = match address.strip_prefix('[') {
            Some(bracketed) => bracketed.strip_suffix(']').ok_or(())?,
            None if address.contains(':') => return Err(()),
            None => address,
        };
        let network = address.parse::<IpNet>().or_else(|_| address.parse::<IpAddr>().map(IpNet::from)).map_err(drop)?;
        let port = if port == "*" { None } else { Some(port.parse().map_err(drop)?) };
        Ok(Self { network: network.trunc(), port })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoutesWrite => f.write_str("routes.write"),
            Self::KvWrite(None) => f.write_str("kv.write"),
            Self::KvWrite(Some(namespace)) => write!(f, "kv.write:{namespace}"),
            Self::SettingsWrite => f.write_str("settings.write"),
            Self::Upstream(None) => f.write_str("upstream"),
            Self::Upstream(Some(name)) => write!(f, "upstream:{name}"),
            Self::FilesRead(dir) => write!(f, "files.read:{}", dir.display()),
            Self::FilesWrite(dir) => write!(f, "files.write:{}", dir.display()),
            Self::Network(destination) => write!(f, "network:{destination}"),
            Self::Environment(name) => write!(f, "environment:{name}"),
            Self::Clocks => f.write_str("clocks"),
            Self::Random => f.write_str("random"),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, port } = self;
        let is_host = network.prefix_len() == network.max_prefix_len();
        match (network, is_host) {
            (IpNet::V4(network), true) => write!(f, "{}", network.addr())?,
            (IpNet::V4(network), false) => write!(f, "{network}")?,
            (IpNet::V6(network), true) => write!(f, "[{}]", network.addr())?,
            (IpNet::V6(network), false) => write!(f, "[{network}]")?,
        }
        match port {
            None => f.write_str(":*"),
            Some(port) => write!(f, ":{port}"),
        }
    }
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> Grant {
        text.parse().unwrap()
    }

    #[test]
    fn a_grant_is_written_as_it_is_read() {
        for text in [
            "routes.write",
            "kv.write",
            "kv.write:ORDER_TOPIC_CONFIG",
            "settings.write",
            "upstream",
            "upstream:center",
            "upstream:10.0.0.1:9876",
            "files.read:/etc/ours",
            "files.write:/var/lib/ours",
            "network:10.0.0.1:80",
            "network:10.0.0.0/8:*",
            "network:[::1]:80",
            "network:[fd00::/8]:*",
            "environment:HOME",
            "clocks",
            "random",
        ] {
            assert_eq!(grant(text).to_string(), text);
        }
        assert_eq!(grant("files.read:/etc//ours/").to_string(), "files.read:/etc/ours");
    }

    #[test]
    fn what_is_no_grant_is_refused_with_all_that_are() {
        for text in [
            "",
            "routes",
            "routes.write:a",
            "kv.write:",
            "files.read",
            "files.read:etc",
            "files.write:/var/../etc",
            "network:10.0.0.1",
            "network:localhost:80",
            "network:::1:80",
            "network:10.0.0.1:port",
            "environment:",
            "environment:A=B",
            "clocks:1",
        ] {
            let error = text.parse::<Grant>().unwrap_err().to_string();
            assert!(error.contains("network:ADDRESS:PORT"), "{text}: {error}");
        }
    }

    #[test]
    fn a_wider_grant_covers_a_narrower_one_and_not_the_other_way_round() {
        for (wide, narrow) in [
            ("kv.write", "kv.write:a"),
            ("upstream", "upstream:center"),
            ("files.read:/etc", "files.read:/etc/ours"),
            ("files.write:/etc", "files.read:/etc"),
            ("files.write:/", "files.write:/etc"),
            ("network:10.0.0.0/8:*", "network:10.1.0.0/16:80"),
            ("network:10.0.0.1:*", "network:10.0.0.1:80"),
        ] {
            assert!(grant(wide).covers(&grant(narrow)) && !grant(narrow).covers(&grant(wide)), "{wide} {narrow}");
            assert!(grant(wide).covers(&grant(wide)));
        }
        for (one, other) in [
            ("kv.write:a", "kv.write:b"),
            ("files.read:/etc/our", "files.read:/etc/ours"),
            ("network:10.0.0.1:80", "network:10.0.0.1:*"),
            ("clocks", "random"),
        ] {
            assert!(!grant(one).covers(&grant(other)), "{one} {other}");
        }
    }

    #[test]
    fn a_destination_is_a_network_and_a_port() {
        let contains = |text: &str, address: &str| {
            let Grant::Network(destination) = grant(text) else { panic!("{text}") };
            destination.contains(address.parse().unwrap())
        };

        assert!(contains("network:10.0.0.0/8:80", "10.1.2.3:80"));
        assert!(contains("network:10.0.0.0/8:*", "[::ffff:10.1.2.3]:81"));
        assert!(!contains("network:10.0.0.0/8:80", "10.1.2.3:81"));
        assert!(!contains("network:10.0.0.0/8:80", "11.1.2.3:80"));
        assert!(contains("network:[::1]:80", "[::1]:80"));
    }
}
