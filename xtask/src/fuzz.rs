//! `fuzz`: hostile input for everything that reads any, for a while.
//!
//! What libFuzzer needs of the compiler is there in the stable one too, under its plain names; nothing has to
//! be installed.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, bail};
use eryx_guest_shims::Recipe;

use crate::cargo::cargo;
use crate::process;

/// Build the targets, and run the named ones (or all) for this many seconds each.
///
/// With `inputs`, run the one named target on these files alone.
pub(crate) fn run(seconds: u32, target: Option<&str>, inputs: &[PathBuf]) -> Result<()> {
    let bench = Bench::new()?;
    let targets = bench.targets(target)?;
    bench.build()?;
    if let ([target], false) = (targets.as_slice(), inputs.is_empty()) {
        return process::run(bench.command(target).args(inputs));
    }
    let failed = bench.run_all(&targets, seconds)?;
    let passed = targets.len() - failed;
    println!("fuzz: {passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{failed} of {} fuzz targets found something", targets.len());
    }
    Ok(())
}

/// Where the sources of the targets are, and what is made of them.
struct Bench {
    sources: PathBuf,
    work: PathBuf,
    triple: String,
}

impl Bench {
    fn new() -> Result<Self> {
        let recipe = Recipe::of_workspace();
        let root = recipe.root();
        let artifacts = std::env::var_os("CARGO_TARGET_DIR");
        let artifacts = artifacts.map_or_else(|| root.join("target"), |dir| root.join(dir));
        let version = process::output(Command::new("rustc").arg("-vV"))?;
        let triple = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .context("rustc -vV names no host")?;
        Ok(Self {
            sources: root.join("fuzz"),
            work: artifacts.join("fuzz"),
            triple: triple.to_owned(),
        })
    }

    /// The targets there are, or the one of that name.
    fn targets(&self, wanted: Option<&str>) -> Result<Vec<String>> {
        let dir = self.sources.join("targets");
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
            let path = entry?.path();
            names.extend(
                path.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned()),
            );
        }
        names.sort();
        let Some(wanted) = wanted else {
            return Ok(names);
        };
        if names.iter().any(|name| name == wanted) {
            return Ok(vec![wanted.to_owned()]);
        }
        bail!(
            "there is no fuzz target `{wanted}`; there are {}",
            names.join(", ")
        )
    }

    fn build(&self) -> Result<()> {
        process::run(
            cargo(&["build", "--quiet", "--bins", "--manifest-path"])
                .arg(self.sources.join("Cargo.toml"))
                .arg("--target-dir")
                .arg(&self.work)
                // Naming the target keeps the flags away from build scripts and macros.
                .args(["--target", &self.triple])
                .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTED.join("\x1f")),
        )
    }

    /// Says how many failed.
    fn run_all(&self, targets: &[String], seconds: u32) -> Result<usize> {
        let waiting = Mutex::new(targets.iter().collect::<VecDeque<_>>());
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let work = || -> Result<usize> {
            let mut failed = 0;
            // The lock is held for the taking alone.
            while let Some(target) = { waiting.lock().map_or(None, |mut left| left.pop_front()) } {
                failed += usize::from(!self.try_for(target, seconds)?);
            }
            Ok(failed)
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
            let mut failed = 0;
            for worker in workers {
                failed += worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            Ok(failed)
        })
    }

    /// Says whether the target found nothing. What it finds is shown, and the input kept.
    fn try_for(&self, target: &str, seconds: u32) -> Result<bool> {
        let corpus = self.made("corpus", target)?;
        let findings = self.made("findings", target)?;
        let mut command = self.command(target);
        command
            .arg(corpus)
            .arg(self.sources.join("seeds").join(target))
            .arg(format!("-max_total_time={seconds}"))
            // Longer than what there is to read or to open; short enough to try very many.
            .arg("-max_len=2048")
            .arg("-timeout=20")
            .arg("-rss_limit_mb=1024")
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .stdin(Stdio::null());
        // The others read scripts of single bytes.
        if !target.starts_with("tls_") {
            let words = self.sources.join("text.dict");
            command.arg(format!("-dict={}", words.display()));
        }
        let output = command
            .output()
            .with_context(|| format!("cannot run the fuzz target {target}"))?;
        let log = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            let runs = log
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix("Done "));
            println!(
                "{target}: nothing in {}",
                runs.unwrap_or("an unknown number of runs")
            );
            return Ok(true);
        }
        println!("{target}: {}\n{log}", output.status);
        println!(
            "{target}: the input is in {}; run it alone with `cargo xtask fuzz {target} FILE`",
            findings.display()
        );
        Ok(false)
    }

    fn made(&self, kind: &str, target: &str) -> Result<PathBuf> {
        let dir = self.work.join(kind).join(target);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(dir)
    }

    fn command(&self, target: &str) -> Command {
        let programs: &Path = &self.work.join(&self.triple).join("debug");
        Command::new(programs.join(target))
    }
}

/// Coverage of edges and comparisons, in the form that libFuzzer reads.
const INSTRUMENTED: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
