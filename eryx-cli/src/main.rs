//! eryx-cli
fn main() {}
