//! Operations of a program on its files.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| eryx_fuzz::files::operations(input));
