//! `lookup` answers 105 with the route of a topic: the request that every client sends, every thirty seconds, for every
//! topic it uses.
//!
//! Neither the topic nor the route enters the sandbox when the topic is found: the host finds the one by the request's field
//! and writes the other, after the policies have had their say. Java: `ClientRequestProcessor`.

use std::sync::atomic::{AtomicBool, Ordering};

use fingerpost_sdk::{Outcome, Processor, Refusal, clock, export_processor, java, route_reply, routes, settings};

struct Lookup;

impl Processor for Lookup {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(_code: i32) -> Outcome {
        wait_for_service()?;
        let route = routes::find_by_field("topic");
        if route == 0 {
            return Err(route_reply::not_found());
        }
        let order = if settings::flag("orderMessageEnable") { route_reply::order_topic_conf() } else { None };
        route_reply::send(route, order.as_deref());
        Ok(())
    }
}

/// Refuses while a server that has just begun may not know its brokers yet, where the operator wants that.
fn wait_for_service() -> Outcome {
    // The wait ends once. Asking the clock again would keep every later reply from being remembered.
    static READY: AtomicBool = AtomicBool::new(false);

    if !settings::flag("needWaitForService") || READY.load(Ordering::Relaxed) {
        return Ok(());
    }
    if clock::uptime_ms() < wait_ms() {
        return Err(Refusal::error("name server not ready"));
    }
    READY.store(true, Ordering::Relaxed);
    Ok(())
}

fn wait_ms() -> u64 {
    let seconds = settings::get("waitSecondsForService").and_then(|text| java::parse_long(&text));
    u64::try_from(seconds.unwrap_or(0)).unwrap_or(0).saturating_mul(1000)
}

export_processor!(Lookup);
