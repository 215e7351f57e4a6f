//! A guest for the tests: it answers with the route of a topic, and with which version of it and of its setting made
//! the answer. A test replaces the stamp in the component, which is text.

use fingerpost_sdk::reply::JsonStyle;
use fingerpost_sdk::{Outcome, Processor, export_processor, reply, routes, settings};

struct Stamp;

/// Found and replaced in the built component, so it must stand there as it is.
static STAMP: &str = "processor-0000000";

impl Processor for Stamp {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(_code: i32) -> Outcome {
        reply::set_field("processor", std::hint::black_box(STAMP));
        reply::set_field("setting", &settings::get("stamp").unwrap_or_default());
        reply::succeed_with_route(routes::find_by_field("topic"), JsonStyle::Standard, None);
        Ok(())
    }
}

export_processor!(Stamp);
