//! What has to hold for every input, whoever made it: one function for each fuzz target.
//!
//! A function that returns has found nothing; a finding is a panic.
#![forbid(unsafe_code)]

pub mod chain;
pub mod config;
pub mod connection;
pub mod policy;
pub mod session;
pub mod stream;
pub mod text;

mod peer;
// The tests' own, without all else that they bring along.
#[path = "../../testkit/src/forged.rs"]
mod forged;
mod script;
#[path = "../../testkit/src/sealer.rs"]
mod sealer;
