//! A host pattern, as somebody writes it into a list.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| eryx_fuzz::text::pattern(text));
