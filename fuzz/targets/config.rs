//! A configuration, as a file or another program hands it in.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| eryx_fuzz::config::run(text));
