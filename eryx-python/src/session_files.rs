//! The Python class `SessionFiles`.

use eryx::files::{Entry, FileError, FileType, SessionFilesError};
use pyo3::exceptions::{PyKeyError, PyOSError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::arguments::text;
use crate::changed_files::mapping_view;
use crate::error::{EryxError, exception};
use crate::execution::session_closed;
use crate::files::bytes;
use crate::functions::HeldSession;
use crate::runtime::runtime;
use crate::session::Session;

/// The files of a session, between two executions: a mapping from paths to content, bytes, with
/// items that can be set and deleted.
///
/// Paths are absolute, and links on them lead where they lead a program. What is written counts
/// against ``max_file_bytes`` and ``max_files`` of the session. Packages and mounts are not among
/// the keys, but can be read, and written if programs can.
///
/// While a program runs in the session, each call raises :class:`EryxError`.
///
/// >>> import eryx
/// >>> with eryx.Sandbox().session() as session:
/// ...     session.files["/data/in.txt"] = b"21"
/// ...     _ = session.execute("open('out', 'w').write(str(2 * int(open('/data/in.txt').read())))")
/// ...     print(session.files["/home/user/out"], list(session.files))
/// ...     del session.files["/data/in.txt"]
/// ...     print("/data/in.txt" in session.files)
/// b'42' ['/data/in.txt', '/home/user/out']
/// False
#[pyclass(module = "eryx", frozen, mapping)]
pub(crate) struct SessionFiles {
    session: Py<Session>,
}

#[pymethods]
impl SessionFiles {
    /// Return the content of a file.
    ///
    /// Raises:
    ///     OSError: there is no such file, or it cannot be read.
    fn read<'py>(
        &self,
        py: Python<'py>,
        path: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let path = text("path", path)?;
        let content = self.call(py, |files| files.read(&path))?;
        Ok(PyBytes::new(py, &content.map_err(os_error)?))
    }

    /// Write a file, in place of the content that it has, and create the directories on its path.
    ///
    /// Raises:
    ///     OSError: for example, a limit is used up (``errno.ENOSPC``).
    fn write(
        &self,
        py: Python<'_>,
        path: &Bound<'_, PyAny>,
        content: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let path = text("path", path)?;
        let content = bytes("content", content)?;
        let written = self.call(py, |files| files.write(&path, &content))?;
        written.map_err(os_error)
    }

    /// Create a directory, and those on its path, unless it exists.
    ///
    /// Raises:
    ///     OSError: for example, a file has the path.
    fn mkdir(&self, py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let path = text("path", path)?;
        let created = self.call(py, |files| files.create_directory(&path))?;
        created.map_err(os_error)
    }

    /// Remove a file, a link or an empty directory.
    ///
    /// Raises:
    ///     OSError: for example, there is no such file.
    fn remove(&self, py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let path = text("path", path)?;
        let removed = self.call(py, |files| files.remove(&path))?;
        removed.map_err(os_error)
    }

    /// Return the names in a directory, a sorted list of str.
    ///
    /// Raises:
    ///     OSError: for example, there is no such directory.
    fn listdir(&self, py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
        let path = text("path", path)?;
        let listed = self.call(py, |files| files.list(&path))?;
        let entries = listed.map_err(os_error)?;
        Ok(entries.into_iter().map(|(name, _)| name).collect())
    }

    /// Return the content of a file, or ``default`` if it does not exist.
    #[pyo3(signature = (path, default=None, /))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        path: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.__getitem__(py, path) {
            Ok(content) => Ok(Some(content.into_any())),
            Err(error) if error.is_instance_of::<PyKeyError>(py) => Ok(default),
            Err(error) => Err(error),
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
        match self.call(py, |files| files.read(&path))? {
            Ok(content) => Ok(PyBytes::new(py, &content)),
            Err(error) => Err(key_error(error)),
        }
    }

    fn __setitem__(
        &self,
        py: Python<'_>,
        path: &Bound<'_, PyAny>,
        content: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.write(py, path, content)
    }

    fn __delitem__(&self, py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let path = text("path", path)?;
        self.call(py, |files| files.remove(&path))?
            .map_err(key_error)
    }

    fn __contains__(&self, py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(path) = text("path", path) else {
            return Ok(false);
        };
        let stat = self.call(py, |files| files.stat(&path))?;
        Ok(stat.is_ok_and(|stat| stat.file_type == FileType::File))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let paths = PyTuple::new(py, self.paths(py)?)?;
        Ok(paths.try_iter()?.into_any())
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.paths(py)?.len())
    }

    /// Visits the references for the garbage collector, as `Sandbox::__traverse__` does.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.session)
    }

    fn __repr__(&self) -> &'static str {
        "<eryx.SessionFiles>"
    }
}

impl SessionFiles {
    pub(crate) fn new(session: Py<Session>) -> Self {
        Self { session }
    }

    /// Returns the paths of the files, in order.
    fn paths(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let all = self.call(py, |files| files.all())?;
        let files = all
            .into_iter()
            .filter(|(_, entry)| matches!(entry, Entry::File(_)));
        Ok(files.map(|(path, _)| path).collect())
    }

    /// Calls `work` detached from the interpreter: a function of the embedder may provide content.
    /// The session waits for it.
    fn call<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(eryx::files::SessionFiles<'_>) -> T + Send,
    ) -> PyResult<T> {
        let session = self.session.get();
        session.ensure_usable()?;
        let held = match session.has_providers() {
            true => Some(HeldSession::begin(py, session.owner())?),
            false => None,
        };
        let slot = session.slot()?;
        let called = py.detach(|| {
            let Some(mut session) = slot.try_lock() else {
                return Err(Refused::Running);
            };
            let session = session.as_mut().ok_or(Refused::Closed)?;
            session.files().map(work).map_err(Refused::Error)
        });
        if held.is_some() {
            // That function may have closed the session, whose connections the runtime has.
            let _inside = runtime(py)?.enter();
            slot.drop_if_closing();
        }
        drop(held);
        called.map_err(|refused| match refused {
            Refused::Running => EryxError::new_err(
                "a program is running in the session, or another thread uses its files: wait for its end",
            ),
            Refused::Closed => session_closed(),
            Refused::Error(error) => exception(error),
        })
    }
}

/// The error of an operation on the files of a session.
enum Refused {
    Running,
    Closed,
    Error(eryx::Error),
}

fn key_error(error: SessionFilesError) -> PyErr {
    match error.reason {
        FileError::NoEntry => PyKeyError::new_err(error.path),
        _ => os_error(error),
    }
}

/// Returns the `OSError` with the number of the error, which is of the subclass for it.
fn os_error(error: SessionFilesError) -> PyErr {
    let name = match error.reason {
        FileError::Access => "EACCES",
        FileError::BadDescriptor => "EBADF",
        FileError::Busy => "EBUSY",
        FileError::CrossDevice => "EXDEV",
        FileError::Deadlock => "EDEADLK",
        FileError::Exists => "EEXIST",
        FileError::FileTooLarge => "EFBIG",
        FileError::Invalid | FileError::NotAFile => "EINVAL",
        FileError::IsADirectory => "EISDIR",
        FileError::Loop => "ELOOP",
        FileError::NameTooLong => "ENAMETOOLONG",
        FileError::NoEntry => "ENOENT",
        FileError::NoSpace => "ENOSPC",
        FileError::NotADirectory => "ENOTDIR",
        FileError::NotEmpty => "ENOTEMPTY",
        FileError::NotPermitted => "EPERM",
        FileError::ReadOnly => "EROFS",
        FileError::TooManyOpen => "EMFILE",
        FileError::Unsupported => "ENOTSUP",
        _ => "EIO",
    };
    Python::attach(|py| {
        let number = py
            .import("errno")
            .and_then(|errno| errno.getattr(name)?.extract::<i32>());
        match number {
            Ok(number) => PyOSError::new_err((number, error.to_string(), error.path)),
            Err(error) => error,
        }
    })
}
