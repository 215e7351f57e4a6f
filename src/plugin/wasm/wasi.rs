//! WASI, as far as plugins have it: enough for components of ordinary toolchains to load, with nothing in it but what
//! their grants name ([`super::wasi_context`]).
//!
//! Whoever waits through WASI, for time or for a peer, is in the host, where no epoch ends a call. So waiting is ours:
//! it ends with the call's deadline.
//!
//! Much of WASI blocks the thread on a runtime of its own, which panics on a thread that is driving a runtime
//! already, as the workers are. So processors that import WASI stay in the lane, and policies that do are rejected.

use std::time::Duration;

use wasmtime::Trap;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll as waiting;
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::runtime::in_tokio;
use wasmtime_wasi::{WasiCtxView, WasiView};

use super::state::PluginState;
use super::wasi_streams::Streams;

/// More of WASI's handles than this in one instance is a leak.
const RESOURCES_MAX: usize = 1024;

/// Where an instance's WASI handles are kept.
pub(super) fn resources() -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(RESOURCES_MAX);
    table
}

/// Offers WASI to a role.
pub(super) fn add_to_linker(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    poll::add_to_linker::<_, Waiting<'static>>(linker, |state| Waiting {
        left: state.deadline.saturating_sub(state.core.clock.monotonic()),
        table: &mut state.wasi_resources,
    })?;
    streams::add_to_linker::<_, Streams<'static>>(linker, |state| Streams {
        left: state.deadline.saturating_sub(state.core.clock.monotonic()),
        table: &mut state.wasi_resources,
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

impl WasiView for PluginState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.wasi_resources }
    }
}

/// Waits, but not for longer than the call has left.
struct Waiting<'a> {
    table: &'a mut ResourceTable,
    left: Duration,
}

impl HasData for Waiting<'static> {
    type Data<'a> = Waiting<'a>;
}

impl poll::Host for Waiting<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let (left, table) = (self.left, &mut *self.table);
        let ready = in_tokio(async { tokio::time::timeout(left, waiting::Host::poll(table, pollables)).await });
        ready.unwrap_or_else(|_| Err(Trap::Interrupt.into()))
    }
}

impl poll::HostPollable for Waiting<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        poll::HostPollable::ready(self.table, pollable)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        let (left, table) = (self.left, &mut *self.table);
        let ready = in_tokio(async { tokio::time::timeout(left, waiting::HostPollable::block(table, pollable)).await });
        ready.unwrap_or_else(|_| Err(Trap::Interrupt.into()))
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}
