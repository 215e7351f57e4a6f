//! See `fingerpost_fuzz::registration_compressed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fingerpost_fuzz::registration_compressed::check(data));
