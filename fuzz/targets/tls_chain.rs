//! An unverified certificate chain of a peer.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| eryx_fuzz::tls_chain::run(script));
