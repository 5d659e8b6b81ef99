#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod image;
mod library;
mod recipe;

pub use image::{GuestImage, Manifest, Parts};
pub use library::{LIBRARIES, Library};
pub use recipe::Recipe;
