//! pip, which resolves and downloads: that of an interpreter of the machine, or the one that uv
//! runs.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::factory::native_wheels;
use crate::factory::requirements::requirement::name;
use crate::factory::requirements::{Checked, wheels};
use crate::factory::wheel::SANDBOX_PLATFORM;
use crate::package_error::PackageError;

/// The longest time of a download.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The interval between two looks at the process.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The bytes of messages that are read: the last ones.
const MAX_MESSAGES: u64 = 64 << 10;

/// The longest message that an error shows, in characters.
const MAX_SHOWN: usize = 2000;

/// The most versions that an error shows.
const MAX_VERSIONS: usize = 10;

/// The options that select wheels for the Python of the image: pure ones, and those that are built
/// for sandboxes.
const WHEELS: [&str; 16] = [
    "--only-binary",
    ":all:",
    "--platform",
    "any",
    "--platform",
    SANDBOX_PLATFORM,
    "--python-version",
    "3.14",
    "--implementation",
    "cp",
    "--abi",
    "cp314",
    "--abi",
    "abi3",
    "--abi",
    "none",
];

/// Ends the process of a download when it is dropped.
#[derive(Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Returns a value that ends the download when it is dropped.
    pub(super) fn on_drop(self) -> StopOnDrop {
        StopOnDrop(self)
    }

    fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// See [`Stop::on_drop`].
pub(super) struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Downloads wheels to `wheels`. `native` is a directory with those of `checked.native`. pip runs
/// in `directory`, so that it finds no modules of the working directory of this process.
pub(super) fn download(
    checked: &Checked,
    directory: &Path,
    native: &Path,
    wheels: &Path,
    stop: &Stop,
) -> Result<(), PackageError> {
    let run = |arguments: &dyn Fn(&mut Command)| {
        let mut pip = Command::new(&checked.python);
        pip.args(["-m", "pip"]);
        arguments(&mut pip);
        let found = run_to_end(pip, directory, stop);
        let is_missing = match &found {
            Ok(ended) => !ended.succeeded && ended.messages.contains("No module named pip"),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_missing {
            return found.map_err(|error| {
                failed(format!(
                    "{} cannot be run: {error}",
                    checked.python.display()
                ))
            });
        }
        let mut pip = Command::new("uv");
        pip.args(["tool", "run", "--quiet", "pip"]);
        arguments(&mut pip);
        run_to_end(pip, directory, stop).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => failed(format!(
                "the interpreter {} has no pip, and there is no uv; install one of them, or download \
                 the wheels yourself and give them as packages",
                checked.python.display()
            )),
            _ => failed(format!("uv cannot be run: {error}")),
        })
    };
    let ended = run(&|pip| {
        pip.args(["download", "--quiet", "--no-input", "--no-color"]);
        pip.args(["--disable-pip-version-check", "--progress-bar", "off"]);
        pip.args(["--retries", "2"]).args(WHEELS);
        pip.arg("--dest").arg(wheels);
        if checked.no_index {
            pip.arg("--no-index");
        }
        for directory in &checked.find_links {
            pip.arg("--find-links").arg(directory);
        }
        if !checked.native.is_empty() {
            pip.arg("--find-links").arg(native);
        }
        for file in &checked.files {
            pip.arg("--requirement").arg(file);
        }
        // What follows is no option.
        pip.arg("--").args(&checked.names);
    })?;
    if ended.succeeded {
        return Ok(());
    }
    Err(match Problem::find(&ended.messages) {
        Problem::NoVersion {
            requirement,
            required_by,
            versions,
        } => {
            let project = name(&requirement);
            let advice = match native_wheels::is_known(project) {
                true => format!("; {}", native_wheels::advice(project)),
                false => String::new(),
            };
            let why = format!(
                "of {project}, there are wheels that sandboxes can use of: {versions}{advice}"
            );
            unmet(&requirement, required_by.as_deref(), &why)
        }
        Problem::NoWheel {
            requirement,
            required_by,
        } => {
            let project = name(&requirement);
            let is_known = match checked.no_index {
                true => is_in_directories(checked, project)?,
                // Fails for a project that does not exist.
                false => {
                    let versions = run(&|pip| {
                        pip.args(["index", "versions", "--quiet", "--no-color"]);
                        pip.args(["--disable-pip-version-check", "--retries", "2", project]);
                    });
                    versions.is_ok_and(|ended| ended.succeeded)
                }
            };
            let why = no_wheel(checked, project, is_known);
            unmet(&requirement, required_by.as_deref(), &why)
        }
        Problem::NoNetwork => failed(format!(
            "the index cannot be reached. Give the directory of wheels that were downloaded before \
             (find_links, with no_index), or check the network. pip says: {}",
            shown(&ended.messages)
        )),
        Problem::Other => failed(format!("pip says: {}", shown(&ended.messages))),
    })
}

/// Returns why there is no wheel of a project.
fn no_wheel(checked: &Checked, project: &str, is_known: bool) -> String {
    let place = match checked.no_index {
        true => "in the directories of find_links",
        false => "on the index",
    };
    match is_known {
        true => format!(
            "the releases of {project} {place} have no wheel for sandboxes, neither pure Python \
             (`…-none-any.whl`) nor compiled for them (`…-{SANDBOX_PLATFORM}.whl`): they have \
             native code of other platforms, or are only published as source. Take another version \
             or package, or {}",
            native_wheels::advice(project)
        ),
        false => format!("there is no project {project} {place}; check the name"),
    }
}

/// Returns the error for a requirement, which another package may have.
fn unmet(requirement: &str, required_by: Option<&str>, why: &str) -> PackageError {
    PackageError::Requirement {
        requirement: requirement.to_owned(),
        reason: match required_by {
            Some(parent) => format!("(of {parent}) cannot be met: {why}"),
            None => format!("cannot be met: {why}"),
        },
    }
}

fn is_in_directories(checked: &Checked, project: &str) -> Result<bool, PackageError> {
    let normalized = |name: &str| name.replace(['-', '.'], "_").to_ascii_lowercase();
    for directory in &checked.find_links {
        for (file, ..) in wheels(directory)? {
            let name = file.split('-').next().unwrap_or_default();
            if normalized(name) == normalized(project) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn failed(reason: String) -> PackageError {
    PackageError::Download(reason)
}

/// The end of a process.
struct Ended {
    succeeded: bool,
    /// What it wrote to standard error.
    messages: String,
}

/// Runs a command. Its messages go to a file, which needs no thread that reads them.
fn run_to_end(mut command: Command, directory: &Path, stop: &Stop) -> io::Result<Ended> {
    let mut messages = tempfile::tempfile()?;
    let child = command
        .current_dir(directory)
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(messages.try_clone()?)
        .spawn()?;
    let mut process = Process(child);
    let started = Instant::now();
    let status = loop {
        if let Some(status) = process.0.try_wait()? {
            break status;
        }
        if stop.is_requested() {
            return Err(io::Error::other("it was ended"));
        }
        if started.elapsed() > TIMEOUT {
            let seconds = TIMEOUT.as_secs();
            return Err(io::Error::other(format!("it took more than {seconds} s")));
        }
        thread::sleep(POLL_INTERVAL);
    };
    Ok(Ended {
        succeeded: status.success(),
        messages: read_end(&mut messages)?,
    })
}

/// A process that is killed unless it has ended.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail for a process that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read_end(file: &mut File) -> io::Result<String> {
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(size.saturating_sub(MAX_MESSAGES)))?;
    let mut end = Vec::new();
    file.take(MAX_MESSAGES).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

/// The reason why pip found no wheels.
#[derive(Debug, PartialEq, Eq)]
enum Problem {
    /// There is no wheel of the project of a requirement.
    NoWheel {
        requirement: String,
        required_by: Option<String>,
    },
    /// There are wheels of other versions.
    NoVersion {
        requirement: String,
        required_by: Option<String>,
        versions: String,
    },
    NoNetwork,
    Other,
}

impl Problem {
    /// Finds the reason in the messages of pip.
    fn find(messages: &str) -> Self {
        const NO_NETWORK: [&str; 6] = [
            "Failed to establish a new connection",
            "Temporary failure in name resolution",
            "Failed to resolve",
            "Connection refused",
            "Network is unreachable",
            "connection broken by",
        ];
        if NO_NETWORK.iter().any(|text| messages.contains(text)) {
            return Self::NoNetwork;
        }
        let found = messages.lines().find_map(|line| {
            let (_, rest) = line.split_once("satisfies the requirement ")?;
            let (rest, versions) = rest.split_once(" (from versions: ")?;
            let (requirement, parent) = match rest.split_once(" (from ") {
                Some((requirement, parent)) => (requirement, Some(parent.trim_end_matches(')'))),
                None => (rest, None),
            };
            let requirement = requirement.trim().to_owned();
            // A requirement of a file comes from the file.
            let parent = parent.filter(|parent| !parent.starts_with("-r "));
            let required_by = parent.map(str::to_owned);
            Some(match versions.trim_end_matches(')') {
                "none" => Self::NoWheel {
                    requirement,
                    required_by,
                },
                versions => Self::NoVersion {
                    requirement,
                    required_by,
                    versions: newest(versions),
                },
            })
        });
        found.unwrap_or(Self::Other)
    }
}

/// Returns the errors among the messages of pip, or else their end.
fn shown(messages: &str) -> String {
    let errors: Vec<_> = messages
        .lines()
        .skip_while(|line| !line.starts_with("ERROR:"))
        .map(|line| line.trim_start_matches("ERROR:").trim())
        .filter(|line| !line.is_empty())
        .collect();
    let text = match errors.is_empty() {
        true => messages.trim().replace('\n', " "),
        false => errors.join(" "),
    };
    end(&text)
}

/// Returns the newest of the versions that pip lists, which are in order.
fn newest(versions: &str) -> String {
    let mut newest: Vec<_> = versions.rsplit(", ").take(MAX_VERSIONS).collect();
    newest.reverse();
    let newest = end(&newest.join(", "));
    match versions.split(", ").nth(MAX_VERSIONS) {
        Some(_) => format!("…, {newest}"),
        None => newest,
    }
}

/// Returns the end of a text of pip.
fn end(text: &str) -> String {
    let start = text.chars().count().saturating_sub(MAX_SHOWN);
    let end: String = text.chars().skip(start).collect();
    // Control characters could change the terminal on which the error is shown.
    end.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_problem_is_found_in_the_messages() {
        let no_wheel = |requirement: &str, parent: Option<&str>| Problem::NoWheel {
            requirement: requirement.to_owned(),
            required_by: parent.map(str::to_owned),
        };
        for (messages, problem) in [
            (
                "ERROR: Could not find a version that satisfies the requirement numpy (from versions: none)\n\
                 ERROR: No matching distribution found for numpy\n",
                no_wheel("numpy", None),
            ),
            (
                "ERROR: Could not find a version that satisfies the requirement \
                 pydantic-core==2.46.3 (from pydantic) (from versions: none)\n",
                no_wheel("pydantic-core==2.46.3", Some("pydantic")),
            ),
            (
                "ERROR: Could not find a version that satisfies the requirement numpy>=2 \
                 (from -r a.txt (line 1)) (from versions: none)\n",
                no_wheel("numpy>=2", None),
            ),
            (
                "ERROR: Could not find a version that satisfies the requirement six>9 \
                 (from versions: 1.16.0, 1.17.0)\n",
                Problem::NoVersion {
                    requirement: "six>9".to_owned(),
                    required_by: None,
                    versions: "1.16.0, 1.17.0".to_owned(),
                },
            ),
            (
                "WARNING: Retrying (Retry(total=4)) after connection broken by \
                 'NewConnectionError'\nERROR: Could not find a version that satisfies the \
                 requirement six (from versions: none)\n",
                Problem::NoNetwork,
            ),
            (
                "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES",
                Problem::Other,
            ),
        ] {
            assert_eq!(Problem::find(messages), problem, "{messages}");
        }
    }

    #[test]
    fn an_error_shows_the_errors_of_pip_without_control_characters_and_bounded() {
        assert_eq!(shown("WARNING: x\nERROR: a\x1b[31m\n  b\n"), "a [31m b");
        assert_eq!(shown("trouble\n"), "trouble");
        assert_eq!(newest("1, 2, 3"), "1, 2, 3");
        assert_eq!(
            newest("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"),
            "…, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
        );
        assert_eq!(shown(&"x".repeat(5000)).len(), MAX_SHOWN);
    }

    #[test]
    fn a_process_is_killed_when_the_download_is_not_wanted_any_more() {
        let stop = Stop::default();
        drop(stop.clone().on_drop());
        let mut command = Command::new("sleep");
        command.arg("1000");
        let ended = run_to_end(command, Path::new("/"), &stop);
        assert!(ended.is_err());
    }
}
