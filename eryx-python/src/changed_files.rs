//! The Python class `ChangedFiles`.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use eryx::files::{Change, ChangeKind, ContentId, Entry, FileContent};
use pyo3::exceptions::{PyKeyError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::arguments::{path, text};
use crate::display::Display;
use crate::pickle::{Reduced, reduce};
use crate::traced_functions::TracedFunctions;

/// The files that an execution changed: a read-only mapping from the paths of the files that it
/// created or modified to their content, bytes, as it was at the end.
///
/// The content stays in memory and is copied when it is asked for; that of a file with several
/// names is copied once. What programs change in mounted directories is not included. Paths and
/// content are the choice of the untrusted program: do not use a path as it is on the machine, but
/// :meth:`save`.
///
/// >>> import eryx
/// >>> result = eryx.Sandbox().execute('''
/// ... import os, pathlib
/// ... pathlib.Path("out.txt").write_text("hello")
/// ... os.mkdir("/data")
/// ... ''')
/// >>> dict(result.files)
/// {'/home/user/out.txt': b'hello'}
/// >>> result.files.created
/// ('/data', '/home/user/out.txt')
#[pyclass(module = "eryx", frozen, mapping, from_py_object)]
#[derive(Clone, Default)]
pub(crate) struct ChangedFiles(Arc<Files>);

#[derive(Default)]
struct Files {
    source: Source,
    /// All changes by their paths, made when they are first needed.
    index: OnceLock<BTreeMap<String, ChangeKind>>,
    /// The bytes of each file with several names, once they are asked for. A program can give a
    /// file 10,000 names, and `dict` of the mapping has the bytes of all.
    shared: OnceLock<HashMap<ContentId, PyOnceLock<Py<PyBytes>>>>,
    /// What provides the content of files that the program renamed and did not read.
    providers: OnceLock<TracedFunctions>,
}

enum Source {
    Execution(eryx::files::ChangedFiles),
    /// From a pickle.
    Restored(Vec<Change>),
}

impl Default for Source {
    fn default() -> Self {
        Self::Execution(eryx::files::ChangedFiles::default())
    }
}

impl From<eryx::files::ChangedFiles> for ChangedFiles {
    fn from(files: eryx::files::ChangedFiles) -> Self {
        Self::new(Source::Execution(files))
    }
}

impl PartialEq for ChangedFiles {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.index() == other.0.index()
    }
}

impl Files {
    fn index(&self) -> &BTreeMap<String, ChangeKind> {
        let pair = |Change { path, kind }| (path, kind);
        self.index.get_or_init(|| match &self.source {
            Source::Execution(files) => files.iter().map(pair).collect(),
            Source::Restored(changes) => changes.iter().cloned().map(pair).collect(),
        })
    }

    fn paths(&self, is_wanted: fn(&ChangeKind) -> bool) -> Vec<&str> {
        let wanted = self.index().iter().filter(|(_, kind)| is_wanted(kind));
        wanted.map(|(path, _)| path.as_str()).collect()
    }

    fn content(&self, path: &str) -> Option<&FileContent> {
        match self.index().get(path).and_then(entry) {
            Some(Entry::File(content)) => Some(content),
            _ => None,
        }
    }

    /// Returns the bytes of a file, which its names share.
    fn bytes<'py>(
        &self,
        py: Python<'py>,
        path: &str,
        content: &FileContent,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = || -> PyResult<_> { Ok(PyBytes::new(py, &read(py, path, content)?)) };
        let Some(shared) = self.shared().get(&content.id()) else {
            return bytes();
        };
        let shared = shared.get_or_try_init(py, || bytes().map(Bound::unbind))?;
        Ok(shared.bind(py).clone())
    }

    fn shared(&self) -> &HashMap<ContentId, PyOnceLock<Py<PyBytes>>> {
        self.shared.get_or_init(|| {
            let mut names = HashMap::<_, usize>::new();
            for kind in self.index().values() {
                if let Some(Entry::File(content)) = entry(kind) {
                    *names.entry(content.id()).or_default() += 1;
                }
            }
            let several = names.into_iter().filter(|(_, count)| *count > 1);
            several.map(|(id, _)| (id, PyOnceLock::new())).collect()
        })
    }
}

fn entry(kind: &ChangeKind) -> Option<&Entry> {
    match kind {
        ChangeKind::Created(entry) | ChangeKind::Modified(entry) => Some(entry),
        _ => None,
    }
}

fn is_file(kind: &ChangeKind) -> bool {
    matches!(entry(kind), Some(Entry::File(_)))
}

/// Returns all bytes of a file. Detached from the interpreter: a function of the embedder may
/// provide them.
pub(crate) fn read(py: Python<'_>, path: &str, content: &FileContent) -> PyResult<Vec<u8>> {
    let content = content.clone();
    let read = py.detach(move || {
        let mut bytes = Vec::new();
        loop {
            let piece = content.read(bytes.len() as u64, u64::MAX)?;
            if piece.is_empty() {
                return Ok(bytes);
            }
            bytes.extend_from_slice(&piece);
        }
    });
    read.map_err(|error: eryx::files::FileError| {
        PyOSError::new_err(format!("the content of {path:?} cannot be read: {error}"))
    })
}

/// Returns the size of a file, detached as [`read`] is.
pub(crate) fn size(py: Python<'_>, content: &FileContent) -> u64 {
    py.detach(|| content.size())
}

/// A change: its path, `created`, `modified` or `removed`, the type, and the content, the target of
/// a link, or the first path of the file for another name of it.
type ChangePart<'py> = (String, String, String, Bound<'py, PyBytes>);

#[pymethods]
impl ChangedFiles {
    fn __eq__(&self, py: Python<'_>, other: &Self) -> bool {
        // Detached as `read` is.
        py.detach(|| self == other)
    }

    /// The paths of files, directories and links that were created, a tuple of str.
    #[getter]
    fn created<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let is_wanted = |kind: &ChangeKind| matches!(kind, ChangeKind::Created(_));
        PyTuple::new(py, self.0.paths(is_wanted))
    }

    /// The paths of files and links that were modified, a tuple of str.
    #[getter]
    fn modified<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let is_wanted = |kind: &ChangeKind| matches!(kind, ChangeKind::Modified(_));
        PyTuple::new(py, self.0.paths(is_wanted))
    }

    /// The paths of files, directories and links that were removed, a tuple of str. What a removed
    /// directory contained is not listed.
    #[getter]
    fn removed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let is_wanted = |kind: &ChangeKind| matches!(kind, ChangeKind::Removed);
        PyTuple::new(py, self.0.paths(is_wanted))
    }

    /// The symbolic links that were created or modified, a dict from their paths to their targets.
    /// A target is any text that the program chose.
    #[getter]
    fn links<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let links = PyDict::new(py);
        for (path, kind) in self.0.index() {
            if let Some(Entry::Symlink(target)) = entry(kind) {
                links.set_item(path, &**target)?;
            }
        }
        Ok(links)
    }

    /// Write the files and directories that were created or modified to an existing folder of the
    /// machine: ``/a/b`` becomes ``a/b`` below it.
    ///
    /// A file that has the path already is replaced; one that the program removed stays. Nothing
    /// outside of the folder is written, and no symbolic links. Names of one file become hard
    /// links. New files are not executable.
    ///
    /// Returns:
    ///     The paths of the files on the machine, a list of :class:`pathlib.Path`.
    ///
    /// Raises:
    ///     OSError: the folder cannot be opened, or a file not be written.
    ///
    /// >>> import eryx, tempfile
    /// >>> result = eryx.Sandbox().execute("open('/tmp/out.txt', 'w').write('hello')")
    /// >>> with tempfile.TemporaryDirectory() as folder:
    /// ...     [path] = result.files.save(folder)
    /// ...     print(path.relative_to(folder), path.read_text())
    /// tmp/out.txt hello
    pub(crate) fn save<'py>(
        &self,
        py: Python<'py>,
        folder: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<PathBuf>> {
        let folder = path("folder", folder)?;
        let files = &self.0;
        let saved = py.detach(|| match &files.source {
            Source::Execution(files) => files.save(&folder),
            Source::Restored(changes) => {
                eryx::files::save_changes(changes.iter().cloned(), &folder)
            }
        });
        let saved = saved.map_err(|error| PyOSError::new_err(error.to_string()))?;
        let on_machine = |path: String| folder.join(path.trim_start_matches('/'));
        Ok(saved.paths.into_iter().map(on_machine).collect())
    }

    /// Return the content of a file, or ``default`` if it was not created or modified.
    #[pyo3(signature = (path, default=None, /))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        path: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let path = text("path", path)?;
        match self.0.content(&path) {
            Some(content) => Ok(Some(self.0.bytes(py, &path, content)?.into_any())),
            None => Ok(default),
        }
    }

    /// Return a view of the paths.
    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        mapping_view(slf.as_any(), "KeysView")
    }

    /// Return a view of the contents.
    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        mapping_view(slf.as_any(), "ValuesView")
    }

    /// Return a view of the paths and contents.
    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        mapping_view(slf.as_any(), "ItemsView")
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        path: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let path = text("path", path)?;
        let content = self.0.content(&path);
        let content = content.ok_or_else(|| PyKeyError::new_err(path.clone()))?;
        self.0.bytes(py, &path, content)
    }

    fn __contains__(&self, path: &Bound<'_, PyAny>) -> bool {
        let path: PyResult<String> = path.extract();
        path.is_ok_and(|path| self.0.content(&path).is_some())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let paths = PyTuple::new(py, self.0.paths(is_file))?;
        Ok(paths.try_iter()?.into_any())
    }

    fn __len__(&self) -> usize {
        self.0.index().values().filter(|kind| is_file(kind)).count()
    }

    fn __repr__(&self) -> String {
        let count = |is_wanted| self.0.paths(is_wanted).len();
        format!(
            "<eryx.ChangedFiles: {} created, {} modified, {} removed>",
            count(|kind| matches!(kind, ChangeKind::Created(_))),
            count(|kind| matches!(kind, ChangeKind::Modified(_))),
            count(|kind| matches!(kind, ChangeKind::Removed))
        )
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, Vec<ChangePart<'py>>>> {
        let py = slf.py();
        let mut first: HashMap<ContentId, &str> = HashMap::new();
        let parts = slf.get().0.index().iter().map(|(path, kind)| {
            let change = match kind {
                ChangeKind::Created(_) => "created",
                ChangeKind::Modified(_) => "modified",
                _ => "removed",
            };
            let (entry_type, content) = match entry(kind) {
                Some(Entry::File(content)) => match first.entry(content.id()) {
                    Slot::Occupied(first) => ("name", Vec::from(first.get().as_bytes())),
                    Slot::Vacant(slot) => {
                        slot.insert(path.as_str());
                        ("file", read(py, path, content)?)
                    }
                },
                Some(Entry::Symlink(target)) => ("link", target.as_bytes().to_vec()),
                Some(_) => ("directory", Vec::new()),
                None => ("", Vec::new()),
            };
            let content = PyBytes::new(py, &content);
            Ok((
                path.clone(),
                change.to_owned(),
                entry_type.to_owned(),
                content,
            ))
        });
        let parts = parts.collect::<PyResult<_>>()?;
        reduce(slf, parts)
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(parts: Vec<ChangePart<'_>>) -> PyResult<Self> {
        let invalid = || PyValueError::new_err("not the state of an eryx.ChangedFiles");
        let mut files = HashMap::<_, FileContent>::new();
        let change = |(path, change, entry_type, content): ChangePart<'_>| {
            let content = content.as_bytes();
            let entry = match entry_type.as_str() {
                "file" => {
                    let content = FileContent::from(content.to_vec());
                    files.insert(path.clone().into_bytes(), content.clone());
                    Entry::File(content)
                }
                "name" => Entry::File(files.get(content).ok_or_else(invalid)?.clone()),
                "link" => Entry::Symlink(String::from_utf8_lossy(content).into()),
                _ => Entry::Directory,
            };
            let kind = match change.as_str() {
                "created" => ChangeKind::Created(entry),
                "modified" => ChangeKind::Modified(entry),
                "removed" => ChangeKind::Removed,
                _ => return Err(invalid()),
            };
            Ok(Change { path, kind })
        };
        let changes = parts.into_iter().map(change).collect::<PyResult<_>>()?;
        Ok(Self::new(Source::Restored(changes)))
    }

    /// Returns the value for an execution that did not start.
    #[staticmethod]
    fn _empty() -> Self {
        Self::default()
    }
}

impl ChangedFiles {
    /// Returns the files that show something, such as pictures.
    pub(crate) fn displays(&self) -> impl Iterator<Item = Display> + '_ {
        let files = self.0.index().iter();
        files.filter_map(|(path, kind)| match entry(kind) {
            Some(Entry::File(content)) => Display::from_file(path, content, self),
            _ => None,
        })
    }

    /// Keeps what provides the content of files, if a file is among them that was not read. The
    /// garbage collector does not see this reference.
    pub(crate) fn keep(&self, py: Python<'_>, providers: &TracedFunctions) {
        let is_unread = |kind: &ChangeKind| match entry(kind) {
            Some(Entry::File(content)) => !content.is_loaded(),
            _ => false,
        };
        if self.0.index().values().any(is_unread) {
            let _ = self.0.providers.set(providers.clone_ref(py));
        }
    }

    fn new(source: Source) -> Self {
        Self(Arc::new(Files {
            source,
            index: OnceLock::new(),
            shared: OnceLock::new(),
            providers: OnceLock::new(),
        }))
    }
}

/// Returns a view of a mapping, of a class of `collections.abc`.
pub(crate) fn mapping_view<'py>(
    mapping: &Bound<'py, PyAny>,
    class: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let views = mapping.py().import("collections.abc")?;
    views.getattr(class)?.call1((mapping,))
}
