//! The route while the policy chain is looking at it.
//!
//! A view starts as a route of the tables and ends as what one client is shown. Nothing here reaches the tables. A
//! policy can drop, reorder and rewrite what it was given, never add a broker: there is no verb for it.

use std::sync::Arc;

use crate::route::{Group, Name, Queue, Route};

/// One route, as shown to one client.
#[derive(Clone, Debug)]
pub(crate) struct RouteView {
    route: Route,
    groups: Vec<GroupView>,
}

/// One broker group of a view, with its queue entry.
#[derive(Clone, Debug)]
pub(crate) struct GroupView {
    group: Arc<Group>,
    /// Replaces the group's own addresses; ascending by id.
    addresses: Option<Vec<(i64, Name)>>,
    /// Index into the topic's queue entries; none for a group without one.
    queue: Option<usize>,
    /// Replaces the permission of the queue entry.
    perm: Option<i32>,
}

impl RouteView {
    /// The view in which everything is shown.
    pub(crate) fn new(route: Route) -> Self {
        let view = |group: &Arc<Group>| GroupView {
            group: Arc::clone(group),
            addresses: None,
            queue: route.topic.queues.iter().position(|queue| queue.broker_name == group.broker_name),
            perm: None,
        };
        let groups = route.groups.iter().map(view).collect();
        Self { route, groups }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.route.topic.name
    }

    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    pub(crate) fn groups(&self) -> &[GroupView] {
        &self.groups
    }

    /// The queue entries of the groups, in their order.
    pub(crate) fn queues(&self) -> impl Iterator<Item = Queue> {
        self.groups.iter().filter_map(|view| {
            let queue = self.route.topic.queues.get(view.queue?)?;
            Some(Queue { perm: view.perm.unwrap_or(queue.perm), ..queue.clone() })
        })
    }

    /// Keeps these groups, in this order.
    pub(crate) fn keep(&mut self, indices: &[u32]) -> Result<(), String> {
        let mut kept = Vec::with_capacity(indices.len().min(self.groups.len()));
        let mut left: Vec<Option<GroupView>> = self.groups.iter().cloned().map(Some).collect();
        for &index in indices {
            match left.get_mut(index as usize) {
                Some(slot) => kept.extend(slot.take()),
                None => return Err(out_of_range(index, left.len())),
            }
        }
        self.groups = kept;
        Ok(())
    }

    /// Replaces the addresses of one group.
    pub(crate) fn set_addresses(&mut self, index: u32, mut addresses: Vec<(i64, Name)>) -> Result<(), String> {
        addresses.sort_by_key(|(id, _)| *id);
        if let Some(pair) = addresses.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("broker id {} appears twice", pair[0].0));
        }
        self.group_mut(index)?.addresses = Some(addresses);
        Ok(())
    }

    /// Replaces the permission of one group's queue entry.
    pub(crate) fn set_permission(&mut self, index: u32, perm: i32) -> Result<(), String> {
        self.group_mut(index)?.perm = Some(perm);
        Ok(())
    }

    /// The filter servers of the brokers that are left.
    pub(crate) fn filter_servers(&self) -> impl Iterator<Item = (&str, &[Name])> {
        let is_left = |address: &Name| {
            self.groups.iter().any(|view| view.group.addresses.iter().any(|(_, known)| known == address))
        };
        let left = self.route.filter_servers.iter().filter(move |(address, _)| is_left(address));
        left.map(|(address, servers)| (&**address, &**servers))
    }

    fn group_mut(&mut self, index: u32) -> Result<&mut GroupView, String> {
        let count = self.groups.len();
        self.groups.get_mut(index as usize).ok_or_else(|| out_of_range(index, count))
    }
}

impl GroupView {
    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    pub(crate) fn addresses(&self) -> &[(i64, Name)] {
        self.addresses.as_deref().unwrap_or(&self.group.addresses)
    }
}

fn out_of_range(index: u32, count: usize) -> String {
    format!("group {index} of a view of {count} groups")
}
