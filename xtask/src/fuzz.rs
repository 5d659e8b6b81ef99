//! `fuzz`: runs the fuzz targets, which feed hostile input to parsers and state machines.
//!
//! The stable compiler has the instrumentation that libFuzzer needs, under its LLVM names, so
//! nothing has to be installed.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use eryx_sync::Mutex;

use crate::command::{self, cargo};
use crate::workspace;

/// Builds the targets, and runs the named one, or all, for `seconds` each.
///
/// With `inputs`, runs the named target on these files only.
pub(crate) fn run(seconds: u32, target: Option<&str>, inputs: &[PathBuf]) -> Result<()> {
    let fuzz = FuzzWorkspace::new()?;
    let targets = fuzz.targets(target)?;
    fuzz.build()?;
    if let ([target], false) = (targets.as_slice(), inputs.is_empty()) {
        return command::run(fuzz.command(target).args(inputs));
    }
    let failed = fuzz.run_all(&targets, seconds)?;
    let passed = targets.len() - failed;
    println!("fuzz: {passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{failed} of {} fuzz targets found something", targets.len());
    }
    Ok(())
}

/// The workspace of the fuzz targets, which has build settings of its own.
struct FuzzWorkspace {
    sources: PathBuf,
    /// The folder of the build, the corpora and the findings.
    work: PathBuf,
    /// The target triple of this machine.
    triple: String,
}

impl FuzzWorkspace {
    fn new() -> Result<Self> {
        let version = command::output(Command::new("rustc").arg("-vV"))?;
        let triple = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .context("rustc -vV names no host")?;
        Ok(Self {
            sources: workspace::root().join("fuzz"),
            work: workspace::target_dir().join("fuzz"),
            triple: triple.to_owned(),
        })
    }

    /// Returns the names of all targets, or the one in `name`.
    fn targets(&self, name: Option<&str>) -> Result<Vec<String>> {
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
        let Some(name) = name else {
            return Ok(names);
        };
        if names.iter().any(|target| target == name) {
            return Ok(vec![name.to_owned()]);
        }
        bail!(
            "there is no fuzz target `{name}`; there are {}",
            names.join(", ")
        )
    }

    fn build(&self) -> Result<()> {
        command::run(
            cargo(&["build", "--bins", "--manifest-path"])
                .arg(self.sources.join("Cargo.toml"))
                .arg("--target-dir")
                .arg(&self.work)
                // With an explicit target, the flags do not apply to build scripts and macros.
                .args(["--target", &self.triple])
                .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTATION.join("\x1f")),
        )
    }

    /// Runs `targets` in parallel and returns how many failed.
    fn run_all(&self, targets: &[String], seconds: u32) -> Result<usize> {
        let queue = Mutex::new(targets.iter().collect::<VecDeque<_>>());
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let work = || -> Result<usize> {
            let mut failed = 0;
            // The block releases the lock before the target runs.
            while let Some(target) = { queue.lock().pop_front() } {
                failed += usize::from(!self.run_for(target, seconds)?);
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

    /// Runs a target and returns whether it found nothing. Prints a finding and saves its input.
    fn run_for(&self, target: &str, seconds: u32) -> Result<bool> {
        let corpus = self.create_dir("corpus", target)?;
        let findings = self.create_dir("findings", target)?;
        let mut command = self.command(target);
        command
            .arg(corpus)
            .arg(self.sources.join("seeds").join(target))
            .arg(format!("-max_total_time={seconds}"))
            // Longer than any grammar or state machine needs; short enough for many runs.
            .arg("-max_len=2048")
            .arg("-timeout=20")
            .arg("-rss_limit_mb=1024")
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .stdin(Stdio::null());
        // The TLS targets read scripts of single bytes, which have no words.
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

    fn create_dir(&self, kind: &str, target: &str) -> Result<PathBuf> {
        let dir = self.work.join(kind).join(target);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(dir)
    }

    fn command(&self, target: &str) -> Command {
        let programs: &Path = &self.work.join(&self.triple).join("debug");
        Command::new(programs.join(target))
    }
}

/// The compiler flags for coverage of edges and comparisons, in the form that libFuzzer reads.
const INSTRUMENTATION: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
