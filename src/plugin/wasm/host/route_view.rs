//! `route-view`: the route that a policy is looking at.

use super::super::bindings::fingerpost::nameserver::{route_view, types as contract};
use super::super::state::PluginState;
use super::types;
use crate::plugin::group_marks;
use crate::plugin::view::Shown;

/// More addresses than this in one group of an answer is a runaway guest.
const ADDRESSES_MAX: usize = 4096;

impl route_view::Host for PluginState {
    fn topic(&mut self) -> wasmtime::Result<String> {
        Ok(self.view()?.topic().to_owned())
    }

    fn outline(&mut self) -> wasmtime::Result<Vec<route_view::GroupOutline>> {
        let (request, view) = self.looked_at()?;
        let marks = group_marks::Asked::new(&self.marks, &request.command);
        let outline = |shown: Shown<'_>| route_view::GroupOutline {
            marks: marks.of(shown.group),
            members: u32::try_from(shown.addresses.len()).unwrap_or(u32::MAX),
            smallest_id: shown.addresses.first().map_or(0, |(id, _)| *id),
            has_master: shown.addresses.iter().any(|(id, _)| *id == 0),
            enable_acting_master: shown.group.enable_acting_master,
            perm: shown.queue.map(|queue| queue.perm),
        };
        Ok(view.groups().map(outline).collect())
    }

    fn find(&mut self, broker_name: String) -> wasmtime::Result<Option<u32>> {
        let at = self.view()?.groups().position(|shown| *shown.group.broker_name == *broker_name);
        Ok(at.and_then(|at| u32::try_from(at).ok()))
    }

    fn addresses(&mut self, group: u32) -> wasmtime::Result<Vec<types::BrokerAddress>> {
        let shown = self.view()?.get(group).map_err(wasmtime::Error::msg)?;
        Ok(types::addresses(shown.addresses))
    }

    fn groups(&mut self) -> wasmtime::Result<Vec<types::BrokerGroup>> {
        let group = |shown: Shown<'_>| types::BrokerGroup {
            addresses: types::addresses(shown.addresses),
            ..types::group(shown.group)
        };
        Ok(self.view()?.groups().map(group).collect())
    }

    fn queues(&mut self) -> wasmtime::Result<Vec<contract::Queue>> {
        Ok(self.view()?.groups().filter_map(|shown| shown.queue).map(types::queue).collect())
    }

    fn keep(&mut self, groups: Vec<u32>) -> wasmtime::Result<()> {
        let view = self.view()?;
        view.keep(&groups).map_err(wasmtime::Error::msg)
    }

    fn set_addresses(&mut self, group: u32, addresses: Vec<types::BrokerAddress>) -> wasmtime::Result<()> {
        if addresses.len() > ADDRESSES_MAX {
            return Err(wasmtime::Error::msg(format!("more than {ADDRESSES_MAX} addresses for one group")));
        }
        let addresses = addresses.into_iter().map(|a| (a.broker_id, a.address.into())).collect();
        self.view()?.set_addresses(group, addresses).map_err(wasmtime::Error::msg)
    }

    fn set_broker_id(&mut self, group: u32, id: i64, shown: i64) -> wasmtime::Result<()> {
        self.view()?.set_broker_id(group, id, shown).map_err(wasmtime::Error::msg)
    }

    fn set_permission(&mut self, group: u32, perm: i32) -> wasmtime::Result<()> {
        self.view()?.set_permission(group, perm).map_err(wasmtime::Error::msg)
    }
}
