//! What a library exports, and where panics end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::abi::{self, Bytes, Host, Plugin, VERSION};
use crate::{Answer, Call, Policy, Processor, View};

/// Makes a library's plugin of a [`Processor`]: once per crate.
#[macro_export]
macro_rules! export_processor {
    ($plugin:ty) => {
        $crate::export_plugin!($crate::processor::<$plugin>());
    };
}

/// Makes a library's plugin of a [`Policy`]: once per crate.
#[macro_export]
macro_rules! export_policy {
    ($plugin:ty) => {
        $crate::export_plugin!($crate::policy::<$plugin>());
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_plugin {
    ($plugin:expr) => {
        #[allow(unsafe_code, reason = "an export of a library is a symbol with a name of the ABI's")]
        const _: () = {
            static PLUGIN: $crate::abi::Plugin = $plugin;

            #[unsafe(no_mangle)]
            extern "C" fn fingerpost_plugin_v1() -> *const $crate::abi::Plugin {
                &raw const PLUGIN
            }
        };
    };
}

/// What [`export_processor!`] exports.
pub const fn processor<P: Processor>() -> Plugin {
    plugin(P::MANIFEST, answer::<P>)
}

/// What [`export_policy!`] exports.
pub const fn policy<P: Policy>() -> Plugin {
    plugin(P::MANIFEST, select::<P>)
}

const fn plugin(manifest: &'static str, enter: abi::Enter) -> Plugin {
    Plugin {
        abi_version: VERSION,
        struct_size: size_of::<Plugin>() as u32,
        manifest: Bytes::of(manifest.as_bytes()),
        enter: Some(enter),
    }
}

unsafe extern "C" fn answer<P: Processor>(host: *const Host, call: *mut abi::Call, code: i32) -> i32 {
    // SAFETY: both are the server's, and this ends before its call does.
    let [call, for_panics] = [(); 2].map(|()| unsafe { Call::new(host, call) });
    caught(&for_panics, || {
        let mut answer = Answer::new(call);
        if let Err(refusal) = P::handle(&mut answer, code) {
            answer.refuse(&refusal);
        }
    })
}

unsafe extern "C" fn select<P: Policy>(host: *const Host, call: *mut abi::Call, _code: i32) -> i32 {
    // SAFETY: both are the server's, and this ends before its call does.
    let [call, for_panics] = [(); 2].map(|()| unsafe { Call::new(host, call) });
    caught(&for_panics, || P::select(&mut View::new(call)))
}

/// Runs a plugin; what it panics with becomes the reason why the call failed.
fn caught(call: &Call<'_>, run: impl FnOnce()) -> i32 {
    let Err(panic) = catch_unwind(AssertUnwindSafe(run)) else { return 0 };
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    call.fail(&format!("it panicked: {}", text.unwrap_or("with a value that is no text")));
    // To drop what a plugin panicked with could panic again.
    std::mem::forget(panic);
    1
}
