//! JSON as the Java side reads and writes it (fastjson2), which is not quite the standard's.
//!
//! [`Reader`] pulls values out of bytes and forgives what Java forgives; [`write`] appends the two things of which
//! Java's exact bytes matter. There is no tree between them: who reads a document knows its shape.

mod read;
pub mod write;

pub(crate) use read::plain_length;
pub use read::{JsonError, Kind, Problem, Reader};
