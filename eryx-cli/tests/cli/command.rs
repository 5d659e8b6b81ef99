//! Running the command, and what it should come to.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The command under test.
pub(crate) const ERYX: &str = env!("CARGO_BIN_EXE_eryx");

/// `eryx` with `args`.
pub(crate) fn eryx(args: &[&str]) -> Output {
    Command::new(ERYX)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("starts")
}

/// `eryx run` with `args` and a script on standard input.
pub(crate) fn run(args: &[&str], script: &str) -> Output {
    begin(args, script).wait_with_output().expect("ends")
}

/// The same, while it runs.
pub(crate) fn begin(args: &[&str], script: &str) -> Child {
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
pub(crate) fn check(output: &Output, status: i32, stdout: &str, in_stderr: &str) {
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

/// A script that prints what becomes of a connection to each of `hosts`, and what comes back.
pub(crate) fn visit(hosts: &[&str], port: u16) -> String {
    format!(
        "
import errno, socket, time
held = []
for host in {hosts:?}:
    try:
        sock = socket.create_connection((host, {port}), timeout=5)
        held.append(sock)
        print(host, 'connected')
    except OSError as error:
        print(host, errno.errorcode.get(error.errno, type(error).__name__))
"
    )
}

/// Runs `script` with each list of options and compares what it prints.
pub(crate) async fn effects(script: &str, table: &[(&[&str], &str)]) {
    for (args, printed) in table {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let script = script.to_owned();
        let output = tokio::task::spawn_blocking({
            let args = args.clone();
            move || {
                run(
                    &args.iter().map(String::as_str).collect::<Vec<_>>(),
                    &script,
                )
            }
        });
        eprintln!("{args:?}");
        check(&output.await.expect("no panic"), 0, printed, "");
    }
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().expect("a temporary name is ASCII").to_owned()
}
