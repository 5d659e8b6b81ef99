//! TLS over a transport that stalls, tears and fails, and a peer that lies.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| eryx_fuzz::stream::run(script));
