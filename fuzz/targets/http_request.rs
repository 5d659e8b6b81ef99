//! HTTP requests of a program.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| eryx_fuzz::http::request(input));
