//! What the tables must know of a connection: whether it may still register.
//!
//! A registration waits in a lane while its connection may close. If the close came first, applying the registration
//! would leave a broker that no later event of that connection removes. Remembering every closed id would cost memory
//! for ever, so the mark stands in a value that lives exactly as long as somebody can still name the connection.

use std::sync::atomic::{AtomicU8, Ordering};

use super::types::ConnectionId;

/// One connection, shared by whoever reads it and whoever registers on it.
#[derive(Debug)]
pub struct Connection {
    id: ConnectionId,
    state: AtomicU8,
}

/// Open, and no broker was ever registered on it: its end concerns nobody here.
const FRESH: u8 = 0;
/// Open, and at least one registration came.
const USED: u8 = 1;
const CLOSED: u8 = 2;

impl Connection {
    /// An open connection. `id` must not have been used before.
    pub fn new(id: ConnectionId) -> Self {
        Self { id, state: AtomicU8::new(FRESH) }
    }

    /// Which it is.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Whether a registration would still be taken.
    pub fn is_open(&self) -> bool {
        self.state.load(Ordering::Acquire) != CLOSED
    }

    /// Notes that a registration is about to be published; false when it is too late for that. The caller holds the
    /// write lock, so a `close` that comes after this finds the published broker once it has the lock.
    pub(super) fn use_for_registration(&self) -> bool {
        match self.state.compare_exchange(FRESH, USED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(state) => state == USED,
        }
    }

    /// Closes it; says whether a broker may have been registered on it, so that ten thousand clients that leave at
    /// once do not queue for the write lock.
    pub(super) fn close(&self) -> bool {
        self.state.swap(CLOSED, Ordering::AcqRel) == USED
    }
}
