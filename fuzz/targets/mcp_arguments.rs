//! The arguments of tools, and URIs of resources, of a client of `eryx mcp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| eryx_fuzz::mcp::arguments(input));
