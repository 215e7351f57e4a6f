//! What an administrator may do to topics: change permissions, delete, and add by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::{Draft, Edit};
use super::types::{Name, Queue};

/// Sets the permission of every entry of a broker name to `(perm & keep) | set`; how many entries that are.
// Java: RouteInfoManager.operateWritePermOfBroker.
pub(super) fn change_permissions(draft: &mut Draft, broker_name: &str, keep: i32, set: i32) -> usize {
    let mut entries = 0;
    draft.edit_queues(|_, queue| {
        if *queue.broker_name != *broker_name {
            return Edit::Keep;
        }
        entries += 1;
        Edit::Perm((queue.perm & keep) | set)
    });
    entries
}

/// Forgets a topic, or only its entries on the brokers of one cluster.
// Java: RouteInfoManager.deleteTopic.
pub(super) fn delete(draft: &mut Draft, topic: &str, cluster: Option<&str>) {
    match cluster {
        None => {
            draft.edit_queues_of(topic, |_, _| Edit::Drop);
            // A mapping may have come without the topic; it must not show when the topic does.
            draft.forget_mappings(topic);
        }
        Some(cluster) => {
            let clusters = Arc::clone(&draft.tables.clusters);
            let Some(names) = clusters.get(cluster) else { return };
            draft.edit_queues_of(
                topic,
                |_, queue| {
                    if names.contains(&queue.broker_name) { Edit::Drop } else { Edit::Keep }
                },
            );
        }
    }
}

/// Adds entries to a topic, in order, until one names a broker that is not registered; a topic that is new and names
/// such a broker is not stored at all.
// Java: RouteInfoManager.registerTopic.
pub(super) fn put(draft: &mut Draft, topic: &str, queues: Vec<Queue>) {
    let is_new = draft.tables.topic(topic).is_none();
    // By name, because the last of two entries for one broker is the one that counts.
    let mut known = BTreeMap::new();
    for queue in queues {
        match draft.tables.group(&queue.broker_name) {
            Some(group) => {
                let broker_name = Name::clone(&group.broker_name);
                known.insert(Name::clone(&broker_name), Queue { broker_name, ..queue });
            }
            None if is_new => return,
            None => break,
        }
    }
    if topic.is_empty() {
        return;
    }
    let topic: Name = topic.into();
    for queue in known.into_values() {
        draft.put_queue(&topic, queue);
    }
}
