//! The route while the policy chain is looking at it.
//!
//! A view starts as a route of the tables and ends as what one client is shown. Nothing here reaches the tables. A
//! policy can drop, reorder and rewrite what it was given, never add a broker: there is no verb for it.
//!
//! Most policies leave most routes as they are, so nothing is copied before the first change.

use std::sync::Arc;

use crate::route::{Group, Name, Queue, Route};

/// One route, as shown to one client.
#[derive(Debug)]
pub(crate) struct RouteView {
    route: Route,
    changed: Changed,
}

/// What the policies so far made of a route; none while it is as it was.
pub(crate) type Changed = Option<Vec<ChangedGroup>>;

/// One broker group of a view, with its queue entry.
#[derive(Clone, Debug)]
pub(crate) struct ChangedGroup {
    group: Arc<Group>,
    /// Replaces the group's own addresses; ascending by id.
    addresses: Option<Vec<(i64, Name)>>,
    /// None for a group without one.
    queue: Option<Queue>,
}

/// One broker group as it will be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) group: &'a Group,
    /// Ascending by id.
    pub(crate) addresses: &'a [(i64, Name)],
    pub(crate) queue: Option<&'a Queue>,
}

impl RouteView {
    /// The view in which everything is shown.
    pub(crate) fn new(route: Route) -> Self {
        Self { route, changed: None }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.route.topic.name
    }

    pub(crate) fn route(&self) -> &Route {
        &self.route
    }

    /// What was changed so far, to come back to.
    pub(crate) fn changed(&self) -> &Changed {
        &self.changed
    }

    /// Goes back to what was shown before.
    pub(crate) fn restore(&mut self, changed: Changed) {
        self.changed = changed;
    }

    /// How many groups will be shown.
    pub(crate) fn len(&self) -> usize {
        self.changed.as_ref().map_or(self.route.groups.len(), Vec::len)
    }

    /// The group of an index.
    pub(crate) fn get(&self, index: u32) -> Result<Shown<'_>, String> {
        let at = index as usize;
        if at >= self.len() {
            return Err(out_of_range(index, self.len()));
        }
        Ok(match &self.changed {
            Some(groups) => groups[at].shown(),
            None => Shown {
                group: &self.route.groups[at],
                addresses: &self.route.groups[at].addresses,
                queue: queue_of(&self.route, at),
            },
        })
    }

    /// The groups, in the order in which they will be shown.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Shown<'_>> {
        (0..self.len()).filter_map(|at| self.get(u32::try_from(at).ok()?).ok())
    }

    /// Keeps these groups, in this order.
    pub(crate) fn keep(&mut self, indices: &[u32]) -> Result<(), String> {
        let groups = self.groups_mut();
        let mut kept = Vec::with_capacity(indices.len().min(groups.len()));
        let mut left: Vec<Option<ChangedGroup>> = std::mem::take(groups).into_iter().map(Some).collect();
        for &index in indices {
            match left.get_mut(index as usize) {
                Some(slot) => kept.extend(slot.take()),
                None => return Err(out_of_range(index, left.len())),
            }
        }
        *groups = kept;
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

    /// Shows one member of a group under another id.
    pub(crate) fn set_broker_id(&mut self, index: u32, id: i64, shown: i64) -> Result<(), String> {
        let mut addresses = self.get(index)?.addresses.to_vec();
        let Some(member) = addresses.iter_mut().find(|(known, _)| *known == id) else {
            return Err(format!("group {index} shows no broker id {id}"));
        };
        member.0 = shown;
        self.set_addresses(index, addresses)
    }

    /// Replaces the permission of one group's queue entry.
    pub(crate) fn set_permission(&mut self, index: u32, perm: i32) -> Result<(), String> {
        if let Some(queue) = &mut self.group_mut(index)?.queue {
            queue.perm = perm;
        }
        Ok(())
    }

    /// The filter servers of the brokers that are left.
    pub(crate) fn filter_servers(&self) -> impl Iterator<Item = (&str, &[Name])> {
        let is_left =
            |address: &Name| self.groups().any(|shown| shown.group.addresses.iter().any(|(_, known)| known == address));
        let left = self.route.filter_servers.iter().filter(move |(address, _)| is_left(address));
        left.map(|(address, servers)| (&**address, &**servers))
    }

    fn group_mut(&mut self, index: u32) -> Result<&mut ChangedGroup, String> {
        let groups = self.groups_mut();
        let count = groups.len();
        groups.get_mut(index as usize).ok_or_else(|| out_of_range(index, count))
    }

    /// The groups to change, copied when that is new.
    fn groups_mut(&mut self) -> &mut Vec<ChangedGroup> {
        let route = &self.route;
        self.changed.get_or_insert_with(|| {
            let group = |(at, group)| ChangedGroup {
                group: Arc::clone(group),
                addresses: None,
                queue: queue_of(route, at).cloned(),
            };
            route.groups.iter().enumerate().map(group).collect()
        })
    }
}

/// The queue entry of a route's group. Both are in order of name, and nearly always the same in number.
fn queue_of(route: &Route, at: usize) -> Option<&Queue> {
    let broker_name = &route.groups[at].broker_name;
    let beside = route.topic.queues.get(at).filter(|queue| queue.broker_name == *broker_name);
    beside.or_else(|| route.topic.queue(broker_name))
}

impl ChangedGroup {
    fn shown(&self) -> Shown<'_> {
        let addresses = self.addresses.as_deref().unwrap_or(&self.group.addresses);
        Shown { group: &self.group, addresses, queue: self.queue.as_ref() }
    }
}

fn out_of_range(index: u32, count: usize) -> String {
    format!("group {index} of a view of {count} groups")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Topic;

    fn view() -> RouteView {
        let group = |name: &str, ids: &[i64]| {
            Arc::new(Group {
                broker_name: name.into(),
                cluster: "c".into(),
                zone_name: None,
                enable_acting_master: true,
                addresses: ids.iter().map(|id| (*id, format!("{name}-{id}:1").into())).collect(),
                version: 1,
            })
        };
        let queue = |name: &str, perm| Queue {
            broker_name: name.into(),
            read_queue_nums: 4,
            write_queue_nums: 4,
            perm,
            topic_sys_flag: 0,
        };
        let queues = vec![queue("a", 4), queue("b", 6), queue("c", 2)].into();
        RouteView::new(Route {
            topic: Arc::new(Topic { name: "T".into(), queues, version: 1 }),
            // No group for `b`.
            groups: vec![group("a", &[1, 2]), group("c", &[0, 1])],
            filter_servers: Vec::new(),
            mappings: None,
        })
    }

    fn shown(view: &RouteView) -> Vec<String> {
        let text = |shown: Shown<'_>| {
            let ids: Vec<_> = shown.addresses.iter().map(|(id, address)| format!("{id}={address}")).collect();
            format!("{} {:?} {}", shown.group.broker_name, shown.queue.map(|queue| queue.perm), ids.join(" "))
        };
        view.groups().map(text).collect()
    }

    #[test]
    fn a_view_shows_the_route_with_each_groups_own_queue_entry() {
        let view = view();

        assert_eq!(shown(&view), ["a Some(4) 1=a-1:1 2=a-2:1", "c Some(2) 0=c-0:1 1=c-1:1"]);
        assert!(view.changed().is_none());
    }

    #[test]
    fn a_member_is_shown_under_another_id_that_is_free_and_in_its_order() {
        let mut view = view();

        view.set_broker_id(0, 2, 0).unwrap();

        assert_eq!(shown(&view)[0], "a Some(4) 0=a-2:1 1=a-1:1");
        assert!(view.set_broker_id(0, 2, 5).unwrap_err().contains("no broker id 2"));
        assert!(view.set_broker_id(1, 1, 0).unwrap_err().contains("twice"));
        assert!(view.set_broker_id(2, 1, 0).unwrap_err().contains("group 2"));
    }

    #[test]
    fn what_was_changed_can_be_taken_back() {
        let mut view = view();
        view.set_permission(1, 6).unwrap();
        let before = view.changed().clone();

        view.keep(&[1, 1]).unwrap();
        assert_eq!(shown(&view), ["c Some(6) 0=c-0:1 1=c-1:1"]);
        view.restore(before);
        assert_eq!(shown(&view), ["a Some(4) 1=a-1:1 2=a-2:1", "c Some(6) 0=c-0:1 1=c-1:1"]);
        view.restore(None);
        assert_eq!(shown(&view)[1], "c Some(2) 0=c-0:1 1=c-1:1");
        assert!(view.keep(&[2]).is_err());
    }
}
