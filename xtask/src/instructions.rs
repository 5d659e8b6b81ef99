//! `instructions`: counts the instructions of hot operations with callgrind, and compares them with
//! earlier counts.
//!
//! Unlike times, counts do not depend on the load of the machine, so they show a change of a few
//! percent.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::{self, cargo};
use crate::workspace;

/// Counts the instructions, and compares the counts with `benches/instructions.json` or writes them
/// there.
pub(crate) fn run(write: bool) -> Result<()> {
    let root = workspace::root();
    let file = root.join("benches/instructions.json");
    let valgrind = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !valgrind.is_ok_and(|status| status.success()) {
        bail!("NOT COUNTED: valgrind is not installed (Debian: `apt-get install valgrind`)");
    }
    command::run(
        cargo(&["build", "--release", "--package", "eryx-bench"])
            .args(["--bin", "eryx-instructions"])
            .args(["--bin", "eryx-exchange-instructions"]),
    )?;
    let mut counts = BTreeMap::new();
    for (program, operation) in OPERATIONS {
        let program = workspace::target_dir().join("release").join(program);
        counts.insert(operation.to_owned(), count(&program, operation)?);
    }
    if write {
        let text = serde_json::to_string_pretty(&counts)?;
        return fs::write(&file, text + "\n")
            .with_context(|| format!("cannot write {}", file.display()));
    }
    let text = fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}: `--write` creates it", file.display()))?;
    let before: BTreeMap<String, u64> = serde_json::from_str(&text)?;
    let regressions = compare(&before, &counts);
    if !regressions.is_empty() {
        bail!(
            "more than {MAX_REGRESSION_PERCENT} % more instructions than in {}: {}",
            file.display(),
            regressions.join(", ")
        );
    }
    Ok(())
}

/// Returns the instructions of one operation: the difference between a process with many and a
/// process with few of them, so that start-up cancels out.
fn count(program: &Path, operation: &str) -> Result<u64> {
    let few = count_process(program, operation, FEW_ITERATIONS)?;
    let many = count_process(program, operation, MANY_ITERATIONS)?;
    Ok((many - few) / u64::from(MANY_ITERATIONS - FEW_ITERATIONS))
}

/// Returns the instructions of a process that repeats the operation.
fn count_process(program: &Path, operation: &str, iterations: u32) -> Result<u64> {
    let out = tempfile::NamedTempFile::new()?;
    command::output(
        Command::new("valgrind")
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", out.path().display()))
            .arg(program)
            .args([operation, &iterations.to_string()]),
    )?;
    let text = fs::read_to_string(out.path())?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total
        .and_then(|total| total.trim().parse().ok())
        .context("callgrind reported no total")
}

/// Prints both counts of each operation, and returns the regressions.
fn compare(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Vec<String> {
    let mut regressions = Vec::new();
    for (operation, &now) in now {
        let Some(&before) = before.get(operation) else {
            regressions.push(format!("{operation}: {now}, and was not counted before"));
            continue;
        };
        let change = (now as f64 / before as f64 - 1.0) * 100.0;
        println!("{operation}: {now} instructions, {before} before ({change:+.1} %)");
        if now * 100 > before * (100 + MAX_REGRESSION_PERCENT) {
            regressions.push(format!("{operation}: {now} instead of {before}"));
        }
    }
    regressions
}

/// The operations of the programs in benches/server/src/bin.
const OPERATIONS: [(&str, &str); 4] = [
    ("eryx-instructions", "decision"),
    ("eryx-exchange-instructions", "exchange"),
    ("eryx-instructions", "read"),
    ("eryx-instructions", "write"),
];

const FEW_ITERATIONS: u32 = 1000;
const MANY_ITERATIONS: u32 = 3000;

/// The allowed regression, in percent. Another compiler version may cause as much.
const MAX_REGRESSION_PERCENT: u64 = 5;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::compare;

    #[test]
    fn only_growth_beyond_the_allowed_percentage_is_a_regression() {
        let counts = |read| BTreeMap::from([("read".to_owned(), read)]);
        assert!(compare(&counts(1000), &counts(1050)).is_empty());
        assert!(compare(&counts(1000), &counts(500)).is_empty());
        assert_eq!(
            compare(&counts(1000), &counts(1051)),
            ["read: 1051 instead of 1000"]
        );
        assert_eq!(compare(&BTreeMap::new(), &counts(1)).len(), 1);
    }
}
