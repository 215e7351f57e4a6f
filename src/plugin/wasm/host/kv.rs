//! `kv`: the KV store, as far as the plugin's grants reach.

use std::sync::Arc;

use super::super::bindings::fingerpost::nameserver::kv;
use super::super::state::PluginState;
use super::types::WriteError;
use crate::config::Grant;
use crate::kv::{Table, WriteError as Refused};
use crate::memo::Fact;

impl kv::Host for PluginState {
    fn get(&mut self, namespace: String, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.kv_table(&namespace)?.get(&namespace, &key).map(|value| value.to_string()))
    }

    fn entries(&mut self, namespace: String) -> wasmtime::Result<Option<Vec<(String, String)>>> {
        let table = self.kv_table(&namespace)?;
        let entries = table.namespace(&namespace);
        let copy = |(key, value): (&Arc<str>, &Arc<str>)| (key.to_string(), value.to_string());
        Ok(entries.map(|namespace| namespace.entries().iter().map(copy).collect()))
    }

    fn put(
        &mut self,
        namespace: String,
        key: String,
        value: Option<String>,
    ) -> wasmtime::Result<Result<(), WriteError>> {
        if let Err(reason) = self.begin_write(&Grant::KvWrite(Some(namespace.clone())))? {
            return Ok(Err(WriteError::Denied(reason)));
        }
        let ticket = self.handling()?.writes.get_or_insert_default().track();
        Ok(refused(self.core.kv.put(&namespace, &key, value.as_deref(), ticket)))
    }

    fn delete(&mut self, namespace: String, key: String) -> wasmtime::Result<Result<(), WriteError>> {
        if let Err(reason) = self.begin_write(&Grant::KvWrite(Some(namespace.clone())))? {
            return Ok(Err(WriteError::Denied(reason)));
        }
        let ticket = self.handling()?.writes.get_or_insert_default().track();
        Ok(refused(self.core.kv.delete(&namespace, &key, ticket)))
    }
}

impl PluginState {
    /// The KV store as it is now, of which something in one namespace will be read.
    fn kv_table(&mut self, namespace: &str) -> wasmtime::Result<Arc<Table>> {
        let table = self.core.kv.snapshot();
        let version = table.namespace(namespace).map(|namespace| namespace.version());
        self.reads()?.note(|| Fact::Namespace { name: namespace.into(), version });
        Ok(table)
    }
}

/// A write that was not even queued. One that fails later is told by `reply.when-durable`.
fn refused(outcome: Result<(), Refused>) -> Result<(), WriteError> {
    outcome.map_err(|error| match error {
        Refused::TooLong { .. } => WriteError::Invalid(error.to_string()),
        _ => WriteError::Unavailable(error.to_string()),
    })
}
