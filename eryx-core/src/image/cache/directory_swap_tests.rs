//! Tests in which another user swaps the cache directory for one of theirs, over and over.
#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::image::cache::directory::Directory;
use crate::image::cache::entry::{self, ReadMode};
use crate::image::cache::pending_entry::PendingEntry;

/// How often the entry is read while the directory is swapped, unless
/// `ERYX_CACHE_RACE_SECONDS` says how long.
const READS: usize = 5_000;

/// A user who is not root.
const OTHER_USER: u32 = 65534;

fn store(path: &Path, content: &[u8]) {
    let dir = Arc::new(Directory::open(path).expect("made"));
    let name = OsStr::new("entry");
    let pending = PendingEntry::begin_unlocked(&dir, name).expect("begun");
    pending.commit(name, content).expect("written");
}

/// Reads the entry while `goes_on` returns true for the number of reads, and returns how often it
/// was read and used. It has to be ours each time.
fn read_while(path: &Path, goes_on: impl Fn(usize) -> bool) -> (usize, usize) {
    let mut found = 0;
    let mut read = 0;
    while goes_on(read) {
        let mode = if read % 2 == 0 {
            ReadMode::InPlace
        } else {
            ReadMode::Copy
        };
        if let Ok(dir) = Directory::open(path)
            && let Some(code) = entry::find(&dir, OsStr::new("entry"), mode)
        {
            assert!(code.bytes().starts_with(b"ours"), "read {read}, {mode:?}");
            found += 1;
        }
        read += 1;
    }
    (read, found)
}

/// Reads the entry [`READS`] times, and returns how often it was used.
fn read_repeatedly(path: &Path) -> usize {
    read_while(path, |read| read < READS).1
}

#[test]
fn no_file_of_another_user_is_used_while_that_user_swaps_the_directory() {
    let seconds = std::env::var("ERYX_CACHE_RACE_SECONDS").ok();
    let seconds = seconds.map(|text| Duration::from_secs(text.parse().expect("a number")));
    let parent = tempfile::tempdir().expect("made");
    let (ours, theirs) = (parent.path().join("cache"), parent.path().join("theirs"));
    store(&ours, b"ours");
    store(&theirs, b"theirs");
    for path in [theirs.join("entry"), theirs.clone()] {
        if chown(&path, Some(OTHER_USER), None).is_err() {
            // Written to the descriptor: the harness captures what a passing test prints.
            let _ = writeln!(
                std::io::stderr(),
                "\nSKIPPED: only root can make files of another user"
            );
            return;
        }
    }
    // The owner of the parent directory may rename its entries, and so may every user if the
    // parent's mode allows. With mode 0700 the swap is made by root, which shows that the checks
    // apply to the opened directory.
    for mode in [0o700, 0o777] {
        fs::set_permissions(parent.path(), Permissions::from_mode(mode)).expect("set");
        let over = Arc::new(AtomicBool::new(false));
        let swapping = thread::spawn({
            let (ours, theirs, over) = (ours.clone(), theirs.clone(), Arc::clone(&over));
            move || {
                let mut swaps = 0;
                while !over.load(Ordering::Relaxed) || swaps % 2 == 1 {
                    renameat_with(CWD, &ours, CWD, &theirs, RenameFlags::EXCHANGE)
                        .expect("swapped");
                    swaps += 1;
                }
                swaps
            }
        });
        let start = Instant::now();
        let (reads, found) = read_while(&ours, |read| match seconds {
            Some(seconds) => start.elapsed() < seconds,
            None => read < READS,
        });
        over.store(true, Ordering::Relaxed);
        let swaps = swapping.join().expect("it ends");
        assert!(swaps > 0);
        if seconds.is_some() {
            let _ = writeln!(
                std::io::stderr(),
                "\ncache race, mode {mode:o}: {swaps} swaps, {reads} reads, {found} found, all ours"
            );
        }
        if mode == 0o777 {
            assert_eq!(found, 0, "every user may write to the parent directory");
        }
    }
    assert_eq!(
        read_repeatedly(&ours),
        0,
        "every user may still write to the parent"
    );
    fs::set_permissions(parent.path(), Permissions::from_mode(0o700)).expect("set");
    assert_eq!(read_repeatedly(&ours), READS);
}
