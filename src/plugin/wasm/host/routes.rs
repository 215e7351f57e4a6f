//! `routes`: reading the tables.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::super::bindings::fingerpost::nameserver::routes;
use super::super::state::PluginState;
use super::types;
use crate::memo::Fact;
use crate::route::{Group, Name, Topic};

/// What one `next` returns at most, so that no crossing is long.
const PAGE_MAX: usize = 4096;

/// A walk over topics.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct TopicCursor {
    topics: Arc<[Arc<Topic>]>,
    position: usize,
    /// Only topics with an entry on one of these, ascending; none means all.
    broker_names: Option<Vec<String>>,
}

/// A walk over broker groups.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct GroupCursor {
    groups: Vec<Arc<Group>>,
    position: usize,
}

impl routes::Host for PluginState {
    fn find(&mut self, topic: String) -> wasmtime::Result<u32> {
        self.find_route(Some(&topic))
    }

    fn find_by_field(&mut self, name: String) -> wasmtime::Result<u32> {
        let topic = self.request()?.command.field(&name).cloned();
        self.find_route(topic.as_deref())
    }

    fn route_version(&mut self, topic: String) -> wasmtime::Result<u64> {
        let version = self.tables()?.route_version(&topic);
        self.reads()?.note(|| Fact::Route { topic: topic.into(), version });
        Ok(version.unwrap_or(0))
    }

    fn describe(&mut self, route: u32) -> wasmtime::Result<routes::TopicRoute> {
        let route = self.route(route)?;
        let names = |names: &[Name]| names.iter().map(Name::to_string).collect();
        Ok(routes::TopicRoute {
            topic: route.topic.name.to_string(),
            queues: route.topic.queues.iter().map(types::queue).collect(),
            groups: route.groups.iter().map(|group| types::group(group)).collect(),
            filter_servers: route.filter_servers.iter().map(|(a, servers)| (a.to_string(), names(servers))).collect(),
        })
    }

    fn topics(&mut self, broker_names: Option<Vec<String>>) -> wasmtime::Result<Resource<TopicCursor>> {
        let topics = self.all_tables()?.topics();
        let broker_names = broker_names.map(|mut names| {
            names.sort_unstable();
            names
        });
        Ok(self.resources.push(TopicCursor { topics, position: 0, broker_names })?)
    }

    fn groups(&mut self) -> wasmtime::Result<Resource<GroupCursor>> {
        let groups = self.all_tables()?.groups().cloned().collect();
        Ok(self.resources.push(GroupCursor { groups, position: 0 })?)
    }

    fn group(&mut self, broker_name: String) -> wasmtime::Result<Option<types::BrokerGroup>> {
        let group = self.tables()?.group(&broker_name).cloned();
        let version = group.as_ref().map(|group| group.version);
        self.reads()?.note(|| Fact::Group { broker_name: broker_name.into(), version });
        Ok(group.map(|group| types::group(&group)))
    }

    fn clusters(&mut self) -> wasmtime::Result<Vec<routes::Cluster>> {
        let tables = self.all_tables()?;
        let cluster = |(name, brokers): (&Name, &std::collections::BTreeSet<Name>)| routes::Cluster {
            name: name.to_string(),
            broker_names: brokers.iter().map(Name::to_string).collect(),
        };
        Ok(tables.clusters().map(cluster).collect())
    }
}

impl routes::HostTopicCursor for PluginState {
    fn next(&mut self, cursor: Resource<TopicCursor>, limit: u32) -> wasmtime::Result<Vec<routes::TopicSummary>> {
        self.request()?;
        let cursor = self.resources.get_mut(&cursor)?;
        let limit = (limit as usize).min(PAGE_MAX);
        let mut page = Vec::new();
        while page.len() < limit
            && let Some(topic) = cursor.topics.get(cursor.position)
        {
            cursor.position += 1;
            if cursor.broker_names.as_ref().is_none_or(|names| is_on(topic, names)) {
                let first = topic.queues.first();
                page.push(routes::TopicSummary {
                    name: topic.name.to_string(),
                    topic_sys_flag: first.map_or(0, |queue| queue.topic_sys_flag),
                });
            }
        }
        Ok(page)
    }

    fn drop(&mut self, cursor: Resource<TopicCursor>) -> wasmtime::Result<()> {
        self.resources.delete(cursor)?;
        Ok(())
    }
}

impl routes::HostGroupCursor for PluginState {
    fn next(&mut self, cursor: Resource<GroupCursor>, limit: u32) -> wasmtime::Result<Vec<types::BrokerGroup>> {
        self.request()?;
        let cursor = self.resources.get_mut(&cursor)?;
        let end = (cursor.position + (limit as usize).min(PAGE_MAX)).min(cursor.groups.len());
        let page = cursor.groups[cursor.position..end].iter().map(|group| types::group(group)).collect();
        cursor.position = end;
        Ok(page)
    }

    fn drop(&mut self, cursor: Resource<GroupCursor>) -> wasmtime::Result<()> {
        self.resources.delete(cursor)?;
        Ok(())
    }
}

/// `broker_names` is sorted.
fn is_on(topic: &Topic, broker_names: &[String]) -> bool {
    topic.queues.iter().any(|queue| broker_names.binary_search_by(|name| name.as_str().cmp(&queue.broker_name)).is_ok())
}
