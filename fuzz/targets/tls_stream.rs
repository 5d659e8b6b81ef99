//! TLS over a transport that stalls and fails, and a hostile network.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| eryx_fuzz::tls_stream::run(script));
