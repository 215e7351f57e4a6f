//! `settings`: those that the operator gave to the plugin, and the server's under Java's names.

use super::super::bindings::fingerpost::nameserver::settings;
use super::super::state::PluginState;
use super::types::WriteError;
use crate::config::Grant;

impl settings::Host for PluginState {
    fn flag(&mut self, key: String) -> wasmtime::Result<bool> {
        self.request()?;
        Ok(PluginState::flag(self, &key))
    }

    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.request()?;
        Ok(self.settings.get(&key).cloned().or_else(|| self.core.settings.get(&key)))
    }

    fn entries(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        self.request()?;
        let own = self.settings.iter().map(|(key, value)| (key.clone(), value.clone()));
        let others = self.core.settings.entries().into_iter().filter(|(key, _)| !self.settings.contains_key(key));
        let mut entries: Vec<_> = own.chain(others).collect();
        entries.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        Ok(entries)
    }

    fn update(&mut self, entries: Vec<(String, String)>) -> wasmtime::Result<Result<(), WriteError>> {
        if let Err(reason) = self.begin_write(&Grant::SettingsWrite)? {
            return Ok(Err(WriteError::Denied(reason)));
        }
        match self.core.settings.update(&entries) {
            Ok(outcomes) => {
                for outcome in outcomes {
                    tracing::info!(peer = %self.request()?.caller.peer(), "setting: {outcome}");
                }
                Ok(Ok(()))
            }
            Err(error) => {
                tracing::error!(%error, "settings could not be remembered, nothing was changed");
                Ok(Err(WriteError::Unavailable(error.to_string())))
            }
        }
    }
}
