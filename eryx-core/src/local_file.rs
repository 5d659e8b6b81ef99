//! Files on file systems of this machine.

use std::fs::File;
use std::io;

#[cfg(target_os = "linux")]
use rustix::fs::fstatfs;

/// The types of local file systems, as statfs(2) numbers them. A file on another type may be
/// changed by another machine, whatever its mode is here.
#[cfg(target_os = "linux")]
const LOCAL: [u64; 8] = [
    0xef53,      // ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0xf2f5_2010, // f2fs
    0x2fc1_2fc1, // zfs
    0xca45_1a4e, // bcachefs
    0x0102_1994, // tmpfs
    0x794c_7630, // overlayfs
];

/// Returns whether `file` lies on a local file system.
#[cfg(target_os = "linux")]
pub(crate) fn is_local(file: &File) -> io::Result<bool> {
    // A number of 32 bits, which is signed on some machines.
    let fs_type = u64::from(fstatfs(file)?.f_type as u32);
    Ok(LOCAL.contains(&fs_type))
}

/// Returns `false`: which file systems are local is only known on Linux.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_local(_: &File) -> io::Result<bool> {
    Ok(false)
}
