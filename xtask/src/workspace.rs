//! The workspace's folders.

use std::path::{Path, PathBuf};

/// Returns the root folder of the workspace.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Returns the folder that cargo builds into.
pub(crate) fn target_dir() -> PathBuf {
    let configured = std::env::var_os("CARGO_TARGET_DIR");
    root().join(configured.unwrap_or_else(|| "target".into()))
}
