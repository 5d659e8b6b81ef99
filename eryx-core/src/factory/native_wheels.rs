//! Wheels with native code that are built for sandboxes, and that this version knows by their
//! digests. The Python package carries them.

use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::factory::wheel_name::{WheelName, normalized};
use crate::package_error::{BUILD_ADVICE, PackageError};

/// The SHA-256 and the name of each wheel, as sha256sum(1) prints them. `cargo xtask native
/// --write` writes the file.
const KNOWN: &str = include_str!("native_wheels.txt");

/// The variable that names another directory than the one that was set.
const VARIABLE: &str = "ERYX_NATIVE_WHEELS";

/// The largest wheel, in bytes.
const MAX_SIZE: u64 = 64 << 20;

/// The directory that was set.
static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();

/// Sets the directory in which the factories of this process find native wheels: wheels with
/// native code, built for sandboxes by `cargo xtask native`. The variable `ERYX_NATIVE_WHEELS`
/// names another directory. The call has no effect if a directory was set before.
///
/// Only the wheels that this version of Eryx knows, by name and SHA-256, are taken from it.
pub fn set_native_wheels(directory: impl Into<PathBuf>) {
    let _ = DIRECTORY.set(directory.into());
}

/// A wheel that this version knows, and that the directory has.
#[derive(Debug, Clone)]
pub(super) struct NativeWheel {
    path: PathBuf,
    /// The name of the file.
    pub(super) file: &'static str,
    /// The SHA-256 that its content must have, in hexadecimal.
    pub(super) sha256: &'static str,
}

impl NativeWheel {
    /// Returns whether it is the build of this version of a project.
    pub(super) fn is_of(&self, wanted: &WheelName<'_>) -> bool {
        WheelName::parse(self.file)
            .is_some_and(|name| name.project == wanted.project && name.version == wanted.version)
    }

    /// Reads the content.
    ///
    /// # Errors
    ///
    /// Fails if it is not the content that this version knows.
    pub(super) fn read(&self) -> Result<Bytes, PackageError> {
        let failed = |source| PackageError::Unreadable {
            path: self.path.clone(),
            source,
        };
        let mut content = Vec::new();
        File::open(&self.path)
            .and_then(|file| file.take(MAX_SIZE).read_to_end(&mut content))
            .map_err(failed)?;
        if HEXLOWER.encode(&Sha256::digest(&content)) != self.sha256 {
            return Err(failed(io::Error::other(format!(
                "it is not the wheel of this name that this version of Eryx knows, whose SHA-256 is \
                 {}; remove it, or name the directory of your own builds with find_links",
                self.sha256
            ))));
        }
        Ok(content.into())
    }
}

/// Returns the known wheels that the directory has. Their contents are not checked yet.
///
/// # Errors
///
/// Fails if the directory that the environment names does not exist.
pub(super) fn available() -> Result<Vec<NativeWheel>, PackageError> {
    let configured = env::var_os(VARIABLE).filter(|directory| !directory.is_empty());
    if let Some(directory) = configured {
        let directory = PathBuf::from(directory);
        return match directory.is_dir() {
            true => Ok(in_directory(&directory, KNOWN)),
            false => Err(PackageError::Unreadable {
                path: directory,
                source: io::Error::other(format!("{VARIABLE} names it, and it is no directory")),
            }),
        };
    }
    // A package that was built without them has no such directory.
    let directory = DIRECTORY.get();
    Ok(directory.map_or_else(Vec::new, |directory| in_directory(directory, KNOWN)))
}

fn in_directory(directory: &Path, known: &'static str) -> Vec<NativeWheel> {
    parse(known)
        .map(|(sha256, file)| NativeWheel {
            path: directory.join(file),
            file,
            sha256,
        })
        .filter(|wheel| wheel.path.is_file())
        .collect()
}

/// Returns the digests and the names of files.
fn parse(known: &str) -> impl Iterator<Item = (&str, &str)> {
    known.lines().filter_map(|line| line.split_once("  "))
}

/// Returns whether a wheel of a project is known.
pub(super) fn is_known(project: &str) -> bool {
    find(&normalized(project), KNOWN).is_some()
}

/// Returns what to do about a project without a build for sandboxes of the wanted version: the part
/// of a message after "or".
pub(super) fn advice(project: &str) -> String {
    // Where the directory cannot be read, the wheels have to be built all the same.
    let available = available().unwrap_or_default();
    advice_of(&normalized(project), KNOWN, &available)
}

/// Returns the known wheel of a project, whose name is normalized.
fn find<'a>(project: &str, known: &'a str) -> Option<WheelName<'a>> {
    parse(known)
        .filter_map(|(_, file)| WheelName::parse(file))
        .find(|name| name.project == project)
}

fn advice_of(project: &str, known: &str, available: &[NativeWheel]) -> String {
    let Some(known) = find(project, known) else {
        return BUILD_ADVICE.to_owned();
    };
    let version = known.version;
    if available.iter().any(|wheel| wheel.is_of(&known)) {
        return format!(
            "take {project} {version}, whose build for sandboxes is installed with Eryx, and \
             versions of other packages that accept it"
        );
    }
    format!(
        "take {project} {version}, for which Eryx has a recipe: `cargo xtask native {project}` in \
         Eryx's sources builds it to target/native/wheels; name this directory with find_links \
         (--find-links on the command line)"
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The digest of an empty file.
    const TABLE: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  \
                         a_b-1.0-cp314-cp314-wasm32_wasi.whl\n\
                         0000000000000000000000000000000000000000000000000000000000000000  \
                         c-2.0-cp314-cp314-wasm32_wasi.whl\n";

    #[test]
    fn every_known_wheel_is_for_sandboxes_and_has_a_digest() {
        let mut projects = Vec::new();
        for (sha256, file) in parse(KNOWN) {
            let name = WheelName::parse(file).expect(file);
            assert!(name.is_for_sandboxes(), "{file}");
            assert_eq!(HEXLOWER.decode(sha256.as_bytes()).map(|d| d.len()), Ok(32));
            projects.push(name.project);
        }
        assert_eq!(projects.len(), KNOWN.lines().count());
        let count = projects.len();
        projects.dedup();
        assert_eq!(projects.len(), count, "one version of each");
    }

    #[test]
    fn a_wheel_is_taken_only_with_the_known_content() {
        let dir = tempfile::tempdir().expect("created");
        for file in [
            "a_b-1.0-cp314-cp314-wasm32_wasi.whl",
            "a_b-1.1-cp314-cp314-wasm32_wasi.whl",
            "c-2.0-cp314-cp314-wasm32_wasi.whl",
        ] {
            fs::write(dir.path().join(file), "").expect("written");
        }
        let found = in_directory(dir.path(), TABLE);
        let [first, second] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(first.read().expect("known"), "");
        let error = second.read().expect_err("another content").to_string();
        assert!(
            error.contains("c-2.0") && error.contains("whose SHA-256 is 0000"),
            "{error}"
        );
        assert!(in_directory(&dir.path().join("absent"), TABLE).is_empty());
    }

    #[test]
    fn the_advice_names_the_version_and_the_command() {
        let dir = tempfile::tempdir().expect("created");
        let advice = advice_of("a-b", TABLE, &[]);
        assert!(
            advice.contains("take a-b 1.0") && advice.contains("`cargo xtask native a-b`"),
            "{advice}"
        );
        let file = dir.path().join("a_b-1.0-cp314-cp314-wasm32_wasi.whl");
        fs::write(file, "").expect("written");
        let advice = advice_of("a-b", TABLE, &in_directory(dir.path(), TABLE));
        assert!(advice.contains("installed with Eryx"), "{advice}");
        assert_eq!(advice_of("d", TABLE, &[]), BUILD_ADVICE);
    }
}
