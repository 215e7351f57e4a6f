//! See `fingerpost_fuzz::lenient_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fingerpost_fuzz::lenient_json::check(data));
