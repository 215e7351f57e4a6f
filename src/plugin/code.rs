//! What a plugin is made of: a component or, where the operator trusts it, a native library. Whoever runs plugins need
//! not know which.

use std::time::Duration;

use super::manifest::Kind;
use super::native::{self, Library};
use super::wasm::{self, Allowance, Call, CallError, Gauge, InstanceParts};

/// Code that is ready to be instantiated on any thread.
#[derive(Clone)]
pub(crate) enum Prepared {
    /// A component.
    Component(wasm::Prepared),
    /// A native library, and what its manifest says that it is.
    Library(Library, Kind),
}

/// Code on one thread.
pub(crate) enum Instance {
    /// Of a component.
    Component(wasm::Instance),
    /// Of a native library.
    Library(native::Instance),
}

impl Prepared {
    /// The role that it has.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Component(component) => component.kind,
            Self::Library(_, kind) => *kind,
        }
    }

    /// Whether it is a native library.
    pub(crate) fn is_native(&self) -> bool {
        matches!(self, Self::Library(..))
    }

    /// Whether a call may hold its thread for longer than it runs, so that requests must not be answered there.
    pub(crate) fn may_block(&self) -> bool {
        match self {
            Self::Component(component) => component.imports_wasi,
            Self::Library(..) => true,
        }
    }

    /// Whether it is a processor that wants a first look.
    pub(crate) fn glances(&self) -> bool {
        match self {
            Self::Component(component) => component.glances(),
            Self::Library(..) => false,
        }
    }

    /// A new instance. That of a component must not take longer to begin than `deadline`.
    pub(crate) fn instantiate(&self, parts: InstanceParts, deadline: Duration) -> Result<Instance, CallError> {
        Ok(match self {
            Self::Component(component) => Instance::Component(component.instantiate(parts, deadline)?),
            Self::Library(library, _) => Instance::Library(native::Instance::new(*library, parts)),
        })
    }
}

impl Instance {
    /// Enters the plugin with a call and gives the call back, whatever happened. A native library has no deadline:
    /// nothing could end its call.
    ///
    /// After an error the instance must be dropped.
    pub(crate) fn enter(&mut self, call: Call, allowance: Allowance) -> (Call, Result<(), CallError>) {
        match self {
            Self::Component(component) => component.enter(call, allowance),
            Self::Library(library) => library.enter(call),
        }
    }

    /// Enters a plugin that glances for a first look.
    ///
    /// After an error the instance must be dropped.
    pub(crate) fn glance(&mut self, arguments: (i32, i32, u32, u32), allowance: Allowance) -> Result<u32, CallError> {
        match self {
            Self::Component(component) => component.glance(arguments, allowance),
            // It has to look closer.
            Self::Library(_) => Ok(0),
        }
    }

    /// Whether it must be replaced although it did nothing wrong.
    pub(crate) fn is_spent(&self) -> bool {
        match self {
            Self::Component(component) => component.is_spent(),
            Self::Library(_) => false,
        }
    }

    /// What it has used since it was made; of a library nobody counts it.
    pub(crate) fn gauge(&self) -> Gauge {
        match self {
            Self::Component(component) => component.gauge(),
            Self::Library(_) => Gauge::default(),
        }
    }
}
