//! The JSON of a program's value.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| eryx_fuzz::json::value(input));
