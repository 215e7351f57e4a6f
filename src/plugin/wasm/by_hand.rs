//! The imports that every lookup calls, linked by hand: a name that a guest passes is looked at where it lies in the
//! guest's memory. The generated bindings, which serve everything else, copy it into a string first.
//!
//! Each function does what the function of the same name beside it does, for the same interface.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use super::state::PluginState;

type Guest<'a> = StoreContextMut<'a, PluginState>;

/// Replaces what the bindings linked, for both roles.
pub(super) fn link_common(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    linker.instance("fingerpost:nameserver/settings@0.1.1")?.func_wrap(
        "flag",
        |mut guest: Guest<'_>, (key,): (WasmStr,)| {
            guest.data_mut().of_host_call();
            let key = key.to_str(&guest)?;
            guest.data().request()?;
            Ok((guest.data().flag(&key),))
        },
    )?;
    linker.instance("fingerpost:nameserver/request@0.1.1")?.func_wrap(
        "field",
        |mut guest: Guest<'_>, (name,): (WasmStr,)| {
            guest.data_mut().of_host_call();
            let name = name.to_str(&guest)?;
            Ok((guest.data().request()?.field(&name).map(str::to_owned),))
        },
    )
}

/// Replaces what the bindings linked, for processors.
pub(super) fn link_processor(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    linker.instance("fingerpost:nameserver/routes@0.1.1")?.func_wrap(
        "find-by-field",
        |mut guest: Guest<'_>, (name,): (WasmStr,)| {
            guest.data_mut().of_host_call();
            // A share of the frame, because nothing may borrow from the guest while the call's state changes.
            let topic = guest.data().request()?.command.field(&name.to_str(&guest)?).cloned();
            Ok((guest.data_mut().find_route(topic.as_deref())?,))
        },
    )
}
