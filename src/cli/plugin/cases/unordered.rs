//! Bodies without the order of what has none: sets that Java writes as lists, in the order of a hash table.

use serde_json::{Map, Value};

/// Lists whose order means nothing. (That of brokers in a route is a policy's to choose, but no policy shows in a route
/// that is compared like this.)
const SETS: [&str; 3] = ["topicList", "brokerDatas", "queueDatas"];

/// A map of such lists.
const SETS_BY_NAME: &str = "clusterAddrTable";

/// The same with every set in one order. Members of objects have none in a [`Value`].
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let value = match name.as_str() {
                        SETS_BY_NAME => Value::Object(each(value)),
                        _ => sorted(value),
                    };
                    let value = if SETS.contains(&name.as_str()) { in_order(value) } else { value };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(elements) => Value::Array(elements.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn each(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members.into_iter().map(|(name, list)| (name, in_order(sorted(list)))).collect(),
        _ => Map::new(),
    }
}

fn in_order(value: Value) -> Value {
    match value {
        Value::Array(mut elements) => {
            elements.sort_by_cached_key(Value::to_string);
            Value::Array(elements)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sets_are_equal_in_any_order_and_lists_are_not() {
        let equal = |one, other| sorted(one) == sorted(other);

        assert!(equal(json!({"topicList": ["a", "b"]}), json!({"topicList": ["b", "a"]})));
        assert!(equal(json!({"clusterAddrTable": {"c": ["a", "b"]}}), json!({"clusterAddrTable": {"c": ["b", "a"]}})));
        assert!(!equal(json!({"other": ["a", "b"]}), json!({"other": ["b", "a"]})));
    }
}
