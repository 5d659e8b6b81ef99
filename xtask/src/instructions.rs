//! `instructions`: how many instructions hot operations take, compared with what they took before.
//!
//! Counts do not depend on what else the machine does, so they tell a change of a few percent where times cannot.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use eryx_guest_shims::Recipe;

use crate::cargo::cargo;
use crate::process;

/// Count, and compare with `benches/instructions.json`, or write it.
pub(crate) fn run(write: bool) -> Result<()> {
    let recipe = Recipe::of_workspace();
    let root = recipe.root();
    let file = root.join("benches/instructions.json");
    let valgrind = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !valgrind.is_ok_and(|status| status.success()) {
        bail!("NOT COUNTED: valgrind is not installed (Debian: `apt-get install valgrind`)");
    }
    process::run(&mut cargo(&[
        "build",
        "--quiet",
        "--release",
        "--package",
        "eryx-bench",
        "--bin",
        "eryx-instructions",
    ]))?;
    let program = root.join("target/release/eryx-instructions");
    let mut counted = BTreeMap::new();
    for operation in OPERATIONS {
        counted.insert(operation.to_owned(), count(&program, operation)?);
    }
    if write {
        let text = serde_json::to_string_pretty(&counted)?;
        return fs::write(&file, text + "\n")
            .with_context(|| format!("cannot write {}", file.display()));
    }
    let text = fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}: `--write` makes it", file.display()))?;
    let before: BTreeMap<String, u64> = serde_json::from_str(&text)?;
    let grown = compare(&before, &counted);
    if !grown.is_empty() {
        bail!(
            "more than {MOST} % more instructions than in {}: {}",
            file.display(),
            grown.join(", ")
        );
    }
    Ok(())
}

/// Instructions of one operation.
fn count(program: &Path, operation: &str) -> Result<u64> {
    let few = total(program, operation, FEW)?;
    let many = total(program, operation, MANY)?;
    Ok((many - few) / u64::from(MANY - FEW))
}

/// Instructions of a process that does so many.
fn total(program: &Path, operation: &str, times: u32) -> Result<u64> {
    let out = tempfile::NamedTempFile::new()?;
    process::output(
        Command::new("valgrind")
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", out.path().display()))
            .arg(program)
            .args([operation, &times.to_string()]),
    )?;
    let text = fs::read_to_string(out.path())?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total
        .and_then(|total| total.trim().parse().ok())
        .context("callgrind gave no total")
}

/// Show both, and return what has grown too much.
fn compare(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Vec<String> {
    let mut grown = Vec::new();
    for (operation, &now) in now {
        let Some(&before) = before.get(operation) else {
            grown.push(format!("{operation}: {now}, and was not counted before"));
            continue;
        };
        let change = (now as f64 / before as f64 - 1.0) * 100.0;
        println!("{operation}: {now} instructions, {before} before ({change:+.1} %)");
        if now * 100 > before * (100 + MOST) {
            grown.push(format!("{operation}: {now} instead of {before}"));
        }
    }
    grown
}

/// What benches/src/bin/eryx-instructions.rs does.
const OPERATIONS: [&str; 3] = ["decision", "read", "write"];

/// How often each is done in the two processes that are compared.
const FEW: u32 = 1000;
const MANY: u32 = 3000;

/// The growth that is let pass, in percent. Another compiler may bring as much.
const MOST: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_from_what_is_let_pass() {
        let of = |read| BTreeMap::from([("read".to_owned(), read)]);
        assert!(compare(&of(1000), &of(1050)).is_empty());
        assert!(compare(&of(1000), &of(500)).is_empty());
        assert_eq!(
            compare(&of(1000), &of(1051)),
            ["read: 1051 instead of 1000"]
        );
        assert_eq!(compare(&BTreeMap::new(), &of(1)).len(), 1);
    }
}
