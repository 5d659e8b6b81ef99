//! A connection to a hostile TLS server.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| eryx_fuzz::tls_connection::run(script));
