//! Orders for a running server, over a socket that only its user can open.
//!
//! A connection carries one request and its reply, each a line of JSON; only one that asks for a [record](record) goes
//! on. [`Control`] answers on a thread of its own; [`ask`] and [`record()`] are the other side.
//!
//! # Invariants
//!
//! * Only this user and the administrator are heard: the socket can be opened by nobody else (0600), lies where nobody
//!   else can put another, and whoever connects is asked for its user.
//! * Nobody is waited for long, and nothing long is read: a connection has a time limit, a request and a reply a size.
//! * That the socket cannot be had is no reason not to serve: it is told to the log.

mod ask;
mod listen;
mod record;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::ask::ask;
pub(crate) use self::listen::{Control, Served};
pub(crate) use self::record::{Recorded, record};

/// What is asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Every plugin, and every file that wants to be one.
    List {},
    /// Read the files anew.
    Reload { name: Option<String> },
    /// Use a plugin's file with what was in use before.
    Rollback { name: String },
    /// Take back what was said last of a plugin.
    Enable { name: String },
    /// Use a plugin no more.
    Disable { name: String },
    /// Keep what is asked from now on, for so long and so many bytes. The next requests of this connection are the two
    /// below, and its end is that of the record.
    Record { millis: u64, bytes: u64 },
    /// How far is the record?
    RecordProgress {},
    /// The record, as it is.
    RecordFinish {},
    /// What the policies make of a route.
    Why { topic: String, client: Option<IpAddr>, fields: BTreeMap<String, String> },
}

/// What is answered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// What was asked for.
    Ok(Value),
    /// Why not.
    Error(String),
}

/// A longer request is not read.
const REQUEST_SIZE_MAX: u64 = 64 << 10;

/// A longer reply neither.
const REPLY_SIZE_MAX: u64 = 64 << 20;
