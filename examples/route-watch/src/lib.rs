//! A processor that answers when the route of a topic changes, so that a client need not ask every thirty seconds.
//!
//! The client says which version it has `seen`; if that is the newest, the request waits in the server. It is then
//! handled once more, and answered with the route and its version, whatever it was that ended the wait.

use fingerpost_sdk::request::Occasion;
use fingerpost_sdk::{Outcome, Processor, export_processor, field, json, reply, request, route_reply, routes};

/// What a client waits for that does not say how long.
const TIMEOUT_MS: u32 = 30_000;

struct RouteWatch;

impl Processor for RouteWatch {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(_code: i32) -> Outcome {
        let topic = field::required("topic")?;
        // Whoever has seen nothing yet is answered at once.
        let seen = field::text("seen").and_then(|seen| seen.parse::<u64>().ok());
        let version = routes::route_version(&topic);

        let occasion = request::called_on();
        if occasion == Occasion::Arrived && seen == Some(version) {
            let timeout = field::int("timeoutMs").and_then(|ms| u32::try_from(ms).ok()).unwrap_or(TIMEOUT_MS);
            reply::when_changed(&topic, version, timeout)?;
            return Ok(());
        }

        // Not part of JSON's numbers: versions do not stop at 2^53.
        reply::set_field("version", &json::decimal(i64::try_from(version).unwrap_or(i64::MAX)));
        reply::set_field("changed", if seen == Some(version) { "false" } else { "true" });
        match routes::find(&topic) {
            0 => return Err(route_reply::not_found()),
            route => route_reply::send(route, None),
        }
        Ok(())
    }
}

export_processor!(RouteWatch);
