//! Plugins: who answers a request code, who has a say about a route, and how they run.
//!
//! [`manifest`] is what a plugin says of itself, [`registry`] which plugins there are, [`runner`] enters them on one
//! thread, and `wasm` is the sandbox with the host's side of the contract. What a plugin builds up in a call is a
//! [`draft`] (a reply) or a [`view`] (a route); `encode` turns both into frames.
//!
//! ```text
//!  plugins directories ─▶ shelf: what is whole ─▶ examine: compile, link, describe ─┐
//!  [plugins] [policies] ─▶ reload: when anything changed ──────────────────────────┼▶ assembly ─▶ a new catalogue
//!  orders of operators, failures ─▶ ledger: what is switched off or rolled back ───┘              │
//!  every worker and lane thread ◀── changes over between two requests ◀── generations: publish ◀───┘
//! ```
//!
//! # Not here
//!
//! No request code's number: what is answered, listed, filtered and refused is decided in the components.

mod accounts;
mod assembly;
mod breaker;
mod check;
mod code;
mod core;
mod custom;
mod draft;
mod encode;
mod error;
mod examine;
mod generations;
mod glance;
mod group_marks;
mod inspection;
mod kept;
mod ledger;
mod listing;
mod manifest;
mod memory;
#[allow(unsafe_code, reason = "what is native is reached through pointers; no other file of plugins has any")]
mod native;
mod operator;
mod orders;
mod pace;
mod pending;
mod place;
mod registrants;
mod registry;
mod reload;
mod repute;
mod request;
mod runner;
mod shelf;
mod signature;
mod sources;
mod status;
mod stock;
mod tally;
mod trial;
mod view;
mod waiting;
mod wasm;
mod watch;
mod why;

#[cfg(test)]
mod tests;

pub use self::core::Core;
pub use self::error::CatalogueError;
pub use self::orders::{Done, Order, OrderError};
pub use self::registrants::Registrants;
pub use self::reload::Reloaded;
pub use self::status::{PluginState, PluginStatus};
pub use self::tally::Changes;

pub(crate) use self::custom::{MetricEntry, Value as CustomValue};
pub(crate) use self::encode::refuse;
pub(crate) use self::generations::{Follower, Generations};
pub(crate) use self::inspection::{Inspection, place_of_file_is_shared};
pub(crate) use self::manifest::{Access, CodeEntry, Kind, Manifest, Run};
pub(crate) use self::native::{SIZE_MAX as LIBRARY_SIZE_MAX, is_library};
pub(crate) use self::pending::{Pending, detached_frame};
pub(crate) use self::place::shared as shared_place;
pub(crate) use self::registry::{Catalogue, Target};
pub(crate) use self::reload::Reloader;
pub(crate) use self::request::Request;
pub(crate) use self::runner::{Answer, Runner, RunnerTerms};
pub(crate) use self::signature::check as check_signature;
pub(crate) use self::status::Board;
pub(crate) use self::stock::{name_of as stock_name_of, names as stock_names, on_demand};
pub(crate) use self::tally::{Outcome, Tallies, Tally, Times};
pub(crate) use self::view::Shown;
pub(crate) use self::waiting::Watcher;
pub(crate) use self::wasm::{Anatomy, CallError, Face, Fuel, Gauge};
pub(crate) use self::watch::Watch;
pub(crate) use self::why::{Question, why};
