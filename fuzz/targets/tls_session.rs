//! A TLS session whose transport the caller carries, and a peer that lies.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| eryx_fuzz::session::run(script));
