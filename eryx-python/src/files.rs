//! The Python class `Files`.

use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use eryx::{MountAccess, ProvideContent};
use eryx_sync::Mutex;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};
use pyo3::{PyTraverseError, PyVisit};

use crate::arguments::{
    Item, callback, flag, items, machine_path, non_negative_int, optional_int, path, text,
    wrong_type,
};
use crate::execution_registry::RunningFunction;
use crate::functions::{FunctionContext, current_execution};
use crate::traced_functions::{TracedFunction, TracedFunctions, WeakFunction};

/// The files that the programs of a sandbox find when they start, for ``Sandbox(files=...)``.
///
/// Paths are absolute paths of the program. Each execution, and each session, starts with the same
/// files and changes its own copies, except for those of mounts. A sandbox has the files that were
/// added before it was made; they are checked when it is made. Sandboxes with the same ``Files``
/// share the content, and the limits on the growth of mounts.
///
/// Args:
///     files: a dict from paths to content, as for :meth:`add`.
///
/// >>> import eryx
/// >>> files = eryx.Files({"/data/in.csv": b"1,2"})
/// >>> files.add("/data/more.csv", b"3,4")
/// >>> sandbox = eryx.Sandbox(files=files)
/// >>> sandbox.execute("import os; print(os.listdir('/data'))").stdout
/// "['in.csv', 'more.csv']\n"
#[pyclass(module = "eryx", frozen)]
#[derive(Default)]
pub(crate) struct Files(Mutex<State>);

/// The files of a [`Files`]. A thread that holds the lock runs no Python code.
#[derive(Default)]
struct State {
    files: eryx::Files,
    providers: Vec<Py<TracedFunction>>,
}

#[pymethods]
impl Files {
    #[new]
    #[pyo3(signature = (files=None), text_signature = "(files=None)")]
    fn new(files: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        match files {
            Some(files) => Ok(Self(Mutex::new(State {
                files: from_dict("files", files)?,
                providers: Vec::new(),
            }))),
            None => Ok(Self::default()),
        }
    }

    /// Add a file, and the directories on its path.
    ///
    /// Args:
    ///     path: the path of the program, a str.
    ///     content: the content, bytes; or the path of a file of the machine, a str or
    ///         :class:`os.PathLike`. A str is always a path: for a text pass ``text.encode()``. The
    ///         file of the machine is read when programs read it, and has to stay as it is. It
    ///         takes one file descriptor of this process; for many files use :meth:`mount`.
    ///
    /// >>> import eryx
    /// >>> files = eryx.Files()
    /// >>> files.add("/data/text.txt", "hello".encode())
    /// >>> eryx.Sandbox(files=files).execute("print(open('/data/text.txt').read())").stdout
    /// 'hello\n'
    fn add(&self, path: &Bound<'_, PyAny>, content: &Bound<'_, PyAny>) -> PyResult<()> {
        let path = text("path", path)?;
        let content = Content::new("content", content)?;
        self.change(|files| content.add_to(files, path));
        Ok(())
    }

    /// Add an empty directory, and those on its path.
    ///
    /// >>> import eryx
    /// >>> files = eryx.Files()
    /// >>> files.add_directory("/work")
    /// >>> eryx.Sandbox(files=files).execute("import os; print(os.listdir('/work'))").stdout
    /// '[]\n'
    fn add_directory(&self, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let path = text("path", path)?;
        self.change(|files| files.with_directory(path));
        Ok(())
    }

    /// Show a directory of the machine to programs.
    ///
    /// They reach nothing outside of it: links are resolved in the files that the program sees.
    /// What they change in it is not in ``ExecuteResult.files``. Programs wait for the disk on the
    /// thread that runs them, so the directory should not be on a network.
    ///
    /// Args:
    ///     path: the path of the program, a str. No other file can be in it.
    ///     directory: the path of the machine, a str or :class:`os.PathLike`.
    ///     read_only: False lets programs change it.
    ///     max_growth_bytes: how many bytes all programs together can add to it; only with
    ///         ``read_only=False``. A new file counts 4,096 bytes in addition. Default: 64 MiB.
    ///
    /// >>> import eryx, pathlib, tempfile
    /// >>> with tempfile.TemporaryDirectory() as directory:
    /// ...     _ = pathlib.Path(directory, "a.txt").write_text("of the machine")
    /// ...     files = eryx.Files()
    /// ...     files.mount("/ref", directory)
    /// ...     print(eryx.Sandbox(files=files).execute("print(open('/ref/a.txt').read())").stdout)
    /// of the machine
    /// <BLANKLINE>
    #[pyo3(
        signature = (path, directory, *, read_only=None, max_growth_bytes=None),
        text_signature = "($self, path, directory, *, read_only=True, max_growth_bytes=None)"
    )]
    fn mount(
        &self,
        path: &Bound<'_, PyAny>,
        directory: &Bound<'_, PyAny>,
        read_only: Option<&Bound<'_, PyAny>>,
        max_growth_bytes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let guest = text("path", path)?;
        let directory = self::path("directory", directory)?;
        let read_only = read_only.map_or(Ok(true), |value| flag("read_only", value))?;
        let growth = match max_growth_bytes {
            Some(value) => optional_int("max_growth_bytes", value, "bytes")?,
            None => None,
        };
        let access = match (read_only, growth) {
            (true, None) => MountAccess::ReadOnly,
            (true, Some(_)) => {
                return Err(PyTypeError::new_err(
                    "max_growth_bytes has no effect on a read-only mount: add read_only=False, or leave it out",
                ));
            }
            (false, growth) => MountAccess::ReadWrite {
                max_growth: growth.unwrap_or(MountAccess::DEFAULT_MAX_GROWTH),
            },
        };
        self.change(|files| files.with_mount(guest, directory, access));
        Ok(())
    }

    /// Add a file whose content a function returns when a program first opens it.
    ///
    /// The function is called once, without arguments, on a thread of its own, and its content
    /// stays in memory. The program waits meanwhile; its timeout and its cancellation do not. If
    /// the function raises an exception, programs get ``OSError`` with ``errno.EIO`` from then on,
    /// and the exception is reported by :func:`sys.unraisablehook`.
    ///
    /// Args:
    ///     path: the path of the program, a str.
    ///     function: a function that returns the content, bytes.
    ///     size: the size of the content in bytes, if it is known. Programs see it before they open
    ///         the file; without it, the function is called also when a program asks for the size.
    ///         Content of another size is an error.
    ///
    /// >>> import eryx
    /// >>> files = eryx.Files()
    /// >>> files.provide("/data/report.txt", lambda: b"made when it is read")
    /// >>> sandbox = eryx.Sandbox(files=files)
    /// >>> sandbox.execute("print(open('/data/report.txt').read())").stdout
    /// 'made when it is read\n'
    #[pyo3(signature = (path, function, size=None))]
    fn provide(
        &self,
        path: &Bound<'_, PyAny>,
        function: &Bound<'_, PyAny>,
        size: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let path = text("path", path)?;
        let size = match size {
            Some(value) if !value.is_none() => Some(non_negative_int("size", value, "bytes")?),
            _ => None,
        };
        callback("function", "no argument", Some(function))?;
        let (provider, weak) = TracedFunction::new(function)?;
        let weak = Arc::new(weak);
        let name: Arc<str> = path.as_str().into();
        let begin = move || -> ProvideContent {
            let (weak, name, execution) = (Arc::clone(&weak), name.clone(), current_execution());
            Box::new(move || {
                let called =
                    Python::try_attach(|py| call_provider(py, &weak, &name, size, execution));
                let shutting_down = || io::Error::other("the embedder's Python is shutting down");
                called
                    .unwrap_or_else(|| Err(shutting_down()))
                    .map(Into::into)
            })
        };
        let mut state = self.0.lock();
        state.files = state
            .files
            .clone()
            .with_source_in_two_steps(path, size, begin);
        state.providers.push(provider);
        Ok(())
    }

    fn __len__(&self) -> usize {
        self.0.lock().files.len()
    }

    /// Visits the references for the garbage collector.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.0.try_lock() {
            Some(state) => state.providers.iter().try_for_each(|each| visit.call(each)),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        // Dropped without the lock: that may run code of the embedder.
        let providers = mem::take(&mut self.0.lock().providers);
        drop(providers);
    }

    fn __repr__(&self) -> String {
        match self.__len__() {
            1 => "<eryx.Files: 1 entry>".to_owned(),
            count => format!("<eryx.Files: {count} entries>"),
        }
    }
}

impl Files {
    fn change(&self, change: impl FnOnce(eryx::Files) -> eryx::Files) {
        let mut state = self.0.lock();
        state.files = change(state.files.clone());
    }
}

/// The files of an argument.
#[derive(Default)]
pub(crate) struct ProvidedFiles {
    pub(crate) files: eryx::Files,
    /// The functions among them are called as long as this is kept.
    pub(crate) providers: TracedFunctions,
}

/// Returns the files of the argument `name`: a `Files`, or a mapping from paths to content.
pub(crate) fn files(name: &str, value: &Bound<'_, PyAny>) -> PyResult<ProvidedFiles> {
    let Ok(files) = value.cast::<Files>() else {
        return Ok(ProvidedFiles {
            files: from_dict(name, value)?,
            providers: TracedFunctions::default(),
        });
    };
    let py = value.py();
    let (files, providers) = {
        let state = files.get().0.lock();
        let providers = state.providers.iter().map(|each| each.clone_ref(py));
        (state.files.clone(), providers.collect::<Vec<_>>())
    };
    Ok(ProvidedFiles {
        files,
        providers: TracedFunctions::new(py, providers)?,
    })
}

fn from_dict(name: &str, value: &Bound<'_, PyAny>) -> PyResult<eryx::Files> {
    items(
        name,
        "a dict from paths to content, or an eryx.Files",
        value,
    )?
    .into_iter()
    .try_fold(eryx::Files::new(), |files, Item { key, value }| {
        let path = text(&format!("a path in {name}"), &key)?;
        let content = Content::new(&format!("{name}[{path:?}]"), &value)?;
        Ok(content.add_to(files, path))
    })
}

/// The content of a file.
enum Content {
    Bytes(Vec<u8>),
    MachineFile(PathBuf),
}

impl Content {
    fn new(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if is_bytes(value) {
            return Ok(Self::Bytes(bytes(name, value)?));
        }
        let wanted = "bytes, or the path of a file of the machine (a str or os.PathLike)";
        machine_path(name, wanted, value).map(Self::MachineFile)
    }

    fn add_to(self, files: eryx::Files, path: String) -> eryx::Files {
        match self {
            Self::Bytes(content) => files.with_file(path, content),
            Self::MachineFile(host) => files.with_machine_file(path, host),
        }
    }
}

fn is_bytes(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>()
        || value.is_instance_of::<PyMemoryView>()
}

/// Returns the content of a bytes-like object.
pub(crate) fn bytes(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    if !is_bytes(value) {
        return Err(wrong_type(name, "bytes", value));
    }
    let bytes = value.py().get_type::<PyBytes>().call1((value,))?;
    Ok(bytes.cast::<PyBytes>()?.as_bytes().to_vec())
}

/// Calls the function that provides the content of the file `name`. `execution` is the one that
/// needs it; without one the embedder reads the file, on this thread.
fn call_provider(
    py: Python<'_>,
    provider: &WeakFunction,
    name: &str,
    size: Option<u64>,
    execution: Option<Arc<FunctionContext>>,
) -> io::Result<Vec<u8>> {
    let _running = RunningFunction::begin();
    let Some(function) = provider.upgrade(py) else {
        return Err(io::Error::other("nothing may read the file any more"));
    };
    let content = match execution {
        Some(execution) => execution.call_provider(&function),
        None => function.call0(),
    };
    content
        .and_then(|content| bytes("the content that the function returns", &content))
        .and_then(|content| check_size(name, size, content))
        .map_err(|error| {
            let reason = io::Error::other(error.to_string());
            error.write_unraisable(py, Some(&function));
            reason
        })
}

fn check_size(path: &str, size: Option<u64>, content: Vec<u8>) -> PyResult<Vec<u8>> {
    match size {
        Some(size) if size != content.len() as u64 => Err(PyValueError::new_err(format!(
            "the content of {path:?} has {} bytes, and its size was given as {size}",
            content.len()
        ))),
        _ => Ok(content),
    }
}
