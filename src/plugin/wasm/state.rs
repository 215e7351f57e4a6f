//! What one instance may reach, and the call it is in.
//!
//! A store lives as long as its instance; a [`Call`] lives for one entry. Everything a guest can name (the request, the
//! reply, route handles) is in the call, so all of it dies with the call, and outside a call every import traps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::host::log::LogBudget;
use super::limits::InstanceLimits;
use super::meter::Meter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::WasiCtx;

use crate::config::Grant;
use crate::kv::Writes;
use crate::memo::{Fact, Reads, Unfit};
use crate::net::Occasion;
use crate::plugin::core::Core;
use crate::plugin::custom::Custom;
use crate::plugin::draft::Draft;
use crate::plugin::group_marks::GroupMark;
use crate::plugin::kept::Kept;
use crate::plugin::request::Request;
use crate::plugin::view::RouteView;
use crate::route::{Route, Tables};

/// More route handles than this in one call is a runaway guest.
const ROUTES_MAX: usize = 4096;

/// Room for this many is kept from one call to the next.
const ROUTES_KEPT: usize = 4;

/// The data of one instance's store.
pub(crate) struct PluginState {
    pub(crate) core: Arc<Core>,
    /// The plugin's name, for log lines.
    pub(crate) name: Arc<str>,
    pub(crate) grants: Arc<[Grant]>,
    /// What the operator sets for this plugin alone; such a name means nothing else to it.
    pub(crate) settings: Arc<BTreeMap<String, String>>,
    pub(crate) call: Option<Call>,
    /// When the call must not wait any longer, by the monotonic clock, for a plugin that imports WASI. The meter ends
    /// what runs in the guest; this is for what waits in the host.
    pub(crate) deadline: Duration,
    /// Topic tables and cursors. An instance that keeps one beyond its call is replaced.
    pub(crate) resources: ResourceTable,
    pub(crate) wasi: WasiCtx,
    /// What WASI keeps, which may outlive a call.
    pub(crate) wasi_resources: ResourceTable,
    pub(super) limits: InstanceLimits,
    pub(super) meter: Meter,
    pub(super) host_calls: HostCalls,
    pub(crate) log: Arc<LogBudget>,
    /// What the policy is told of each group.
    pub(crate) marks: Arc<[GroupMark]>,
    pub(crate) kept: Arc<Kept>,
    /// The generation in which the plugin came.
    pub(crate) generation: u64,
    pub(crate) custom: Arc<Custom>,
    /// Those of its earlier calls, together.
    pub(super) host_calls_before: u64,
    /// Whether it is in `glance.glance`, which has no call: what it may know, it was told.
    pub(super) is_glancing: bool,
}

/// How often a call has asked the host for something, and may. What it asks of WASI is not counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostCalls {
    made: u32,
    max: u32,
}

impl Default for HostCalls {
    fn default() -> Self {
        Self::new(u32::MAX)
    }
}

impl HostCalls {
    pub(super) fn new(max: u32) -> Self {
        Self { made: 0, max }
    }

    pub(super) fn made(self) -> u64 {
        self.made.into()
    }
}

/// What a guest must not do through a host function.
#[derive(Debug, thiserror::Error)]
pub(super) enum Beyond {
    #[error("{0}")]
    Reply(String),
    #[error("more than {0} host calls in one call")]
    HostCalls(u32),
}

/// One entry into a guest.
pub(crate) struct Call {
    pub(crate) request: Request,
    /// What the guest learned: what its reply depends on.
    pub(crate) reads: Box<Reads>,
    pub(crate) part: Part,
}

/// Which export was entered.
pub(crate) enum Part {
    /// `processor.handle`.
    Handle(Box<Handling>),
    /// `route-policy.select`.
    Select(Box<RouteView>),
}

/// What a processor's call has read and said so far.
pub(crate) struct Handling {
    pub(crate) draft: Draft,
    /// Whether it runs in the write lane; elsewhere writes are denied.
    pub(crate) may_write: bool,
    /// Why the call is made.
    pub(crate) occasion: Occasion,
    /// Whether it has changed anything; a failed call that has must not be tried elsewhere.
    pub(crate) wrote: bool,
    /// The moment that this call's reads see; taken at the first read, dropped by a write of its own.
    pub(crate) tables: Option<Arc<Tables>>,
    /// Route handles are indices here, plus one.
    pub(crate) routes: Vec<Route>,
    /// The KV writes of this call, on their way to the disk.
    pub(crate) writes: Option<Writes>,
    /// The size beyond which a body traps.
    pub(crate) reply_size_max: usize,
}

impl Handling {
    /// Before anything was read or said.
    pub(crate) fn new(may_write: bool, reply_size_max: usize) -> Self {
        Self {
            draft: Draft::default(),
            may_write,
            occasion: Occasion::Arrived,
            wrote: false,
            tables: None,
            routes: Vec::new(),
            writes: None,
            reply_size_max,
        }
    }

    /// As new, for the next call, with the room that the last one needed if that was not unusual.
    pub(crate) fn reset(&mut self) {
        let mut routes = std::mem::take(&mut self.routes);
        routes.clear();
        routes.shrink_to(ROUTES_KEPT);
        *self = Self { routes, ..Self::new(self.may_write, self.reply_size_max) };
    }

    /// The route behind a handle; none for one that this call was not given.
    pub(crate) fn route(&self, handle: u32) -> Option<&Route> {
        self.routes.get((handle as usize).checked_sub(1)?)
    }
}

impl PluginState {
    /// What a host function works on; the call is counted.
    pub(super) fn of_host_call(&mut self) -> &mut Self {
        self.host_calls.made = self.host_calls.made.saturating_add(1);
        self
    }

    /// Every host function passes here before it does anything, by what it reaches first.
    fn may_ask(&self) -> wasmtime::Result<()> {
        let HostCalls { made, max } = self.host_calls;
        if made > max { Err(Beyond::HostCalls(max).into()) } else { Ok(()) }
    }

    pub(crate) fn request(&self) -> wasmtime::Result<&Request> {
        self.may_ask()?;
        self.call.as_ref().map(|call| &call.request).ok_or_else(outside)
    }

    pub(crate) fn handling(&mut self) -> wasmtime::Result<&mut Handling> {
        self.may_ask()?;
        match self.call.as_mut().map(|call| &mut call.part) {
            Some(Part::Handle(handling)) => Ok(handling),
            _ => Err(outside()),
        }
    }

    /// What a policy looks at, and for whom.
    pub(crate) fn looked_at(&self) -> wasmtime::Result<(&Request, &RouteView)> {
        self.may_ask()?;
        match &self.call {
            Some(Call { request, part: Part::Select(view), .. }) => Ok((request, view)),
            _ => Err(outside()),
        }
    }

    /// Whether this is a moment at which log lines are written: all but the making of an instance, and `describe`.
    pub(crate) fn may_log(&self) -> wasmtime::Result<()> {
        if self.is_glancing { self.may_ask() } else { self.request().map(drop) }
    }

    pub(crate) fn view(&mut self) -> wasmtime::Result<&mut RouteView> {
        self.may_ask()?;
        match self.call.as_mut().map(|call| &mut call.part) {
            Some(Part::Select(view)) => Ok(view),
            _ => Err(outside()),
        }
    }

    /// The moment of this call.
    pub(crate) fn tables(&mut self) -> wasmtime::Result<&Tables> {
        match self.call.as_mut().map(|call| &mut call.part) {
            Some(Part::Handle(handling)) => Ok(handling.tables.get_or_insert_with(|| self.core.routes.tables())),
            _ => Err(outside()),
        }
    }

    /// What the current call has learned.
    pub(crate) fn reads(&mut self) -> wasmtime::Result<&mut Reads> {
        self.may_ask()?;
        self.call.as_mut().map(|call| &mut *call.reads).ok_or_else(outside)
    }

    /// The same, for whoever reads all of it, or something in it that has no version of its own.
    pub(crate) fn all_tables(&mut self) -> wasmtime::Result<&Tables> {
        let generation = self.tables()?.generation();
        self.reads()?.note(|| Fact::Tables { generation });
        self.tables()
    }

    /// Gives out a handle for the route of a topic; 0 for none.
    pub(crate) fn find_route(&mut self, topic: Option<&str>) -> wasmtime::Result<u32> {
        let Some(topic) = topic else { return Ok(0) };
        let found = self.tables()?.route(topic);
        self.reads()?.note(|| Fact::route(topic, found.as_ref()));
        let Some(route) = found else { return Ok(0) };
        let routes = &mut self.handling()?.routes;
        if routes.len() == ROUTES_MAX {
            return Err(wasmtime::Error::msg(format!("more than {ROUTES_MAX} route handles in one call")));
        }
        routes.push(route);
        Ok(u32::try_from(routes.len()).expect("ROUTES_MAX fits"))
    }

    /// The route behind a handle.
    pub(crate) fn route(&mut self, handle: u32) -> wasmtime::Result<&Route> {
        self.handling()?
            .route(handle)
            .ok_or_else(|| wasmtime::Error::msg(format!("route handle {handle} was not given out in this call")))
    }

    /// Whether a write may go ahead, and notes that it does.
    ///
    /// The inner error is the guest's to handle; the outer one is a call outside `handle`.
    pub(crate) fn begin_write(&mut self, grant: &Grant) -> wasmtime::Result<Result<(), String>> {
        self.request()?;
        if let Err(reason) = self.is_granted(grant) {
            return Ok(Err(reason));
        }
        let Ok(handling) = self.handling() else {
            return Ok(Err("a policy shows what there is; it writes nothing".to_owned()));
        };
        if !handling.may_write {
            return Ok(Err("this request code runs on a worker; writes need `run = \"lane\"`".to_owned()));
        }
        handling.wrote = true;
        self.reads()?.spoil(Unfit::Wrote);
        let handling = self.handling()?;
        // The call's later reads see its own write.
        handling.tables = None;
        Ok(Ok(()))
    }

    /// Whether a boolean setting is on.
    pub(crate) fn flag(&self, key: &str) -> bool {
        match self.settings.get(key) {
            Some(own) => own == "true",
            None => self.core.settings.flag(key),
        }
    }

    /// Whether the plugin has a grant.
    pub(crate) fn is_granted(&self, wanted: &Grant) -> Result<(), String> {
        let is_there = self.grants.iter().any(|grant| grant.covers(wanted));
        if is_there { Ok(()) } else { Err(format!("the plugin has no grant {wanted}")) }
    }
}

fn outside() -> wasmtime::Error {
    wasmtime::Error::msg("called outside the export that this interface belongs to")
}
