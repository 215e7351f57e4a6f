//! `cluster-test` answers 105 instead of `lookup` when the server runs in cluster-test mode: a topic that is unknown here is
//! asked of the product environment, so that a test environment needs only the brokers it tests.
//!
//! Java's mode takes every request code, and its brokers cannot register; this one replaces the route lookup alone. Java:
//! `ClusterTestRequestProcessor`.

use fingerpost_sdk::types::WriteError;
use fingerpost_sdk::{Outcome, Processor, export_processor, log, reply, route_reply, routes, settings};

struct ClusterTest;

impl Processor for ClusterTest {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(_code: i32) -> Outcome {
        let route = routes::find_by_field("topic");
        if route == 0 {
            return ask_upstream();
        }
        route_reply::send(route, route_reply::order_topic_conf().as_deref());
        Ok(())
    }
}

/// Hands the request on. What is refused here is the answer if nobody answers there, or if nobody can be asked.
fn ask_upstream() -> Outcome {
    let environment = settings::get("productEnvName").unwrap_or_default();
    let refusal = route_reply::not_found();
    reply::fail(refusal.code, &refusal.remark);
    if let Err(error) = reply::forward(&environment) {
        let (WriteError::Denied(why) | WriteError::Invalid(why) | WriteError::Unavailable(why)) = error;
        log::write(log::Level::Warn, &["the product environment cannot be asked: ", &why].concat());
    }
    Ok(())
}

export_processor!(ClusterTest);
