//! The files that every guest starts with.

use std::sync::{Arc, LazyLock};

use eryx_files::{Layer, Layout, LayoutBuilder, LayoutError, Mount, Timestamp};

use crate::files::standard_devices::{self, DEVICES};

/// The directory where a guest finds its packages.
pub(crate) const PACKAGES: &str = "/packages";

/// The directories that every guest can write to from the start.
const DIRECTORIES: [&str; 2] = ["/tmp", "/home/user"];

/// The time of all files that a guest starts with: the first day of 1980, the earliest time that a
/// zip archive can have. It is the same for all files, so that the directory caches of an
/// interpreter (`importlib`) are valid in every sandbox.
pub(crate) const MODIFIED: Timestamp = Timestamp::from_seconds(315_532_800);

/// Returns the layout of a guest without packages.
pub(crate) fn without_packages() -> Layout {
    static LAYOUT: LazyLock<Layout> = LazyLock::new(|| {
        let directories = directories();
        directories.expect("the directories are valid").build()
    });
    LAYOUT.clone()
}

/// Returns the layout of a guest that finds these packages in [`PACKAGES`].
pub(crate) fn with_packages(packages: Arc<Layer>) -> Layout {
    let mounted = directories().and_then(|layout| layout.mount(PACKAGES, Mount::Layer(packages)));
    mounted.expect("the directories are valid").build()
}

fn directories() -> Result<LayoutBuilder, LayoutError> {
    let devices = Mount::Directory(Arc::new(standard_devices::directory(MODIFIED)));
    let layout = Layout::builder(MODIFIED).mount(DEVICES, devices)?;
    DIRECTORIES
        .iter()
        .try_fold(layout, |layout, path| layout.directory(path))
}
