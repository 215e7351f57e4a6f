//! Values as an operator writes them: sizes, `host:port`, and paths that have a default of their own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A number of bytes, written as an integer or as text with a unit: `4096`, `"64KiB"`, `"16MiB"`, `"1GiB"`.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct ByteSize(u64);

/// Largest first, so that a size is shown in the largest unit that fits.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl ByteSize {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many times 1024 bytes.
    pub const fn kib(kib: u32) -> Self {
        Self((kib as u64) << 10)
    }

    /// So many times 1024 x 1024 bytes.
    pub const fn mib(mib: u32) -> Self {
        Self((mib as u64) << 20)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes, or the largest that can be addressed.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, unit)| self.0 != 0 && self.0.is_multiple_of(*unit)) {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The text is no size.
#[derive(Debug, thiserror::Error)]
#[error("a size is a number of bytes, or a number with KiB, MiB or GiB")]
pub struct SizeError;

impl FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let found = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
        let (digits, unit) = found.unwrap_or((text, 1));
        let number = digits.trim_end();
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(SizeError);
        }
        number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).map(Self).ok_or(SizeError)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Size;

        impl Visitor<'_> for Size {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or text such as \"64MiB\"")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                u64::try_from(bytes).map(ByteSize).map_err(|_| E::custom("a size is not negative"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Size)
    }
}

/// A name or address of a host, and a port.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    /// The name or address; an IPv6 address is without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A list as Java writes it, separated by `;`. Blanks and empty entries are passed over.
    pub fn list(text: &str) -> Result<Vec<Self>, HostPortError> {
        text.split(';').map(str::trim).filter(|entry| !entry.is_empty()).map(str::parse).collect()
    }
}

/// The text is no `host:port`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not host:port")]
pub struct HostPortError(String);

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let error = || HostPortError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let known_form = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && !host.contains([':', '[', ']', '/', ' ']),
        };
        match port.parse() {
            Ok(port) if port != 0 && known_form => Ok(Self { host: bare.unwrap_or(host).to_owned(), port }),
            _ => Err(error()),
        }
    }
}

impl TryFrom<String> for HostPort {
    type Error = HostPortError;

    fn try_from(text: String) -> Result<Self, HostPortError> {
        text.parse()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl From<HostPort> for String {
    fn from(host_port: HostPort) -> Self {
        host_port.to_string()
    }
}

/// A path that may be left to the server (`auto`) or switched off (`none`). `./auto` is a file of that name.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub enum Place {
    /// The server chooses; never in a loaded [`super::Config`].
    #[default]
    Auto,
    /// Nowhere.
    None,
    /// There.
    At(PathBuf),
}

impl Place {
    /// The path, when there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::At(path) => Some(path),
            Self::Auto | Self::None => None,
        }
    }
}

impl From<PathBuf> for Place {
    fn from(path: PathBuf) -> Self {
        match path.to_str() {
            Some("auto") => Self::Auto,
            Some("none") => Self::None,
            _ => Self::At(path),
        }
    }
}

impl From<Place> for PathBuf {
    fn from(place: Place) -> Self {
        match place {
            Place::Auto => Self::from("auto"),
            Place::None => Self::from("none"),
            Place::At(path) => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, bytes) in [("0", 0), ("4096", 4096), ("64KiB", 65_536), ("16 MiB", 16 << 20), ("2GiB", 2 << 30)] {
            assert_eq!(text.parse::<ByteSize>().unwrap().get(), bytes, "{text}");
        }
        for text in ["", "MiB", "-1", "1.5MiB", "10MB", "64 kib", "99999999999GiB", "+1"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_shown_in_its_largest_whole_unit() {
        let shown = [0, 1000, 1024, 1536 << 10, 3 << 30].map(|bytes| ByteSize::new(bytes).to_string());

        assert_eq!(shown, ["0", "1000", "1KiB", "1536KiB", "3GiB"]);
    }

    #[test]
    fn a_list_of_servers_is_separated_by_semicolons() {
        let servers = HostPort::list(" a:1; [::1]:2 ;;10.0.0.1:9876").unwrap();

        assert_eq!(servers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:1", "[::1]:2", "10.0.0.1:9876"]);
        assert_eq!((servers[1].host(), servers[1].port()), ("::1", 2));
        for bad in ["a", "a:0", ":1", "a:70000", "::1:2", "http://a:1"] {
            assert!(HostPort::list(bad).is_err(), "{bad}");
        }
    }
}
