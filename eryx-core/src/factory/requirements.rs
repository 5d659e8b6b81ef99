//! Requirements: packages of an index, by name. The pip or uv of the machine downloads their
//! wheels.
//!
//! No code of a package runs on the machine: only wheels are downloaded, and requirements that pip
//! would build (directories, archives, repositories) are rejected.

mod download;
mod installer;
mod process;
mod requirement;
mod requirements_file;
mod resolution;

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

pub(super) use download::download;

use crate::factory::native_wheels::{self, NativeWheel};
use crate::factory::requirements::requirement::check;
use crate::factory::requirements::requirements_file::RequirementsFile;
use crate::package_error::PackageError;

/// The variables that change what pip and uv find.
const VARIABLES: [&str; 8] = [
    "PIP_CONSTRAINT",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_NO_INDEX",
    "PIP_PRE",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
];

/// The packages to download, and from where.
#[derive(Debug, Clone, Default)]
pub(super) struct Requirements {
    /// Requirements as on the command line of pip: `requests>=2.31`.
    pub(super) names: Vec<String>,
    /// Files of requirements.
    pub(super) files: Vec<PathBuf>,
    /// Directories of wheels.
    pub(super) find_links: Vec<PathBuf>,
    /// Whether only the directories are searched.
    pub(super) no_index: bool,
    /// The interpreter whose pip is run.
    pub(super) python: Option<PathBuf>,
}

/// Requirements that were checked, with absolute paths.
struct CheckedRequirements {
    names: Vec<String>,
    files: Vec<PathBuf>,
    find_links: Vec<PathBuf>,
    no_index: bool,
    python: PathBuf,
    /// Wheels that are searched, too.
    native: Vec<NativeWheel>,
    /// A digest of everything that determines the packages, except for the index.
    key: String,
}

impl Requirements {
    /// Returns whether nothing is required.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.files.is_empty()
    }

    /// Checks the requirements, and reads their files.
    fn check(&self) -> Result<CheckedRequirements, PackageError> {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            // The length separates a part from the next one.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(&[u8::from(self.no_index)]);
        for name in &self.names {
            check(name).map_err(|reason| PackageError::Requirement {
                requirement: name.clone(),
                reason,
            })?;
            add(name.trim().as_bytes());
        }
        let mut files = Vec::new();
        for path in &self.files {
            let path = absolute(path)?;
            for file in RequirementsFile::read(&path)? {
                add(b"file");
                add(&file.content);
            }
            files.push(path);
        }
        let mut find_links = Vec::new();
        for directory in &self.find_links {
            let directory = absolute(directory)?;
            for wheel in wheels(&directory)? {
                add(wheel.name.as_bytes());
                add(&wheel.size.to_le_bytes());
                add(&wheel.modified.to_le_bytes());
            }
            find_links.push(directory);
        }
        let native = native_wheels::available()?;
        for wheel in &native {
            add(wheel.file.as_bytes());
            add(wheel.sha256.as_bytes());
        }
        for variable in VARIABLES {
            if let Some(value) = env::var_os(variable) {
                add(variable.as_bytes());
                add(value.as_encoded_bytes());
            }
        }
        Ok(CheckedRequirements {
            names: self
                .names
                .iter()
                .map(|name| name.trim().to_owned())
                .collect(),
            files,
            find_links,
            no_index: self.no_index,
            python: self.python.clone().unwrap_or_else(|| "python3".into()),
            native,
            key: HEXLOWER.encode(&hash.finalize()),
        })
    }
}

fn absolute(path: &Path) -> Result<PathBuf, PackageError> {
    std::path::absolute(path).map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: io::Error) -> PackageError {
    PackageError::Unreadable {
        path: path.to_path_buf(),
        source,
    }
}

/// A wheel in a directory.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ListedWheel {
    name: String,
    /// The size in bytes.
    size: u64,
    /// The time of the last change, in nanoseconds since 1970.
    modified: u128,
}

/// Returns the wheels of a directory.
fn wheels(directory: &Path) -> Result<Vec<ListedWheel>, PackageError> {
    let failed = |source| unreadable(directory, source);
    let mut wheels = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".whl") {
            continue;
        }
        let metadata = fs::metadata(entry.path()).map_err(failed)?;
        let modified = metadata.modified().ok();
        let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        wheels.push(ListedWheel {
            name,
            size: metadata.len(),
            modified: modified.map_or(0, |time| time.as_nanos()),
        });
    }
    wheels.sort();
    Ok(wheels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(requirements: &Requirements) -> String {
        let checked = requirements.check();
        checked.unwrap_or_else(|error| panic!("{error}")).key
    }

    #[test]
    fn the_key_changes_with_names_files_and_wheels_and_not_with_the_interpreter() {
        let dir = tempfile::tempdir().expect("made");
        let path = |name: &str| dir.path().join(name);
        fs::write(path("base.txt"), "six\n").expect("written");
        fs::write(path("all.txt"), "-r base.txt\nidna\n").expect("written");
        let requirements = Requirements {
            names: vec!["requests>=2.31".to_owned()],
            files: vec![path("all.txt")],
            find_links: vec![dir.path().to_owned()],
            ..Requirements::default()
        };
        let first = key(&requirements);
        let with_python = Requirements {
            python: Some("/usr/bin/python3".into()),
            ..requirements.clone()
        };
        assert_eq!(key(&with_python), first);
        fs::write(path("notes.txt"), "").expect("written");
        assert_eq!(key(&requirements), first);
        let mut seen = vec![first];
        let mut is_new = |requirements: &Requirements| {
            let key = key(requirements);
            assert!(!seen.contains(&key));
            seen.push(key);
        };
        fs::write(path("base.txt"), "six==1.17.0\n").expect("written");
        is_new(&requirements);
        fs::write(path("a-1-py3-none-any.whl"), "").expect("written");
        is_new(&requirements);
        is_new(&Requirements {
            no_index: true,
            ..requirements.clone()
        });
        is_new(&Requirements {
            names: vec!["requests>=2.32".to_owned()],
            ..requirements.clone()
        });
        is_new(&Requirements {
            files: Vec::new(),
            ..requirements
        });
    }

    #[test]
    fn a_directory_or_file_that_does_not_exist_is_named() {
        for requirements in [
            Requirements {
                find_links: vec!["/does-not-exist".into()],
                ..Requirements::default()
            },
            Requirements {
                files: vec!["/does-not-exist".into()],
                ..Requirements::default()
            },
        ] {
            let Err(error) = requirements.check() else {
                panic!("accepted: {requirements:?}");
            };
            assert!(error.to_string().contains("/does-not-exist"), "{error}");
        }
    }
}
