//! Reads the files of packages, on several threads.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Cursor, Read, Seek};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use bytes::Bytes;
use eryx_sync::Mutex;

use crate::factory::directory_digests::{self, DirectoryDigests, FileDigest};
use crate::factory::native_code;
use crate::factory::package_file::{FileIdentity, PackageFile};
use crate::factory::package_limits::{Quota, QuotaExceeded, SharedQuota};
use crate::factory::stored_content::{ContentLocation, StoredContent};
use crate::factory::wheel_name::{installed_name, is_metadata};
use crate::factory::zip::{self, ZipError};
use crate::image::cache::Cache;
use crate::package_error::PackageError;

/// The most threads. More do not help: most of the time is spent in the kernel, which does not
/// scale further.
const MAX_THREADS: usize = 8;

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

/// A directory whose files are listed.
#[derive(Clone)]
struct Listing {
    package: Package,
    /// The digests that an earlier build has stored.
    digests: Arc<DirectoryDigests>,
}

/// A piece of work for any thread.
enum Job {
    Wheel(Package),
    WheelContent(Package, Bytes),
    /// Files of a directory: the name that programs see, and the path on disk.
    Files(Listing, Vec<(String, PathBuf)>),
}

/// The files that a thread has read, and the error that ended its work.
#[derive(Default)]
struct Results {
    files: Vec<(usize, String, PackageFile)>,
    /// The digests of the files in directories, by the position of the package.
    digests: Vec<(usize, String, FileDigest)>,
    /// The packages with files whose digests were not stored yet.
    changed: BTreeSet<usize>,
    error: Option<(usize, ReadError)>,
}

/// Returns the names and files of wheels and directories, in the order of the packages. A file that
/// two of them have is returned twice, and counts twice against the quota.
///
/// A file of a directory that did not change since an earlier build, by what stat(2) says, is not
/// read.
///
/// # Errors
///
/// That of the first package that cannot be read.
pub(super) fn read(
    packages: &[PackageSource],
    quota: Quota,
    cache: &Cache,
) -> Result<Vec<(String, PackageFile)>, ReadError> {
    let threads = match packages {
        [package] if !package.path().is_dir() => 1,
        _ => thread::available_parallelism().map_or(1, NonZero::get),
    };
    let read = match read_with(packages, quota, cache, threads.min(MAX_THREADS)) {
        // Which package exceeds the quota depends on the order in which they are read.
        Err(ReadError::TooLarge(..)) if threads > 1 => read_with(packages, quota, cache, 1),
        read => read,
    };
    let Results {
        mut files,
        digests,
        changed,
        ..
    } = read?;
    for position in changed {
        let digests: Vec<_> = digests
            .iter()
            .filter(|(package, _, _)| *package == position)
            .map(|(_, name, digest)| (name.as_str(), *digest))
            .collect();
        directory_digests::store(cache, packages[position].path(), &digests);
    }
    files.sort_by_key(|(position, _, _)| *position);
    let files = files.into_iter();
    Ok(files.map(|(_, name, file)| (name, file)).collect())
}

fn read_with(
    packages: &[PackageSource],
    quota: Quota,
    cache: &Cache,
    threads: usize,
) -> Result<Results, ReadError> {
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
        let listed = list(packages, quota.left().files, cache, &sender);
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
    let mut all = Results::default();
    let mut error: Option<(usize, ReadError)> = None;
    for result in results {
        all.files.extend(result.files);
        all.digests.extend(result.digests);
        all.changed.extend(result.changed);
        if let Some((position, found)) = result.error
            && error.as_ref().is_none_or(|(first, _)| position < *first)
        {
            error = Some((position, found));
        }
    }
    match error {
        Some((_, error)) => Err(error),
        None => Ok(all),
    }
}

/// Sends the jobs of all packages, whose directories have at most `max_files` files.
fn list(
    packages: &[PackageSource],
    max_files: usize,
    cache: &Cache,
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
                // A directory with `__init__.py` is one package and keeps its name; the entries of
                // any other directory go to the top level.
                let prefix = match path.file_name() {
                    Some(name) if path.join("__init__.py").is_file() => {
                        format!("{}/", name.to_string_lossy())
                    }
                    _ => String::new(),
                };
                let listing = Listing {
                    package,
                    digests: Arc::new(DirectoryDigests::find(cache, path)),
                };
                walk(&listing, path, &prefix, &mut left, sender)
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
    listing: &Listing,
    directory: &Path,
    prefix: &str,
    left: &mut usize,
    sender: &Sender<Job>,
) -> Result<(), ReadError> {
    let package = &listing.package;
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
            native_code::check_name(&package.path, &name)?;
            *left = left
                .checked_sub(1)
                .ok_or(ReadError::TooLarge(package.position, QuotaExceeded::Files))?;
            files.push((name, path));
        }
    }
    if !files.is_empty() {
        let _ = sender.send(Job::Files(listing.clone(), files));
    }
    for (name, path) in directories {
        walk(listing, &path, &format!("{name}/"), left, sender)?;
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
            Job::Files(listing, files) => {
                let done = read_files(&listing, files, quota, &mut results);
                (listing.package, done)
            }
        };
        results.error = done.err().map(|error| (package.position, error));
    }
}

fn read_files(
    listing: &Listing,
    files: Vec<(String, PathBuf)>,
    quota: &SharedQuota,
    results: &mut Results,
) -> Result<(), ReadError> {
    let package = &listing.package;
    let position = package.position;
    let failed = |source| unreadable(&package.path, source);
    let take = |size| {
        quota
            .take_file(size)
            .map_err(|exceeded| ReadError::TooLarge(position, exceeded))
    };
    for (name, path) in files {
        if !listing.digests.is_empty()
            && let Ok(path) = std::path::absolute(&path)
            && let Ok(metadata) = fs::metadata(&path)
            && let Some(digest) = listing
                .digests
                .get(&name, FileIdentity::from_metadata(&metadata))
        {
            take(metadata.len())?;
            let content =
                StoredContent::new(ContentLocation::Path(path), metadata.len(), digest.sha256);
            let file = PackageFile::stored(&package.path, content);
            results.digests.push((position, name.clone(), *digest));
            results.files.push((position, name, file));
            continue;
        }
        let file = fs::File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let size = metadata.len();
        take(size)?;
        let identity = FileIdentity::before_reading(&file, &metadata);
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // A file that grows meanwhile is cut off.
        (&file)
            .take(size)
            .read_to_end(&mut content)
            .map_err(failed)?;
        native_code::check(&package.path, &name, &content)?;
        let content = PackageFile::new(&package.path, content);
        // The content of native modules decides what is compiled.
        if !native_code::is_native(&name)
            && let Some(identity) = identity
        {
            let sha256 = content.digest;
            let digest = FileDigest { identity, sha256 };
            results.digests.push((position, name.clone(), digest));
            results.changed.insert(position);
        }
        results.files.push((position, name, content));
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
        native_code::check(path, &name, &content)?;
        let file = PackageFile::new(path, content);
        results.push((package.position, name, file));
    }
    if !has_metadata {
        return Err(not_a_wheel("it has no .dist-info/METADATA".to_owned()).into());
    }
    Ok(())
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::factory::package_limits::PackageLimits;

    fn read_directory(directory: &Path, cache: &Cache) -> Vec<(String, PackageFile)> {
        let package = PackageSource::Path(directory.to_path_buf());
        let quota = PackageLimits::default().quota();
        let mut files = match read(&[package], quota, cache) {
            Ok(files) => files,
            Err(ReadError::Package(error)) => panic!("{error}"),
            Err(ReadError::TooLarge(..)) => panic!("too large"),
        };
        files.sort_by(|(name, _), (other, _)| name.cmp(other));
        files
    }

    /// Returns the names of the files that were read.
    fn were_read(files: &[(String, PackageFile)]) -> Vec<&str> {
        let files = files.iter();
        files
            .filter(|(_, file)| file.stored_content().is_none())
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Reads until all files but those of `unstored` have stored digests: a change that was made
    /// just now is not trusted.
    fn read_until_stored(
        directory: &Path,
        cache: &Cache,
        unstored: &[&str],
    ) -> Vec<(String, PackageFile)> {
        loop {
            let files = read_directory(directory, cache);
            if were_read(&files) == unstored {
                return files;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn only_files_that_have_changed_are_read_again() {
        let directory = tempfile::tempdir().expect("made");
        let packages = directory.path().join("packages");
        let cache = Cache::open(Some(&directory.path().join("cache")));
        fs::create_dir_all(packages.join("package")).expect("made");
        let path = |name: &str| packages.join(name);
        for number in 0..300 {
            let name = path(&format!("package/{number}.py"));
            fs::write(name, format!("VALUE = {number}\n")).expect("written");
        }
        // Its content decides what is compiled, before any program.
        let native = "_speed.cpython-314-wasm32-wasi.so";
        fs::write(path(native), b"\0asm\x01\0\0\0").expect("written");

        let first = read_directory(&packages, &cache);
        assert_eq!(were_read(&first).len(), 301);
        let stored = read_until_stored(&packages, &cache, &[native]);
        for ((name, read), (_, stored)) in first.iter().zip(&stored) {
            assert_eq!(read.digest, stored.digest, "{name}");
            assert_eq!(read.size(), stored.size(), "{name}");
            assert_eq!(
                read.content().expect("read"),
                stored.content().expect("read")
            );
        }

        // The same size, and the same time of the content.
        let changed = path("package/7.py");
        let modified = fs::metadata(&changed).expect("known").modified();
        fs::write(&changed, "VALUE = 8\n").expect("written");
        let file = fs::File::options().write(true).open(&changed);
        let file = file.expect("opened");
        file.set_modified(modified.expect("known")).expect("set");
        fs::remove_file(path("package/8.py")).expect("removed");
        let after = read_directory(&packages, &cache);
        assert_eq!(were_read(&after), [native, "package/7.py"]);
        assert_eq!(after.len(), 300);

        // The content that a build did not read is the one that it means, or none.
        let (_, unread) = stored
            .iter()
            .find(|(name, _)| name == "package/9.py")
            .expect("listed");
        assert!(unread.content().is_ok(), "read above");
        let unread = after.iter().find(|(name, _)| name == "package/9.py");
        let (_, unread) = unread.expect("listed");
        fs::write(path("package/9.py"), "VALUE = 0\n").expect("written");
        assert!(unread.content().is_err());
    }
}
