//! A policy, a question, and an answer from a name server.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| eryx_fuzz::policy::run(text));
