//! The WebAssembly half of the host: the engine, instances, and the interfaces they import.

mod anatomy;
mod bindings;
mod by_hand;
mod cache;
mod engine;
mod host;
mod instance;
mod limits;
mod meter;
mod printed;
mod shape;
mod state;
mod wasi;
mod wasi_context;
mod wasi_streams;

pub(crate) use anatomy::Anatomy;
pub(super) use bindings::fingerpost::nameserver as contract;
pub(crate) use engine::Fuel;
pub(super) use engine::{Engine, Haste, PrepareError};
pub(super) use host::log::LogBudget;
pub(super) use instance::{Allowance, Instance, InstanceParts, Prepared, call_error};
pub(crate) use instance::{CallError, Gauge};
pub(super) use limits::SharedMemory;
pub(crate) use shape::Face;
pub(super) use state::{Call, Handling, Part, PluginState};
