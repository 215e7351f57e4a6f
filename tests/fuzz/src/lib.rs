//! What the fuzzers check, one module for each target: not only that nothing panics, but that what is read agrees
//! with a second opinion, and that what is written reads back.
//!
//! The checks are plain functions, so that they also run over the seeds alone, without a fuzzer; see `README.md`.

mod differences;
pub mod frame;
pub mod kv_file;
pub mod lenient_json;
pub mod memory;
pub mod properties;
pub mod proxy_header;
pub mod registration_compressed;
pub mod registration_json;
pub mod seeds;

mod plain;
mod tree;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// Cuts a byte off that says how the rest is meant.
fn split_byte(data: &[u8]) -> Option<(u8, &[u8])> {
    data.split_first().map(|(byte, rest)| (*byte, rest))
}
