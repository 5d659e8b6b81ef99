//! Directories of the machine: what a program reaches of them, and what it does not.
#![cfg(feature = "machine")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eryx_files::{
    Descriptor, Error, FileSystem, FileType, Layout, Limits, MachineDirectory, Mount, NewTime,
    OpenFlags, SaveError, SaveFolder, Snapshot, Timestamp, save_changes, save_changes_to,
};
use rustix::fs::{CWD, FileType as SystemFileType, Mode, mknodat};
use rustix::process::{Resource, getrlimit, setrlimit};

use support::{CREATE, READ, start_with};

/// Mounts a directory at `/mnt/machine`.
fn start(directory: MachineDirectory) -> (FileSystem, Descriptor) {
    let layout = Layout::builder(Timestamp::default())
        .file("/secret", &b"of the program"[..])
        .and_then(|layout| layout.mount("/mnt/machine", Mount::Directory(Arc::new(directory))))
        .expect("a layout")
        .build();
    start_with(&layout, Limits::default())
}

fn read_only(path: &Path) -> (FileSystem, Descriptor) {
    start(MachineDirectory::read_only(path).expect("a directory"))
}

fn read_write(path: &Path, growth: u64) -> (FileSystem, Descriptor) {
    start(MachineDirectory::read_write(path, growth).expect("a directory"))
}

fn read(files: &mut FileSystem, root: Descriptor, path: &str) -> Result<String, Error> {
    let file = files.open_at(root, path, READ)?;
    let content = files.read(file, 0, 1000);
    files.close(file).expect("closed");
    Ok(String::from_utf8(content?.to_vec()).expect("text"))
}

/// Returns a directory with a folder `mount`, and a secret beside it.
fn machine() -> tempfile::TempDir {
    let machine = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(machine.path().join("mount/inner")).expect("a directory");
    fs::write(machine.path().join("mount/inner/file"), "content").expect("a file");
    fs::write(machine.path().join("secret"), "of the machine").expect("a file");
    machine
}

#[test]
fn a_read_only_mount_can_be_read_and_listed_and_not_changed() {
    let machine = machine();
    let (mut files, root) = read_only(&machine.path().join("mount"));
    assert_eq!(
        read(&mut files, root, "mnt/machine/inner/file").as_deref(),
        Ok("content")
    );
    let inner = files
        .open_at(root, "mnt/machine/inner", READ)
        .expect("a directory");
    assert_eq!(read(&mut files, inner, "file").as_deref(), Ok("content"));
    assert_eq!(
        read(&mut files, inner, "../inner/./file").as_deref(),
        Ok("content")
    );
    assert_eq!(
        read(&mut files, inner, "../../../secret").as_deref(),
        Ok("of the program")
    );
    let listing = files.list(inner).expect("a listing");
    let entry = files
        .next_entry(listing)
        .expect("an entry")
        .expect("an entry");
    assert_eq!((&*entry.0, entry.1), ("file", FileType::File));
    assert_eq!(files.next_entry(listing), Ok(None));
    let stat = files
        .stat_at(root, true, "mnt/machine/inner/file")
        .expect("a file");
    let metadata = fs::metadata(machine.path().join("mount/inner/file")).expect("a file");
    assert_eq!((stat.size, stat.links), (7, 1));
    assert_eq!(stat.modified.seconds(), metadata.mtime() as u64);

    let file = files
        .open_at(root, "mnt/machine/inner/file", READ)
        .expect("a file");
    let now = NewTime::Now;
    for result in [
        files.open_at(root, "mnt/machine/new", CREATE).map(|_| ()),
        files
            .open_at(root, "mnt/machine/inner/file", CREATE)
            .map(|_| ()),
        files.create_directory_at(root, "mnt/machine/new"),
        files.unlink_file_at(root, "mnt/machine/inner/file"),
        files.remove_directory_at(root, "mnt/machine/inner"),
        files.rename_at(root, "mnt/machine/inner/file", root, "mnt/machine/new"),
        files.set_times_at(root, true, "mnt/machine/inner/file", now, now),
        files.set_times_at(root, true, "mnt/machine", now, now),
        files.set_times(file, now, now),
        files.set_times(inner, now, now),
    ] {
        assert_eq!(result, Err(Error::ReadOnly));
    }
    assert_eq!(files.write(file, 0, b"x"), Err(Error::BadDescriptor));
    assert_eq!(
        files.remove_directory_at(root, "mnt/machine"),
        Err(Error::Busy)
    );
    assert_eq!(files.read(file, u64::MAX, 1).expect("nothing"), "");
    assert_eq!(files.read(file, 0, u64::MAX).expect("all"), "content");
}

#[test]
fn links_of_the_machine_lead_to_files_of_the_program() {
    let machine = machine();
    let mount = machine.path().join("mount");
    for (target, name) in [
        ("../secret", "up"),
        ("../../secret", "two_up"),
        ("../../../../../../../../secret", "far_up"),
        ("/secret", "absolute"),
        ("inner", "directory"),
        ("inner/../inner/file", "file"),
        ("loop", "loop"),
        ("/proc/self/cwd", "proc"),
    ] {
        symlink(target, mount.join(name)).expect("a link");
    }
    symlink(machine.path().join("secret"), mount.join("secret")).expect("a link");
    symlink(machine.path(), mount.join("above")).expect("a link");
    let (mut files, root) = read_only(&mount);
    for (path, expected) in [
        ("up", Err(Error::NoEntry)),
        ("two_up", Ok("of the program")),
        ("far_up", Ok("of the program")),
        ("absolute", Ok("of the program")),
        ("directory/file", Ok("content")),
        ("directory/../file", Ok("content")),
        ("file", Ok("content")),
        ("loop", Err(Error::Loop)),
        ("proc", Err(Error::NoEntry)),
        ("secret", Err(Error::NoEntry)),
        ("above/secret", Err(Error::NoEntry)),
        ("inner/../../../secret", Ok("of the program")),
    ] {
        let found = read(&mut files, root, &format!("mnt/machine/{path}"));
        assert_eq!(
            found.as_deref(),
            expected.as_ref().map(|text| *text),
            "{path}"
        );
    }
    let flags = OpenFlags {
        follow: false,
        ..READ
    };
    assert_eq!(
        files.open_at(root, "mnt/machine/file", flags),
        Err(Error::Loop)
    );
    assert_eq!(
        files.readlink_at(root, "mnt/machine/up").as_deref(),
        Ok("../secret")
    );
}

#[test]
fn pipes_sockets_and_devices_are_not_opened() {
    let machine = machine();
    let mount = machine.path().join("mount");
    // To open this for reading would wait for a writer.
    mknodat(CWD, mount.join("pipe"), SystemFileType::Fifo, Mode::RWXU, 0).expect("a pipe");
    let _socket = std::os::unix::net::UnixListener::bind(mount.join("socket")).expect("a socket");
    let (mut files, root) = read_write(&mount, 1 << 20);
    for name in ["pipe", "socket"] {
        let path = format!("mnt/machine/{name}");
        for flags in [READ, CREATE] {
            assert_eq!(
                files.open_at(root, &path, flags),
                Err(Error::NotPermitted),
                "{name}"
            );
        }
        let stat = files.stat_at(root, true, &path).expect("something");
        assert_eq!(stat.file_type, FileType::Other);
    }
    let (mut files, root) = read_only(Path::new("/dev"));
    for name in ["null", "zero", "tty"] {
        let opened = files.open_at(root, &format!("mnt/machine/{name}"), READ);
        assert_eq!(opened, Err(Error::NotPermitted), "{name}");
    }
}

#[test]
fn a_writable_mount_can_be_changed_but_gets_no_links() {
    let machine = machine();
    let mount = machine.path().join("mount");
    let (mut files, root) = read_write(&mount, 1 << 20);
    let file = files
        .open_at(root, "mnt/machine/new", CREATE)
        .expect("a file");
    assert_eq!(files.write(file, 2, b"cd"), Ok(2));
    assert_eq!(files.append(file, b"ef"), Ok(2));
    assert_eq!(fs::read(mount.join("new")).expect("a file"), b"\0\0cdef");
    files.set_size(file, 3).expect("set");
    assert_eq!(
        files.write(file, u64::MAX - 1, b"xy"),
        Err(Error::FileTooLarge)
    );
    assert_eq!(files.set_size(file, u64::MAX), Err(Error::FileTooLarge));
    let metadata = fs::metadata(mount.join("new")).expect("a file");
    assert_eq!(
        (metadata.len(), metadata.permissions().mode() & 0o111),
        (3, 0)
    );
    let time = NewTime::At(Timestamp::from_seconds(7));
    files.set_times(file, time, time).expect("set");
    assert_eq!(fs::metadata(mount.join("new")).expect("a file").mtime(), 7);

    files
        .create_directory_at(root, "mnt/machine/dir")
        .expect("created");
    files
        .rename_at(root, "mnt/machine/new", root, "mnt/machine/dir/moved")
        .expect("renamed");
    assert!(mount.join("dir/moved").is_file());
    for (result, error) in [
        (
            files.symlink_at("/etc", root, "mnt/machine/link"),
            Error::NotPermitted,
        ),
        (
            files.symlink_at("x", root, "mnt/machine/dir/link"),
            Error::NotPermitted,
        ),
        (
            files.link_at(
                root,
                true,
                "mnt/machine/inner/file",
                root,
                "mnt/machine/name",
            ),
            Error::NotPermitted,
        ),
        (
            files.link_at(root, true, "secret", root, "mnt/machine/name"),
            Error::CrossDevice,
        ),
        (
            files.rename_at(root, "secret", root, "mnt/machine/name"),
            Error::CrossDevice,
        ),
        (
            files.rename_at(root, "mnt/machine/dir/moved", root, "x"),
            Error::CrossDevice,
        ),
        (files.rename_at(root, "mnt/machine", root, "x"), Error::Busy),
        (
            files.rename_at(root, "mnt/machine/dir", root, "mnt/machine/inner"),
            Error::NotEmpty,
        ),
        (
            files.rename_at(root, "mnt/machine/dir", root, "mnt/machine/dir/x"),
            Error::Invalid,
        ),
        (
            files.remove_directory_at(root, "mnt/machine/dir"),
            Error::NotEmpty,
        ),
        (
            files.unlink_file_at(root, "mnt/machine/dir"),
            Error::IsADirectory,
        ),
        (
            files.create_directory_at(root, "mnt/machine/dir"),
            Error::Exists,
        ),
        (
            files.create_directory_at(root, "mnt/machine/dir/moved/x"),
            Error::NotADirectory,
        ),
        (
            files.create_directory_at(root, "mnt/machine/x/y"),
            Error::NoEntry,
        ),
    ] {
        assert_eq!(result, Err(error));
    }
    let exclusive = OpenFlags {
        exclusive: true,
        ..CREATE
    };
    assert_eq!(
        files.open_at(root, "mnt/machine/dir/moved", exclusive),
        Err(Error::Exists)
    );
    files
        .unlink_file_at(root, "mnt/machine/dir/moved")
        .expect("removed");
    files
        .remove_directory_at(root, "mnt/machine/dir")
        .expect("removed");
    assert_eq!(files.read(file, 0, 10).expect("still open"), &b"\0\0c"[..]);
    assert_eq!(fs::read_dir(&mount).expect("a directory").count(), 1);
    assert_eq!((files.used_bytes(), files.used_files()), (0, 0));
}

#[test]
fn a_writable_mount_grows_by_exactly_what_it_may() {
    let machine = machine();
    let mount = machine.path().join("mount");
    let (mut files, root) = read_write(&mount, 4096 + 100);
    let file = files
        .open_at(root, "mnt/machine/new", CREATE)
        .expect("a file");
    // No other entry fits, and 100 bytes.
    assert_eq!(
        files.open_at(root, "mnt/machine/other", CREATE),
        Err(Error::NoSpace)
    );
    assert_eq!(
        files.create_directory_at(root, "mnt/machine/other"),
        Err(Error::NoSpace)
    );
    assert_eq!(files.write(file, 10, &[1; 50]), Ok(50));
    assert_eq!(files.set_size(file, 101), Err(Error::NoSpace));
    assert_eq!(files.append(file, &[2; 50]), Ok(40));
    assert_eq!(files.append(file, b"x"), Err(Error::NoSpace));
    assert_eq!(files.write(file, 1 << 40, b"x"), Err(Error::NoSpace));
    assert_eq!(files.write(file, 99, b"xx"), Ok(1));
    assert_eq!(fs::metadata(mount.join("new")).expect("a file").len(), 100);
    assert!(!mount.join("other").exists());
    // What is freed does not count again.
    files.set_size(file, 0).expect("set");
    assert_eq!(files.append(file, b"x"), Err(Error::NoSpace));
}

#[test]
fn at_most_64_files_of_the_machine_are_open() {
    let machine = machine();
    let (mut files, root) = read_only(&machine.path().join("mount"));
    let open = |files: &mut FileSystem| files.open_at(root, "mnt/machine/inner/file", READ);
    let opened: Vec<_> = std::iter::from_fn(|| open(&mut files).ok()).collect();
    assert_eq!(opened.len(), 64);
    assert_eq!(open(&mut files), Err(Error::TooManyOpen));
    assert_eq!(
        files.open_at(root, "mnt/machine", READ),
        Err(Error::TooManyOpen)
    );
    files
        .open_at(root, "secret", READ)
        .expect("a file in memory");
    files.close(opened[0]).expect("closed");
    let mount = files
        .open_at(root, "mnt/machine", READ)
        .expect("a directory");
    assert_eq!(files.list(mount), Err(Error::TooManyOpen));
}

#[test]
fn a_directory_that_another_process_replaces_by_a_link_is_never_followed() {
    let machine = machine();
    let mount = machine.path().join("mount");
    // `swap` is a directory with a file, and then a link to a directory with another one.
    let outside = machine.path().join("outside");
    fs::create_dir(&outside).expect("a directory");
    fs::write(outside.join("file"), "outside").expect("a file");
    fs::create_dir(mount.join("swap")).expect("a directory");
    fs::write(mount.join("swap/file"), "inside").expect("a file");
    let (mut files, root) = read_write(&mount, 1 << 30);
    let stop = AtomicBool::new(false);
    let counts = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                fs::rename(mount.join("swap"), mount.join("aside")).expect("renamed");
                symlink("../outside", mount.join("swap")).expect("a link");
                fs::remove_file(mount.join("swap")).expect("removed");
                fs::rename(mount.join("aside"), mount.join("swap")).expect("renamed");
            }
        });
        let mut counts = [0; 2];
        // The other thread may rest for long while there is no directory.
        for attempt in 0..3_000_000 {
            if attempt >= 3000 {
                if counts[0] > 0 {
                    break;
                }
                std::thread::yield_now();
            }
            match read(&mut files, root, "mnt/machine/swap/file") {
                Ok(content) => {
                    assert_eq!(content, "inside");
                    counts[0] += 1;
                }
                Err(_) => counts[1] += 1,
            }
            if let Ok(file) = files.open_at(root, "mnt/machine/swap/new", CREATE) {
                files.close(file).expect("closed");
            }
        }
        stop.store(true, Ordering::Relaxed);
        counts
    });
    assert!(counts[0] > 0, "the file was never read: {counts:?}");
    assert!(!outside.join("new").exists());
}

#[test]
fn links_that_are_put_in_place_between_opening_and_saving_are_not_followed() {
    let machine = machine();
    let path = |name: &str| machine.path().join(name);
    for name in ["folder", "outside"] {
        fs::create_dir(path(name)).expect("a directory");
    }
    fs::write(path("outside/file"), "outside").expect("a file");
    let (mut files, root) = read_only(&path("mount"));
    let start = files.snapshot();
    files.create_directory_at(root, "a").expect("created");
    for name in ["file", "a/file"] {
        let file = files.open_at(root, name, CREATE).expect("a file");
        files.append(file, b"saved").expect("written");
    }
    let end = files.snapshot();
    let save = |folder: &SaveFolder| save_changes_to(end.changes_since(&start), folder);
    let outside = || fs::read_to_string(path("outside/file")).expect("a file");

    let folder = SaveFolder::open(path("folder")).expect("opened");
    // In the place of a file, of a directory, and of the folder.
    symlink("../outside/file", path("folder/file")).expect("a link");
    symlink("../outside", path("folder/a")).expect("a link");
    let error = save(&folder).expect_err("a link in the place of a directory");
    assert!(
        error.to_string().contains("\"/a\" cannot be saved"),
        "{error}"
    );
    fs::remove_file(path("folder/a")).expect("removed");
    fs::rename(path("folder"), path("moved")).expect("renamed");
    symlink("outside", path("folder")).expect("a link");
    assert_eq!(save(&folder).expect("saved").files, 2);
    assert_eq!(outside(), "outside");
    assert!(!path("outside/a").exists());
    for name in ["moved/file", "moved/a/file"] {
        assert_eq!(fs::read_to_string(path(name)).expect("a file"), "saved");
    }

    // A file that another process has changed meanwhile is replaced, and its other name is not.
    fs::hard_link(path("moved/file"), path("outside/name")).expect("a link");
    fs::write(path("moved/file"), "changed").expect("written");
    assert_eq!(save(&folder).expect("saved").files, 2);
    let name = fs::read_to_string(path("outside/name"));
    assert_eq!(name.expect("a file"), "changed");
    // The folder is gone.
    fs::remove_dir_all(path("moved")).expect("removed");
    save(&folder).expect_err("no folder");
    assert_eq!(outside(), "outside");
}

#[test]
fn a_directory_that_is_moved_out_of_the_mount_does_not_open_the_way_out() {
    let machine = machine();
    let mount = machine.path().join("mount");
    fs::create_dir_all(mount.join("a/b")).expect("directories");
    let (mut files, root) = read_only(&mount);
    let inner = files
        .open_at(root, "mnt/machine/a/b", READ)
        .expect("a directory");
    fs::rename(mount.join("a/b"), machine.path().join("moved")).expect("renamed");
    // `..` in the kernel would be the directory with the secret.
    assert_eq!(read(&mut files, inner, "../secret"), Err(Error::NoEntry));
    assert_eq!(
        read(&mut files, inner, "../../inner/file").as_deref(),
        Ok("content")
    );
}

#[test]
fn changes_are_saved_below_the_folder_and_nowhere_else() {
    let machine = machine();
    let folder = machine.path().join("folder");
    fs::create_dir(&folder).expect("a directory");
    // A link to the secret, and a second name of it, in the place of files that the program writes.
    symlink("../secret", folder.join("link")).expect("a link");
    fs::hard_link(machine.path().join("secret"), folder.join("name")).expect("a name");
    let (mut files, root) = read_only(&machine.path().join("mount"));
    let start = files.snapshot();
    files.create_directory_at(root, "a").expect("created");
    let large = vec![b'x'; 600_000];
    for (path, content) in [
        ("link", &b"1"[..]),
        ("name", b"2"),
        ("a/large", &large),
        ("...", b""),
    ] {
        let file = files.open_at(root, path, CREATE).expect("a file");
        let mut done = 0;
        while done < content.len() {
            done += files.append(file, &content[done..]).expect("written");
        }
    }
    files
        .symlink_at("/etc/passwd", root, "a/passwd")
        .expect("created");
    files.unlink_file_at(root, "secret").expect("removed");
    let end = files.snapshot();
    let saved = save_changes(end.changes_since(&start), &folder).expect("saved");
    assert_eq!((saved.files, saved.bytes), (4, 600_002));
    assert_eq!(saved.skipped_links, ["/a/passwd"]);
    assert_eq!(fs::read(folder.join("link")).expect("a file"), b"1");
    assert_eq!(fs::read(folder.join("name")).expect("a file"), b"2");
    assert!(fs::read(folder.join("a/large")).expect("a file") == large);
    assert!(fs::symlink_metadata(folder.join("a/passwd")).is_err());
    assert!(
        fs::symlink_metadata(folder.join("link"))
            .expect("a file")
            .is_file()
    );
    let secret = fs::read(machine.path().join("secret")).expect("a file");
    assert_eq!(secret, b"of the machine");
    // Once more into the same folder.
    save_changes(end.changes_since(&start), &folder).expect("saved");

    // A link in the place of a directory.
    fs::remove_dir_all(folder.join("a")).expect("removed");
    symlink("../mount", folder.join("a")).expect("a link");
    let error = save_changes(end.changes_since(&start), &folder).expect_err("refused");
    let SaveError::File { path, source } = error else {
        panic!("{error}");
    };
    assert_eq!((&*path, source), ("/a", Error::NotADirectory));
    assert!(!machine.path().join("mount/large").exists());
    save_changes(end.changes_since(&start), folder.join("missing")).expect_err("no folder");
}

/// Regression: SIGXFSZ ended the process.
#[test]
fn writing_more_than_the_process_may_is_an_error_and_does_not_end_it() {
    const TEST: &str = "writing_more_than_the_process_may_is_an_error_and_does_not_end_it";
    /// The variable that the process with the limit has.
    const INSIDE: &str = "ERYX_FILE_SIZE_LIMIT";
    if std::env::var_os(INSIDE).is_none() {
        let output = Command::new(std::env::current_exe().expect("known"))
            .args(["--exact", TEST, "--nocapture"])
            .env(INSIDE, "1")
            .output()
            .expect("starts");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(printed.contains("1 passed"), "{printed}");
        return;
    }
    const LIMIT: u64 = 64 << 10;
    let machine = machine();
    let mount = machine.path().join("mount");
    fs::write(mount.join("large"), vec![1; 2 * LIMIT as usize]).expect("a file");
    let (mut files, root) = read_write(&mount, u64::MAX);
    let start = files.snapshot();
    let unlimited = getrlimit(Resource::Fsize);
    let mut limit = unlimited;
    limit.current = Some(LIMIT);
    setrlimit(Resource::Fsize, limit).expect("may be lowered");

    let mut open = |name| files.open_at(root, name, CREATE).expect("a file");
    let (new, large) = (open("mnt/machine/new"), open("mnt/machine/large"));
    let in_memory = open("in-memory");
    assert_eq!(files.write(new, LIMIT - 2, b"abcd"), Ok(2));
    for offset in [LIMIT, LIMIT + 1, u64::MAX] {
        let written = files.write(new, offset, b"x");
        assert_eq!(written, Err(Error::FileTooLarge), "{offset}");
    }
    assert_eq!(files.append(new, b"x"), Err(Error::FileTooLarge));
    for size in [LIMIT + 1, u64::MAX] {
        let set = files.set_size(new, size);
        assert_eq!(set, Err(Error::FileTooLarge), "{size}");
    }
    files.set_size(new, LIMIT).expect("set");
    // A file that is larger can be changed up to the limit.
    assert_eq!(files.append(large, b"x"), Err(Error::FileTooLarge));
    assert_eq!(files.write(large, LIMIT, b"x"), Err(Error::FileTooLarge));
    assert_eq!(files.write(large, 0, b"x"), Ok(1));
    let kept = fs::metadata(mount.join("large")).expect("a file");
    assert_eq!(kept.len(), 2 * LIMIT);
    files.set_size(large, 1).expect("set");

    // Files in memory have no such limit, and cannot be saved.
    files.set_size(in_memory, LIMIT + 1).expect("set");
    let end = files.snapshot();
    let error = save_changes(end.changes_since(&start), &mount).expect_err("too large");
    let SaveError::File { path, source } = error else {
        panic!("{error}");
    };
    assert_eq!((&*path, source), ("/in-memory", Error::FileTooLarge));
    setrlimit(Resource::Fsize, unlimited).expect("may be raised again");
}

/// Returns changes that created a file of 20 MiB with this many names, and another one that is
/// equal.
fn names(count: usize) -> (Snapshot, Snapshot) {
    let layout = Layout::builder(Timestamp::default()).build();
    let (mut files, root) = start_with(&layout, Limits::default());
    let start = files.snapshot();
    files.create_directory_at(root, "d").expect("created");
    for path in ["a", "other"] {
        let file = files.open_at(root, path, CREATE).expect("a file");
        files.set_size(file, 20 << 20).expect("set");
    }
    for name in 1..count {
        files
            .link_at(root, false, "a", root, &format!("d/{name}"))
            .expect("linked");
    }
    (start, files.snapshot())
}

#[test]
fn names_of_one_file_are_saved_as_hard_links() {
    let folder = tempfile::tempdir().expect("a directory");
    let (start, end) = names(300);
    // Once more, in the place of the first ones.
    for _ in 0..2 {
        let saved = save_changes(end.changes_since(&start), folder.path()).expect("saved");
        assert_eq!((saved.files, saved.bytes), (301, 40 << 20));
        let stat = |path: &str| fs::metadata(folder.path().join(path)).expect("a file");
        assert_eq!((stat("a").nlink(), stat("other").nlink()), (300, 1));
        assert_eq!(stat("a").len(), 20 << 20);
        for name in 1..300 {
            assert_eq!(stat(&format!("d/{name}")).ino(), stat("a").ino());
        }
    }
}

#[test]
fn names_that_cannot_be_links_are_copied_up_to_a_bound() {
    let machine = machine();
    let folder = machine.path().join("folder");
    fs::create_dir(&folder).expect("a directory");
    let (start, end) = names(6);
    let mut last = None;
    // Another process puts a link to the secret, or a name of it, in the place of what was saved.
    let changes = end.changes_since(&start).inspect(|change| {
        let current = folder.join(&change.path[1..]);
        if let Some(last) = last.replace(current).filter(|last| last.is_file()) {
            let saved = fs::symlink_metadata(&last).expect("a file");
            assert_eq!((saved.len(), saved.nlink()), (20 << 20, 1));
            fs::remove_file(&last).expect("removed");
            if change.path.ends_with('2') {
                symlink("../../secret", &last).expect("a link");
            } else {
                fs::hard_link(machine.path().join("secret"), &last).expect("a name");
            }
        }
    });
    let error = save_changes(changes, &folder).expect_err("too much");
    let SaveError::Names { path } = &error else {
        panic!("{error}");
    };
    // The first is no copy, and three copies have 60 MiB.
    assert_eq!(path, "/d/4");
    assert!(
        error.to_string().contains("at most 64 MiB are copied"),
        "{error}"
    );
    assert!(!folder.join("d/4").exists());
    let secret = fs::read(machine.path().join("secret")).expect("a file");
    assert_eq!(secret, b"of the machine");
}
