#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod compile_cost;
mod component;
mod error;
mod image_module;
mod libraries_table;
mod library;
mod limits;
mod link;
mod method_tables;
mod sections;
pub mod symbols;
mod writer;
pub mod yield_points;

pub use error::{LinkError, Rejection};
pub use library::is_webassembly;
pub use link::{NativeModule, link};
