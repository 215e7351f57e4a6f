//! 901: the members of a broker's own group.

use fingerpost_sdk::body::JsonBody;
use fingerpost_sdk::{Outcome, code, field, group_json, reply, routes};

/// Java: `DefaultRequestProcessor.getBrokerMemberGroup`.
pub(crate) fn member_group() -> Outcome {
    let cluster = field::text("clusterName");
    let name = field::text("brokerName");
    // The cluster is echoed and not compared: a broker name is one group, in whatever cluster.
    let addresses = name.as_deref().and_then(routes::group).map(|group| group.addresses).unwrap_or_default();

    let mut body = JsonBody::new();
    let json = body.writer();
    json.begin_object();
    json.key("brokerMemberGroup");
    json.begin_object();
    group_json::write_addresses(json, &addresses);
    json.optional_member("brokerName", name.as_deref());
    json.optional_member("cluster", cluster.as_deref());
    json.end_object();
    json.end_object();
    body.finish();

    // Java forgets to clear the remark of a new reply, in this one answer; brokers read the body and the code.
    reply::fail(code::SUCCESS, "not set any response code");
    Ok(())
}
