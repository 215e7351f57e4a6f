//! Telling brokers what changed in their group.
//!
//! ```text
//!  Registered, Removed ─▶ change: what is said, to whom ─▶ Notifier ─▶ courier: one thread ─▶ a connection per broker
//! ```
//!
//! What a message looks like on the wire is a plugin's [`Form`]; the facts in it are the tables'.
//!
//! # Invariants
//!
//! * Whoever changes the tables waits for no broker: it hands a message over, after the change and outside every lock.
//! * One broker that is gone, or does not read, neither delays nor hides the message to another.
//! * What a broker is told last about a group is the newest: a message that was overtaken is not sent.
//! * Everything that waits is bounded. What finds no room is dropped, counted, and told to the log.

mod change;
mod courier;
mod form;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};

use crate::config::Settings;
use crate::net::tls;
use crate::remoting::{Command, EncodeError, FLAG_ONEWAY, RequestCode, SerializeType};
use crate::route::{Name, Registered, Removed};

use change::MinIdChange;
use courier::{Courier, Letter};

pub use form::{Event, Fact, Form};

/// A longer message is not sent: it would have names in it that no broker has.
const MESSAGE_SIZE_MAX: usize = 64 * 1024;

/// Tells brokers, until closed.
pub struct Notifier {
    settings: Arc<Settings>,
    serialize_type: SerializeType,
    forms: ArcSwap<Vec<Form>>,
    opaque: AtomicI32,
    courier: Courier,
}

impl Notifier {
    /// Starts the thread that sends; with `tls`, that is spoken to every broker. Nobody is told anything before there
    /// are [forms](Self::use_forms).
    ///
    /// # Errors
    /// When the machine refuses a thread.
    pub fn start(settings: Arc<Settings>, serialize_type: SerializeType, tls: Option<tls::Client>) -> io::Result<Self> {
        let courier = Courier::start(tls)?;
        Ok(Self { settings, serialize_type, forms: ArcSwap::default(), opaque: AtomicI32::new(0), courier })
    }

    /// What messages look like from now on.
    pub fn use_forms(&self, forms: Vec<Form>) {
        self.forms.store(Arc::new(forms));
    }

    /// A broker has registered, and serves its slaves at `ha_address`.
    pub fn joined(&self, registered: &Registered, ha_address: Option<&Name>) {
        if let Some(group) = &registered.min_id_change {
            self.tell(&MinIdChange::joined(group, ha_address));
        }
    }

    /// Brokers have gone, in this order.
    pub fn left<'a>(&self, removed: impl IntoIterator<Item = &'a Removed>) {
        for one in removed {
            if let Some(group) = &one.min_id_change {
                self.tell(&MinIdChange::left(group, &one.address));
            }
        }
    }

    /// Tells nobody anything from now on, and gives up what is under way. A server that stops sees all of its brokers
    /// leave, which is not theirs to hear. Java: `NamesrvController.shutdown` begins with the client.
    pub fn close(&self) {
        self.courier.close();
    }

    fn tell(&self, change: &MinIdChange<'_>) {
        let is_on = |form: &&Form| form.when_setting.as_deref().is_none_or(|key| self.settings.flag(key));
        for form in self.forms.load().iter().filter(is_on) {
            let Event::MinBrokerIdChanged = form.event;
            let to: Vec<Name> = change.recipients().cloned().collect();
            if to.is_empty() {
                continue;
            }
            let group = change.group();
            match self.frame(form, change) {
                Ok(frame) if frame.len() <= MESSAGE_SIZE_MAX => {
                    tracing::info!(
                        broker = %group.broker_name, min_id = ?group.min_id(), departed = ?change.departed(),
                        "{} to {} brokers: the smallest broker id has changed", form.name, to.len()
                    );
                    let (group, version) = (Name::clone(&group.broker_name), group.version);
                    self.courier.send(Letter { group, version, to, frame });
                }
                Ok(frame) => tracing::error!("{}: {} bytes are too long to be sent", form.name, frame.len()),
                Err(error) => tracing::error!("{}: it cannot be written: {error}", form.name),
            }
        }
    }

    fn frame(&self, form: &Form, change: &MinIdChange<'_>) -> Result<Bytes, EncodeError> {
        let fields = form.fields.iter().filter_map(|(name, fact)| Some((name.as_str(), change.fact(*fact)?)));
        let command = Command {
            flag: FLAG_ONEWAY,
            fields: Some(fields.collect()),
            ..Command::request(RequestCode(form.code), self.opaque.fetch_add(1, Ordering::Relaxed))
        };
        let mut frame = BytesMut::new();
        command.encode(self.serialize_type, &mut frame)?;
        Ok(frame.freeze())
    }
}

#[cfg(test)]
mod tests;
