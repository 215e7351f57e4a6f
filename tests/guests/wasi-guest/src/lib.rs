//! A guest for the tests: it imports WASI, as components of ordinary toolchains do, and answers what it got of it. With
//! the field `how` it waits for a day instead.

use std::fmt::Debug;

use bindings::wasi::cli::environment;
use bindings::wasi::clocks::monotonic_clock::{self, Pollable};
use bindings::wasi::filesystem::preopens;
use bindings::wasi::io::poll;
use bindings::wasi::sockets::{instance_network, ip_name_lookup};
use fingerpost_sdk::{Outcome, Processor, Refusal, code, export_processor, field, reply};

#[allow(unsafe_code, clippy::undocumented_unsafe_blocks, reason = "generated code")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", generate_all });
}

struct WasiGuest;

impl Processor for WasiGuest {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(_code: i32) -> Outcome {
        match field::text("how").as_deref() {
            None => tell_what_there_is(),
            Some("block") => a_day().block(),
            Some("poll") => drop(poll::poll(&[&a_day()])),
            Some("doze") => monotonic_clock::subscribe_duration(1_000_000).block(),
            Some(other) => return Err(Refusal::error(["there is no way ", other].concat())),
        }
        reply::set_code(code::SUCCESS);
        Ok(())
    }
}

fn tell_what_there_is() {
    tell("environment", environment::get_environment());
    tell("arguments", environment::get_arguments());
    tell("directory", environment::initial_cwd());
    tell("files", preopens::get_directories().len());
    let lookup = ip_name_lookup::resolve_addresses(&instance_network::instance_network(), "localhost");
    tell("lookup", lookup.is_ok());
}

fn tell(name: &str, value: impl Debug) {
    reply::set_field(name, &format!("{value:?}"));
}

fn a_day() -> Pollable {
    monotonic_clock::subscribe_duration(24 * 60 * 60 * 1_000_000_000)
}

export_processor!(WasiGuest);
