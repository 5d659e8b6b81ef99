//! How the tests open files.
#![allow(dead_code, reason = "each test uses a part")]

use eryx_files::{Descriptor, FileSystem, Layout, Limits, OpenFlags, Timestamp};

/// Opens a file or directory that exists, to read it.
pub(crate) const READ: OpenFlags = OpenFlags {
    follow: true,
    create: false,
    exclusive: false,
    directory: false,
    truncate: false,
    read: true,
    write: false,
};

/// Opens a file, which need not exist, to read and write it.
pub(crate) const CREATE: OpenFlags = OpenFlags {
    create: true,
    write: true,
    ..READ
};

/// Starts with the files of a layout. Returns its root directory, too.
pub(crate) fn start_with(layout: &Layout, limits: Limits) -> (FileSystem, Descriptor) {
    let mut files = layout.start(limits, Timestamp::default);
    let root = files.open_root().expect("the root");
    (files, root)
}
