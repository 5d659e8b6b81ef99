//! Extension modules in WebAssembly.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| eryx_fuzz::native_linker::link_module(input));
