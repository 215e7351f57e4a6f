//! The wasmtime engine, the two linkers, and the thread that makes deadlines pass.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::Config;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use super::bindings::fingerpost::nameserver as contract;
use super::by_hand;
use super::cache::{self, Cache};
use super::instance::Prepared;
use super::state::PluginState;
use crate::plugin::manifest::Kind;

/// How often the epoch moves, and a call that runs is looked at.
const TICK: Duration = Duration::from_millis(10);

/// Deep recursion in a guest ends here; must be well below the stack of a worker thread.
const WASM_STACK_MAX: usize = 256 * 1024;

pub(super) const PROCESSOR: &str = "fingerpost:nameserver/processor@0.1.1";
const GLANCE: &str = "fingerpost:nameserver/glance@0.1.1";
pub(super) const ROUTE_POLICY: &str = "fingerpost:nameserver/route-policy@0.1.1";

/// The package of the contract, and the patch version that `wit/` has. What was built against an earlier one of 0.1 is
/// served as it is, and what was built against a later one as long as it imports nothing else.
const CONTRACT: &str = "fingerpost:nameserver/";
const SERVED: (&str, u64) = ("0.1.", 1);

/// Why a component cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PrepareError {
    /// The bytes are not a valid component.
    #[error("not a WebAssembly component that this engine accepts: {0}")]
    Compile(String),
    /// It exports neither of the two roles.
    #[error("it exports neither {PROCESSOR} nor {ROUTE_POLICY}")]
    NoRole,
    /// It exports both.
    #[error("it exports both {PROCESSOR} and {ROUTE_POLICY}; a plugin has one role")]
    TwoRoles,
    /// It speaks another contract.
    #[error(
        "it was built against fingerpost:nameserver@{0}; this server serves {major}0 to {major}{patch}",
        major = SERVED.0,
        patch = SERVED.1
    )]
    OtherContract(String),
    /// It wants what nobody offers to its role; the text names the import.
    #[error("it imports what is not offered to a {role}: {reason}{}", hint(newer))]
    Import {
        /// The role it has by its export.
        role: &'static str,
        /// Which import, and how it differs.
        reason: String,
        /// The version that it was built against, if that is later than this server's.
        newer: Option<String>,
    },
}

/// How much of the machine compiling may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Haste {
    /// All of it: nobody is answered before it is done.
    Start,
    /// The calling thread: the others have requests to answer.
    Quiet,
}

/// Whether it is counted how much a guest does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fuel {
    /// By whoever measures plugins: it makes them slower. About one for each instruction of WebAssembly, whatever else
    /// the machine does.
    Counted,
    /// By nobody. In tests of this crate it is counted all the same.
    Free,
}

impl Fuel {
    pub(super) fn is_counted(self) -> bool {
        cfg!(test) || self == Self::Counted
    }
}

/// Compiles components and knows what they may import.
pub(crate) struct Engine {
    pub(super) engine: wasmtime::Engine,
    /// Compiles the same on one thread.
    quiet: wasmtime::Engine,
    pub(super) processors: Linker<PluginState>,
    pub(super) policies: Linker<PluginState>,
    fuel: Fuel,
    cache: Option<Cache>,
    _ticker: Option<Ticker>,
}

impl Engine {
    /// Without `deadlines`, none ever passes.
    pub(crate) fn new(cache_dir: Option<&Path>, deadlines: bool, fuel: Fuel) -> wasmtime::Result<Self> {
        let engine = wasmtime::Engine::new(&configuration(fuel))?;
        let quiet = wasmtime::Engine::new(configuration(fuel).parallel_compilation(false))?;
        let processors = linker(&engine, Kind::Processor)?;
        let policies = linker(&engine, Kind::Policy)?;
        let ticker = deadlines.then(|| Ticker::start(engine.clone()));
        let cache = cache_dir.and_then(Cache::open);
        Ok(Self { engine, quiet, processors, policies, fuel, cache, _ticker: ticker })
    }

    /// Compiles a component.
    pub(crate) fn compile(&self, bytes: &[u8], haste: Haste) -> Result<Component, PrepareError> {
        let compiler = if haste == Haste::Quiet { &self.quiet } else { &self.engine };
        let compiled = match &self.cache {
            Some(cache) => cache.component(&self.engine, compiler, bytes),
            None => cache::compile(&self.engine, compiler, bytes),
        };
        compiled.map_err(|error| PrepareError::Compile(format!("{error:#}")))
    }

    /// Links a component against the world of its role.
    pub(crate) fn prepare(&self, component: &Component) -> Result<Prepared, PrepareError> {
        let versions = contract_versions(&self.engine, component);
        if let Some(other) = versions.iter().find(|version| !version.starts_with(SERVED.0)) {
            return Err(PrepareError::OtherContract(other.clone()));
        }
        let processor = component.get_export_index(None, PROCESSOR);
        let policy = component.get_export_index(None, ROUTE_POLICY);
        let (kind, role, interface) = match (processor, policy) {
            (Some(_), Some(_)) => return Err(PrepareError::TwoRoles),
            (None, None) => return Err(PrepareError::NoRole),
            (Some(interface), None) => (Kind::Processor, "processor", interface),
            (None, Some(interface)) => (Kind::Policy, "policy", interface),
        };
        let linked = self.link(kind, component);
        let pre = linked.map_err(|error| {
            let newer = versions.into_iter().find(|version| is_newer(version));
            PrepareError::Import { role, reason: format!("{error:#}"), newer }
        })?;
        let entry = if kind == Kind::Processor { "handle" } else { "select" };
        let export = |name| component.get_export_index(Some(&interface), name).ok_or(PrepareError::NoRole);
        let glance = component.get_export_index(None, GLANCE).filter(|_| kind == Kind::Processor);
        let glance = glance.and_then(|interface| component.get_export_index(Some(&interface), "glance"));
        Ok(Prepared {
            describe: export("describe")?,
            glance,
            entry: export(entry)?,
            kind,
            fuel: self.fuel,
            imports_wasi: imports_wasi(&self.engine, component),
            pre,
        })
    }

    fn link(&self, kind: Kind, component: &Component) -> wasmtime::Result<InstancePre<PluginState>> {
        match kind {
            Kind::Processor => self.processors.instantiate_pre(component),
            Kind::Policy => self.policies.instantiate_pre(component),
        }
    }
}

fn configuration(fuel: Fuel) -> Config {
    let mut config = Config::new();
    config
        // Component calls cost a third without it, and no import of ours ever pends.
        .concurrency_support(false)
        .epoch_interruption(true)
        .consume_fuel(fuel.is_counted())
        .max_wasm_stack(WASM_STACK_MAX)
        // Nobody is shown where in a guest it trapped, so neither traps nor compiled code pay for that.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        // Guests are small and instances many: a few pages each instead of 4 GiB of address space.
        .memory_reservation(1 << 20)
        .memory_reservation_for_growth(1 << 20)
        .memory_guard_size(64 << 10);
    config
}

/// The versions of the contract that a component names in what it imports and exports.
fn contract_versions(engine: &wasmtime::Engine, component: &Component) -> Vec<String> {
    let kind = component.component_type();
    let names = kind.imports(engine).map(|(name, _)| name).chain(kind.exports(engine).map(|(name, _)| name));
    let version = |name: &str| Some(name.strip_prefix(CONTRACT)?.split_once('@')?.1.to_owned());
    names.filter_map(version).collect()
}

fn is_newer(version: &str) -> bool {
    version.strip_prefix(SERVED.0).and_then(|patch| patch.parse::<u64>().ok()).is_some_and(|patch| patch > SERVED.1)
}

fn hint(newer: &Option<String>) -> String {
    let (minor, patch) = SERVED;
    newer.as_ref().map_or_else(String::new, |newer| {
        format!(
            "; it was built against {newer} of the contract and needs a newer server than this one, of {minor}{patch}"
        )
    })
}

fn imports_wasi(engine: &wasmtime::Engine, component: &Component) -> bool {
    component.component_type().imports(engine).any(|(name, _)| name.starts_with("wasi:"))
}

/// What a role may import. A policy decides about one route; it has no business with the tables.
fn linker(engine: &wasmtime::Engine, kind: Kind) -> wasmtime::Result<Linker<PluginState>> {
    type Own = HasSelf<PluginState>;
    let mut linker = Linker::new(engine);
    contract::request::add_to_linker::<_, Own>(&mut linker, PluginState::of_host_call)?;
    contract::kv::add_to_linker::<_, Own>(&mut linker, PluginState::of_host_call)?;
    contract::settings::add_to_linker::<_, Own>(&mut linker, PluginState::of_host_call)?;
    contract::log::add_to_linker::<_, Own>(&mut linker, PluginState::of_host_call)?;
    contract::clock::add_to_linker::<_, Own>(&mut linker, PluginState::of_host_call)?;
    contract::types::add_to_linker::<_, Own>(&mut linker, PluginState::of_host_call)?;
    contract::metrics::add_to_linker::<_, Own>(&mut linker, PluginState::of_host_call)?;
    match kind {
        Kind::Processor => {
            contract::reply::add_to_linker::<_, Own>(&mut linker, PluginState::of_host_call)?;
            contract::routes::add_to_linker::<_, Own>(&mut linker, PluginState::of_host_call)?;
            contract::registrations::add_to_linker::<_, Own>(&mut linker, PluginState::of_host_call)?;
            contract::bodies::add_to_linker::<_, Own>(&mut linker, PluginState::of_host_call)?;
            contract::state::add_to_linker::<_, Own>(&mut linker, PluginState::of_host_call)?;
        }
        Kind::Policy => contract::route_view::add_to_linker::<_, Own>(&mut linker, PluginState::of_host_call)?,
    }
    linker.allow_shadowing(true);
    by_hand::link_common(&mut linker)?;
    if kind == Kind::Processor {
        by_hand::link_processor(&mut linker)?;
    }
    linker.allow_shadowing(false);
    // Ordinary toolchains import WASI whether the code needs it or not.
    super::wasi::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Moves the epoch until dropped. If it died, no deadline would ever pass; it does nothing that can fail.
struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: wasmtime::Engine) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let tick = move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        };
        let thread = std::thread::Builder::new().name("epoch".to_owned()).spawn(tick);
        Self { stop: Some(stop), thread: Some(thread.expect("a machine that cannot start a thread cannot serve")) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
