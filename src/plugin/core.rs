//! What the host functions reach: the tables, the KV store, the settings, the clock, other name servers.

use std::sync::Arc;

use crate::body::Limits;
use crate::clock::Clock;
use crate::config::Settings;
use crate::kv::KvStore;
use crate::notify::Notifier;
use crate::route::{Millis, RouteTable};
use crate::upstream::Upstreams;

use super::custom::CustomByName;
use super::kept::KeptByName;
use super::registrants::Registrants;
use super::tally::Changes;
use super::waiting::Waiting;

/// The parts of the server that plugins work on, shared by all of them.
pub struct Core {
    /// The route tables.
    pub routes: Arc<RouteTable>,
    /// The connections that registered brokers.
    pub registrants: Registrants,
    /// How often the tables changed.
    pub changes: Changes,
    /// Tells brokers what changed in the route tables.
    pub notifier: Notifier,
    /// The KV store.
    pub kv: Arc<KvStore>,
    /// The run-time settings.
    pub settings: Arc<Settings>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// When the server began.
    pub started: Millis,
    /// Bounds on registration bodies.
    pub body_limits: Limits,
    /// What plugins keep.
    pub(crate) kept: KeptByName,
    /// What plugins count for themselves.
    pub(crate) custom: CustomByName,
    /// Requests that wait until a route changes.
    pub(crate) waiting: Waiting,
    /// The name servers that `reply.forward` may ask.
    pub upstreams: Upstreams,
}

impl Core {
    /// Milliseconds since the server began.
    pub(crate) fn uptime(&self) -> Millis {
        self.clock.now().saturating_sub(self.started)
    }
}
