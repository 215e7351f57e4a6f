//! The host's side of the contract: one file per interface of `wit/`, under the same name, and one for what is hot.

pub(super) mod bodies;
pub(super) mod clock;
pub(super) mod kv;
pub(in crate::plugin) mod log;
pub(super) mod metrics;
pub(super) mod registrations;
pub(super) mod reply;
pub(super) mod request;
pub(super) mod route_view;
pub(super) mod routes;
pub(super) mod settings;
pub(super) mod state;
pub(super) mod types;
