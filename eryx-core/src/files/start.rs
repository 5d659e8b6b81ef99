//! The files that the embedder gives to a sandbox.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use eryx_files::{
    Deferred, Layout, LayoutBuilder, LayoutError, MachineDirectory, MachineFile, MachineFileError,
    Mount,
};
use eryx_sync::Mutex;

use crate::files::layout::{MODIFIED, PACKAGES};
use crate::files::standard_devices::DEVICES;
use crate::files::start_error::FilesError;

/// The files that the programs of a sandbox find when they start.
///
/// All paths are absolute paths of the program. Each execution, and each session, starts with the
/// same files and changes its own copies, except for those of mounts. They do not count against
/// [`max_file_bytes`](crate::ResourceLimits::with_max_file_bytes) and
/// [`max_files`](crate::ResourceLimits::with_max_files) until a program changes them. Sandboxes
/// share their content, so that a start copies nothing.
///
/// The settings are checked by [`SandboxBuilder::build`](crate::SandboxBuilder::build). The first
/// build also opens the files and directories of the machine. Clones, and the sandboxes that are
/// built with them, share these, and the limits on the growth of mounts.
///
/// ```no_run
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use eryx_core::{Files, MountAccess, Sandbox};
///
/// let files = Files::new()
///     .with_file("/data/in.csv", "name,age\nAda,36\n")
///     .with_machine_file("/data/big.bin", "/srv/big.bin")
///     .with_mount("/ref", "/srv/reference", MountAccess::ReadOnly);
/// let sandbox = Sandbox::embedded().with_files(files).build()?;
/// let result = sandbox
///     .execute("print(open('/data/in.csv').readline())\nopen('out.txt', 'w').write('done')")
///     .await?;
/// assert_eq!(result.files.read("/home/user/out.txt")?, b"done");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "files have no effect until `SandboxBuilder::with_files`"]
pub struct Files {
    entries: Vec<Arc<Entry>>,
    /// The last layout that was made of these entries, and the one that it extends.
    layout: Arc<Mutex<Option<(Layout, Layout)>>>,
}

/// The access of programs to a directory of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MountAccess {
    /// They can read it.
    ReadOnly,
    /// They can read and change it.
    ReadWrite {
        /// How many bytes all programs together can add to it. A new file or directory counts 4,096
        /// bytes in addition, and space that they free does not count again.
        max_growth: u64,
    },
}

impl MountAccess {
    /// The `max_growth` that the Python package and the command use by default: 64 MiB.
    pub const DEFAULT_MAX_GROWTH: u64 = 64 << 20;
}

/// Returns the content of a file.
#[doc(hidden)]
pub type ProvideContent = Box<dyn FnOnce() -> io::Result<Bytes> + Send>;

/// A file, directory or mount.
struct Entry {
    /// The path, as the embedder wrote it.
    path: String,
    content: Content,
}

enum Content {
    Directory,
    Bytes(Bytes),
    Deferred(Arc<Deferred>),
    MachineFile(Opened<MachineFile>),
    Mount(Opened<MachineDirectory>, MountAccess),
}

/// A file or directory of the machine, which is opened when it is first needed.
struct Opened<T> {
    path: PathBuf,
    opened: Mutex<Option<Arc<T>>>,
}

impl<T> Opened<T> {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            opened: Mutex::new(None),
        }
    }

    /// Returns the file or directory; `open` opens it if none of the calls before did.
    fn get(
        &self,
        open: impl FnOnce(&Path) -> Result<T, MachineFileError>,
    ) -> Result<Arc<T>, MachineFileError> {
        let mut opened = self.opened.lock();
        if let Some(opened) = &*opened {
            return Ok(Arc::clone(opened));
        }
        let new = Arc::new(open(&self.path)?);
        *opened = Some(Arc::clone(&new));
        Ok(new)
    }
}

impl Files {
    /// The most files and directories that a sandbox can start with.
    pub const MAX_FILES: usize = Layout::MAX_NODES;

    /// Returns no files: a program then finds the empty directories `/tmp` and `/home/user`, and
    /// devices in `/dev`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file with this content, and the directories on its path.
    pub fn with_file(self, path: impl Into<String>, content: impl Into<Bytes>) -> Self {
        self.with(path, Content::Bytes(content.into()))
    }

    /// Adds a file with the content of a regular file of the machine, which is read when programs
    /// read it. A program that writes to it changes its own copy.
    ///
    /// The file has to stay as it is while the sandbox exists. It takes one descriptor of this
    /// process: for many files use [`with_mount`](Self::with_mount). Programs wait for the disk on
    /// the thread that runs them, so it should not be on a network.
    pub fn with_machine_file(self, path: impl Into<String>, source: impl AsRef<Path>) -> Self {
        self.with(path, Content::MachineFile(Opened::new(source.as_ref())))
    }

    /// Adds a file whose content `provide` returns. It is called once, on a thread of its own, when
    /// a program first opens the file; the content then stays in memory. The program waits
    /// meanwhile, and its timeout and its cancellation do not.
    ///
    /// If the size is not given, it is called also when a program asks for the size of the file. An
    /// error is final: programs get `OSError` with `errno.EIO` from then on. It is an error too if
    /// the content does not have the given size. Errors are logged by `tracing` (target
    /// `eryx::files`, level `WARN`).
    ///
    /// `provide` can run programs in other sandboxes, nested as deeply as functions can. One that
    /// reads the file for which `provide` runs gets `OSError` with `errno.EDEADLK`.
    ///
    /// ```no_run
    /// # use eryx_core::Files;
    /// let files = Files::new().with_source("/data/report.json", None, || {
    ///     std::fs::read("/srv/reports/today.json")
    /// });
    /// ```
    pub fn with_source<B: Into<Bytes>>(
        self,
        path: impl Into<String>,
        size: Option<u64>,
        provide: impl Fn() -> io::Result<B> + Send + Sync + 'static,
    ) -> Self {
        let provide = Arc::new(provide);
        self.with_source_in_two_steps(path, size, move || {
            let provide = Arc::clone(&provide);
            Box::new(move || provide().map(Into::into))
        })
    }

    /// Adds a file whose content the result of `begin` returns, as
    /// [`with_source`](Self::with_source). `begin` is called in the execution that needs the
    /// content, also more than once, and its result, once, on another thread.
    #[doc(hidden)]
    pub fn with_source_in_two_steps(
        self,
        path: impl Into<String>,
        size: Option<u64>,
        begin: impl Fn() -> ProvideContent + Send + Sync + 'static,
    ) -> Self {
        let path = path.into();
        let name: Arc<str> = path.as_str().into();
        let begin = move || -> ProvideContent {
            let (name, provide) = (Arc::clone(&name), begin());
            Box::new(move || provided(&name, size, provide()))
        };
        self.with(
            path,
            Content::Deferred(Arc::new(Deferred::in_two_steps(size, begin))),
        )
    }

    /// Adds an empty directory, and those on its path.
    pub fn with_directory(self, path: impl Into<String>) -> Self {
        self.with(path, Content::Directory)
    }

    /// Shows a directory of the machine at a path. It can contain no other of these files.
    ///
    /// Programs can reach nothing outside of it: links are resolved in the files that the program
    /// sees, and pipes, devices and sockets cannot be opened. They wait for the disk on the thread
    /// that runs them, so it should not be on a network. What they change in it is not in
    /// [`ExecuteResult::files`](crate::ExecuteResult::files).
    pub fn with_mount(
        self,
        path: impl Into<String>,
        directory: impl AsRef<Path>,
        access: MountAccess,
    ) -> Self {
        self.with(
            path,
            Content::Mount(Opened::new(directory.as_ref()), access),
        )
    }

    fn with(mut self, path: impl Into<String>, content: Content) -> Self {
        let path = path.into();
        self.entries.push(Arc::new(Entry { path, content }));
        self.layout = Arc::default();
        self
    }

    /// Returns these files, and then those of `other`.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let entries = self.entries.iter().chain(&other.entries);
        Self {
            entries: entries.cloned().collect(),
            layout: Arc::default(),
        }
    }

    /// Returns the number of files, directories and mounts that were added.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns `base` with these files.
    ///
    /// # Errors
    ///
    /// [`FilesError`] if a path is not valid, or a file or directory cannot be opened.
    pub(crate) fn extend(&self, base: &Layout) -> Result<Layout, FilesError> {
        if self.is_empty() {
            return Ok(base.clone());
        }
        let mut last = self.layout.lock();
        if let Some((last_base, layout)) = &*last
            && last_base.is_same(base)
        {
            return Ok(layout.clone());
        }
        self.check_places()?;
        let add = |layout, entry: &Arc<Entry>| entry.add_to(layout);
        let extended = self.entries.iter().try_fold(base.extend(MODIFIED), add)?;
        let layout = extended.build();
        *last = Some((base.clone(), layout.clone()));
        Ok(layout)
    }

    /// Checks that paths are valid and that nothing is in a mount or at the place of another one.
    fn check_places(&self) -> Result<(), FilesError> {
        let mut places = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let names = names(entry)?;
            let path = || entry.path.clone();
            match names.first() {
                Some(first) if PACKAGES[1..] == **first => {
                    return Err(FilesError::InPackages { path: path() });
                }
                Some(first) if DEVICES[1..] == **first => {
                    return Err(FilesError::InDevices { path: path() });
                }
                _ => {}
            }
            places.push((names, &**entry));
        }
        // A path comes before those that it contains, and they follow it directly.
        places.sort_by(|(names, _), (others, _)| names.cmp(others));
        let mut mount: Option<&(Vec<&str>, &Entry)> = None;
        let mut last: Option<&(Vec<&str>, &Entry)> = None;
        let mut file: Option<&(Vec<&str>, &Entry)> = None;
        for place in &places {
            let (names, entry) = place;
            if let Some((others, file)) = file
                && names.len() > others.len()
                && names.starts_with(others)
            {
                return Err(FilesError::InFile {
                    path: entry.path.clone(),
                    file: file.path.clone(),
                });
            }
            if let Some((mounted, mount)) = mount
                && names.starts_with(mounted)
            {
                return Err(FilesError::InMount {
                    path: entry.path.clone(),
                    mount: mount.path.clone(),
                });
            }
            if entry.is_mount() {
                if let Some((others, other)) = last
                    && others == names
                {
                    return Err(FilesError::InMount {
                        path: other.path.clone(),
                        mount: entry.path.clone(),
                    });
                }
                mount = Some(place);
            }
            if entry.is_file() {
                file = Some(place);
            }
            last = Some(place);
        }
        Ok(())
    }
}

impl Entry {
    fn is_mount(&self) -> bool {
        matches!(self.content, Content::Mount(..))
    }

    fn is_file(&self) -> bool {
        !matches!(self.content, Content::Directory | Content::Mount(..))
    }

    fn add_to(&self, layout: LayoutBuilder) -> Result<LayoutBuilder, FilesError> {
        let path = &self.path;
        let on_machine = |error: MachineFileError| FilesError::Machine {
            path: path.clone(),
            reason: error.to_string(),
        };
        let added = match &self.content {
            Content::Directory => layout.directory(path),
            Content::Bytes(content) => layout.file(path, content.clone()),
            Content::Deferred(content) => layout.deferred(path, Arc::clone(content)),
            Content::MachineFile(file) => {
                let content = file.get(|path| MachineFile::open(path));
                layout.source(path, content.map_err(on_machine)?)
            }
            Content::Mount(directory, access) => {
                let open = |path: &Path| match *access {
                    MountAccess::ReadOnly => MachineDirectory::read_only(path),
                    MountAccess::ReadWrite { max_growth } => {
                        MachineDirectory::read_write(path, max_growth)
                    }
                };
                let directory = directory.get(open).map_err(on_machine)?;
                layout.mount(path, Mount::Directory(directory))
            }
        };
        added.map_err(|error| match error {
            LayoutError::Layer(error) => FilesError::from_layer(path, error),
            other => FilesError::Invalid {
                path: path.clone(),
                reason: other.to_string(),
            },
        })
    }
}

/// Returns the names of the path of an entry.
fn names(entry: &Entry) -> Result<Vec<&str>, FilesError> {
    let path = &entry.path;
    let invalid = |reason: &str| {
        Err(FilesError::Invalid {
            path: path.clone(),
            reason: reason.to_owned(),
        })
    };
    let Some(relative) = path.strip_prefix('/') else {
        return invalid("it does not start with `/`; give the absolute path that programs use");
    };
    if entry.is_file() && path.ends_with('/') {
        return invalid("a file cannot have a path that ends with `/`; remove it");
    }
    let names = relative
        .split('/')
        .filter(|name| !matches!(*name, "" | "."));
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        return invalid("it is the root; give a path below it");
    }
    Ok(names)
}

/// Checks and logs what the function for the file at `path` returned.
fn provided(path: &str, size: Option<u64>, provided: io::Result<Bytes>) -> io::Result<Bytes> {
    let provided = provided.and_then(|content| match size {
        Some(size) if size != content.len() as u64 => Err(io::Error::other(format!(
            "it has {} bytes, and its size was given as {size}",
            content.len()
        ))),
        _ => Ok(content),
    });
    provided.inspect_err(|reason| {
        tracing::warn!(target: "eryx::files", path, %reason, "a file cannot be provided");
    })
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|entry| &entry.path))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{with_packages, without_packages};

    fn error(files: &Files) -> String {
        let base = with_packages(eryx_files::LayerBuilder::new(MODIFIED, 1).build());
        match files.extend(&base) {
            Ok(_) => panic!("{files:?} is accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_error_has_the_path_the_rule_and_the_remedy() {
        let long = format!("/{}", "n".repeat(256));
        let file = |path: &str| Files::new().with_file(path, "x");
        let mount = |files: Files, path: &str| files.with_mount(path, "/", MountAccess::ReadOnly);
        for (files, wanted) in [
            (
                file(""),
                "files: \"\" is not a path for a file: it does not start with `/`",
            ),
            (file("data/in"), "\"data/in\" is not a path"),
            (
                file("/"),
                "\"/\" is not a path for a file: a file cannot have a path that ends",
            ),
            (file("/a/"), "ends with `/`; remove it"),
            (file("/."), "it is the root"),
            (
                file("/a/../b"),
                "\"/a/../b\" is not a path of a file; give one without `..`",
            ),
            (file("/a\0"), "NUL"),
            (file(&long), "255 bytes"),
            (
                file("/packages"),
                "\"/packages\" is in /packages, which only packages",
            ),
            (file("//./packages/six.py"), "use a path elsewhere"),
            (file("/a").with_file("/a", "y"), "\"/a\""),
            (
                file("/a").with_file("/a/b", "y"),
                "\"/a\" is given as a file, and cannot contain \"/a/b\", which is given too; rename one",
            ),
            (
                file("/a/./b/c")
                    .with_file("/aa", "y")
                    .with_file("//a/", "y"),
                "a file cannot have a path that ends with `/`",
            ),
            (
                file("/a/./b/c").with_file("/aa", "y").with_file("//a", "y"),
                "\"//a\" is given as a file, and cannot contain \"/a/./b/c\"",
            ),
            (
                mount(file("/a").with_file("/a b", "x"), "/a/m"),
                "\"/a\" is given as a file, and cannot contain \"/a/m\"",
            ),
            (
                file("/a").with_directory("/a/d"),
                "\"/a\" is given as a file, and cannot contain \"/a/d\"",
            ),
            (file("/a").with_directory("/a"), "\"/a\""),
            (file("/tmp"), "\"/tmp\""),
            (
                file("/dev/shm/x"),
                "\"/dev/shm/x\" is in /dev, which only devices can be in; use a path elsewhere",
            ),
            (mount(Files::new(), "/dev"), "/dev"),
            (mount(Files::new(), "/"), "it is the root"),
            (mount(Files::new(), "/packages/x"), "/packages"),
            (
                mount(file("/m/x"), "/m"),
                "\"/m/x\" is in the directory that is mounted at \"/m\"; put it elsewhere",
            ),
            (
                mount(Files::new(), "/m").with_directory("/m/./"),
                "\"/m/./\" is in",
            ),
            (
                mount(Files::new().with_directory("/m"), "/m"),
                "\"/m\" is in",
            ),
            (mount(mount(Files::new(), "/m"), "/m"), "\"/m\" is in"),
            (mount(mount(Files::new(), "/m/n"), "/m"), "\"/m/n\" is in"),
            (mount(file("/m"), "/m"), "\"/m\" is in"),
            (
                Files::new().with_mount("/m", "/does-not-exist", MountAccess::ReadOnly),
                "\"/m\": the directory \"/does-not-exist\" cannot be opened",
            ),
            (
                Files::new().with_machine_file("/f", "/tmp"),
                "\"/f\": the file \"/tmp\" cannot be opened: it is a directory, not a regular file",
            ),
        ] {
            let text = error(&files);
            assert!(text.starts_with("files: "), "{text}");
            assert!(text.contains(wanted), "{text:?} has no {wanted:?}");
        }
    }

    #[test]
    fn neighbours_of_mounts_and_packages_are_accepted() {
        let files = Files::new()
            .with_mount("/m", "/", MountAccess::ReadOnly)
            .with_file("/m.txt", "x")
            .with_file("/m-/x", "x")
            .with_file("/packages.txt", "x")
            .with_file("/a/packages/x", "x")
            .with_directory("/tmp")
            .with_mount("/home/user", "/", MountAccess::ReadOnly);
        assert_eq!((files.len(), files.is_empty()), (7, false));
        files.extend(&without_packages()).expect("accepted");
    }

    #[test]
    fn sandboxes_with_the_same_files_share_the_layout() {
        let files = Files::new().with_file("/a", "x");
        let base = without_packages();
        let first = files.extend(&base).expect("a layout");
        assert!(
            files
                .clone()
                .extend(&base)
                .expect("a layout")
                .is_same(&first)
        );
        let other = files.clone().with_file("/b", "x").extend(&base);
        assert!(!other.expect("a layout").is_same(&first));
        assert!(Files::new().extend(&base).expect("it").is_same(&base));
        let others = with_packages(eryx_files::LayerBuilder::new(MODIFIED, 1).build());
        assert!(!files.extend(&others).expect("a layout").is_same(&first));
    }

    #[test]
    fn too_many_files_are_an_error() {
        let files = (0..=Files::MAX_FILES).fold(Files::new(), |files, number| {
            files.with_file(format!("/{number}"), "")
        });
        assert!(
            error(&files).contains("more than 65536 files"),
            "{}",
            error(&files)
        );
    }
}
