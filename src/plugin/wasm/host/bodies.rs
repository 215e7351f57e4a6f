//! `bodies`: decoders for small bodies, which stay outside the sandbox.

use super::super::bindings::fingerpost::nameserver::{bodies, types as contract};
use super::super::state::PluginState;
use super::types;
use crate::body;
use crate::memo::Unfit;

impl bodies::Host for PluginState {
    fn decode_data_version(
        &mut self,
    ) -> wasmtime::Result<Result<Option<contract::DataVersion>, contract::DecodeError>> {
        // A version that does not say when it was made was made now.
        self.reads()?.spoil(Unfit::Clock);
        let now = self.core.clock.now();
        let decoded = body::data_version::decode(&self.request()?.command.body, now, &self.core.body_limits);
        Ok(match decoded {
            Ok(version) => Ok(version.map(types::data_version)),
            Err(error) => Err(types::decode_error(&error)),
        })
    }

    fn decode_queues(&mut self) -> wasmtime::Result<Result<Option<Vec<contract::Queue>>, contract::DecodeError>> {
        let decoded = body::queues::decode(&self.request()?.command.body, &self.core.body_limits);
        Ok(match decoded {
            Ok(queues) => Ok(queues.map(|queues| queues.iter().map(types::queue).collect())),
            Err(error) => Err(types::decode_error(&error)),
        })
    }
}
