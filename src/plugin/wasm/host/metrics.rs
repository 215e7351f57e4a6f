//! `metrics`: numbers that the plugin shows on the server's page.

use super::super::bindings::fingerpost::nameserver::metrics;
use super::super::state::PluginState;
use crate::plugin::custom::Event;

impl metrics::Host for PluginState {
    fn count(&mut self, name: String, labels: Vec<String>, by: u64) -> wasmtime::Result<()> {
        self.note(&name, labels, Event::Count(by))
    }

    fn set(&mut self, name: String, labels: Vec<String>, value: f64) -> wasmtime::Result<()> {
        self.note(&name, labels, Event::Set(value))
    }

    fn observe(&mut self, name: String, labels: Vec<String>, value: f64) -> wasmtime::Result<()> {
        self.note(&name, labels, Event::Observe(value))
    }
}

impl PluginState {
    fn note(&self, name: &str, labels: Vec<String>, event: Event) -> wasmtime::Result<()> {
        self.request()?;
        self.custom.note(name, labels, event).map_err(wasmtime::Error::msg)
    }
}
