//! `lookup` answers 105 with the route of a topic: the request that every client sends, every thirty seconds, for every
//! topic it uses.
//!
//! Neither the topic nor the route enters the sandbox when the topic is found: the host finds the one by the request's field
//! and writes the other, after the policies have had their say. Java: `ClientRequestProcessor`.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// Refuses while a server that has just begun may not know its brokers yet, where the operator wants that. Both settings
/// count as they are now: with a longer wait, the server is not ready again, as in Java.
fn wait_for_service() -> Outcome {
    // The longest wait that is known to be over. Asking the clock each time would keep every reply from being remembered.
    static OVER_MS: AtomicU64 = AtomicU64::new(0);

    if !settings::flag("needWaitForService") {
        return Ok(());
    }
    let wait_ms = wait_ms();
    if wait_ms > OVER_MS.load(Ordering::Relaxed) {
        if clock::uptime_ms() < wait_ms {
            return Err(Refusal::error("name server not ready"));
        }
        OVER_MS.store(wait_ms, Ordering::Relaxed);
    }
    Ok(())
}

fn wait_ms() -> u64 {
    let seconds = settings::get("waitSecondsForService").and_then(|text| java::parse_long(&text));
    u64::try_from(seconds.unwrap_or(0)).unwrap_or(0).saturating_mul(1000)
}

export_processor!(Lookup);
