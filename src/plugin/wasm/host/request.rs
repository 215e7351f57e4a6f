//! `request`: the request being answered.

use super::super::bindings::fingerpost::nameserver::request;
use super::super::state::PluginState;
use crate::memo::Unfit;
use crate::net::Occasion;

impl request::Host for PluginState {
    fn code(&mut self) -> wasmtime::Result<i32> {
        Ok(self.request()?.command.code)
    }

    fn version(&mut self) -> wasmtime::Result<i32> {
        Ok(self.request()?.command.version)
    }

    fn field(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.request()?.field(&name).map(str::to_owned))
    }

    fn fields(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let fields = self.request()?.command.fields.iter().flat_map(|fields| fields.iter());
        Ok(fields.map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    fn body_size(&mut self) -> wasmtime::Result<u32> {
        Ok(u32::try_from(self.request()?.command.body.len()).expect("a frame is smaller than 4 GiB"))
    }

    fn body(&mut self) -> wasmtime::Result<Vec<u8>> {
        Ok(self.request()?.command.body.to_vec())
    }

    fn body_crc32(&mut self) -> wasmtime::Result<u32> {
        Ok(crc32fast::hash(&self.request()?.command.body))
    }

    fn called_on(&mut self) -> wasmtime::Result<request::Occasion> {
        Ok(match self.handling()?.occasion {
            Occasion::Arrived => request::Occasion::Arrived,
            Occasion::Happened => request::Occasion::Changed,
            Occasion::TimedOut => request::Occasion::TimedOut,
            Occasion::Stopping => request::Occasion::Stopping,
        })
    }

    fn peer(&mut self) -> wasmtime::Result<String> {
        self.reads()?.spoil(Unfit::Peer);
        Ok(self.request()?.caller.peer().to_string())
    }
}
