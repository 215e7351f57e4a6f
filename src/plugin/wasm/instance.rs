//! One instance of a plugin: a store, the two functions it exports, and what happens when they fail.
//!
//! An instance belongs to one thread. After a trap wasmtime refuses every further entry into the store, so the owner
//! drops the instance and makes another from [`Prepared`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{ComponentExportIndex, InstancePre, ResourceTable, TypedFunc};
use wasmtime::{Store, Trap, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use super::engine::Fuel;
use super::host::log::LogBudget;
use super::limits::{InstanceLimits, SharedMemory};
use super::meter::{Clocks, Meter};
use super::printed::Printed;
use super::state::{Beyond, Call, HostCalls, PluginState};
use super::{wasi, wasi_context};
use crate::config::Grant;
use crate::plugin::core::Core;
use crate::plugin::custom::Custom;
use crate::plugin::group_marks::GroupMark;
use crate::plugin::kept::Kept;
use crate::plugin::manifest::Kind;

/// `describe` gets this long: it returns a constant.
const DESCRIBE_DEADLINE: Duration = Duration::from_millis(500);

/// How many ticks of the epoch come before the meter is asked.
const TICKS: u64 = 1;

/// Nobody uses that up: it is counted, not rationed.
const FUEL_MAX: u64 = u64::MAX;

/// Handles that a guest may hold at once.
const RESOURCES_MAX: usize = 64;

/// A compiled and linked component, ready to be instantiated on any thread.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) kind: Kind,
    pub(super) fuel: Fuel,
    /// Such a plugin may block, so it never runs on a worker.
    pub(crate) imports_wasi: bool,
    pub(super) describe: ComponentExportIndex,
    pub(super) entry: ComponentExportIndex,
    pub(super) glance: Option<ComponentExportIndex>,
    pub(super) pre: InstancePre<PluginState>,
}

/// What an instance is made with.
#[derive(Clone)]
pub(crate) struct InstanceParts {
    pub(crate) core: Arc<Core>,
    pub(crate) name: Arc<str>,
    pub(crate) grants: Arc<[Grant]>,
    /// Settings of the plugin's own.
    pub(crate) settings: Arc<BTreeMap<String, String>>,
    /// Counts the memory of all instances of the plugin.
    pub(crate) memory: Arc<SharedMemory>,
    /// Counts the log lines of all of them.
    pub(crate) log: Arc<LogBudget>,
    /// What a policy is told of each group.
    pub(crate) marks: Arc<[GroupMark]>,
    /// What the plugin keeps, and the generation in which it came, which says who is newer.
    pub(crate) kept: Arc<Kept>,
    pub(crate) generation: u64,
    /// What it counts for itself.
    pub(crate) custom: Arc<Custom>,
}

/// What one call may use up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub(crate) deadline: Duration,
    pub(crate) host_calls: u32,
}

/// Why a call did not end well. None of these is the client's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CallError {
    /// It ran longer than it may.
    #[error("it missed its deadline")]
    Deadline,
    /// It trapped: a panic, a stack that is too deep, a handle that is not one.
    #[error("it trapped: {0}")]
    Trap(String),
    /// It wanted more memory than it may have, and could not go on without.
    #[error("it ran out of the memory that it may have: {0}")]
    Memory(String),
    /// What it answered is too large, or means nothing.
    #[error("it gave a bad reply: {0}")]
    Reply(String),
    /// It asked the host more often than it may in one call.
    #[error("it called host functions more than {0} times in one call")]
    HostCalls(u32),
    /// It answered, and what it answered counts. But it kept handles, which would name something else in a later call,
    /// or it holds the memory that the plugin's other instances need.
    #[error("it kept handles or ran into its memory limit; its instance is replaced")]
    Spent,
    /// It could not even be instantiated.
    #[error("it could not be instantiated: {0}")]
    Instantiate(String),
    /// It was not entered, because it is taken out.
    #[error("it is taken out")]
    Out,
}

impl CallError {
    /// What [`kind`](Self::kind) may say.
    pub(crate) const KINDS: [&'static str; 7] =
        ["deadline", "trap", "memory", "reply", "host-calls", "spent", "instantiate"];

    /// In one word, for the metrics, which count apart what was not entered.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Trap(_) => "trap",
            Self::Memory(_) => "memory",
            Self::Reply(_) => "reply",
            Self::HostCalls(_) => "host-calls",
            Self::Spent => "spent",
            Self::Instantiate(_) => "instantiate",
            Self::Out => "out",
        }
    }
}

/// What an instance has used so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Gauge {
    /// None when nobody counts it.
    pub(crate) fuel: Option<u64>,
    /// Calls of functions of the contract.
    pub(crate) host_calls: u64,
    /// Bytes of linear memory.
    pub(crate) memory: usize,
}

/// A live instance.
pub(crate) struct Instance {
    imports_wasi: bool,
    store: Store<PluginState>,
    entry: Entry,
    glance: Option<GlanceFunc>,
}

/// Code, version, route, marks; and what to do.
type GlanceFunc = TypedFunc<(i32, i32, u32, u32), (u32,)>;

enum Entry {
    Handle(TypedFunc<(i32,), ()>),
    Select(TypedFunc<(), ()>),
}

impl Prepared {
    /// Whether it is a processor that wants a first look.
    pub(crate) fn glances(&self) -> bool {
        self.glance.is_some()
    }

    /// The manifest's text. Runs in a store of its own, which is thrown away.
    pub(crate) fn describe(&self, parts: InstanceParts) -> Result<String, CallError> {
        let (mut store, instance) = self.store(parts, DESCRIBE_DEADLINE)?;
        let describe = instance.get_typed_func::<(), (String,)>(&mut store, self.describe);
        let describe = describe.map_err(|error| CallError::Instantiate(format!("{error:#}")))?;
        store.data_mut().meter.begin(DESCRIBE_DEADLINE);
        store.set_epoch_deadline(TICKS);
        let (text,) = describe.call(&mut store, ()).map_err(|error| call_error(&error, store.data()))?;
        Ok(text)
    }

    /// A new instance, which must not take longer to begin than a call may.
    pub(crate) fn instantiate(&self, parts: InstanceParts, deadline: Duration) -> Result<Instance, CallError> {
        let (mut store, instance) = self.store(parts, deadline)?;
        let entry = match self.kind {
            Kind::Processor => instance.get_typed_func(&mut store, self.entry).map(Entry::Handle),
            Kind::Policy => instance.get_typed_func(&mut store, self.entry).map(Entry::Select),
        };
        let no_such = |error: wasmtime::Error| CallError::Instantiate(format!("{error:#}"));
        let entry = entry.map_err(no_such)?;
        let glance = self.glance.map(|export| instance.get_typed_func(&mut store, export));
        let glance = glance.transpose().map_err(no_such)?;
        Ok(Instance { imports_wasi: self.imports_wasi, store, entry, glance })
    }
}

impl PluginState {
    /// What an instance may reach, before its first call, when it does not know of WASI.
    pub(crate) fn without_wasi(parts: InstanceParts) -> Self {
        // There is no call in which it could wait.
        Self::new(parts, WasiCtxBuilder::new().build(), Duration::ZERO)
    }

    /// What an instance may reach, before its first call.
    fn new(parts: InstanceParts, wasi: WasiCtx, deadline: Duration) -> Self {
        Self {
            deadline: parts.core.clock.monotonic() + deadline,
            core: parts.core,
            name: parts.name,
            grants: parts.grants,
            settings: parts.settings,
            call: None,
            resources: bounded_table(),
            wasi,
            wasi_resources: wasi::resources(),
            limits: InstanceLimits::new(parts.memory),
            meter: Meter::new(deadline),
            host_calls: HostCalls::default(),
            log: parts.log,
            marks: parts.marks,
            kept: parts.kept,
            generation: parts.generation,
            custom: parts.custom,
            host_calls_before: 0,
            is_glancing: false,
        }
    }
}

impl Prepared {
    fn store(
        &self,
        parts: InstanceParts,
        deadline: Duration,
    ) -> Result<(Store<PluginState>, wasmtime::component::Instance), CallError> {
        let wasi = if self.imports_wasi {
            let printed = Printed::new(&parts.name, &parts.log, &parts.core.clock);
            wasi_context::context(&parts.grants, printed)
        } else {
            WasiCtxBuilder::new().build()
        };
        let mut store = Store::new(self.pre.engine(), PluginState::new(parts, wasi, deadline));
        store.limiter(|state| &mut state.limits);
        if self.fuel.is_counted() {
            store.set_fuel(FUEL_MAX).map_err(|error| CallError::Instantiate(format!("{error:#}")))?;
        }
        store.epoch_deadline_callback(|mut store| {
            let may_go_on = store.data_mut().meter.may_go_on(Clocks::now());
            Ok(if may_go_on { UpdateDeadline::Continue(TICKS) } else { UpdateDeadline::Interrupt })
        });
        // Start functions and initialisers run now.
        store.set_epoch_deadline(TICKS);
        let instance = self.pre.instantiate(&mut store);
        let instance = instance.map_err(|error| CallError::Instantiate(format!("{error:#}")))?;
        Ok((store, instance))
    }
}

impl Instance {
    /// Enters the guest with a call and gives the call back, whatever happened to the guest.
    ///
    /// After an error the instance must be dropped.
    pub(crate) fn enter(&mut self, call: Call, allowance: Allowance) -> (Call, Result<(), CallError>) {
        let code = call.request.command.code;
        self.store.data_mut().call = Some(call);
        self.begin(allowance);
        let entered = match &self.entry {
            Entry::Handle(handle) => handle.call(&mut self.store, (code,)),
            Entry::Select(select) => select.call(&mut self.store, ()),
        };
        let mut outcome = entered.map_err(|error| call_error(&error, self.store.data()));
        let call = self.store.data_mut().call.take().expect("nothing else takes the call");
        if outcome.is_ok() && self.is_spent() {
            outcome = Err(CallError::Spent);
        }
        (call, outcome)
    }

    /// Enters the guest for a first look, without a call: there is nothing for it to ask.
    ///
    /// After an error the instance must be dropped.
    pub(crate) fn glance(&mut self, arguments: (i32, i32, u32, u32), allowance: Allowance) -> Result<u32, CallError> {
        self.begin(allowance);
        let Some(glance) = &self.glance else { return Ok(0) };
        self.store.data_mut().is_glancing = true;
        let answer = glance.call(&mut self.store, arguments);
        self.store.data_mut().is_glancing = false;
        answer.map(|(answer,)| answer).map_err(|error| call_error(&error, self.store.data()))
    }

    /// Whether it must be replaced although it did nothing wrong.
    pub(crate) fn is_spent(&self) -> bool {
        let state = self.store.data();
        !state.resources.is_empty() || state.limits.was_refused()
    }

    /// What it has used since it was made.
    pub(crate) fn gauge(&self) -> Gauge {
        let state = self.store.data();
        let fuel = self.store.get_fuel().ok().map(|left| FUEL_MAX - left);
        let host_calls = state.host_calls_before + state.host_calls.made();
        Gauge { fuel, host_calls, memory: state.limits.memory() }
    }

    fn begin(&mut self, Allowance { deadline, host_calls }: Allowance) {
        let state = self.store.data_mut();
        state.meter.begin(deadline);
        state.host_calls_before += state.host_calls.made();
        state.host_calls = HostCalls::new(host_calls);
        if self.imports_wasi {
            state.deadline = state.core.clock.monotonic() + deadline;
        }
        // Epochs are absolute, so the next one is set before every entry.
        self.store.set_epoch_deadline(TICKS);
    }
}

/// A guest names a handful of things at a time.
fn bounded_table() -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(RESOURCES_MAX);
    table
}

/// What an error of a call is for whoever made it.
pub(crate) fn call_error(error: &wasmtime::Error, state: &PluginState) -> CallError {
    // The first cause says what happened; what comes around it is a backtrace of the guest.
    let cause = || error.root_cause().to_string();
    match (error.downcast_ref::<Trap>(), error.downcast_ref::<Beyond>()) {
        (Some(Trap::Interrupt), _) => CallError::Deadline,
        (_, Some(Beyond::Reply(text))) => CallError::Reply(text.clone()),
        (_, Some(Beyond::HostCalls(max))) => CallError::HostCalls(*max),
        // Toolchains make an abort of an allocation that is refused.
        _ if state.limits.was_refused() => CallError::Memory(cause()),
        _ => CallError::Trap(cause()),
    }
}
