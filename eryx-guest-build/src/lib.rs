#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod assemble;
pub mod build;
pub mod componentize;
pub mod native;
pub mod passes;
