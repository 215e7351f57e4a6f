//! Where a Java key's value lives in a [`crate::config::Config`], and how it is written there.

use std::path::PathBuf;
use std::time::Duration;

use super::{Value, ValueError};
use crate::config::{BindAddress, ByteSize, ClientAuth, HostPort, Place, Secret, SerializeType, TlsMode};

/// One field of a [`crate::config::Config`], by its type.
pub(in crate::config) enum Slot<'a> {
    Flag(&'a mut bool),
    Port(&'a mut u16),
    Count(&'a mut u32),
    Size(&'a mut ByteSize),
    /// A size, and what stands for Java's 0.
    Mark(&'a mut ByteSize, ByteSize),
    Seconds(&'a mut Duration),
    Millis(&'a mut Duration),
    Text(&'a mut String),
    Path(&'a mut PathBuf),
    /// A path that may be empty, which is none.
    MaybePath(&'a mut PathBuf),
    Place(&'a mut Place),
    Secret(&'a mut Secret),
    Names(&'a mut Vec<String>),
    TlsMode(&'a mut TlsMode),
    ClientAuth(&'a mut ClientAuth),
    Address(&'a mut BindAddress),
    Servers(&'a mut Vec<HostPort>),
    Format(&'a mut SerializeType),
}

impl Slot<'_> {
    /// The value as Java writes it.
    pub(super) fn read(self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Port(port) => port.to_string(),
            Self::Count(count) => count.to_string(),
            Self::Size(size) => size.get().to_string(),
            Self::Mark(size, none) => if *size == none { 0 } else { size.get() }.to_string(),
            Self::Seconds(time) => time.as_secs().to_string(),
            Self::Millis(time) => time.as_millis().to_string(),
            Self::Text(text) => text.clone(),
            Self::Path(path) | Self::MaybePath(path) => path.to_string_lossy().into_owned(),
            Self::Place(place) => PathBuf::from(place.clone()).to_string_lossy().into_owned(),
            Self::Secret(secret) => secret.to_string(),
            Self::Names(names) => names.join(","),
            Self::TlsMode(mode) => mode.name().to_owned(),
            Self::ClientAuth(auth) => auth.name().to_owned(),
            Self::Address(address) => address.to_string(),
            Self::Servers(servers) => servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(";"),
            Self::Format(format) => format.name().to_owned(),
        }
    }

    /// Takes a value. Numbers were checked against the key's range, so a mismatch means that the table is wrong.
    pub(super) fn write(self, value: &Value) -> Result<(), ValueError> {
        match (self, value) {
            (Self::Flag(flag), Value::Bool(on)) => *flag = *on,
            (Self::Port(port), Value::Integer(number)) => *port = narrow(*number)?,
            (Self::Count(count), Value::Integer(number)) => *count = narrow(*number)?,
            (Self::Size(size), Value::Integer(number)) => *size = ByteSize::new(narrow(*number)?),
            (Self::Mark(size, none), Value::Integer(0)) => *size = none,
            (Self::Mark(size, _), Value::Integer(number)) => *size = ByteSize::new(narrow(*number)?),
            (Self::Seconds(time), Value::Integer(number)) => *time = Duration::from_secs(narrow(*number)?),
            (Self::Millis(time), Value::Integer(number)) => *time = Duration::from_millis(narrow(*number)?),
            (Self::Text(text), Value::Text(value)) => value.clone_into(text),
            (Self::Path(path), Value::Text(value)) if !value.is_empty() => *path = PathBuf::from(value),
            (Self::MaybePath(path), Value::Text(value)) => *path = PathBuf::from(value),
            (Self::Place(place), Value::Text(value)) if !value.is_empty() => *place = Place::At(PathBuf::from(value)),
            (Self::Secret(secret), Value::Text(value)) => *secret = Secret::new(value),
            (Self::Names(names), Value::Text(value)) => {
                *names = value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
            }
            (Self::TlsMode(mode), Value::Text(value)) => {
                const MODES: ValueError = ValueError::Unreadable("disabled, permissive or enforcing");
                *mode = TlsMode::from_name(value).ok_or(MODES)?;
            }
            (Self::ClientAuth(auth), Value::Text(value)) => {
                const AUTHS: ValueError = ValueError::Unreadable("none, optional or require");
                *auth = ClientAuth::from_name(value).ok_or(AUTHS)?;
            }
            (Self::Address(address), Value::Text(value)) => {
                *address = value.parse().map_err(|_| ValueError::Unreadable("an address or the name of a host"))?;
            }
            (Self::Servers(servers), Value::Text(value)) => {
                *servers = HostPort::list(value).map_err(|_| ValueError::Unreadable("a list of host:port"))?;
            }
            (Self::Format(format), Value::Text(value)) => {
                *format = SerializeType::from_name(value).ok_or(ValueError::Unreadable("JSON or ROCKETMQ"))?;
            }
            (Self::Path(_) | Self::Place(_), _) => return Err(ValueError::Unreadable("a path")),
            _ => return Err(ValueError::Unreadable("a value of this key")),
        }
        Ok(())
    }
}

fn narrow<T: TryFrom<i64>>(number: i64) -> Result<T, ValueError> {
    T::try_from(number).map_err(|_| ValueError::Unreadable("a number that fits"))
}
