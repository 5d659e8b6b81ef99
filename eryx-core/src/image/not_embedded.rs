//! Placeholders for a program without an embedded image.

use crate::error::{Error, ImageError};
use crate::image::Image;
use crate::image::cache::Cache;
use crate::image::cache::pending_entry::PendingEntry;

/// The component; never read, since [`load`] fails before.
pub(crate) static WASM: &[u8] = &[];
/// The digest of the component.
pub(crate) static WASM_DIGEST: &str = "";

/// Fails: there is no image.
pub(super) fn load() -> Result<Image, Error> {
    Err(ImageError::new(
        "this program carries none; build it with eryx-core's feature `embedded-image`",
    )
    .into())
}

/// Fails: there is no image to take a snapshot of.
pub(crate) fn load_cached(_cache: &Cache, _key: &str) -> Result<Option<Image>, Error> {
    load().map(Some)
}

/// Fails: there is no image to take a snapshot of.
pub(crate) fn compile_snapshot(
    _cache: &Cache,
    _key: &str,
    _wasm: &[u8],
    _pending: Option<PendingEntry>,
) -> Result<Image, Error> {
    load()
}
