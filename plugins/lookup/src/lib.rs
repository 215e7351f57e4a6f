//! `lookup` answers 105 with the route of a topic: the request that every client sends, every thirty seconds, for every
//! topic it uses.
//!
//! Neither the topic nor the route enters the sandbox when the topic is found: the host finds the one by the request's field
//! and writes the other, after the policies have had their say. Nearly every lookup is decided at a glance. Java:
//! `ClientRequestProcessor`.

use std::sync::atomic::{AtomicU64, Ordering};

use fingerpost_sdk::{
    Glancing, Outcome, Processor, Refusal, Sight, Verdict, clock, export_processor, java, route_reply, routes, settings,
};

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

/// The marks of the manifest.
const NEED_WAIT_FOR_SERVICE: u32 = 0;
const ORDER_MESSAGE_ENABLE: u32 = 1;
const ACCEPT_STANDARD_JSON_ONLY: u32 = 2;

impl Glancing for Lookup {
    fn glance(sight: &Sight) -> Verdict {
        if !sight.has_route || sight.mark(NEED_WAIT_FOR_SERVICE) || sight.mark(ORDER_MESSAGE_ENABLE) {
            return Verdict::LookCloser;
        }
        Verdict::Route(route_reply::style_for(sight.version, || sight.mark(ACCEPT_STANDARD_JSON_ONLY)))
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

export_processor!(Lookup, glancing);

#[cfg(test)]
mod tests {
    use super::*;
    use fingerpost_sdk::reply::JsonStyle;

    const FOUND: u32 = 1;

    fn glance(version: i32, route: u32, marks: u32) -> Verdict {
        Lookup::glance(&Sight::new(105, version, route, marks))
    }

    #[test]
    fn a_topic_with_a_route_is_answered_at_a_glance_in_the_style_that_the_client_reads() {
        assert_eq!(glance(401, FOUND, 0), Verdict::Route(JsonStyle::Standard));
        assert_eq!(glance(400, FOUND, 0), Verdict::Route(JsonStyle::BareKeys));
        assert_eq!(glance(400, FOUND, 1 << ACCEPT_STANDARD_JSON_ONLY), Verdict::Route(JsonStyle::Standard));
    }

    #[test]
    fn an_unknown_topic_a_wait_and_an_order_need_a_closer_look() {
        assert_eq!(glance(401, 0, 0), Verdict::LookCloser);
        assert_eq!(glance(401, FOUND, 1 << NEED_WAIT_FOR_SERVICE), Verdict::LookCloser);
        assert_eq!(glance(401, FOUND, 1 << ORDER_MESSAGE_ENABLE), Verdict::LookCloser);
    }
}
