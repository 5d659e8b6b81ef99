//! Reads the files of packages, on several threads.

use std::fs;
use std::io::{self, Cursor, Read, Seek};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use bytes::Bytes;
use eryx_sync::Mutex;
use sha2::{Digest as _, Sha256};

use crate::factory::native_modules::{has_importable_name, is_importable};
use crate::factory::package_limits::{Quota, QuotaExceeded, SharedQuota};
use crate::factory::wheel::{installed_name, is_metadata, is_native};
use crate::factory::zip::{self, ZipError};
use crate::package_error::PackageError;

/// The most threads: the kernel's work for a file is most of the time, and does not scale further.
const MAX_THREADS: usize = 8;

/// A file of a package.
#[derive(Debug, Clone)]
pub(super) struct PackageFile {
    /// The package.
    pub(super) package: Arc<Path>,
    pub(super) content: Bytes,
    /// The SHA-256 of the content.
    pub(super) digest: [u8; 32],
}

impl PackageFile {
    pub(super) fn new(package: &Arc<Path>, content: Vec<u8>) -> Self {
        Self {
            package: Arc::clone(package),
            digest: Sha256::digest(&content).into(),
            content: content.into(),
        }
    }
}

/// Why packages cannot be read.
pub(super) enum ReadError {
    Package(PackageError),
    /// The package at this position exceeds the quota.
    TooLarge(usize, QuotaExceeded),
}

impl From<PackageError> for ReadError {
    fn from(error: PackageError) -> Self {
        Self::Package(error)
    }
}

/// A package to read.
#[derive(Debug, Clone)]
pub(super) enum PackageSource {
    /// A wheel, or a directory.
    Path(PathBuf),
    /// The name and the content of a wheel.
    Wheel(PathBuf, Bytes),
}

impl PackageSource {
    /// Returns the path, or the name of the wheel.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Path(path) | Self::Wheel(path, _) => path,
        }
    }
}

/// A package, by its position in the list.
#[derive(Clone)]
struct Package {
    position: usize,
    path: Arc<Path>,
}

/// A piece of work for any thread.
enum Job {
    Wheel(Package),
    WheelContent(Package, Bytes),
    /// Files of a directory, by the name of each for programs.
    Files(Package, Vec<(String, PathBuf)>),
}

/// The files that a thread has read, and the error that ended its work.
#[derive(Default)]
struct Results {
    files: Vec<(usize, String, PackageFile)>,
    error: Option<(usize, ReadError)>,
}

/// Returns the names and files of wheels and directories, in the order of the packages. A file that
/// two of them have is returned twice, and counts twice against the quota.
///
/// # Errors
///
/// That of the first package that cannot be read.
pub(super) fn read(
    packages: &[PackageSource],
    quota: Quota,
) -> Result<Vec<(String, PackageFile)>, ReadError> {
    let threads = match packages {
        [package] if !package.path().is_dir() => 1,
        _ => thread::available_parallelism().map_or(1, NonZero::get),
    };
    let read = match read_with(packages, quota, threads.min(MAX_THREADS)) {
        // Which package exceeds the quota depends on the order in which they are read.
        Err(ReadError::TooLarge(..)) if threads > 1 => read_with(packages, quota, 1),
        read => read,
    };
    let mut files = read?;
    files.sort_by_key(|(position, _, _)| *position);
    let files = files.into_iter();
    Ok(files.map(|(_, name, file)| (name, file)).collect())
}

fn read_with(
    packages: &[PackageSource],
    quota: Quota,
    threads: usize,
) -> Result<Vec<(usize, String, PackageFile)>, ReadError> {
    let quota = SharedQuota::new(quota);
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    let results = thread::scope(|scope| {
        let readers: Vec<_> = (1..threads)
            .filter_map(|_| {
                let reader = thread::Builder::new().name("eryx-read".to_owned());
                // Without another thread, this one reads everything.
                let work = || run_jobs(&receiver, &quota);
                reader.spawn_scoped(scope, work).ok()
            })
            .collect();
        let listed = list(packages, quota.left().files, &sender);
        drop(sender);
        let mut results = vec![run_jobs(&receiver, &quota)];
        results.extend(readers.into_iter().map(|reader| {
            reader
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        }));
        results.push(Results {
            error: listed.err(),
            ..Results::default()
        });
        results
    });
    let mut files = Vec::new();
    let mut error: Option<(usize, ReadError)> = None;
    for result in results {
        files.extend(result.files);
        if let Some((position, found)) = result.error
            && error.as_ref().is_none_or(|(first, _)| position < *first)
        {
            error = Some((position, found));
        }
    }
    match error {
        Some((_, error)) => Err(error),
        None => Ok(files),
    }
}

/// Sends the jobs of all packages, whose directories have at most `max_files` files.
fn list(
    packages: &[PackageSource],
    max_files: usize,
    sender: &Sender<Job>,
) -> Result<(), (usize, ReadError)> {
    let mut left = max_files;
    for (position, source) in packages.iter().enumerate() {
        let path = source.path();
        let package = Package {
            position,
            path: path.into(),
        };
        if let PackageSource::Wheel(_, content) = source {
            let _ = sender.send(Job::WheelContent(package, content.clone()));
            continue;
        }
        let listed = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                // The directory of one package keeps its name; the entries of any other lie at the
                // top.
                let prefix = match path.file_name() {
                    Some(name) if path.join("__init__.py").is_file() => {
                        format!("{}/", name.to_string_lossy())
                    }
                    _ => String::new(),
                };
                walk(&package, path, &prefix, &mut left, sender)
            }
            Ok(_) => {
                // Fails only if no thread reads any more, after an error.
                let _ = sender.send(Job::Wheel(package));
                Ok(())
            }
            Err(source) => Err(missing(path, source).into()),
        };
        listed.map_err(|error| (position, error))?;
    }
    Ok(())
}

/// Sends the files of a directory, and of those in it.
fn walk(
    package: &Package,
    directory: &Path,
    prefix: &str,
    left: &mut usize,
    sender: &Sender<Job>,
) -> Result<(), ReadError> {
    let failed = |source| unreadable(&package.path, source);
    let mut files = Vec::new();
    let mut directories = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let mut file_type = entry.file_type().map_err(failed)?;
        if file_type.is_symlink() {
            // For a link to one of its own parents, the system fails with ELOOP in the end.
            file_type = fs::metadata(&path).map_err(failed)?.file_type();
        }
        let file_name = entry.file_name();
        let name = format!("{prefix}{}", file_name.to_string_lossy());
        if file_type.is_dir() {
            if file_name != "__pycache__" {
                directories.push((name, path));
            }
        } else if file_type.is_file() {
            if name.ends_with(".whl") && directory == &*package.path {
                // A directory of wheels.
                let wheel = Package {
                    path: path.into(),
                    ..*package
                };
                let _ = sender.send(Job::Wheel(wheel));
                continue;
            }
            if is_native(&name) && !has_importable_name(&name) {
                return Err(native_code(package, name));
            }
            *left = left
                .checked_sub(1)
                .ok_or(ReadError::TooLarge(package.position, QuotaExceeded::Files))?;
            files.push((name, path));
        }
    }
    if !files.is_empty() {
        let _ = sender.send(Job::Files(package.clone(), files));
    }
    for (name, path) in directories {
        walk(package, &path, &format!("{name}/"), left, sender)?;
    }
    Ok(())
}

/// Does jobs until there are no more, or one fails.
fn run_jobs(receiver: &Mutex<Receiver<Job>>, quota: &SharedQuota) -> Results {
    let mut results = Results::default();
    loop {
        let job = receiver.lock().recv();
        let Ok(job) = job else { return results };
        if results.error.is_some() {
            // Takes the jobs that are left off the channel.
            continue;
        }
        let (package, done) = match job {
            Job::Wheel(package) => {
                let done = open_wheel(&package, quota, &mut results.files);
                (package, done)
            }
            Job::WheelContent(package, content) => {
                let content = Cursor::new(content);
                let done = read_wheel(&package, content, quota, &mut results.files);
                (package, done)
            }
            Job::Files(package, files) => {
                let done = read_files(&package, files, quota, &mut results.files);
                (package, done)
            }
        };
        results.error = done.err().map(|error| (package.position, error));
    }
}

fn read_files(
    package: &Package,
    files: Vec<(String, PathBuf)>,
    quota: &SharedQuota,
    results: &mut Vec<(usize, String, PackageFile)>,
) -> Result<(), ReadError> {
    let failed = |source| unreadable(&package.path, source);
    for (name, path) in files {
        let file = fs::File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        quota
            .take_file(size)
            .map_err(|exceeded| ReadError::TooLarge(package.position, exceeded))?;
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // A file that grows meanwhile is cut off.
        file.take(size).read_to_end(&mut content).map_err(failed)?;
        if is_native(&name) && !is_importable(&name, &content) {
            return Err(native_code(package, name));
        }
        let file = PackageFile::new(&package.path, content);
        results.push((package.position, name, file));
    }
    Ok(())
}

fn open_wheel(
    package: &Package,
    quota: &SharedQuota,
    results: &mut Vec<(usize, String, PackageFile)>,
) -> Result<(), ReadError> {
    let path = &package.path;
    let file = fs::File::open(path).map_err(|source| unreadable(path, source))?;
    read_wheel(package, file, quota, results)
}

fn read_wheel(
    package: &Package,
    wheel: impl Read + Seek,
    quota: &SharedQuota,
    results: &mut Vec<(usize, String, PackageFile)>,
) -> Result<(), ReadError> {
    let path = &package.path;
    let not_a_wheel = |reason: String| PackageError::NotAWheel {
        path: path.to_path_buf(),
        reason,
    };
    let files = zip::files(wheel, quota).map_err(|error| match error {
        ZipError::QuotaExceeded(exceeded) => ReadError::TooLarge(package.position, exceeded),
        ZipError::Invalid(reason) => not_a_wheel(reason).into(),
    })?;
    let mut has_metadata = false;
    for (name, content) in files {
        has_metadata |= is_metadata(&name);
        let name = installed_name(&name);
        if is_native(&name) && !is_importable(&name, &content) {
            return Err(native_code(package, name));
        }
        let file = PackageFile::new(path, content);
        results.push((package.position, name, file));
    }
    if !has_metadata {
        return Err(not_a_wheel("it has no .dist-info/METADATA".to_owned()).into());
    }
    Ok(())
}

fn native_code(package: &Package, file: String) -> ReadError {
    ReadError::Package(PackageError::NativeCode {
        path: package.path.to_path_buf(),
        file,
    })
}

/// Returns the error for a path that cannot be found.
fn missing(package: &Path, source: io::Error) -> PackageError {
    let is_name = package.components().count() == 1 && package.extension().is_none();
    if is_name && source.kind() == io::ErrorKind::NotFound {
        return PackageError::NoPath {
            name: package.to_string_lossy().into_owned(),
        };
    }
    unreadable(package, source)
}

fn unreadable(package: &Path, source: io::Error) -> PackageError {
    PackageError::Unreadable {
        path: package.to_path_buf(),
        source,
    }
}
