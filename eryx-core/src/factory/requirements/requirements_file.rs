//! Files of requirements (pip, "Requirements File Format"), checked before pip reads them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::factory::requirements::requirement::check;
use crate::factory::requirements::unreadable;
use crate::package_error::PackageError;

/// The largest file, in bytes, and the most files that a file may include.
const MAX_SIZE: u64 = 8 << 20;
const MAX_FILES: usize = 64;

/// Options that change where pip searches, or what it checks.
const OPTIONS: [&str; 12] = [
    "-i",
    "--index-url",
    "--extra-index-url",
    "--no-index",
    "-f",
    "--find-links",
    "--only-binary",
    "--prefer-binary",
    "--pre",
    "--require-hashes",
    "--trusted-host",
    "--use-feature",
];

/// Options that name another file.
const INCLUDES: [&str; 4] = ["-r", "--requirement", "-c", "--constraint"];

/// A file of requirements.
pub(super) struct RequirementsFile {
    pub(super) content: Vec<u8>,
}

impl RequirementsFile {
    /// Reads a file and those that it includes, and checks every line of them.
    pub(super) fn read(path: &Path) -> Result<Vec<Self>, PackageError> {
        let mut paths = vec![path.to_path_buf()];
        let mut seen = BTreeSet::new();
        let mut files = Vec::new();
        while let Some(path) = paths.pop() {
            if !seen.insert(path.clone()) {
                continue;
            }
            if seen.len() > MAX_FILES {
                return Err(unreadable(
                    &path,
                    io::Error::other(format!("there are more than {MAX_FILES} files")),
                ));
            }
            if is_other_format(&path) {
                return Err(PackageError::Requirement {
                    requirement: path.display().to_string(),
                    reason: "is in another format; write a requirements file with hashes, as \
                             `uv export --format requirements-txt` does"
                        .to_owned(),
                });
            }
            let content = read(&path).map_err(|source| unreadable(&path, source))?;
            let text = String::from_utf8_lossy(&content);
            let included = included(&text).map_err(|(requirement, reason)| {
                let requirement = format!("{requirement} (in {})", path.display());
                PackageError::Requirement {
                    requirement,
                    reason,
                }
            })?;
            let directory = path.parent().unwrap_or(Path::new("/"));
            paths.extend(included.into_iter().map(|name| directory.join(name)));
            files.push(Self { content });
        }
        Ok(files)
    }
}

/// Returns whether a file is named as those of other formats are.
fn is_other_format(path: &Path) -> bool {
    const LOCK_FILES: [&str; 4] = ["uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".toml") || LOCK_FILES.contains(&&*name)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let size = File::open(path)?
        .take(MAX_SIZE + 1)
        .read_to_end(&mut content)? as u64;
    if size > MAX_SIZE {
        return Err(io::Error::other(format!(
            "it has more than {MAX_SIZE} bytes"
        )));
    }
    Ok(content)
}

/// Checks the lines of a file, and returns the names of the files that it includes.
fn included(text: &str) -> Result<Vec<PathBuf>, (String, String)> {
    let mut included = Vec::new();
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    for line in joined.lines() {
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        let line = match line.find(" #").or_else(|| line.find("\t#")) {
            Some(comment) => &line[..comment],
            None => line,
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('-') {
            let end = line
                .find(|c: char| c == '=' || c.is_whitespace())
                .unwrap_or(line.len());
            let (option, value) = line.split_at(end);
            if INCLUDES.contains(&option) {
                included.push(value.trim_start_matches('=').trim().into());
            } else if !OPTIONS.contains(&option) {
                return Err((
                    line.to_owned(),
                    format!(
                        "has the option {option}, which may let pip build packages on this machine; \
                         leave it out"
                    ),
                ));
            }
            continue;
        }
        let requirement = match line.find(" --hash") {
            Some(hashes) => &line[..hashes],
            None => line,
        };
        let options = line[requirement.len()..].split_whitespace();
        let mut others = options.filter(|option| !option.starts_with("--hash="));
        let reason = match others.next() {
            Some(_) => Err("has options besides --hash=".to_owned()),
            None => check(requirement),
        };
        reason.map_err(|reason| (requirement.to_owned(), reason))?;
    }
    Ok(included)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn ordinary_files_are_accepted_and_included_files_are_found() {
        let text = "\u{feff}# comment\n--index-url https://example.com/simple\n\nrequests>=2.31 # why\n\
                    six==1.17.0 \\\n    --hash=sha256:47 \\\n    --hash=sha256:48\n-r base.txt\n\
                    --constraint=c.txt\n  tomli ; python_version < '3.11'\r\n";
        let found = included(text).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(found, [Path::new("base.txt"), Path::new("c.txt")]);
    }

    #[test]
    fn lines_that_pip_would_build_are_rejected_with_the_line() {
        for line in [
            "-e .",
            "--editable=.",
            "--no-binary :all:",
            "--config-settings x=y",
            ".",
            "./package",
            "https://example.com/x.tar.gz",
            "x @ git+https://example.com/x",
            "six --global-option=x",
            "six --hash=sha256:1 --config-settings=x",
            "-unknown",
        ] {
            let (found, reason) = included(&format!("six\n{line}\n")).expect_err(line);
            assert!(line.starts_with(&found), "{line}: {found}");
            assert!(!reason.is_empty());
        }
    }

    #[test]
    fn a_lock_file_of_another_format_is_rejected_with_a_remedy() {
        for name in ["/absent/uv.lock", "/absent/pylock.toml"] {
            let error = RequirementsFile::read(Path::new(name)).err();
            let error = error.expect("rejected").to_string();
            assert!(
                error.contains(name) && error.contains("uv export"),
                "{error}"
            );
        }
    }

    #[test]
    fn files_that_include_each_other_are_read_once() {
        let dir = tempfile::tempdir().expect("made");
        fs::write(dir.path().join("a.txt"), "-r b.txt\n").expect("written");
        fs::write(dir.path().join("b.txt"), "-r a.txt\nsix\n").expect("written");
        let files = RequirementsFile::read(&dir.path().join("a.txt"));
        assert_eq!(files.unwrap_or_else(|error| panic!("{error}")).len(), 2);
        for number in 0..=MAX_FILES {
            let text = format!("-r {}.txt\n", number + 1);
            fs::write(dir.path().join(format!("{number}.txt")), text).expect("written");
        }
        let error = RequirementsFile::read(&dir.path().join("0.txt")).err();
        assert!(error.expect("rejected").to_string().contains("64 files"));
    }
}
