//! `clock`: time, as the server sees it.

use super::super::bindings::fingerpost::nameserver::clock;
use super::super::state::PluginState;

impl clock::Host for PluginState {
    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        self.request()?;
        Ok(self.core.clock.now())
    }

    fn uptime_ms(&mut self) -> wasmtime::Result<u64> {
        self.request()?;
        Ok(self.core.uptime())
    }
}
