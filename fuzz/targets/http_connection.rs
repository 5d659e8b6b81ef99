//! Both directions of an HTTP connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| eryx_fuzz::http_connection::connection(input));
