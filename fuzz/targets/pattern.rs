//! A host pattern in a list of the embedder.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| eryx_fuzz::parsers::pattern(text));
