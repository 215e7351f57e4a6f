//! `registrations`: writing the tables.

use wasmtime::component::Resource;

use super::super::bindings::fingerpost::nameserver::{registrations, types as contract};
use super::super::state::PluginState;
use super::types::{self, WriteError};
use crate::body::DecodeError;
use crate::body::registration::{self, Form};
use crate::config::Grant;
use crate::memo::Unfit;
use crate::route::{Departure, Imprint, RegisterError, Registration, Told, TopicTable};

/// A decoded registration body, or what is new in it. The guest holds a handle; the topics never enter the sandbox.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct HostTopicTable {
    told: Told,
    /// How the body of the request is written; none when this did not come from there.
    form: Option<Form>,
}

impl registrations::Host for PluginState {
    fn register(
        &mut self,
        registration: registrations::Registration,
        topics: Resource<HostTopicTable>,
    ) -> wasmtime::Result<Result<registrations::Registered, registrations::RegisterError>> {
        let HostTopicTable { told, form } = self.resources.delete(topics)?;
        if let Err(reason) = self.begin_write(&Grant::RoutesWrite)? {
            return Ok(Err(registrations::RegisterError::Denied(reason)));
        }
        let now = self.core.clock.now();
        let connection = self.core.registrants.of(self.request()?.caller.id());
        let registration = core_registration(registration);
        let joined_ha = registration.ha_address.clone();
        let mut outcome = self.core.routes.register(registration.clone(), told, &connection, now);
        if let (Err(RegisterError::Stale), Some(form)) = (&outcome, form) {
            // Somebody else changed what the difference relies on. The body is still here.
            let whole = self.decode(form, std::iter::empty())?;
            outcome = whole
                .map_err(|error| RegisterError::Invalid(error.to_string()))
                .and_then(|whole| self.core.routes.register(registration, whole, &connection, now));
        }
        Ok(match outcome {
            Ok(registered) => {
                self.core.changes.registered.add(1);
                self.core.notifier.joined(&registered, joined_ha.as_ref());
                Ok(registrations::Registered {
                    master_address: registered.master_address.as_deref().map(str::to_owned),
                    ha_address: registered.ha_address.as_deref().map(str::to_owned),
                })
            }
            Err(error) => {
                self.core.changes.refused.add(1);
                Err(register_error(error))
            }
        })
    }

    fn unregister(
        &mut self,
        cluster: String,
        broker_name: String,
        broker_id: i64,
        address: String,
    ) -> wasmtime::Result<Result<(), WriteError>> {
        let departure =
            Departure { cluster: cluster.into(), broker_name: broker_name.into(), broker_id, address: address.into() };
        self.write(|state| {
            let removed = state.core.routes.unregister(&departure);
            state.core.changes.unregistered.add(removed.iter().count());
            state.core.notifier.left(&removed);
        })
    }

    fn heartbeat(&mut self, cluster: String, address: String) -> wasmtime::Result<bool> {
        self.handling()?;
        self.reads()?.spoil(Unfit::Wrote);
        // One atomic, so it may run anywhere; but who could do it without a grant could keep dead brokers alive.
        let granted = self.is_granted(&Grant::RoutesWrite).is_ok();
        Ok(granted && self.core.routes.heartbeat(&cluster, &address, self.core.clock.now()))
    }

    fn version_of(&mut self, cluster: String, address: String) -> wasmtime::Result<Option<contract::DataVersion>> {
        let tables = self.all_tables()?;
        Ok(tables.live(&cluster, &address).map(|live| types::data_version(live.data_version)))
    }

    fn change_permissions(
        &mut self,
        broker_name: String,
        keep: i32,
        set: i32,
    ) -> wasmtime::Result<Result<u32, WriteError>> {
        self.write(|state| {
            let entries = state.core.routes.change_permissions(&broker_name, keep, set);
            u32::try_from(entries).unwrap_or(u32::MAX)
        })
    }

    fn delete_topic(&mut self, topic: String, cluster: Option<String>) -> wasmtime::Result<Result<(), WriteError>> {
        self.write(|state| state.core.routes.delete_topic(&topic, cluster.as_deref()))
    }

    fn put_topic(&mut self, topic: String, queues: Vec<contract::Queue>) -> wasmtime::Result<Result<(), WriteError>> {
        let queues = queues.into_iter().map(types::core_queue).collect();
        self.write(|state| state.core.routes.put_topic(&topic, queues))
    }
}

impl registrations::HostTopicTable for PluginState {
    fn empty(&mut self) -> wasmtime::Result<Resource<HostTopicTable>> {
        self.handling()?;
        let table = TopicTable { filter_servers: Some(Vec::new()), ..TopicTable::default() };
        Ok(self.resources.push(HostTopicTable { told: table.into(), form: None })?)
    }

    fn from_body(
        &mut self,
        form: registrations::BodyForm,
    ) -> wasmtime::Result<Result<Resource<HostTopicTable>, contract::DecodeError>> {
        let form = match form {
            registrations::BodyForm::Json => Form::Json,
            registrations::BodyForm::LegacyJson => Form::LegacyJson,
            registrations::BodyForm::Compressed => Form::Compressed,
            registrations::BodyForm::CompressedWithMappings => Form::CompressedWithMappings,
        };
        self.handling()?;
        let tables = self.core.routes.tables();
        let known = tables.imprints(self.request()?.caller.id());
        match self.decode(form, known)? {
            Ok(told) => Ok(Ok(self.resources.push(HostTopicTable { told, form: Some(form) })?)),
            Err(error) => Ok(Err(types::decode_error(&error))),
        }
    }

    fn drop(&mut self, table: Resource<HostTopicTable>) -> wasmtime::Result<()> {
        self.resources.delete(table)?;
        Ok(())
    }
}

impl PluginState {
    /// What the body of the request says, as a difference from what is known of its connection's brokers if it can be.
    fn decode<'a>(
        &self,
        form: Form,
        known: impl Iterator<Item = &'a Imprint>,
    ) -> wasmtime::Result<Result<Told, DecodeError>> {
        let body = &self.request()?.command.body;
        Ok(registration::decode_after(body, form, self.core.clock.now(), &self.core.body_limits, known))
    }

    /// A write to the tables, if the plugin may.
    fn write<T>(&mut self, write: impl FnOnce(&mut Self) -> T) -> wasmtime::Result<Result<T, WriteError>> {
        match self.begin_write(&Grant::RoutesWrite)? {
            Ok(()) => Ok(Ok(write(self))),
            Err(reason) => Ok(Err(WriteError::Denied(reason))),
        }
    }
}

fn core_registration(registration: registrations::Registration) -> Registration {
    Registration {
        cluster: registration.cluster.into(),
        broker_name: registration.broker_name.into(),
        broker_id: registration.broker_id,
        address: registration.address.into(),
        ha_address: registration.ha_address.map(Into::into),
        zone_name: registration.zone_name.map(Into::into),
        enable_acting_master: registration.enable_acting_master,
        heartbeat_timeout: registration.heartbeat_timeout_ms,
        delete_missing_topics: registration.delete_missing_topics,
    }
}

fn register_error(error: RegisterError) -> registrations::RegisterError {
    match error {
        RegisterError::SingleTopic => registrations::RegisterError::SingleTopic,
        RegisterError::ConnectionClosed => registrations::RegisterError::ConnectionClosed,
        RegisterError::Invalid(reason) => registrations::RegisterError::Invalid(reason),
        stale @ RegisterError::Stale => registrations::RegisterError::Invalid(stale.to_string()),
    }
}
