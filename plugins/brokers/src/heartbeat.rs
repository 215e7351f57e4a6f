//! 904 and 322: a broker says that it is there, and 322 asks whether it has to publish anew.

use fingerpost_sdk::body::JsonBody;
use fingerpost_sdk::types::DataVersion;
use fingerpost_sdk::{Outcome, Refusal, bodies, code, field, registrations, reply};

/// Java: `DefaultRequestProcessor.brokerHeartbeat`.
pub(crate) fn heartbeat() -> Outcome {
    let (cluster, address) = who()?;
    // An unknown broker is a success too: it finds out by 322, or at its next registration.
    registrations::heartbeat(&cluster, &address);
    reply::set_code(code::SUCCESS);
    Ok(())
}

/// Java: `DefaultRequestProcessor.queryBrokerTopicConfig`.
pub(crate) fn query_data_version() -> Outcome {
    let (cluster, address) = who()?;
    let theirs = bodies::decode_data_version()?;
    let ours = registrations::version_of(&cluster, &address);
    registrations::heartbeat(&cluster, &address);

    // Equality in all three, not order: a broker whose state was restored from a copy is older and has changed.
    let same = matches!((&ours, &theirs), (Some(ours), Some(theirs)) if is_same(ours, theirs));
    reply::set_field("changed", if same { "false" } else { "true" });
    if let Some(ours) = ours {
        send(&ours);
    }
    reply::set_code(code::SUCCESS);
    Ok(())
}

fn who() -> Result<(String, String), Refusal> {
    Ok((field::required("clusterName")?, field::required("brokerAddr")?))
}

fn is_same(left: &DataVersion, right: &DataVersion) -> bool {
    left.state_version == right.state_version && left.timestamp == right.timestamp && left.counter == right.counter
}

fn send(version: &DataVersion) {
    let mut body = JsonBody::new();
    let json = body.writer();
    json.begin_object();
    json.key("counter");
    json.integer(version.counter);
    json.key("stateVersion");
    json.integer(version.state_version);
    json.key("timestamp");
    json.integer(version.timestamp);
    json.end_object();
    body.finish();
}
