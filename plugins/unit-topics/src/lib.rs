//! `unit-topics` answers 311, 312 and 313: the topics that belong to a unit, that units subscribe to, or the second without
//! the first. Java: `RouteInfoManager.getUnitTopics`, `getHasUnitSubTopicList`, `getHasUnitSubUnUnitTopicList`.

use fingerpost_sdk::{Outcome, Processor, Refusal, export_processor, routes, topic_list};

/// Java: `TopicSysFlag.FLAG_UNIT`.
const UNIT: i32 = 1;

/// Java: `TopicSysFlag.FLAG_UNIT_SUB`.
const UNIT_SUBSCRIPTION: i32 = 2;

/// Whether the filter is the wrong way round: in the build that the tests drop in to see that it takes effect.
const INVERTED: bool = cfg!(feature = "inverted");

struct UnitTopics;

impl Processor for UnitTopics {
    const MANIFEST: &'static str = include_str!("../manifest.toml");

    fn handle(code: i32) -> Outcome {
        let wanted = filter(code).ok_or_else(|| Refusal::not_supported(code))?;
        topic_list::require("enableTopicList")?;
        topic_list::send_topics(&routes::topics(None), |topic| wanted(topic.topic_sys_flag) != INVERTED);
        Ok(())
    }
}

/// Which system flags a request code asks for.
fn filter(code: i32) -> Option<fn(i32) -> bool> {
    match code {
        311 => Some(|flag| flag & UNIT != 0),
        312 => Some(|flag| flag & UNIT_SUBSCRIPTION != 0),
        313 => Some(|flag| flag & (UNIT | UNIT_SUBSCRIPTION) == UNIT_SUBSCRIPTION),
        _ => None,
    }
}

export_processor!(UnitTopics);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_looks_at_its_own_bits() {
        let accepted = |code| (0..8).filter(|&flag| filter(code).unwrap()(flag)).collect::<Vec<_>>();

        assert_eq!(accepted(311), [1, 3, 5, 7]);
        assert_eq!(accepted(312), [2, 3, 6, 7]);
        assert_eq!(accepted(313), [2, 6]);
        assert!(filter(310).is_none());
    }
}
