//! Sockets, workers and the write lane: bytes in, frames to a [`Service`], replies out.
//!
//! ```text
//!  acceptor ─▶ worker (the one with the fewest connections; one thread, one event loop)
//!                └─ connection: read ─▶ every complete frame ─▶ Service::call ─▶ one write
//!                                                        │ Step::Lane           ▲
//!                                                        ▼                      │ ReplySink
//!                                  lane threads: LaneService::run ──────────────┘
//! ```
//!
//! [`Listener::bind`] opens the socket, [`Listener::serve`] starts the threads, and the [`Server`] it returns stops
//! them. A connection lives and dies on its worker; what another thread may touch of it is its link: a flag, a few
//! counters and the replies that come from elsewhere.
//!
//! # Invariants
//!
//! * All replies of one read leave in one write, unless they are more than a fair share of the worker. A batch that is
//!   answered at once costs one read, one write, and neither a lock nor a cache line that another worker writes.
//! * Jobs of one connection run in the lane one at a time, in the order they arrived, and its close comes after them.
//! * Nothing is dropped for want of room: whoever is too fast is no longer read. Only what cannot be waited for closes
//!   the connection: a frame over the limit, or partial frames that together exceed their memory.
//! * Memory follows the bytes that arrived, never a length that was claimed; an idle connection holds no buffer.
//! * What waits is counted while it waits, so after the last connection every counter of [`Usage`] is zero again.
//! * What a connection speaks is settled by its first bytes, on its worker, before any frame is handed over. Nobody has
//!   heard of a peer before that, so it may turn out to be somebody else than the socket says.
//! * A panic of a service closes the connection that caused it, and nothing else.
//!
//! # Not here
//!
//! No header, no request code, no table. A frame is a length and bytes; what it means is the service's business.

#[cfg(feature = "server")]
mod by_hand;
mod config;
mod connection;
mod guests;
mod lane;
mod link;
mod listener;
mod log_limit;
mod memory;
mod opening;
mod outgoing;
mod service;
mod stream;
mod threads;
pub mod tls;
mod turns;
mod usage;
mod worker;

#[cfg(feature = "server")]
pub(crate) use by_hand::ByHand;
#[cfg(feature = "server")]
pub use by_hand::{Ran, Step as HandStep};
pub(crate) use log_limit::LogLimit;

pub use config::NetConfig;
pub use link::{Connection, OpenFlag, ReplySink};
pub use listener::{Listener, Server};
pub use memory::MemoryPeer;
pub use service::{CloseReason, LaneJob, LaneService, Occasion, Service, Step};
pub use usage::{Turns, Usage, WorkerUsage};
pub use worker::Connections;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. Every critical section of this module leaves its data whole at each step, and services run outside of
/// them, so a poisoned lock says nothing about the data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
