//! The bits of a queue's permission. Java: `PermName`.

/// Consumers may read.
pub const READ: i32 = 4;
/// Producers may send.
pub const WRITE: i32 = 2;
