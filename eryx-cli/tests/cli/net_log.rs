//! Tests of `eryx run --net-log`.

use std::fs;
use std::process::{Command, Stdio};

use eryx_testkit::{Behaviour, Peer};

use crate::command::{ERYX, check, effects, run, text, visit};

#[tokio::test(flavor = "multi_thread")]
async fn the_network_log_has_one_line_per_event() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let folder = tempfile::tempdir().expect("created");
    let log = folder.path().join("net.jsonl");
    let script = visit(&["127.0.0.1", "10.0.0.5"], peer.port());
    let printed = "127.0.0.1 connected\n10.0.0.5 EACCES\n";
    let args = ["--net", "--allow-localhost", "--net-log", &text(&log)];
    // The second run appends.
    effects(&script, &[(&args, printed), (&args, printed)]).await;
    let lines: Vec<serde_json::Value> = fs::read_to_string(&log)
        .expect("written")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let events: Vec<_> = lines
        .iter()
        .map(|line| {
            assert!(
                line["time"].as_f64().is_some_and(|time| time > 1.7e9),
                "{line}"
            );
            (
                line["event"].as_str().expect("a word"),
                line["host"].as_str().expect("a host"),
            )
        })
        .collect();
    let once = [
        ("connected", "127.0.0.1"),
        ("denied", "10.0.0.5"),
        ("closed", "127.0.0.1"),
    ];
    assert_eq!(events, [once, once].concat());
    assert_eq!(lines[1]["verdict"]["rule"]["pattern"], "10.0.0.0/8");

    let output = tokio::task::spawn_blocking(move || {
        run(&["--net", "--report-only", "--net-log", "-"], &script)
    })
    .await
    .expect("no panic");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        err.contains(r#""event":"would-deny","host":"127.0.0.1""#),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_stopped_when_its_network_log_cannot_be_written() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let script = visit(&["127.0.0.1"], peer.port()) + "time.sleep(30)";
    let output = tokio::task::spawn_blocking(move || {
        run(
            &["--net", "--allow-localhost", "--net-log", "/dev/full"],
            &script,
        )
    })
    .await
    .expect("no panic");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125), "{err}");
    assert!(err.contains("/dev/full"), "{err}");
}

/// Regression: SIGXFSZ ended the command, and a script could so end a server.
#[test]
fn a_script_is_stopped_when_its_network_log_is_as_large_as_a_file_may_be() {
    let folder = tempfile::tempdir().expect("created");
    let log = folder.path().join("net.jsonl");
    let file = fs::File::create(&log).expect("created");
    // At least the limit, whose unit is 512 or 1024 bytes. The machine code fits.
    file.set_len(2 << 30).expect("set");
    let script = "import socket, time\n\
                  try: socket.create_connection(('10.0.0.1', 1))\n\
                  except PermissionError: time.sleep(30)\n";
    let limited = "ulimit -f 2097152 && exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", limited, "sh", ERYX, "run", "--net", "--net-log"])
        .arg(&log)
        .args(["-c", script])
        .stdin(Stdio::null())
        .output()
        .expect("starts");
    check(
        &output,
        125,
        "",
        "net.jsonl cannot be written: File too large",
    );
}

/// Regression: a script filled the disk with log lines about its denied connections.
#[test]
fn repeated_denials_are_logged_at_a_falling_rate() {
    let folder = tempfile::tempdir().expect("created");
    let log = folder.path().join("net.jsonl");
    let script = "
import socket
for _ in range(10_000):
    try:
        socket.create_connection(('10.0.0.1', 1))
    except PermissionError:
        pass
raise SystemExit(1)
";
    let output = run(&["--net", "--net-log", &text(&log)], script);
    assert_eq!(output.status.code(), Some(1));
    let written = fs::read_to_string(&log).expect("written");
    // 256, and the 512th, 1,024th, 2,048th, 4,096th and 8,192th.
    assert_eq!(written.lines().count(), 261);
    let last: serde_json::Value =
        serde_json::from_str(written.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["count"], 8192);
    assert!(last["execution"].as_u64().is_some_and(|number| number > 0));
}

#[test]
fn the_network_log_has_no_terminal_control_characters() {
    let script = "
from wit_world.imports import tcp
try:
    tcp.Connection.connect('x\\n\\x1b[31m\\x7f\\x9b32m\\u202e', 1)
except Exception as error:
    print(type(error).__name__)
";
    let output = run(&["--net", "--net-log", "-"], script);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let events = err
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let hosts: Vec<String> = events
        .map(|event| event["host"].as_str().expect("a host").to_owned())
        .collect();
    assert!(
        hosts.iter().any(|host| host.contains("\u{1b}[31m")),
        "{hosts:?} {err:?}"
    );
    assert!(
        err.chars()
            .all(|c| c == '\n' || c.is_ascii() && !c.is_control()),
        "{err:?}"
    );
}
