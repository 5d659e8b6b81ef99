//! A TLS session without a transport, and a hostile network.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| eryx_fuzz::tls_session::run(script));
