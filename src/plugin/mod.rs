//! Plugins: who answers a request code, who has a say about a route, and how they run.
//!
//! [`manifest`] is what a plugin says of itself, [`registry`] which plugins there are, [`runner`] enters them on one
//! thread, and `wasm` is the sandbox with the host's side of the contract. What a plugin builds up in a call is a
//! [`draft`] (a reply) or a [`view`] (a route); `encode` turns both into frames.
//!
//! # Not here
//!
//! No request code's number: what is answered, listed, filtered and refused is decided in the components.

mod check;
mod core;
mod draft;
mod encode;
mod error;
mod glance;
mod group_marks;
mod manifest;
mod pace;
mod registrants;
mod registry;
mod request;
mod runner;
mod stock;
mod tally;
mod view;
mod wasm;

#[cfg(test)]
mod tests;

pub use self::core::Core;
pub use self::error::CatalogueError;
pub use self::registrants::Registrants;
pub use self::tally::Changes;

pub(crate) use self::encode::refuse;
pub(crate) use self::manifest::Access;
pub(crate) use self::registry::{Catalogue, Target};
pub(crate) use self::request::Request;
pub(crate) use self::runner::{Answer, Runner, RunnerLimits};
pub(crate) use self::tally::Outcome;
pub(crate) use self::wasm::CallError;
