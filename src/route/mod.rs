//! The route tables: which brokers serve which topics, and who is alive.
//!
//! [`RouteTable`] is the only way in. Its verbs are the only ways the tables change; readers get [`Tables`], one moment
//! that never changes, and never wait for a writer:
//!
//! ```text
//!   register · remove · topics · sweep      the rules of the verbs
//!             │ edit
//!             ▼
//!           draft ──publish──▶ Tables ──▶ readers      heartbeats touch one atomic in a Live and publish nothing
//! ```
//!
//! # Invariants
//!
//! * A verb publishes once, whole, before it returns; or nothing.
//! * Every address in a route has a live entry, so whatever is in a route can expire; `draft` lists the rest.
//! * A live entry goes only by what it is now: a connection that closes late, or an expiry that was decided before the
//!   last heartbeat, does not evict a broker that has come back.
//! * Every value carries the generation of its last change. What did not change keeps its `Arc` and its version.
//! * A registration that is told as a difference does what the whole of it would have done, or is refused as stale.
//!
//! # Not here
//!
//! No request codes, no JSON, no clock, no `await`. A caller passes the time in, so a test can pass any time it likes.
//! Who acts as master and which zone a client sees is for policies to decide: a [`Route`] shows what is.

mod applied;
mod connection;
mod draft;
mod live;
mod queues;
mod register;
mod remove;
mod sharded;
mod sweep;
mod table;
mod tables;
mod topics;
mod types;

#[cfg(test)]
pub(crate) mod tests;

pub use connection::Connection;
pub use live::Live;
pub use queues::Queues;
pub use register::RegisterError;
pub use sweep::{Damage, Repair};
pub use table::RouteTable;
pub use tables::{Counts, Group, Route, Tables, Topic};
pub use types::{
    ConnectionId, DataVersion, Departure, Imprint, Millis, Name, Queue, Registered, Registration, Removal, Removed,
    Since, Told, TopicConfig, TopicMapping, TopicTable,
};
