//! Runs the commands of the manual as they are written.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::command::ERYX;

/// Runs `line` in `folder`, in a shell whose PATH has the command under test.
fn shell(line: &str, folder: &Path) -> Output {
    let bin = Path::new(ERYX).parent().expect("a folder");
    let path = format!("{}:/usr/bin:/bin", bin.display());
    Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .expect("starts")
}

#[test]
fn the_commands_of_the_manual_print_what_it_shows() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manual = ["README.md", "../docs/command-line.md"]
        .map(|path| fs::read_to_string(crate_folder.join(path)).expect("readable"))
        .concat();
    let folder = tempfile::tempdir().expect("created");
    fs::write(folder.path().join("script.py"), "print('hello')").expect("written");
    fs::write(folder.path().join("policy.toml"), "max_connections = 3").expect("written");
    let authority = eryx_testkit::CertificateAuthority::new().expect("created");
    fs::write(folder.path().join("ca.pem"), authority.pem()).expect("written");
    let mut lines = 0;
    for block in manual.split("```sh\n").skip(1) {
        let (block, _) = block.split_once("```").expect("an end");
        if let Some(shown) = block.strip_prefix("$ ") {
            let (line, printed) = shown.split_once('\n').expect("its output");
            let output = shell(line, folder.path());
            assert_eq!(String::from_utf8_lossy(&output.stdout), printed, "{line}");
            lines += 1;
            continue;
        }
        for line in block.lines() {
            let output = shell(line, folder.path());
            assert_eq!(output.status.code(), Some(0), "{line}: {output:?}");
            if line.starts_with("eryx run") {
                assert_eq!(output.stdout, b"hello\n", "{line}");
            }
            lines += 1;
        }
    }
    assert!(lines >= 10, "only {lines} commands were found");
    let written = fs::read_to_string(folder.path().join("policy.toml")).expect("there");
    assert!(written.contains("api.example.com:443"), "{written}");
}
