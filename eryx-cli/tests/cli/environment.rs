//! The option `--env`: the environment variables of a script.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output};

use crate::command::{ERYX, check, run};

/// Runs `eryx run` with `args`, with the variable `NAME` of its own process, and with a script that
/// prints the variables of the script.
fn run_with_own_variable(value: &OsStr, args: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("created");
    let script = folder.path().join("script.py");
    std::fs::write(&script, PRINT_ALL).expect("written");
    Command::new(ERYX)
        .arg("run")
        .args(args)
        .arg(&script)
        .env("NAME", value)
        .output()
        .expect("starts")
}

const PRINT_ALL: &str = "import os\nprint(dict(os.environ))";

#[test]
fn a_script_has_the_variables_of_the_options_and_no_others() {
    for (args, printed) in [
        (&[][..], "{'HOME': '/home/user'}\n"),
        (&["--env", "HOME=/tmp"], "{'HOME': '/tmp'}\n"),
        (
            &["--env", "B=x=y", "--env=A=", "--env", "B=last one"],
            "{'HOME': '/home/user', 'A': '', 'B': 'last one'}\n",
        ),
        (
            &["--env", "NAME"],
            "{'HOME': '/home/user', 'NAME': 'its own = value'}\n",
        ),
        (
            &["--env", "NAME=another"],
            "{'HOME': '/home/user', 'NAME': 'another'}\n",
        ),
    ] {
        let output = run_with_own_variable(OsStr::new("its own = value"), args);
        check(&output, 0, printed, "");
    }
}

#[test]
fn a_value_that_is_not_utf_8_or_is_too_large_is_a_usage_error_without_the_value() {
    let output = run_with_own_variable(OsStr::from_bytes(b"hush\xff"), &["--env", "NAME"]);
    check(
        &output,
        2,
        "",
        "--env NAME: the value of the variable is not UTF-8",
    );
    let value = "hush".repeat(30_000);
    let output = run(
        &[
            "--env",
            &format!("A={value}"),
            "--env",
            &format!("B={value}"),
        ],
        PRINT_ALL,
    );
    check(
        &output,
        2,
        "",
        "env: the variables have 240022 bytes (names, values, and 10 for each variable); the",
    );
    assert!(!String::from_utf8_lossy(&output.stderr).contains("hush"));
}

#[test]
fn a_mistake_is_a_usage_error_that_says_what_to_write_and_does_not_show_the_value() {
    for (argument, parts) in [
        ("", &["--env: the name is empty", "--env NAME=VALUE"][..]),
        (
            "=hush",
            &["the name before the `=` is empty", "--env NAME=VALUE"],
        ),
        (
            "ERYX_ABSENT",
            &[
                "--env ERYX_ABSENT: this process has no variable `ERYX_ABSENT`",
                "--env ERYX_ABSENT=VALUE",
            ],
        ),
        ("\u{1b}[31m", &["no variable `\\u{1b}[31m`"]),
    ] {
        let output = run(&["--env", argument], PRINT_ALL);
        for part in parts {
            check(&output, 2, "", part);
        }
        assert!(!String::from_utf8_lossy(&output.stderr).contains("hush"));
    }
}
