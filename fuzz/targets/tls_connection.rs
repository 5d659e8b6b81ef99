//! A connection to a TLS server that says what no library would.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| eryx_fuzz::connection::run(script));
