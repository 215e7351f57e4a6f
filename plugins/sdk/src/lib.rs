//! What a Fingerpost plugin is written with.
//!
//! A plugin is a WebAssembly component with one of two roles. A **processor** answers request codes:
//!
//! ```ignore
//! use fingerpost_sdk::{Outcome, Processor, code, export_processor, field, reply};
//!
//! struct Greeter;
//!
//! impl Processor for Greeter {
//!     const MANIFEST: &'static str = include_str!("../manifest.toml");
//!
//!     fn handle(_code: i32) -> Outcome {
//!         let name = field::required("name")?;
//!         reply::set_field("greeting", &["hello, ", &name].concat());
//!         reply::set_code(code::SUCCESS);
//!         Ok(())
//!     }
//! }
//!
//! export_processor!(Greeter);
//! ```
//!
//! A processor whose usual answer is a route, and which decides that on a few numbers, is `Glancing` as well: that costs
//! a fraction of a call of `handle`.
//!
//! A **policy** decides which part of a route a client is shown; it implements `Policy`, is exported with
//! `export_policy!`, and works on `route_view`.
//!
//! | here | what for |
//! |---|---|
//! | [`request`], [`reply`] | the request being answered, and its answer; there is exactly one of each per call |
//! | [`routes`], [`kv`], [`settings`], [`clock`], [`log`] | what a plugin may ask the server |
//! | [`state`], [`metrics`] | what a plugin keeps from one call to the next, and what it counts; since 0.1.1 |
//! | [`registrations`], [`bodies`] | writing the route tables; bodies that the server decodes, and keeps |
//! | [`entries`] | what operators say in the KV store, read again when it has changed |
//! | [`field`] | header fields, read as Java reads them |
//! | [`network`] | networks, and the clients in them |
//! | [`java`] | Java's parsing and comparing, without a host |
//! | [`json`], [`body`] | JSON as RocketMQ writes it; sending it in pieces |
//! | [`route_reply`], [`topic_list`], [`group_json`] | what more than one stock plugin answers with |
//! | [`code`], [`perm`] | response codes; the bits of a permission |
//!
//! The first four rows of modules, and `route_view`, are generated from the contract in `wit/`, with its comments.
//!
//! # What to know before the first plugin
//!
//! * A reply begins as code 1, `not set any response code`. Nothing is a success until the plugin says so.
//! * Data stays in the server unless a plugin asks for it. Asking costs a copy; a handle costs nothing.
//! * An instance lives for many calls and serves one at a time. A `static` survives a call, but neither a reload nor a
//!   trap, and every worker thread has an instance of its own: nothing that matters belongs there. [`state`] is for that.
//! * A panic costs the instance, not the server. Its message is written to the server's log first.
//! * There is no clock, no random source, no file and no socket but what the contract offers: a component built with
//!   this crate imports nothing of WASI.

// The exports that `generate!` makes name this crate from the outside; this lets the same path work inside.
extern crate self as fingerpost_sdk;

#[doc(hidden)]
pub mod bindings;
pub mod code;
pub mod java;
pub mod json;
pub mod network;
pub mod perm;

#[cfg(any(feature = "processor", feature = "policy"))]
pub mod entries;

#[cfg(feature = "processor")]
mod glance;
#[cfg(any(feature = "processor", feature = "policy"))]
mod panic;
#[cfg(feature = "policy")]
mod policy;
#[cfg(feature = "processor")]
mod processor;
#[cfg(feature = "processor")]
mod refusal;

#[cfg(feature = "processor")]
pub mod body;
#[cfg(feature = "processor")]
pub mod field;
#[cfg(feature = "processor")]
pub mod group_json;
#[cfg(feature = "processor")]
pub mod route_reply;
#[cfg(feature = "processor")]
pub mod topic_list;

#[cfg(feature = "policy")]
pub use bindings::policy::fingerpost::nameserver::route_view;
#[cfg(feature = "processor")]
pub use bindings::processor::fingerpost::nameserver::{
    bodies, clock, kv, log, metrics, registrations, reply, request, routes, settings, state, types,
};
// A crate graph that asks for both roles (a check of the whole workspace) gets the processor's; they are alike.
#[cfg(all(feature = "policy", not(feature = "processor")))]
pub use bindings::policy::fingerpost::nameserver::{clock, kv, log, metrics, request, settings, types};
#[cfg(feature = "processor")]
pub use glance::{Glancing, Sight, Verdict, glance};
#[cfg(any(feature = "processor", feature = "policy"))]
#[doc(hidden)]
pub use panic::report_panics;
#[cfg(feature = "policy")]
pub use policy::{Policy, is_of_brokers};
#[cfg(feature = "processor")]
pub use processor::{Processor, answer};
#[cfg(feature = "processor")]
pub use refusal::{Outcome, Refusal};
