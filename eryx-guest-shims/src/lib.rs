#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod extension_modules;
mod image;
mod inputs;
mod sha256;

pub use extension_modules::{EXTENSION_MODULES, ExtensionModule};
pub use image::{GuestImage, ImageFiles, Manifest};
pub use inputs::BuildInputs;
