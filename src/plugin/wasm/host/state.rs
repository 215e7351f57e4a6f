//! `state`: what the plugin keeps from one call to the next.

use super::super::bindings::fingerpost::nameserver::state::{self, StateError};
use super::super::state::PluginState;
use crate::memo::Unfit;
use crate::plugin::kept::KeptError;

impl state::Host for PluginState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        // What is kept has no version.
        self.reads()?.spoil(Unfit::State);
        Ok(self.kept.get(&key))
    }

    fn put(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), StateError>> {
        self.begin_keeping()?;
        Ok(self.kept.put(self.generation, &key, Some(value)).map_err(error))
    }

    fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), StateError>> {
        self.begin_keeping()?;
        Ok(self.kept.put(self.generation, &key, None).map_err(error))
    }

    fn compare_and_swap(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
    ) -> wasmtime::Result<Result<bool, StateError>> {
        self.begin_keeping()?;
        Ok(self.kept.compare_and_swap(self.generation, &key, expected.as_deref(), value).map_err(error))
    }

    fn increment(&mut self, key: String, by: i64) -> wasmtime::Result<Result<i64, StateError>> {
        self.begin_keeping()?;
        Ok(self.kept.increment(self.generation, &key, by).map_err(error))
    }
}

impl PluginState {
    /// Notes that the call changes something. No order of the lane matters to it, so it may run on a worker.
    fn begin_keeping(&mut self) -> wasmtime::Result<()> {
        self.handling()?.wrote = true;
        self.reads()?.spoil(Unfit::Wrote);
        Ok(())
    }
}

fn error(error: KeptError) -> StateError {
    match error {
        KeptError::Invalid(text) => StateError::Invalid(text),
        KeptError::Full { .. } => StateError::Full(error.to_string()),
        KeptError::Outdated => StateError::Outdated,
    }
}
