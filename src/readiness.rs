//! Whether the server wants to be asked: for the requests that come, and for whoever watches it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::plugin::Core;

/// Whether it makes sense to send clients here. The text says why not.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Readiness {
    /// Everything is answered.
    #[error("ready")]
    Ready,
    /// It has begun so lately that it may not know its brokers yet, and the operator wants lookups refused meanwhile.
    /// Java: `needWaitForService`.
    #[error("routes: lookups are refused until `requests.wait-for-service-time` is over, for brokers to register")]
    Starting,
    /// It was told to stop. There are better servers to ask, though it may still answer.
    #[error("server: it stops")]
    Stopping,
}

/// What a server knows of its own readiness.
pub(crate) struct ReadinessCell {
    core: Arc<Core>,
    stopping: AtomicBool,
    sends_away: AtomicBool,
}

impl ReadinessCell {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, stopping: AtomicBool::new(false), sends_away: AtomicBool::new(false) }
    }

    pub(crate) fn get(&self) -> Readiness {
        if self.stopping.load(Ordering::Relaxed) {
            return Readiness::Stopping;
        }
        let switches = self.core.settings.switches();
        let wait = u64::try_from(switches.wait_for_service_time.as_millis()).unwrap_or(u64::MAX);
        // Java: ClientRequestProcessor.getRouteInfoByTopic, which the plugin for lookups decides in the same way.
        if switches.need_wait_for_service && self.core.uptime() < wait { Readiness::Starting } else { Readiness::Ready }
    }

    /// From now on it stops.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// From now on it stops, and whoever understands that is sent away.
    pub(crate) fn send_away(&self) {
        self.stop();
        self.sends_away.store(true, Ordering::Relaxed);
    }

    /// Whether a request is answered by sending its sender away.
    pub(crate) fn sends_away(&self) -> bool {
        self.sends_away.load(Ordering::Relaxed)
    }
}
