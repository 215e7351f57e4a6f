//! A guest for the tests: a policy that prints through WASI, as components of ordinary toolchains do, and turns the
//! route round, so that it shows.

use fingerpost_sdk::{Policy, export_policy, route_view};

#[allow(unsafe_code, clippy::undocumented_unsafe_blocks, reason = "generated code")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", generate_all });
}

struct WasiPolicy;

impl Policy for WasiPolicy {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn select() {
        // Nobody reads it, so whether it arrives does not matter; that it does not end the server does.
        let _ = bindings::wasi::cli::stderr::get_stderr().blocking_write_and_flush(b"here I am\n");
        let backwards: Vec<u32> = (0..route_view::groups().len() as u32).rev().collect();
        route_view::keep(&backwards);
    }
}

export_policy!(WasiPolicy);
