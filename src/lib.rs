//! Fingerpost: a NameServer for Apache RocketMQ whose request processors and route policies are WebAssembly components.
//!
//! ```text
//!  socket ─▶ net ─▶ memo ─▶ remoting ─▶ admission ─▶ dispatch ─▶ processor (component) ─▶ reply ─▶ remoting ─▶ socket
//!            bytes  seen it  bytes ⇄ command         code→plugin     │ ▲
//!                   before?                                          ▼ │ host imports (wit/)
//!                                                          route · kv · settings · log · clock
//!                                                                    │
//!                                      policy chain, applied by the host when a route is encoded
//! ```
//!
//! The core knows tables, plugins know requests, the wire knows frames, and none of the three imports another's
//! vocabulary: [`remoting`] never mentions a broker, [`route`] and [`kv`] never a request code. [`json`] and [`body`]
//! are what lies between them: the JSON that RocketMQ speaks, and the bodies that are written in it.

mod atomic;
pub mod body;
#[cfg(feature = "server")]
pub mod by_hand;
pub mod clock;
pub mod config;
pub mod json;
pub mod kv;
pub mod liveness;
pub mod proxy_protocol;
pub mod remoting;
pub mod route;

#[cfg(feature = "server")]
mod address_server;
#[cfg(feature = "server")]
mod admin;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "server")]
mod control;
#[cfg(feature = "server")]
mod dispatch;
#[cfg(feature = "server")]
pub mod inline;
#[cfg(feature = "server")]
mod memo;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "net")]
pub mod notify;
#[cfg(feature = "server")]
mod parts;
#[cfg(feature = "server")]
pub mod plugin;
#[cfg(feature = "server")]
mod portions;
#[cfg(feature = "server")]
pub mod readiness;
#[cfg(feature = "server")]
mod recording;
#[cfg(feature = "server")]
mod scan;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "net")]
#[cfg_attr(not(feature = "server"), allow(dead_code, reason = "the plugins count, too"))]
mod tally;
#[cfg(feature = "server")]
mod telemetry;
#[cfg(feature = "server")]
pub mod upstream;
#[cfg(feature = "server")]
mod workbench;
