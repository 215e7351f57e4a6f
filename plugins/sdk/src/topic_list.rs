//! Answering with names: `{"topicList":[…]}`. Java: `TopicList`.

use crate::body::JsonBody;
use crate::routes::{TopicCursor, TopicSummary};
use crate::{Refusal, code, reply, settings};

/// How many topics are asked for at once: few enough to stay small in the plugin's memory.
const BATCH: u32 = 1024;

/// Refuses when the operator has switched lists off by the boolean setting `key`.
///
/// # Errors
///
/// Code 1, `disable`.
pub fn require(key: &str) -> Result<(), Refusal> {
    if settings::flag(key) { Ok(()) } else { Err(Refusal::error("disable")) }
}

/// Answers with the topics of a cursor that `wanted` accepts.
pub fn send_topics(topics: &TopicCursor, wanted: impl Fn(&TopicSummary) -> bool) {
    let mut list = List::begin(None);
    loop {
        let batch = topics.next(BATCH);
        if batch.is_empty() {
            break;
        }
        for topic in batch.iter().filter(|topic| wanted(topic)) {
            list.push(&topic.name);
        }
    }
    list.send();
}

/// Answers with the names given.
pub fn send_names<'a>(broker_address: Option<&str>, names: impl IntoIterator<Item = &'a str>) {
    let mut list = List::begin(broker_address);
    for name in names {
        list.push(name);
    }
    list.send();
}

struct List(JsonBody);

impl List {
    fn begin(broker_address: Option<&str>) -> Self {
        let mut body = JsonBody::new();
        let json = body.writer();
        json.begin_object();
        json.optional_member("brokerAddr", broker_address);
        json.key("topicList");
        json.begin_array();
        Self(body)
    }

    fn push(&mut self, name: &str) {
        self.0.writer().string(name);
    }

    fn send(mut self) {
        let json = self.0.writer();
        json.end_array();
        json.end_object();
        self.0.finish();
        reply::set_code(code::SUCCESS);
    }
}
