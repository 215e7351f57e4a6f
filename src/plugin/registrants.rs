//! The connections that brokers registered on, as the route tables know them.
//!
//! An entry is made by the first registration of a connection and taken out when the connection closes. Both happen in
//! the write lane, which runs a connection's close after all of its jobs, so no entry outlives its connection, and the
//! thousands of clients that never register have none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::route::{Connection, ConnectionId};

/// Which connections have registered brokers.
#[derive(Debug, Default)]
pub struct Registrants(Mutex<HashMap<ConnectionId, Arc<Connection>>>);

impl Registrants {
    /// The tables' side of a connection that is about to register.
    pub(crate) fn of(&self, id: ConnectionId) -> Arc<Connection> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(id).or_insert_with(|| Arc::new(Connection::new(id))))
    }

    /// Forgets a connection that has closed; none when nothing was ever registered on it.
    pub(crate) fn take(&self, id: ConnectionId) -> Option<Arc<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
