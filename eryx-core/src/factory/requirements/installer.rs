//! pip, which resolves and downloads: that of an interpreter of the machine, or the one that uv
//! runs.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::factory::native_wheels;
use crate::factory::requirements::process::{FinishedProcess, ProcessEnd, Stop, run_to_end};
use crate::factory::requirements::requirement::name;
use crate::factory::requirements::resolution::Resolution;
use crate::factory::requirements::{CheckedRequirements, wheels};
use crate::factory::wheel_name::{SANDBOX_PLATFORM, normalized};
use crate::package_error::PackageError;

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

/// Downloads wheels to `directory.wheels`. Returns warnings: the required projects of which an
/// older release was taken than the newest.
pub(super) fn download(
    checked: &CheckedRequirements,
    directory: &Directory<'_>,
    stop: &Stop,
) -> Result<Vec<String>, PackageError> {
    let pip = Pip {
        checked,
        directory,
        stop,
    };
    let ended = pip.download(directory.wheels, None)?;
    let resolution = Resolution::of_output(&ended.output);
    if ended.succeeded() {
        let files = wheels(directory.wheels)?;
        let older = resolution.older_releases(files.iter().map(|wheel| &*wheel.name));
        if older.is_empty() {
            return Ok(Vec::new());
        }
        let newest = pip.problem_of_newest(&resolution);
        let why = match newest.as_ref().and_then(Problem::requirement) {
            Some((requirement, required_by)) => {
                let parent = required_by.map_or(String::new(), |parent| format!(" (of {parent})"));
                format!(
                    "the newer one needs {requirement}{parent}, of which there is no wheel for sandboxes"
                )
            }
            None => "the newer one does not go with the other requirements".to_owned(),
        };
        let older = older.iter().map(|older| {
            let (project, taken, newest) = (&older.project, &older.taken, &older.newest);
            end(&format!(
                "of {project}, the release {taken} is taken, and not {newest}: {why}. Require a \
                 version ({project}=={taken}) if it is the right one"
            ))
        });
        return Ok(older.collect());
    }
    let problem = Problem::find(&ended.messages);
    // What pip found last may be about an old release, of which it tried many.
    let problem = match problem {
        Problem::NoNetwork => problem,
        _ => pip.problem_of_newest(&resolution).unwrap_or(problem),
    };
    Err(match (pip.explain(&problem)?, &ended.end) {
        (Some(error), _) => error,
        (None, _) if problem == Problem::NoNetwork => download_error(format!(
            "the index cannot be reached. Give the directory of wheels that were downloaded before \
             (find_links, with no_index), or check the network. pip says: {}",
            errors_of(&ended.messages)
        )),
        (None, ProcessEnd::Killed(reason)) => {
            let tried = resolution.most_tried().map(|(project, count)| {
                format!(
                    ", {count} of {project}, to find ones that go with the other requirements. \
                     Require a version of {project}, and of the packages that need it"
                )
            });
            download_error(format!(
                "pip was ended: {reason}{}",
                tried.unwrap_or_default()
            ))
        }
        (None, _) => download_error(format!("pip says: {}", errors_of(&ended.messages))),
    })
}

/// The directories of a download.
pub(super) struct Directory<'a> {
    /// The one in which pip runs, so that it finds no modules of the working directory of this
    /// process.
    pub(super) work: &'a Path,
    /// That of the native wheels.
    pub(super) native: &'a Path,
    /// That of the wheels that are downloaded.
    pub(super) wheels: &'a Path,
}

/// pip, which is run for requirements.
struct Pip<'a> {
    checked: &'a CheckedRequirements,
    directory: &'a Directory<'a>,
    stop: &'a Stop,
}

impl Pip<'_> {
    /// Runs pip with the arguments that `arguments` adds.
    fn run(&self, arguments: impl Fn(&mut Command)) -> Result<FinishedProcess, PackageError> {
        let python = &self.checked.python;
        let mut pip = Command::new(python);
        pip.args(["-m", "pip"]);
        arguments(&mut pip);
        let found = run_to_end(pip, self.directory.work, self.stop);
        let is_missing = match &found {
            Ok(ended) => !ended.succeeded() && ended.messages.contains("No module named pip"),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_missing {
            return found.map_err(|error| {
                download_error(format!("{} cannot be run: {error}", python.display()))
            });
        }
        let mut pip = Command::new("uv");
        pip.args(["tool", "run", "--quiet", "pip"]);
        arguments(&mut pip);
        run_to_end(pip, self.directory.work, self.stop).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => download_error(format!(
                "the interpreter {} has no pip, and there is no uv; install one of them, or download \
                 the wheels yourself and give them as packages",
                python.display()
            )),
            _ => download_error(format!("uv cannot be run: {error}")),
        })
    }

    /// Downloads the requirements to `wheels`, within the constraints of a file.
    fn download(
        &self,
        wheels: &Path,
        constraints: Option<&Path>,
    ) -> Result<FinishedProcess, PackageError> {
        let checked = self.checked;
        self.run(|pip| {
            pip.args(["download", "--no-input", "--no-color"]);
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
                pip.arg("--find-links").arg(self.directory.native);
            }
            if let Some(constraints) = constraints {
                pip.arg("--constraint").arg(constraints);
            }
            for file in &checked.files {
                pip.arg("--requirement").arg(file);
            }
            // What follows is no option.
            pip.arg("--").args(&checked.names);
        })
    }

    /// Returns why the release of each project that pip tried first cannot be taken, if it tried
    /// others.
    fn problem_of_newest(&self, resolution: &Resolution) -> Option<Problem> {
        resolution.most_tried().filter(|&(_, tried)| tried > 1)?;
        let constraints = self.directory.work.join("constraints.txt");
        let newest = self.directory.work.join("newest");
        fs::create_dir(&newest).ok()?;
        fs::write(&constraints, resolution.constraints()).ok()?;
        let ended = self.download(&newest, Some(&constraints)).ok()?;
        let problem = Problem::find(&ended.messages);
        let is_found = matches!(problem, Problem::NoWheel { .. } | Problem::NoVersion { .. });
        is_found.then_some(problem)
    }

    /// Returns the error for a requirement that cannot be met.
    fn explain(&self, problem: &Problem) -> Result<Option<PackageError>, PackageError> {
        let Some((requirement, required_by)) = problem.requirement() else {
            return Ok(None);
        };
        let project = name(requirement);
        let why = match problem {
            Problem::NoVersion { versions, .. } => {
                let advice = match native_wheels::is_known(project) {
                    true => format!("; {}", native_wheels::advice(project)),
                    false => String::new(),
                };
                format!(
                    "of {project}, there are wheels that sandboxes can use of: {versions}{advice}"
                )
            }
            _ => no_wheel(self.checked, project, self.is_known(project)?),
        };
        Ok(Some(PackageError::Requirement {
            requirement: requirement.to_owned(),
            reason: match required_by {
                Some(parent) => format!("(of {parent}) cannot be met: {why}"),
                None => format!("cannot be met: {why}"),
            },
        }))
    }

    /// Returns whether there is a project of this name, where pip looks for it.
    fn is_known(&self, project: &str) -> Result<bool, PackageError> {
        if self.checked.no_index {
            return is_in_directories(self.checked, project);
        }
        // Fails for a project that does not exist.
        let versions = self.run(|pip| {
            pip.args(["index", "versions", "--quiet", "--no-color"]);
            pip.args(["--disable-pip-version-check", "--retries", "2", project]);
        });
        Ok(versions.is_ok_and(|ended| ended.succeeded()))
    }
}

/// Returns why there is no wheel of a project.
fn no_wheel(checked: &CheckedRequirements, project: &str, is_known: bool) -> String {
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

fn is_in_directories(checked: &CheckedRequirements, project: &str) -> Result<bool, PackageError> {
    for directory in &checked.find_links {
        for wheel in wheels(directory)? {
            let name = wheel.name.split('-').next().unwrap_or_default();
            if normalized(name) == normalized(project) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn download_error(reason: String) -> PackageError {
    PackageError::Download(reason)
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
    /// Returns the requirement that is not met, and the package that has it.
    fn requirement(&self) -> Option<(&str, Option<&str>)> {
        match self {
            Self::NoWheel {
                requirement,
                required_by,
            }
            | Self::NoVersion {
                requirement,
                required_by,
                ..
            } => Some((requirement, required_by.as_deref())),
            Self::NoNetwork | Self::Other => None,
        }
    }

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
            let requirement = end(requirement.trim());
            // A requirement of a file comes from the file.
            let parent = parent.filter(|parent| !parent.starts_with("-r "));
            // The parents follow each other, the nearest one first: `a>=1->b`.
            let required_by = parent.map(|parent| name(parent).to_owned());
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
fn errors_of(messages: &str) -> String {
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
                "ERROR: Could not find a version that satisfies the requirement orjson>=3.9.14 \
                 (from langsmith<1,>=0.3.45->langchain-core) (from versions: none)\n",
                no_wheel("orjson>=3.9.14", Some("langsmith")),
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
        assert_eq!(errors_of("WARNING: x\nERROR: a\x1b[31m\n  b\n"), "a [31m b");
        assert_eq!(errors_of("trouble\n"), "trouble");
        assert_eq!(newest("1, 2, 3"), "1, 2, 3");
        assert_eq!(
            newest("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"),
            "…, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
        );
        assert_eq!(errors_of(&"x".repeat(5000)).len(), MAX_SHOWN);
    }
}
