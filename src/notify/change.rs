//! A change of a group's smallest broker id: what can be said about it, and who is to know.

use std::sync::Arc;

use bytestring::ByteString;

use super::form::Fact;
use crate::route::{Group, Name};

/// One change, as of the moment after it.
#[derive(Debug)]
pub(super) struct MinIdChange<'a> {
    group: &'a Arc<Group>,
    departed: Option<&'a Name>,
    joined_ha: Option<&'a Name>,
}

impl<'a> MinIdChange<'a> {
    /// A broker joined whose id is the smallest now.
    pub(super) fn joined(group: &'a Arc<Group>, ha_address: Option<&'a Name>) -> Self {
        Self { group, departed: None, joined_ha: ha_address }
    }

    /// The broker whose id was the smallest has left.
    pub(super) fn left(group: &'a Arc<Group>, address: &'a Name) -> Self {
        Self { group, departed: Some(address), joined_ha: None }
    }

    pub(super) fn group(&self) -> &Group {
        self.group
    }

    pub(super) fn departed(&self) -> Option<&Name> {
        self.departed
    }

    /// Who is told: after a departure everybody who is left, if one of them may act as master; after a joining
    /// everybody but who joined, whatever the group says about acting masters.
    // Java: RouteInfoManager.chooseBrokerAddrsToNotify, where a member that is alone is told even of itself, and
    // RouteInfoManager.notifyMinBrokerIdChanged.
    pub(super) fn recipients(&self) -> impl Iterator<Item = &'a Name> {
        let members = &self.group.addresses[..];
        let told = match (self.departed, members) {
            (Some(_), _) if !self.group.enable_acting_master => &[],
            (None, [_smallest, others @ ..]) if !others.is_empty() => others,
            _ => members,
        };
        told.iter().map(|(_, address)| address)
    }

    /// A fact as it is written; none if it is none of this change's.
    pub(super) fn fact(&self, fact: Fact) -> Option<ByteString> {
        let text = |name: &Name| ByteString::from(&**name);
        match fact {
            Fact::MinId => self.group.min_id().map(|(id, _)| id.to_string().into()),
            Fact::MinAddress => self.group.min_id().map(|(_, address)| text(address)),
            Fact::DepartedAddress => self.departed.map(text),
            Fact::JoinedHaAddress => self.joined_ha.map(text),
        }
    }
}
