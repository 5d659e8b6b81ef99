//! The passes over the component that componentize-py builds, which make it the guest image.

mod merge_modules;
mod stack_depth;
mod state_access;

use anyhow::Result;

/// The host function that yields to other tasks when a time slice is over: its import module and
/// its name.
const YIELD_NOW: (&str, &str) = ("$root", "yield-now");

/// Returns the guest image of the `component` that componentize-py built.
///
/// # Errors
///
/// Fails when the component does not have the form that the passes expect.
pub fn run(component: &[u8]) -> Result<Vec<u8>> {
    // The frames come first: that pass finds functions by exports, which merging removes.
    let component = stack_depth::pad_recursive_frames(component)?;
    merge_modules::merge_modules(&component, Some(YIELD_NOW))
}
