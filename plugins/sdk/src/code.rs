//! Response codes: what clients tell answers apart by. Java: `ResponseCode`, `RemotingSysResponseCode`.
//!
//! Numbers, not an enum: a plugin may answer with a code of its own.

/// The request was carried out.
pub const SUCCESS: i32 = 0;
/// It was not, and the remark says why. What every failure without a code of its own is answered with.
pub const SYSTEM_ERROR: i32 = 1;
/// The server has too much to do, or the plugin is out of order; ask again.
pub const SYSTEM_BUSY: i32 = 2;
/// Nothing here answers this request code.
pub const REQUEST_CODE_NOT_SUPPORTED: i32 = 3;
/// Whoever asks may not.
pub const NO_PERMISSION: i32 = 16;
/// No route for the topic; clients fall back to creating it, or report the remark.
pub const TOPIC_NOT_EXIST: i32 = 17;
/// The KV store holds no such thing.
pub const QUERY_NOT_FOUND: i32 = 22;
