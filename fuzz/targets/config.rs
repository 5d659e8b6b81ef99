//! A configuration in a file or from another program.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| eryx_fuzz::config::run(text));
