//! `eryx cache`, and packages by their requirements.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use crate::command::{ERYX, check};

/// Runs `eryx` with a cache of its own.
fn eryx(cache: &Path, args: &[&str]) -> Output {
    Command::new(ERYX)
        .args(args)
        .env("ERYX_CACHE_DIR", cache)
        .env("PATH", cache)
        .stdin(Stdio::null())
        .output()
        .expect("starts")
}

fn write(cache: &Path, name: &str, size: usize, days: u64) {
    let path = cache.join(name);
    fs::write(&path, vec![0; size]).expect("written");
    let file = fs::File::open(&path).expect("opened");
    let age = Duration::from_secs(days * 24 * 3600 + 60);
    file.set_modified(SystemTime::now() - age).expect("set");
}

fn private_directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("made");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("set");
    dir
}

#[test]
fn entries_are_shown_and_cleared_by_kind_and_age() {
    let dir = private_directory();
    let cache = dir.path();
    write(cache, "factory-1-x.cwasm", 3 << 20, 0);
    write(cache, "bytecode-1-0.pycs", 2048, 2);
    write(cache, "requirements-1.wheels", 10, 40);
    write(cache, "notes.txt", 10, 40);
    let place = cache.display();
    let shown = |args: &[&str], text: &str| {
        let text = text.replace("PLACE", &place.to_string());
        check(&eryx(cache, args), 0, &text, "");
    };
    shown(
        &["cache", "show"],
        "   3.0 MiB       0 h  factory     factory-1-x.cwasm\n     2 KiB       2 d  bytecode    \
         bytecode-1-0.pycs\n      10 B      40 d  download    requirements-1.wheels\n\
         3 entries, 3.0 MiB, in PLACE\n",
    );
    shown(
        &["cache", "show", "--kind", "bytecode"],
        "     2 KiB       2 d  bytecode    bytecode-1-0.pycs\n1 entry, 2 KiB, in PLACE\n",
    );
    shown(
        &["cache", "clear", "--unused-for", "30"],
        "removed 1 entry, 10 B, in PLACE\n",
    );
    shown(
        &["cache", "clear", "--kind", "download"],
        "removed 0 entries, 0 B, in PLACE\n",
    );
    shown(
        &["cache", "clear"],
        "removed 2 entries, 3.0 MiB, in PLACE\n",
    );
    shown(&["cache", "show"], "0 entries, 0 B, in PLACE\n");
    assert!(cache.join("notes.txt").exists());
    check(
        &eryx(cache, &["cache", "clear", "--kind", "x"]),
        2,
        "",
        "incomplete",
    );
    fs::set_permissions(cache, fs::Permissions::from_mode(0o777)).expect("set");
    check(&eryx(cache, &["cache", "show"]), 125, "", "chmod go-w");
}

/// Regression: imports had the default limits, whatever the options, and the message said to raise
/// these.
#[test]
fn options_raise_the_limits_of_imports_and_do_not_lower_them() {
    let dir = private_directory();
    let packages = dir.path().join("packages");
    let package = |name: &str, source: &str| {
        fs::create_dir_all(packages.join(name)).expect("created");
        fs::write(packages.join(name).join("__init__.py"), source).expect("written");
    };
    package("heavy", "data = bytearray(160 << 20)\ndel data\n");
    package("slow", "import time\ntime.sleep(1.2)\n");
    let packages = packages.to_str().expect("UTF-8");
    let import = |module: &str, options: &[&str]| {
        let script = format!("import {module}; print('ran')");
        let args = [
            "run",
            "-c",
            &script,
            "--package",
            packages,
            "--import",
            module,
        ];
        eryx(dir.path(), &[&args, options].concat())
    };
    let wanted = "the imports of the packages needed more than 128.0 MiB of memory, their limit (a \
                  larger --max-memory raises it)";
    check(&import("heavy", &[]), 125, "", wanted);
    check(&import("heavy", &["--max-memory", "400M"]), 0, "ran\n", "");
    check(&import("slow", &["--timeout", "1s"]), 0, "ran\n", "");
}

#[test]
fn a_requirement_without_pip_and_uv_is_an_error_that_says_so() {
    let dir = private_directory();
    let python = dir.path().join("python3");
    for script in [
        None,
        Some("#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n"),
    ] {
        if let Some(script) = script {
            fs::write(&python, script).expect("written");
            fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).expect("set");
        }
        let output = eryx(dir.path(), &["run", "--requirement", "six", "-c", "1"]);
        check(&output, 2, "", "python3 has no pip, and there is no uv");
    }
}

#[test]
fn a_requirement_is_a_file_or_a_name() {
    let dir = private_directory();
    let python = dir.path().join("python3");
    let script = "#!/bin/sh\necho \"ERROR: $*\" >&2\nexit 1\n";
    fs::write(&python, script).expect("written");
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).expect("set");
    let file = dir.path().join("all.txt");
    fs::write(&file, "six\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    let links = dir.path().to_str().expect("UTF-8");
    let args = [
        "run",
        "-r",
        file,
        "-r",
        "idna>=3",
        "--find-links",
        links,
        "--no-index",
        "-c",
        "1",
    ];
    let wanted = format!("--no-index --find-links {links} --requirement {file} -- idna>=3");
    check(&eryx(dir.path(), &args), 2, "", &wanted);
    check(
        &eryx(dir.path(), &["run", "-r", "absent.txt", "-c", "1"]),
        2,
        "",
        "absent.txt cannot be read",
    );
    check(
        &eryx(dir.path(), &["run", "-r", "six", "--no-index", "-c", "1"]),
        2,
        "",
        "--find-links",
    );
}
