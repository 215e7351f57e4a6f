//! What Java's route tables hold between two steps: what predicates of known differences are about.

use std::collections::HashMap;

use serde::Deserialize;

/// The tables, as `java/Host.java` shows them. A side that shows nothing has an empty one.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct State {
    pub(crate) groups: HashMap<String, Group>,
    pub(crate) live: Vec<Live>,
    /// Broker names by cluster.
    pub(crate) clusters: HashMap<String, Vec<Option<String>>>,
    /// Per topic, the broker names and their system flags.
    pub(crate) topics: HashMap<String, Vec<(Option<String>, i32)>>,
    /// Per topic, the broker names that have a mapping.
    pub(crate) mappings: HashMap<String, Vec<Option<String>>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Group {
    pub(crate) cluster: Option<String>,
    pub(crate) members: Vec<(i64, Option<String>)>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Live {
    pub(crate) cluster: String,
    pub(crate) address: Option<String>,
    pub(crate) state: i64,
    pub(crate) timeout: i64,
    pub(crate) age: i64,
    /// The client's port of the connection that it registered on.
    pub(crate) port: u16,
}

impl State {
    pub(crate) fn live(&self, cluster: &str, address: &str) -> Option<&Live> {
        self.live.iter().find(|live| live.cluster == cluster && live.address.as_deref() == Some(address))
    }

    /// Who holds an id of a group.
    pub(crate) fn holder(&self, name: &str, id: i64) -> Option<&str> {
        let members = &self.groups.get(name)?.members;
        members.iter().find(|(known, _)| *known == id).and_then(|(_, address)| address.as_deref())
    }

    /// The groups that an address is a member of.
    pub(crate) fn groups_of(&self, address: &str) -> impl Iterator<Item = (&String, &Group)> {
        let is_member = move |group: &Group| group.members.iter().any(|(_, known)| known.as_deref() == Some(address));
        self.groups.iter().filter(move |(_, group)| is_member(group))
    }

    /// Whether anything has a mapping of static topics, which Java never forgets.
    pub(crate) fn has_mappings(&self) -> bool {
        self.mappings.values().any(|names| !names.is_empty())
    }

    /// Topics and brokers whose mapping is still there although the broker does not serve the topic.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = (&str, &str)> {
        let serves = |topic: &str, broker: &str| {
            let entries = self.topics.get(topic).map(Vec::as_slice).unwrap_or_default();
            entries.iter().any(|(name, _)| name.as_deref() == Some(broker))
        };
        let mapped = self.mappings.iter().flat_map(|(topic, brokers)| {
            brokers.iter().map(move |broker| (topic.as_str(), broker.as_deref().unwrap_or_default()))
        });
        mapped.filter(move |(topic, broker)| !serves(topic, broker))
    }
}
