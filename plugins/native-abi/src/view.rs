//! The role of choosing what part of a route a client is shown.

use std::ops::Deref;

use crate::abi::{self, Bytes};
use crate::call::{host, text};
use crate::{Call, Group, Queue};

/// A plugin of the policy chain. A library exports it with [`export_policy!`](crate::export_policy).
pub trait Policy {
    /// The manifest, as TOML: name, version, and the condition under which the policy runs at all.
    const MANIFEST: &'static str;

    /// Changes what is shown of a route, or leaves it as it is.
    fn select(view: &mut View<'_>);
}

/// The request, and the route that its answer shows: first the answer of the policies before. Changes apply to this
/// answer only.
///
/// The groups are named by their index in [`groups`](Self::groups). One that is out of range fails the call.
pub struct View<'a>(Call<'a>);

impl<'a> Deref for View<'a> {
    type Target = Call<'a>;

    fn deref(&self) -> &Call<'a> {
        &self.0
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(call: Call<'a>) -> Self {
        Self(call)
    }

    /// The topic.
    pub fn topic(&self) -> &'a str {
        let mut topic = Bytes::NOTHING;
        host!(self, view_topic, &raw mut topic);
        self.str(topic)
    }

    /// The broker groups, in the order in which they will be shown.
    pub fn groups(&self) -> Vec<Group<'a>> {
        let mut groups = abi::Groups { items: std::ptr::null(), count: 0 };
        host!(self, view_groups, &raw mut groups);
        self.0.groups(groups)
    }

    /// The queue entries, in the order in which they will be shown. Not every group has one.
    pub fn queues(&self) -> Vec<Queue<'a>> {
        let mut queues = abi::Queues { items: std::ptr::null(), count: 0 };
        host!(self, view_queues, &raw mut queues);
        self.0.queues(queues)
    }

    /// Keeps only these groups, in this order. An index that is named twice counts once. Indices change with it.
    pub fn keep(&mut self, groups: &[u32]) {
        host!(self, view_keep, abi::Indices { items: groups.as_ptr(), count: groups.len() });
    }

    /// Replaces the addresses of a group. Their broker ids must differ.
    pub fn set_addresses(&mut self, group: u32, addresses: &[(i64, &str)]) {
        let address = |&(broker_id, address): &(i64, &str)| abi::Address { broker_id, address: text(address) };
        let copies: Vec<_> = addresses.iter().map(address).collect();
        let addresses = abi::Addresses { items: copies.as_ptr(), count: copies.len() };
        host!(self, view_set_addresses, group, addresses);
    }

    /// Shows the member with one broker id under another one that is free.
    pub fn set_broker_id(&mut self, group: u32, broker_id: i64, shown: i64) {
        host!(self, view_set_broker_id, group, broker_id, shown);
    }

    /// Replaces the permission of a group's queue entry.
    pub fn set_permission(&mut self, group: u32, perm: i32) {
        host!(self, view_set_permission, group, perm);
    }
}
