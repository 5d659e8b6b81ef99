//! Tests of `eryx run`: exit status, options and output.

use std::process::Command;

use eryx_testkit::{CertificateAuthority, HttpServer, Leaf};

use crate::command::{ERYX, check, eryx, run, start};

#[test]
fn the_exit_status_is_that_of_the_script() {
    check(&run(&[], "print('ok')"), 0, "ok\n", "");
    check(
        &run(&[], "print('ok')\n1 / 0"),
        1,
        "ok\n",
        "ZeroDivisionError: division by zero",
    );
    check(&run(&[], "raise SystemExit(7)"), 7, "", "");
    check(
        &run(&["--timeout", "300ms"], "print('begun')\nwhile True: pass"),
        124,
        "begun\n",
        "longer than 300ms, its limit (--timeout)",
    );
    check(
        &run(&["--max-memory", "64M"], "x = 'a' * (1 << 30)"),
        125,
        "",
        "more than 64.0 MiB of memory, its limit (--max-memory)",
    );
    check(
        &run(&["--max-output", "10"], "print('0123456789abc')"),
        125,
        "0123456789",
        "more than 10 B, its limit (--max-output)",
    );
}

/// The script may colour its own output; the traceback that Eryx prints must not.
#[test]
fn a_traceback_has_no_terminal_control_characters_and_output_is_unchanged() {
    let script = "print('\\x1b[32mgreen')\nraise ValueError('two\\nlines \\x1b[31m\\u202e')";
    let output = run(&[], script);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    check(
        &output,
        1,
        "\u{1b}[32mgreen\n",
        "ValueError: two\nlines \\u{1b}[31m\\u{202e}",
    );
    assert!(err.chars().all(|c| c == '\n' || !c.is_control()), "{err:?}");
}

#[test]
fn a_denial_names_the_option_that_would_allow_it() {
    for (args, host, hint) in [
        (&["--net"][..], "127.0.0.1", "--allow-localhost lifts that"),
        (
            &["--net"],
            "10.1.2.3",
            "--allow-network 10.1.2.3 lifts that",
        ),
        (
            &["--allow-host", "example.com"],
            "example.org",
            "--allow-host example.org adds it",
        ),
        (
            &["--allow-host", "example.com:443"],
            "example.com",
            "--allow-host example.com:80 adds it",
        ),
        (
            &["--net", "--resolve", "db.corp=10.1.2.3"],
            "db.corp",
            "--allow-internal-host db.corp lifts that",
        ),
    ] {
        let script = format!("import socket\nsocket.socket().connect(('{host}', 80))");
        check(&run(args, &script), 1, "", hint);
    }
}

/// Regression: a guest out of memory showed a backtrace of the host process.
#[test]
fn a_stopped_script_shows_no_backtrace_of_the_host_process() {
    for (script, status) in [
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", 125),
        ("x = 'ab'\nwhile True: x += x", 125),
        ("x = ()\nfor _ in range(1_000_000): x = (x,)\nhash(x)", 125),
        ("import os\nos.abort()", 125),
    ] {
        let output = Command::new(ERYX)
            .args(["run", "--max-memory", "128M", "-"])
            .env("RUST_BACKTRACE", "full")
            .env("WASMTIME_BACKTRACE_DETAILS", "1")
            .stdin(file_with(script))
            .output()
            .expect("starts");
        let shown = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{script}: {shown}");
        assert!(shown.starts_with("eryx: "), "{script}: {shown}");
        assert_eq!(shown.lines().count(), 1, "{script}: {shown}");
        for part in ["backtrace", "0x", ".rs", "panicked"] {
            assert!(!shown.contains(part), "{script}: {shown}");
        }
    }
}

/// Returns an open file with this content, for standard input.
fn file_with(script: &str) -> std::fs::File {
    use std::io::{Seek, Write};
    let mut file = tempfile::tempfile().expect("created");
    file.write_all(script.as_bytes()).expect("written");
    file.rewind().expect("rewound");
    file
}

#[test]
fn bad_usage_is_exit_status_2_and_names_the_mistake() {
    for (args, text) in [
        (&["--timeout", "soon"][..], "`soon`"),
        (
            &["--max-memory", "1"],
            "--max-memory is 1 bytes, but the interpreter alone needs 50331648 (48 MiB)",
        ),
        (&["--timeout", "0s"], "`0s`"),
        (&["--max-memory", "lots"], "`lots`"),
        (&["--allow-host", "api.*.com"], "api.*.com"),
        (&["--net", "--block-host", "a b"], "a b"),
        (&["--block-host", "example.com"], "--net"),
        (&["--allow-localhost"], "--net"),
        (&["--net", "--root-cert", "/no/such/file"], "/no/such/file"),
        (&["--net", "--root-cert", "Cargo.toml"], "certificate"),
        (&["--frobnicate"], "--frobnicate"),
    ] {
        let output = run(args, "print(1)");
        check(&output, 2, "", text);
    }
    let output = Command::new(ERYX)
        .args(["run", "/no/such/script.py"])
        .output()
        .expect("starts");
    check(&output, 2, "", "/no/such/script.py");
}

/// Regression: an allow option restricted nothing, because "allow all" stayed in effect.
#[tokio::test(flavor = "multi_thread")]
async fn every_network_option_takes_effect() {
    let server = HttpServer::http().await.expect("started");
    let script = format!(
        "
import urllib.request
for host in ('127.0.0.1', 'localhost'):
    try:
        print(host, urllib.request.urlopen('http://%s:{}/' % host, timeout=5).status)
    except OSError as error:
        print(host, type(error.reason).__name__)
",
        server.port()
    );
    let refused = "127.0.0.1 PermissionError\nlocalhost PermissionError\n";
    let reached = "127.0.0.1 200\nlocalhost 200\n";
    for (args, printed) in [
        (&[][..], refused),
        (&["--net"], refused),
        (&["--net", "--allow-localhost"], reached),
        (
            &["--allow-host", "127.0.0.1", "--allow-localhost"],
            // One of the answers for the name, ::1, is not on the list.
            "127.0.0.1 200\nlocalhost PermissionError\n",
        ),
        (
            &["--allow-host", "example.com", "--allow-localhost"],
            refused,
        ),
        (
            &["--net", "--allow-localhost", "--block-host", "localhost"],
            "127.0.0.1 200\nlocalhost PermissionError\n",
        ),
        (
            &["--net", "--allow-localhost", "--block-host", "127.*"],
            refused,
        ),
        (
            &["--allow-host", "localhost", "--allow-localhost"],
            "127.0.0.1 PermissionError\nlocalhost 200\n",
        ),
    ] {
        let output = tokio::task::spawn_blocking({
            let (args, script) = (args.to_vec(), script.clone());
            move || run(&args, &script)
        });
        check(&output.await.expect("no panic"), 0, printed, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_a_private_authority_is_trusted_with_its_root_certificate() {
    let authority = CertificateAuthority::new().expect("created");
    let identity = authority
        .issue(&Leaf::server(["localhost"]))
        .expect("issued");
    let server = HttpServer::https(&identity).await.expect("started");
    let file = tempfile::NamedTempFile::new().expect("created");
    std::fs::write(file.path(), authority.pem()).expect("written");
    let script = format!(
        "
import urllib.request
try:
    print(urllib.request.urlopen('https://localhost:{}/', timeout=5).status)
except OSError as error:
    print(type(error.reason).__name__)
",
        server.port()
    );
    let certificate = file
        .path()
        .to_str()
        .expect("a temporary name is ASCII")
        .to_owned();
    tokio::task::spawn_blocking(move || {
        let base = ["--net", "--allow-localhost"];
        check(&run(&base, &script), 0, "SSLCertVerificationError\n", "");
        check(
            &run(
                &[&base[..], &["--root-cert", &certificate]].concat(),
                &script,
            ),
            0,
            "200\n",
            "",
        );
    })
    .await
    .expect("no panic");
}

#[test]
fn output_is_written_while_the_script_runs() {
    use std::io::{BufRead, BufReader};
    let mut child = start(&[], "print('first')\nimport time\ntime.sleep(20)");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped"))
        .read_line(&mut line)
        .expect("read");
    assert_eq!(line, "first\n");
    assert!(
        child.try_wait().expect("asked").is_none(),
        "the script is still running"
    );
    child.kill().expect("ended");
    child.wait().expect("ended");
}

/// The scripts print more than a pipe holds.
#[cfg(unix)]
#[test]
fn a_stalled_reader_does_not_delay_the_limits_of_the_script() {
    let endless = "while True: print('x' * 1000)";
    let long = "print('x' * 2**20, flush=True)\nwhile True: pass";
    for (script, args, status) in [
        (long, ["--timeout", "1s"], 124),
        (endless, ["--max-output", "1M"], 125),
    ] {
        let mut child = start(&args, script);
        // Kept open and not read.
        let _stdout = child.stdout.take();
        let ended = child.wait_with_output().expect("ends");
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(status), "{stderr}");
        assert!(stderr.contains("limit"), "{stderr}");
        assert!(stderr.contains("bytes were discarded"), "{stderr}");
    }
}

#[test]
fn a_slow_reader_receives_all_output() {
    let child = start(&[], "print('x' * 2**20)\nraise SystemExit(3)");
    std::thread::sleep(std::time::Duration::from_secs(2));
    let ended = child.wait_with_output().expect("ends");
    assert_eq!(ended.stdout.len(), 2usize.pow(20) + 1);
    assert_eq!(ended.status.code(), Some(3));
}

#[test]
fn the_completions_of_a_shell_have_the_options_of_every_command() {
    for shell in ["bash", "fish", "zsh"] {
        let output = eryx(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        for option in ["allow-host", "unused-for", "http-token"] {
            assert!(script.contains(option), "{shell} lacks {option}");
        }
    }
    check(&eryx(&["completions", "dos"]), 2, "", "bash");
}

#[test]
fn the_help_of_run_has_examples_that_are_valid() {
    let output = eryx(&["run", "--help"]);
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, examples) = help.split_once("Examples:\n").expect("examples");
    let lines = examples
        .lines()
        .take_while(|line| line.starts_with("  eryx run "));
    let mut count = 0;
    for line in lines {
        let options = line
            .split_whitespace()
            .filter(|word| word.starts_with("--"));
        for option in options {
            assert!(help.contains(&format!("{option} ")), "{line}: {option}");
        }
        count += 1;
    }
    assert_eq!(count, 4, "{help}");
}
