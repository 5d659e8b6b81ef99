//! What the build tools make is rewritten before it becomes the guest image.

mod flatten;
mod pauses;
mod recursion;

use anyhow::Result;

/// The function of the host that looks whether it is time to do something else: where it is imported from, and its name.
const PAUSE: (&str, &str) = ("$root", "yield-now");

/// The guest image of the `component` that componentize-py made.
pub(crate) fn rewrite(component: &[u8]) -> Result<Vec<u8>> {
    // The first knows functions by the names under which modules export them.
    flatten::flatten(&recursion::measurable(component)?, Some(PAUSE))
}
