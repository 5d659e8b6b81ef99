//! Snapshots of sessions.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| eryx_fuzz::snapshots::read(input));
