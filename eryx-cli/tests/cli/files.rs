//! The options `--file`, `--mount` and `--out`.

use std::fs;
use std::process::Command;

use crate::command::{ERYX, check, run, text};

#[test]
fn files_go_into_a_script_and_come_out_of_it() {
    let folder = tempfile::tempdir().expect("created");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("in: put.csv"), "1,2").expect("written");
    fs::create_dir_all(path("shown")).expect("created");
    fs::write(path("shown/a"), "shown").expect("written");
    let option = |name: &str, guest: &str| format!("{}:{guest}", path(name).display());
    let (file, shown) = (option("in: put.csv", "/data/in.csv"), option("shown", "/m"));
    let out = path("new/out");
    let out = out.to_str().expect("UTF-8");
    let read = "print(open('/data/in.csv').read(), open('/m/a').read())\n";
    let write = "open('out.txt', 'w').write('x')\nimport os\nos.symlink('/etc', 'link')\n";
    let args = ["--file", &file, "--mount", &shown, "--out", out];
    let output = run(&args, &format!("{read}{write}"));
    let note = "eryx: --out: the symbolic link /home/user/link is not saved\n";
    check(&output, 0, "1,2 shown\n", note);
    let saved = path("new/out/home/user/out.txt");
    assert_eq!(fs::read(&saved).expect("saved"), b"x");
    assert!(!saved.with_file_name("link").is_symlink());
    // Also after an exception. The file of the machine is unchanged.
    let change = "open('/data/in.csv', 'w').write('changed')\n1 / 0";
    check(&run(&args, change), 1, "", "ZeroDivisionError");
    let saved = fs::read(path("new/out/data/in.csv"));
    assert_eq!(saved.expect("saved"), b"changed");
    assert_eq!(fs::read(path("in: put.csv")).expect("there"), b"1,2");

    // A mount is read-only unless it says `:rw`.
    let change = "open('/m/a', 'w').write('changed')";
    for suffix in ["", ":ro"] {
        let mount = format!("{shown}{suffix}");
        let output = run(&["--mount", &mount], change);
        check(&output, 1, "", "Read-only file system");
    }
    check(
        &run(&["--mount", &format!("{shown}:rw")], change),
        0,
        "",
        "",
    );
    assert_eq!(fs::read(path("shown/a")).expect("there"), b"changed");
}

/// Regression: the failure hid the traceback and the status of the script, and that of `--har` left
/// out the files of `--out`.
#[test]
fn a_script_keeps_its_outcome_when_its_files_cannot_be_written() {
    let folder = tempfile::tempdir().expect("created");
    let path = |name: &str| text(&folder.path().join(name));
    let (out, snapshot) = (path("out"), path("snapshot"));
    // A file is in the place of the directory `home`.
    let blocked = path("blocked");
    fs::create_dir(&blocked).expect("created");
    fs::write(path("blocked/home"), "").expect("written");
    let mount = format!("{}:/m:rw", folder.path().display());
    let har = ["--net", "--inspect", "a.example", "--har", "/dev/full"];
    let options = [
        (
            [&har[..], &["--out", &out]].concat(),
            "the archive /dev/full",
        ),
        (vec!["--out", &blocked], "--out "),
        (
            vec!["--mount", &mount, "--save", &snapshot],
            "the snapshot ",
        ),
    ];
    let write = "import os\nopen('kept', 'w').write('x')\n\
                 if os.path.exists('/m'): os.mkdir('/m/snapshot')\n";
    for (args, failure) in &options {
        for (end, status, message) in [
            ("", 125, "eryx: "),
            ("1 / 0", 1, "ZeroDivisionError: division by zero\neryx: "),
            ("raise SystemExit(7)", 7, "eryx: "),
        ] {
            let output = run(args, &format!("{write}{end}"));
            check(&output, status, "", &format!("{message}{failure}"));
            // It was created in the mount.
            let _ = fs::remove_dir(&snapshot);
        }
    }
    let kept = fs::read(path("out/home/user/kept"));
    assert_eq!(kept.expect("saved beside the archive"), b"x");
    // Each failure has a line.
    let all = [&har[..], &["--out", &blocked]].concat();
    let output = run(&all, write);
    check(&output, 125, "", "eryx: the archive /dev/full");
    check(&output, 125, "", "eryx: --out ");
}

#[test]
fn a_mistake_in_a_file_option_is_a_usage_error_before_the_script_runs() {
    for (option, value, wanted) in [
        ("--file", "in.csv", "write --file HOST:GUEST"),
        ("--file", "in.csv:data", "write --file HOST:GUEST"),
        ("--file", ":/data", "write --file HOST:GUEST"),
        (
            "--file",
            "/does/not/exist:/data",
            "the file \"/does/not/exist\" cannot be opened",
        ),
        ("--mount", "/tmp", "write --mount HOST:GUEST"),
        ("--mount", "/tmp:/m:wr", "write --mount HOST:GUEST"),
        ("--mount", "/tmp:/packages", "only packages"),
        (
            "--out",
            "/dev/null/x",
            "--out /dev/null/x: it cannot be created",
        ),
    ] {
        let output = run(&[option, value], "print('ran')");
        check(&output, 2, "", wanted);
    }
}

/// Regression: a write to a mount beyond the limit on the size of files ended the process.
#[cfg(target_os = "linux")]
#[test]
fn a_write_to_a_mount_beyond_the_limit_on_the_size_of_files_is_an_error_of_the_script() {
    let folder = tempfile::tempdir().expect("created");
    // A sparse file: programs can add 64 MiB only, and the machine code needs more.
    let file = fs::File::create(folder.path().join("x")).expect("created");
    file.set_len(199_999_999).expect("set");
    let mount = format!("{}:/m:rw", folder.path().display());
    let script = "import errno, os
fd = os.open('/m/x', os.O_RDWR)
for write in (
    lambda: os.ftruncate(fd, 200_000_001),
    lambda: os.pwrite(fd, b'x', 200_000_000),
):
    try:
        write()
    except OSError as error:
        print(errno.errorcode[error.errno])
print(os.pwrite(fd, b'xyz', 199_999_999), os.stat(fd).st_size)
";
    let output = Command::new("prlimit")
        .args([
            "--fsize=200000000",
            ERYX,
            "run",
            "--mount",
            &mount,
            "-c",
            script,
        ])
        .output()
        .expect("prlimit of util-linux starts");
    check(&output, 0, "EFBIG\nEFBIG\n1 200000000\n", "");
}
