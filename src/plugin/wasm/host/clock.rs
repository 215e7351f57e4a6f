//! `clock`: time, as the server sees it.

use super::super::bindings::fingerpost::nameserver::clock;
use super::super::state::PluginState;
use crate::memo::Unfit;

impl clock::Host for PluginState {
    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        self.reads()?.spoil(Unfit::Clock);
        Ok(self.core.clock.now())
    }

    fn uptime_ms(&mut self) -> wasmtime::Result<u64> {
        self.reads()?.spoil(Unfit::Clock);
        Ok(self.core.uptime())
    }
}
