//! A host requested by a program.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| eryx_fuzz::parsers::host(text));
