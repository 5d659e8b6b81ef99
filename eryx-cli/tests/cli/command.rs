//! Runs the command and checks its output.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The command under test.
pub(crate) const ERYX: &str = env!("CARGO_BIN_EXE_eryx");

/// Runs `eryx` with `args`.
pub(crate) fn eryx(args: &[&str]) -> Output {
    Command::new(ERYX)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("starts")
}

/// Runs `eryx run` with `args` and a script on standard input.
pub(crate) fn run(args: &[&str], script: &str) -> Output {
    start(args, script).wait_with_output().expect("ends")
}

/// Starts the same without waiting for its end.
pub(crate) fn start(args: &[&str], script: &str) -> Child {
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
    // Fails for a command with wrong arguments, which ends without reading its script.
    let _ = stdin.write_all(script.as_bytes());
    drop(stdin);
    child
}

/// Asserts the exit status, standard output, and a part of standard error.
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

/// Returns a script that connects to each of `hosts`, and prints the result.
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

/// Runs `script` with each list of options, and compares its output.
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
