//! Patterns in a stream.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| eryx_fuzz::http_patterns::finder(input));
