//! The error for a package that cannot be used.

use std::io;
use std::path::PathBuf;

/// What to do about native code of another platform.
pub(crate) const BUILD_ADVICE: &str = "build this version for sandboxes (`cargo xtask native NAME` \
    in Eryx's sources builds some packages), and name the directory of the wheel with find_links \
    (--find-links on the command line)";

/// Why packages cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The package cannot be read.
    #[error("the package {path} cannot be read: {source}", path = path.display())]
    #[non_exhaustive]
    Unreadable {
        /// The package.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// There is no such file or directory, and the text may be the name of a package of the index.
    #[error(
        "there is no file or directory {name:?}; give the path of a wheel or of a directory, or, for \
         the package of this name on the package index, a requirement (requirements=[{name:?}] in \
         Python, --requirement {name} on the command line)"
    )]
    #[non_exhaustive]
    NoPath {
        /// The text that was given as a path.
        name: String,
    },
    /// A requirement is not valid, or cannot be met.
    #[error("the requirement {requirement} {reason}")]
    #[non_exhaustive]
    Requirement {
        /// The requirement.
        requirement: String,
        /// The rest of the message.
        reason: String,
    },
    /// The packages of requirements cannot be downloaded.
    #[error("the packages of the requirements cannot be downloaded: {0}")]
    Download(String),
    /// The package is a file, but not a wheel.
    #[error(
        "{path} is not a wheel ({reason}); give a .whl file, or the directory of an installed or \
         unpacked package",
        path = path.display()
    )]
    #[non_exhaustive]
    NotAWheel {
        /// The file.
        path: PathBuf,
        /// Why it is not a wheel.
        reason: String,
    },
    /// The package contains machine code for a processor, or for another interpreter, which cannot
    /// run in a sandbox.
    #[error(
        "{path} has native code of another platform ({file}), which cannot run in a sandbox; take \
         a pure Python release, if there is one, or {advice}",
        path = path.display()
    )]
    #[non_exhaustive]
    NativeCode {
        /// The package.
        path: PathBuf,
        /// The file with machine code, by its name in the package.
        file: String,
        /// How to get a build for sandboxes.
        advice: String,
    },
    /// An extension module in WebAssembly cannot be linked.
    #[error("the extension module {file} of {path} {reason}", path = path.display())]
    #[non_exhaustive]
    NativeModule {
        /// The package.
        path: PathBuf,
        /// The file of the module, by its name in the package.
        file: String,
        /// Why it cannot be linked.
        reason: String,
    },
    /// Two packages have the same file with different contents.
    #[error("{first} and {second} both have {file}, and they differ; leave one of them out",
        first = first.display(), second = second.display())]
    #[non_exhaustive]
    Conflict {
        /// The package that was added first.
        first: PathBuf,
        /// The package that was added second.
        second: PathBuf,
        /// The name of the file.
        file: String,
    },
    /// A package requires a project of which there is no wheel in the directories of the listed
    /// wheels.
    #[error(
        "{project} needs {dependency}, and no wheel beside those listed provides it; download it \
         too, or list it"
    )]
    #[non_exhaustive]
    MissingDependency {
        /// The project that has the requirement.
        project: String,
        /// The project it requires.
        dependency: String,
    },
    /// Two wheels are of the project that a package requires.
    #[error("{first} and {second} are both of {project}; list the one to take",
        first = first.display(), second = second.display())]
    #[non_exhaustive]
    Ambiguous {
        /// The project of both wheels.
        project: String,
        /// One wheel.
        first: PathBuf,
        /// The other wheel.
        second: PathBuf,
    },
    /// The file or the bytes are not a saved factory.
    #[error("{origin} is not a saved factory ({reason}); give what SandboxFactory's save wrote")]
    #[non_exhaustive]
    NotAFactory {
        /// The path of the file, or `the given data`.
        origin: String,
        /// Why it is not a saved factory.
        reason: String,
    },
    /// The packages exceed their [`PackageLimits`](crate::PackageLimits).
    #[error(
        "{package} is too large: the packages of a factory may hold {allowed} together; leave some \
         out, or allow more (PackageLimits in Rust, max_package_bytes and max_package_files in \
         Python)",
        package = package.display()
    )]
    #[non_exhaustive]
    TooLarge {
        /// The package that exceeds the limit.
        package: PathBuf,
        /// The limit, in words: `1000 bytes` or `20 files`.
        allowed: String,
    },
    /// The files of the packages cannot lie in one directory.
    #[error("the packages cannot be unpacked into one directory: {0}")]
    Unpack(String),
    /// The packages cannot be written into one file.
    #[error("the packages cannot be put into one file: {0}")]
    Pack(io::Error),
    /// The factory cannot be written to disk.
    #[error("the factory cannot be saved to {path}: {source}", path = path.display())]
    #[non_exhaustive]
    Save {
        /// The path to write to.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}
