//! A peer's certificate chain, of which nothing has been verified.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| eryx_fuzz::chain::run(script));
