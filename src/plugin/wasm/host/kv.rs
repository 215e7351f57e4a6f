//! `kv`: the KV store, as far as the plugin's grants reach.

use std::sync::Arc;

use super::super::bindings::fingerpost::nameserver::kv;
use super::super::state::PluginState;
use super::types::WriteError;
use crate::config::Grant;

impl kv::Host for PluginState {
    fn get(&mut self, namespace: String, key: String) -> wasmtime::Result<Option<String>> {
        self.request()?;
        Ok(self.core.kv.get(&namespace, &key).map(|value| value.to_string()))
    }

    fn entries(&mut self, namespace: String) -> wasmtime::Result<Option<Vec<(String, String)>>> {
        self.request()?;
        let entries = self.core.kv.namespace(&namespace);
        let copy = |(key, value): (&Arc<str>, &Arc<str>)| (key.to_string(), value.to_string());
        Ok(entries.map(|namespace| namespace.entries().iter().map(copy).collect()))
    }

    fn put(
        &mut self,
        namespace: String,
        key: String,
        value: Option<String>,
    ) -> wasmtime::Result<Result<(), WriteError>> {
        if let Err(reason) = self.begin_write(Grant::KvWrite)? {
            return Ok(Err(WriteError::Denied(reason)));
        }
        let ticket = self.handling()?.writes.get_or_insert_default().track();
        Ok(invalid(self.core.kv.put(&namespace, &key, value.as_deref(), ticket)))
    }

    fn delete(&mut self, namespace: String, key: String) -> wasmtime::Result<Result<(), WriteError>> {
        if let Err(reason) = self.begin_write(Grant::KvWrite)? {
            return Ok(Err(WriteError::Denied(reason)));
        }
        let ticket = self.handling()?.writes.get_or_insert_default().track();
        Ok(invalid(self.core.kv.delete(&namespace, &key, ticket)))
    }
}

/// A write that was not even queued. One that fails later is told by `reply.when-durable`.
fn invalid(outcome: Result<(), crate::kv::WriteError>) -> Result<(), WriteError> {
    outcome.map_err(|error| WriteError::Invalid(error.to_string()))
}
