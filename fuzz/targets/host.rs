//! A host, as somebody asks for it.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| eryx_fuzz::text::host(text));
