//! What the stock plugins answer, end to end: through a socket, a component, the tables, and back.
//!
//! The recorded exchanges (`captures`) say what each answer looks like; here is what it depends on.

mod address_map;
mod brokers;
mod canary;
mod differences;
mod drain;
pub(crate) mod forms;
mod kv;
mod lookup;
mod peers;
mod settings;
mod topics;
