//! Running the command, and what it should come to.
#![allow(dead_code, unreachable_pub)]

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

/// The command under test.
pub const ERYX: &str = env!("CARGO_BIN_EXE_eryx");

/// `eryx` with `args`.
pub fn eryx(args: &[&str]) -> Output {
    Command::new(ERYX)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("starts")
}

/// `eryx run` with `args` and a script on standard input.
pub fn run(args: &[&str], script: &str) -> Output {
    begin(args, script).wait_with_output().expect("ends")
}

/// The same, while it runs.
pub fn begin(args: &[&str], script: &str) -> Child {
    let mut child = Command::new(ERYX)
        .arg("run")
        .args(args)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stdin = child.stdin.take().expect("piped");
    // A command that is used wrongly ends without reading its script.
    let _ = stdin.write_all(script.as_bytes());
    drop(stdin);
    child
}

#[track_caller]
pub fn check(output: &Output, status: i32, stdout: &str, in_stderr: &str) {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(
        output.status.code(),
        Some(status),
        "stdout {out:?}, stderr {err:?}"
    );
    assert_eq!(out, stdout, "stderr {err:?}");
    assert!(err.contains(in_stderr), "no {in_stderr:?} in {err:?}");
}
