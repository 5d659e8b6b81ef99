#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use std::ffi::CStr;

mod compiler_options;
mod extension_modules;
mod image;
mod inputs;
mod sha256;

/// The Python module that converts values to JSON and back. The guest has it as
/// `eryx_guest.json_values`, and a host in Python uses it too, so that both have the same rules.
pub const JSON_VALUES: &CStr = {
    let source = concat!(include_str!("../python/eryx_guest/json_values.py"), "\0");
    match CStr::from_bytes_with_nul(source.as_bytes()) {
        Ok(source) => source,
        Err(_) => panic!("the source has no NUL characters"),
    }
};

pub use compiler_options::COMPILER_OPTIONS;
pub use extension_modules::{EXTENSION_MODULES, ExtensionModule, NATIVE_MODULE, NativeModule};
pub use image::{GuestImage, ImageFiles, Manifest};
pub use inputs::BuildInputs;
pub use sha256::sha256_hex;
