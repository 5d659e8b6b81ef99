//! A policy, a request, and the answer of a name server.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| eryx_fuzz::policy::run(text));
