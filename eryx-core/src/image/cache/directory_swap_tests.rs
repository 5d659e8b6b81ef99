//! Another user exchanges the cache directory for one of theirs, over and over.
#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::building::Building;
use super::directory::Directory;
use super::kept::{self, Use};

/// How often the entry is looked for while the directory is being exchanged.
const LOOKS: usize = 5_000;

/// A user who is not root.
const THEM: u32 = 65534;

fn cache(path: &Path, content: &[u8]) {
    let dir = Arc::new(Directory::open(path).expect("made"));
    let name = OsStr::new("entry");
    let building = Building::alone(&dir, name).expect("begun");
    building.finish(name, content).expect("written");
}

/// Looks for the entry, and returns how often there was one. It has to be ours each time.
fn look(path: &Path) -> usize {
    let mut found = 0;
    for look in 0..LOOKS {
        let how = if look % 2 == 0 {
            Use::InPlace
        } else {
            Use::Copied
        };
        if let Ok(dir) = Directory::open(path)
            && let Some(code) = kept::find(&dir, OsStr::new("entry"), how)
        {
            assert!(code.bytes().starts_with(b"ours"), "look {look}, {how:?}");
            found += 1;
        }
    }
    found
}

#[test]
fn no_file_of_another_user_is_used_while_that_user_exchanges_the_directory() {
    let folder = tempfile::tempdir().expect("made");
    let (ours, theirs) = (folder.path().join("cache"), folder.path().join("theirs"));
    cache(&ours, b"ours");
    cache(&theirs, b"theirs");
    for path in [theirs.join("entry"), theirs.clone()] {
        if chown(&path, Some(THEM), None).is_err() {
            // Past the harness, which shows nothing of a test that passes.
            let _ = writeln!(
                std::io::stderr(),
                "\nSKIPPED: only root can make files of another user"
            );
            return;
        }
    }
    // Whoever owns the folder may rename what is in it, and so may all if it is open to them. What they exchange it for when
    // the folder is closed (0o700) shows that the directory is judged by what was opened.
    for mode in [0o700, 0o777] {
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).expect("set");
        let over = Arc::new(AtomicBool::new(false));
        let exchanging = thread::spawn({
            let (ours, theirs, over) = (ours.clone(), theirs.clone(), Arc::clone(&over));
            move || {
                let mut exchanges = 0;
                while !over.load(Ordering::Relaxed) || exchanges % 2 == 1 {
                    renameat_with(CWD, &ours, CWD, &theirs, RenameFlags::EXCHANGE)
                        .expect("exchanged");
                    exchanges += 1;
                }
                exchanges
            }
        });
        let found = look(&ours);
        over.store(true, Ordering::Relaxed);
        let exchanges = exchanging.join().expect("it ends");
        assert!(exchanges > 0);
        if mode == 0o777 {
            assert_eq!(found, 0, "a directory in a folder that all may write to");
        }
    }
    assert_eq!(look(&ours), 0, "the folder is still open to all");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).expect("set");
    assert_eq!(look(&ours), LOOKS);
}
