//! What has to hold for every input, whoever made it: one function for each fuzz target.
//!
//! A function that returns has found nothing; a finding is a panic.
#![forbid(unsafe_code)]

pub mod config;
pub mod policy;
pub mod session;
pub mod stream;
pub mod text;

mod peer;
mod script;
