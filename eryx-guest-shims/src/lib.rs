//! The Python sources that run inside the guest, and what a guest image is made from.
//!
//! The sources themselves are real files under `python/`. This crate tells where they are and gives
//! everything an image depends on one [fingerprint](Recipe::fingerprint), so that the build knows when an
//! image is stale, and a host never embeds an image made from other sources than the ones beside it.
//!
//! ```
//! let recipe = eryx_guest_shims::Recipe::of_workspace();
//! assert_eq!(recipe.fingerprint()?, recipe.fingerprint()?);
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod image;
mod library;
mod recipe;

pub use image::{GuestImage, Manifest};
pub use library::{LIBRARIES, Library};
pub use recipe::Recipe;
