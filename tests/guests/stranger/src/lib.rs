//! A guest for the tests: it imports an interface that no server offers, so it must be refused, and by name.

use fingerpost_sdk::{Outcome, Processor, code, export_processor, json, reply};

#[allow(unsafe_code, clippy::undocumented_unsafe_blocks, reason = "generated code")]
mod bindings {
    wit_bindgen::generate!({ path: "wit" });
}

struct Stranger;

impl Processor for Stranger {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(_code: i32) -> Outcome {
        reply::set_body(json::decimal(bindings::fingerpost::nowhere::nobody::ask().into()).as_bytes());
        reply::set_code(code::SUCCESS);
        Ok(())
    }
}

export_processor!(Stranger);
