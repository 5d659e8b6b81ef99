//! Layers and other mounts in the tree of a program.

mod support;

use std::sync::Arc;

use eryx_files::{
    Descriptor, Error, FileSystem, FileType, Layer, LayerBuilder, LayerError, Layout, LayoutError,
    Limits, Mount, NewTime, OpenFlags, Timestamp,
};

use support::READ;

fn packages() -> Arc<Layer> {
    let mut files = LayerBuilder::new(Timestamp::from_seconds(7), 100);
    files.file("one/__init__.py", &b"1"[..]).expect("a file");
    files.file("two.py", &b"22"[..]).expect("a file");
    files.build()
}

fn start() -> (FileSystem, Descriptor) {
    let layout = Layout::builder(Timestamp::default())
        .file("/data/in", &b"in"[..])
        .and_then(|layout| layout.directory("/home/user"))
        .and_then(|layout| layout.mount("/lib/packages", Mount::Layer(packages())))
        .expect("a layout")
        .build();
    let mut files = layout.start(Limits::default(), || Timestamp::from_seconds(9));
    let root = files.open_root().expect("the root");
    (files, root)
}

fn names(files: &mut FileSystem, root: Descriptor, path: &str) -> Vec<(String, FileType)> {
    let directory = files.open_at(root, path, READ).expect("a directory");
    let listing = files.list(directory).expect("a listing");
    let mut names = Vec::new();
    while let Some((name, file_type)) = files.next_entry(listing).expect("an entry") {
        names.push((name.to_string(), file_type));
    }
    files.close_listing(listing).expect("closed");
    files.close(directory).expect("closed");
    names
}

#[test]
fn a_layer_is_a_part_of_the_tree_and_cannot_be_changed() {
    let (mut files, root) = start();
    let directory = |name: &str| (name.to_owned(), FileType::Directory);
    let expected = ["data", "home", "lib"].map(directory);
    assert_eq!(names(&mut files, root, "."), expected);
    assert_eq!(names(&mut files, root, "lib"), [directory("packages")]);
    let expected = [directory("one"), ("two.py".to_owned(), FileType::File)];
    assert_eq!(names(&mut files, root, "lib/packages"), expected);
    let stat = files
        .stat_at(root, true, "lib/packages/two.py")
        .expect("a file");
    assert_eq!((stat.size, stat.links, stat.modified.seconds()), (2, 1, 7));
    let file = files
        .open_at(root, "lib/packages/one/../two.py", READ)
        .expect("a file");
    assert_eq!(files.read(file, 0, 10).expect("read"), "22");

    let path = |name: &str| format!("lib/packages/{name}");
    let write = OpenFlags {
        write: true,
        ..READ
    };
    let truncate = OpenFlags {
        truncate: true,
        ..write
    };
    let create = OpenFlags {
        create: true,
        ..READ
    };
    let (new, old, inner) = (path("new"), path("two.py"), path("one"));
    for result in [
        files.open_at(root, &old, write).map(|_| ()),
        files.open_at(root, &old, truncate).map(|_| ()),
        files.open_at(root, &new, create).map(|_| ()),
        files.create_directory_at(root, &new),
        files.symlink_at("x", root, &new),
        files.link_at(root, true, &old, root, &new),
        files.unlink_file_at(root, &old),
        files.remove_directory_at(root, &inner),
        files.rename_at(root, &old, root, &new),
        files.set_times_at(root, true, &old, NewTime::Now, NewTime::Now),
        files.set_times_at(root, true, "lib/packages", NewTime::Now, NewTime::Now),
        files.set_times(file, NewTime::Now, NewTime::Now),
    ] {
        assert_eq!(result, Err(Error::ReadOnly));
    }
    files
        .open_at(root, &old, create)
        .expect("a file that exists");
    assert_eq!(files.create_directory_at(root, &inner), Err(Error::Exists));
    assert_eq!(files.unlink_file_at(root, &new), Err(Error::NoEntry));
    assert_eq!((files.used_files(), files.used_bytes()), (0, 0));
}

#[test]
fn paths_and_links_lead_in_and_out_of_a_mount() {
    let (mut files, root) = start();
    let identity = |files: &FileSystem, from, path: &str| {
        files.stat_at(from, true, path).expect(path).identity
    };
    let mount = files.open_at(root, "lib/packages", READ).expect("a mount");
    let inner = files
        .open_at(root, "lib/packages/one", READ)
        .expect("a directory");
    let lib = identity(&files, root, "lib");
    assert_eq!(identity(&files, mount, ".."), lib);
    assert_eq!(identity(&files, inner, "../.."), lib);
    assert_eq!(identity(&files, root, "lib/packages/one/../../../lib"), lib);
    // The parent of the root is the root.
    assert_eq!(
        identity(&files, inner, "../../../../../lib"),
        identity(&files, root, "lib")
    );
    assert_eq!(
        identity(&files, inner, "../../packages"),
        identity(&files, mount, ".")
    );
    files
        .symlink_at("../lib/packages/two.py", root, "data/link")
        .expect("created");
    assert_eq!(
        identity(&files, root, "data/link"),
        identity(&files, mount, "two.py")
    );
    // The numbers of a layer and those of the tree are not the same.
    assert_ne!(identity(&files, root, "."), identity(&files, mount, "."));
}

#[test]
fn entries_do_not_move_between_mounts_and_mount_points_stay() {
    let (mut files, root) = start();
    for (result, error) in [
        (
            files.rename_at(root, "data/in", root, "lib/packages/in"),
            Error::CrossDevice,
        ),
        (
            files.rename_at(root, "lib/packages/two.py", root, "data/x"),
            Error::CrossDevice,
        ),
        (
            files.link_at(root, true, "lib/packages/two.py", root, "x"),
            Error::CrossDevice,
        ),
        (
            files.link_at(root, true, "lib/packages", root, "x"),
            Error::CrossDevice,
        ),
        (
            files.rename_at(root, "lib/packages", root, "x"),
            Error::Busy,
        ),
        (
            files.rename_at(root, "home/user", root, "lib/packages"),
            Error::Busy,
        ),
        (files.remove_directory_at(root, "lib/packages"), Error::Busy),
        (files.unlink_file_at(root, "lib/packages"), Error::Busy),
        (files.remove_directory_at(root, "lib"), Error::NotEmpty),
        (
            files.create_directory_at(root, "lib/packages"),
            Error::Exists,
        ),
    ] {
        assert_eq!(result, Err(error));
    }
    // A directory above a mount point moves with it.
    files
        .rename_at(root, "lib", root, "home/lib")
        .expect("renamed");
    let mount = files
        .open_at(root, "home/lib/packages", READ)
        .expect("a mount");
    assert_eq!(
        files
            .stat_at(mount, true, "..")
            .expect("a directory")
            .identity,
        files
            .stat_at(root, true, "home/lib")
            .expect("a directory")
            .identity
    );
}

#[test]
fn sandboxes_of_one_layout_do_not_see_each_others_changes() {
    let layout = Layout::builder(Timestamp::default())
        .file("/data/in", &b"in"[..])
        .expect("a file")
        .build();
    let mut sandboxes = [(); 2].map(|()| layout.start(Limits::default(), Timestamp::default));
    let [first, second] = &mut sandboxes;
    let root = first.open_root().expect("the root");
    let flags = OpenFlags {
        write: true,
        ..READ
    };
    let file = first.open_at(root, "data/in", flags).expect("a file");
    first.write(file, 0, b"X").expect("written");
    first
        .create_directory_at(root, "data/new")
        .expect("created");
    assert_eq!(first.read(file, 0, 10).expect("read"), "Xn");
    let root = second.open_root().expect("the root");
    let file = second.open_at(root, "data/in", READ).expect("a file");
    assert_eq!(second.read(file, 0, 10).expect("read"), "in");
    assert_eq!(second.stat_at(root, true, "data/new"), Err(Error::NoEntry));
}

#[test]
fn a_fork_has_the_same_files_and_budget_and_nothing_open() {
    let (mut files, root) = start();
    let flags = OpenFlags {
        create: true,
        write: true,
        ..READ
    };
    let kept = files.open_at(root, "kept", flags).expect("a file");
    files.write(kept, 0, &[1; 100_000]).expect("written");
    let removed = files.open_at(root, "removed", flags).expect("a file");
    files.write(removed, 0, &[1; 100_000]).expect("written");
    files.unlink_file_at(root, "removed").expect("removed");
    files.unlink_file_at(root, "data/in").expect("removed");
    assert_eq!((files.used_files(), files.used_bytes()), (2, 200_000));
    let mut fork = files.fork();
    assert_eq!(
        (fork.used_files(), fork.used_bytes(), fork.open_count()),
        (1, 100_000, 0)
    );
    let fork_root = fork.open_root().expect("the root");
    assert_eq!(
        fork.stat_at(fork_root, true, "data/in"),
        Err(Error::NoEntry)
    );
    let copy = fork.open_at(fork_root, "kept", flags).expect("a file");
    fork.write(copy, 70_000, b"X").expect("written");
    assert_eq!(files.read(kept, 70_000, 1).expect("read"), &b"\x01"[..]);
    assert_eq!(fork.read(copy, 69_999, 3).expect("read"), &b"\x01X\x01"[..]);
    fork.unlink_file_at(fork_root, "kept").expect("removed");
    fork.close(copy).expect("closed");
    assert_eq!((fork.used_files(), fork.used_bytes()), (0, 0));
    assert_eq!(files.read(removed, 99_999, 9).expect("read"), &b"\x01"[..]);
}

#[test]
fn a_listing_returns_each_entry_that_stays_once_whatever_else_happens() {
    let (mut files, root) = start();
    for at in 0..100 {
        files
            .create_directory_at(root, &format!("home/{at:02}"))
            .expect("created");
    }
    let home = files.open_at(root, "home", READ).expect("a directory");
    let listing = files.list(home).expect("a listing");
    let mut seen = Vec::new();
    while let Some((name, _)) = files.next_entry(listing).expect("an entry") {
        // Each second is removed, the other ones included that were returned already.
        if let Ok(number) = name.parse::<u32>()
            && number % 2 == 1
        {
            files.remove_directory_at(home, &name).expect("removed");
            files
                .create_directory_at(home, &format!("x{name}"))
                .expect("created");
        }
        seen.push(name.to_string());
    }
    seen.retain(|name| name.len() == 2 && name.parse::<u32>().is_ok_and(|at| at % 2 == 0));
    let expected: Vec<_> = (0..100).step_by(2).map(|at| format!("{at:02}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn times_are_those_of_the_clock_and_can_be_set() {
    let (mut files, root) = start();
    let (clock, layout) = (Timestamp::from_seconds(9), Timestamp::default());
    let stat = files.stat_at(root, true, "data/in").expect("a file");
    assert_eq!(
        (stat.accessed, stat.modified, stat.changed),
        (layout, layout, layout)
    );
    let flags = OpenFlags {
        write: true,
        ..READ
    };
    let file = files.open_at(root, "data/in", flags).expect("a file");
    files.read(file, 0, 1).expect("read");
    assert_eq!(files.stat(file).expect("open").accessed, layout);
    files.write(file, 0, b"x").expect("written");
    let stat = files.stat(file).expect("open");
    assert_eq!(
        (stat.accessed, stat.modified, stat.changed),
        (layout, clock, clock)
    );
    let time = Timestamp::new(1, 999_999_999).expect("a time");
    assert_eq!(Timestamp::new(1, 1_000_000_000), None);
    files
        .set_times(file, NewTime::At(time), NewTime::Keep)
        .expect("set");
    let stat = files.stat(file).expect("open");
    assert_eq!(
        (stat.accessed, stat.modified, stat.changed),
        (time, clock, clock)
    );
    // A new entry changes its directory.
    assert_eq!(
        files
            .stat_at(root, true, "home")
            .expect("a directory")
            .modified,
        layout
    );
    files.symlink_at("x", root, "home/link").expect("created");
    assert_eq!(
        files
            .stat_at(root, true, "home")
            .expect("a directory")
            .modified,
        clock
    );
    files
        .set_times_at(root, false, "home/link", NewTime::Now, NewTime::At(time))
        .expect("set");
    let stat = files.stat_at(root, false, "home/link").expect("a link");
    assert_eq!(
        (stat.file_type, stat.modified, stat.size),
        (FileType::Symlink, time, 1)
    );
}

#[test]
fn paths_that_no_layout_can_have_are_refused() {
    let builder = || Layout::builder(Timestamp::default());
    let in_layer = |error| LayoutError::Layer(error);
    for path in [
        "",
        "/",
        ".",
        "..",
        "/a/../b",
        "a\0b",
        &"n".repeat(256),
        &"d/".repeat(129),
    ] {
        let error = builder().file(path, &b""[..]).expect_err(path);
        assert_eq!(error, in_layer(LayerError::Path(path.to_owned())));
        assert!(builder().directory(path).is_err(), "{path}");
        assert!(
            builder().mount(path, Mount::Layer(packages())).is_err(),
            "{path}"
        );
    }
    let file = || builder().file("/a/f", &b""[..]).expect("a file");
    for path in ["/a/f", "a//./f", "a", "a/f/g"] {
        let error = file().file(path, &b""[..]).expect_err(path);
        assert_eq!(error, in_layer(LayerError::Taken(path.to_owned())));
    }
    file().directory("a").expect("exists already");
    assert!(file().directory("a/f").is_err());
    assert!(file().mount("a/f", Mount::Layer(packages())).is_err());
    let mounted = file()
        .mount("a", Mount::Layer(packages()))
        .expect("mounted");
    let error = mounted
        .mount("/a", Mount::Layer(packages()))
        .expect_err("twice");
    assert_eq!(error, LayoutError::Mounted("/a".to_owned()));

    let mut layer = LayerBuilder::new(Timestamp::default(), 3);
    layer.file("a/b/c", &b""[..]).expect("three");
    assert_eq!(layer.directory("a/d"), Err(LayerError::Nodes(3)));
}
