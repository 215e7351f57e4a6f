//! The role of answering requests.

use crate::Outcome;

/// A plugin that answers request codes. Make it a component with [`export_processor!`](crate::export_processor).
pub trait Processor {
    /// The manifest, as TOML: name, version, request codes, grants. `plugins/README.md` has the reference; write it to a
    /// file of its own and say `include_str!("../manifest.toml")`.
    const MANIFEST: &'static str;

    /// Answers the current request, read through [`request`](crate::request) and [`field`](crate::field), by building
    /// [`reply`](crate::reply). `code` is one of the manifest's.
    ///
    /// # Errors
    ///
    /// A [`Refusal`](crate::Refusal) becomes the reply's code and remark.
    fn handle(code: i32) -> Outcome;
}

/// Makes a component of a [`Processor`]: once per crate, at its root. One that is [`Glancing`](crate::Glancing) says so
/// after its name: `export_processor!(Plugin, glancing)`.
#[macro_export]
macro_rules! export_processor {
    ($plugin:ty, glancing) => {
        $crate::export_processor!($plugin);

        impl $crate::bindings::glance::exports::fingerpost::nameserver::glance::Guest for FingerpostExport {
            fn glance(code: i32, version: i32, route: u32, marks: u32) -> u32 {
                $crate::glance::<$plugin>(code, version, route, marks)
            }
        }

        #[allow(unsafe_code, reason = "an export of a component is a symbol with a name of the contract's")]
        const _: () = {
            $crate::bindings::glance::export_glance!(
                FingerpostExport with_types_in $crate::bindings::glance
            );
        };
    };
    ($plugin:ty) => {
        #[doc(hidden)]
        struct FingerpostExport;

        impl $crate::bindings::processor::exports::fingerpost::nameserver::processor::Guest for FingerpostExport {
            fn describe() -> ::std::string::String {
                <$plugin as $crate::Processor>::MANIFEST.into()
            }

            fn handle(code: i32) {
                $crate::answer::<$plugin>(code);
            }
        }

        #[allow(unsafe_code, reason = "an export of a component is a symbol with a name of the contract's")]
        const _: () = {
            $crate::bindings::processor::export_request_processor!(
                FingerpostExport with_types_in $crate::bindings::processor
            );
        };
    };
}

/// What an exported `handle` does. Not for plugins.
#[doc(hidden)]
pub fn answer<P: Processor>(code: i32) {
    crate::report_panics();
    if let Err(refusal) = P::handle(code) {
        refusal.send();
    }
}
