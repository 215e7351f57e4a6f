//! `route-view`: the route that a policy is looking at.

use super::super::bindings::fingerpost::nameserver::{route_view, types as contract};
use super::super::state::PluginState;
use super::types;

/// More addresses than this in one group of an answer is a runaway guest.
const ADDRESSES_MAX: usize = 4096;

impl route_view::Host for PluginState {
    fn topic(&mut self) -> wasmtime::Result<String> {
        Ok(self.view()?.topic().to_owned())
    }

    fn groups(&mut self) -> wasmtime::Result<Vec<types::BrokerGroup>> {
        let group = |view: &crate::plugin::view::GroupView| types::BrokerGroup {
            addresses: types::addresses(view.addresses()),
            ..types::group(view.group())
        };
        Ok(self.view()?.groups().iter().map(group).collect())
    }

    fn queues(&mut self) -> wasmtime::Result<Vec<contract::Queue>> {
        Ok(self.view()?.queues().map(|queue| types::queue(&queue)).collect())
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

    fn set_permission(&mut self, group: u32, perm: i32) -> wasmtime::Result<()> {
        self.view()?.set_permission(group, perm).map_err(wasmtime::Error::msg)
    }
}
