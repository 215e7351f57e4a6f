//! See `fingerpost_fuzz::registration_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fingerpost_fuzz::registration_json::check(data));
