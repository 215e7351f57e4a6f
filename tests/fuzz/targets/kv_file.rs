//! See `fingerpost_fuzz::kv_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fingerpost_fuzz::kv_file::check(data));
