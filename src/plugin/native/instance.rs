//! A library on one thread: what it may reach, and how it is entered.

use super::host::{self, Desk};
use super::library::Library;
use crate::plugin::wasm::{Call, CallError, InstanceParts, PluginState};

/// A library, and what it is told about itself. There is one for each thread, as there is of a component.
pub(crate) struct Instance {
    library: Library,
    state: Box<PluginState>,
}

impl Instance {
    pub(crate) fn new(library: Library, parts: InstanceParts) -> Self {
        Self { library, state: Box::new(PluginState::without_wasi(parts)) }
    }

    /// Enters the library with a call and gives the call back.
    pub(crate) fn enter(&mut self, call: Call) -> (Call, Result<(), CallError>) {
        let code = call.request.command.code;
        self.state.call = Some(call);
        let mut desk = Desk::new(&mut self.state);
        // SAFETY: the function is that of a plugin which stays loaded. The table stays as well, and the desk until it
        // is read below; it is reached through this pointer alone, on this thread: that is what the plugin was told.
        let returned = unsafe { (self.library.enter)(&raw const host::HOST, (&raw mut desk).cast(), code) };
        let outcome = desk.outcome(returned);
        let call = self.state.call.take().expect("nothing else takes the call");
        (call, outcome)
    }
}
