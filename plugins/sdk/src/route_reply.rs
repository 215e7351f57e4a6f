//! Answering with the route of a topic. Java: `ClientRequestProcessor.getRouteInfoByTopic`.

use crate::reply::{self, JsonStyle};
use crate::{Refusal, code, field, kv, request};

/// The KV namespace that says in which order the queues of an ordered topic stand. Java:
/// `NamesrvUtil.NAMESPACE_ORDER_TOPIC_CONFIG`.
pub const ORDER_TOPIC_CONFIG: &str = "ORDER_TOPIC_CONFIG";

/// The first client version that reads integer keys in quotes. Java: `MQVersion.Version.V4_9_4`.
const STANDARD_JSON_SINCE: i32 = 401;

/// Answers with the route behind a handle of `routes`, in the style that the client reads.
pub fn send(route: u32, order_topic_conf: Option<&str>) {
    reply::succeed_with_route(route, style(), order_topic_conf);
}

/// The refusal of a topic without a route. Clients compare its code, and print its remark.
pub fn not_found() -> Refusal {
    let topic = field::text("topic");
    let remark = [
        "No topic route info in name server for the topic: ",
        field::or_null(topic.as_deref()),
        "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.",
    ];
    Refusal::new(code::TOPIC_NOT_EXIST, remark.concat())
}

/// The order configuration of the requested topic, if somebody stored one.
pub fn order_topic_conf() -> Option<String> {
    kv::get(ORDER_TOPIC_CONFIG, &field::text("topic")?)
}

fn style() -> JsonStyle {
    style_for(request::version(), || field::boolean("acceptStandardJsonOnly") == Some(true))
}

/// The style that a client of that version reads, if it does not say that it accepts standard JSON only.
pub fn style_for(version: i32, accepts_standard_only: impl FnOnce() -> bool) -> JsonStyle {
    // Old Go clients take `"0"` for a broker id of text, and read it as 0 whatever it says: the gate has to be exact.
    if version >= STANDARD_JSON_SINCE || accepts_standard_only() { JsonStyle::Standard } else { JsonStyle::BareKeys }
}
