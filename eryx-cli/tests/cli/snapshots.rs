//! The options `--save` and `--resume`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use crate::command::{ERYX, check, run};

#[test]
fn a_script_continues_from_the_snapshot_of_an_earlier_one() {
    let folder = tempfile::tempdir().expect("created");
    let path = folder.path().join("snapshot");
    let path = path.to_str().expect("text");
    let first = "import json\nx = [1]\nopen('/tmp/file', 'w').write('kept')\nprint('first')";
    check(&run(&["--save", path], first), 0, "first\n", "");
    let mode = fs::metadata(path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = "x.append(2)\nprint(json.dumps(x), open('/tmp/file').read())\n1 / 0";
    let both = ["--resume", path, "--save", path];
    check(&run(&both, second), 1, "[1, 2] kept\n", "ZeroDivisionError");
    // An exception does not lose the session; after a limit, the old snapshot is kept.
    let endless = ["--resume", path, "--save", path, "--timeout", "300ms"];
    check(
        &run(&endless, "x = 3\nwhile True: pass"),
        124,
        "",
        "its limit (--timeout)",
    );
    check(&run(&["--resume", path], "print(x)"), 0, "[1, 2]\n", "");
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
}

#[test]
fn the_last_script_of_a_session_ends_as_a_process_does() {
    let folder = tempfile::tempdir().expect("created");
    let path = folder.path().join("snapshot");
    let path = path.to_str().expect("text");
    let first = "import atexit\natexit.register(print, 'handler')";
    check(&run(&["--save", path], first), 0, "", "");
    let out = folder.path().join("out");
    let options = ["--resume", path, "--out", out.to_str().expect("text")];
    let last = "file = open('last.txt', 'w')\nfile.write('written')\nprint('last')";
    check(&run(&options, last), 0, "last\nhandler\n", "");
    let written = fs::read_to_string(out.join("home/user/last.txt"));
    assert_eq!(written.expect("saved"), "written");
}

#[test]
fn what_a_script_leaves_in_buffers_is_saved_as_at_the_end_of_a_process() {
    let folder = tempfile::tempdir().expect("created");
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).to_str().expect("text").to_owned();
    fs::create_dir(path("mounted")).expect("created");
    let mount = format!("{}:/mounted:rw", text("mounted"));
    let (out, snapshot) = (text("out"), text("snapshot"));
    let options = ["--save", &snapshot, "--out", &out, "--mount", &mount];
    for (end, status) in [("", 0), ("import sys; sys.exit(3)", 3), ("1 / 0", 1)] {
        let script = format!(
            "kept = open('kept.txt', 'w'); kept.write('kept')\n\
             other = open('/mounted/other.txt', 'wb'); other.write(b'other')\n{end}"
        );
        check(&run(&options, &script), status, "", "");
        let written = fs::read_to_string(path("out/home/user/kept.txt"));
        assert_eq!(written.expect("saved"), "kept", "{end}");
        let written = fs::read_to_string(path("mounted/other.txt"));
        assert_eq!(written.expect("written"), "other", "{end}");
        let resumed = run(
            &["--resume", &snapshot, "--mount", &mount],
            "print(open('kept.txt').read())\nkept.close(); other.close()",
        );
        check(&resumed, 0, "kept\n", "");
        fs::remove_dir_all(path("out")).expect("removed");
        fs::remove_file(path("mounted/other.txt")).expect("removed");
    }
}

#[test]
fn a_script_that_can_change_the_directories_around_has_nothing_saved_elsewhere() {
    let folder = tempfile::tempdir().expect("created");
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).to_str().expect("text").to_owned();
    // A link out of the directory that the script can change.
    let begin = || {
        for name in ["work", "outside"] {
            let _ = fs::remove_dir_all(path(name));
            fs::create_dir(path(name)).expect("created");
        }
        symlink("../outside", path("work/link")).expect("a link");
    };
    let mount = format!("{}:/work:rw", text("work"));
    let (out, snapshot) = (text("work/out"), text("work/inner/snapshot"));
    let write = "import os; open('new.txt', 'w').write('new'); os.chdir('/work')\n";
    let outside = || {
        let entries = fs::read_dir(path("outside")).expect("a directory");
        entries
            .map(|entry| entry.expect("an entry").file_name())
            .collect::<Vec<_>>()
    };

    begin();
    let script = format!("{write}os.rmdir('out'); os.rename('link', 'out')");
    let result = run(&["--out", &out, "--mount", &mount], &script);
    assert_eq!((result.status.code(), outside()), (Some(125), vec![]));
    let error = String::from_utf8_lossy(&result.stderr).into_owned();
    assert!(
        error.contains("\"/home/user/new.txt\" cannot be saved"),
        "{error}"
    );

    // A link in the place of a file.
    begin();
    fs::write(path("outside/new.txt"), "old").expect("written");
    symlink("../../../../outside/new.txt", path("work/link2")).expect("a link");
    let script =
        format!("{write}os.makedirs('out/home/user'); os.rename('link2', 'out/home/user/new.txt')");
    check(
        &run(&["--out", &out, "--mount", &mount], &script),
        0,
        "",
        "",
    );
    let saved = fs::read_to_string(path("work/out/home/user/new.txt"));
    assert_eq!(saved.expect("a file"), "new");
    let old = fs::read_to_string(path("outside/new.txt"));
    assert_eq!(old.expect("a file"), "old");

    // The directory of the snapshot, the snapshot, and the file that becomes it.
    for (script, succeeds) in [
        (
            "os.rename('inner', 'moved'); os.rename('link', 'inner')",
            true,
        ),
        ("os.rename('link', 'inner/snapshot')", true),
        (
            "[name] = os.listdir('inner'); os.rename('link', 'inner/' + name)",
            false,
        ),
    ] {
        begin();
        fs::create_dir(path("work/inner")).expect("created");
        let options = ["--save", &snapshot, "--mount", &mount];
        let result = run(&options, &format!("{write}{script}"));
        assert_eq!(result.status.success(), succeeds, "{script}");
        assert_eq!(outside(), [""; 0], "{script}");
        let error = String::from_utf8_lossy(&result.stderr);
        assert_eq!(error.contains("took the place"), !succeeds, "{error}");
        let places = ["work/inner/snapshot", "work/moved/snapshot"];
        let is_file = |name: &&str| {
            let metadata = fs::symlink_metadata(path(name));
            metadata.is_ok_and(|metadata| metadata.is_file())
        };
        assert_eq!(
            places.iter().filter(|name| is_file(name)).count(),
            usize::from(succeeds)
        );
    }
}

#[test]
fn a_snapshot_is_restored_with_other_threads_cache_and_working_directory() {
    let folder = tempfile::tempdir().expect("created");
    let path = folder.path().join("snapshot");
    let path = path.to_str().expect("text");
    let script = "rows = [n * n for n in range(1000)]\nopen('kept', 'w').write('kept')";
    check(&run(&["--save", path], script), 0, "", "");
    let elsewhere = tempfile::tempdir().expect("created");
    let script = elsewhere.path().join("script.py");
    fs::write(&script, "print(rows[-1], open('kept').read())").expect("written");
    for threads in ["1", "7"] {
        let output = Command::new(ERYX)
            .args(["run", "--resume", path, "script.py"])
            .current_dir(elsewhere.path())
            .env("TOKIO_WORKER_THREADS", threads)
            .env("RAYON_NUM_THREADS", threads)
            .env("ERYX_CACHE_DIR", elsewhere.path().join("cache"))
            .stdin(Stdio::null())
            .output()
            .expect("starts");
        check(&output, 0, "998001 kept\n", "");
    }
}

#[test]
fn a_file_that_is_not_a_snapshot_or_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().expect("created");
    let path = folder.path().join("other");
    fs::write(&path, "text").expect("written");
    let path = path.to_str().expect("text");
    check(
        &run(&["--resume", path], "print(1)"),
        125,
        "",
        "not a snapshot of a session",
    );
    let missing = folder.path().join("missing/snapshot");
    let missing = missing.to_str().expect("text");
    check(
        &run(&["--resume", missing], "print(1)"),
        2,
        "",
        "--resume: cannot read",
    );
    check(
        &run(&["--save", missing], "print(1)"),
        2,
        "",
        "--save: cannot write",
    );
    let directory = folder.path().to_str().expect("text");
    check(
        &run(&["--save", directory], "print(1)"),
        2,
        "",
        "is not a file",
    );
}
