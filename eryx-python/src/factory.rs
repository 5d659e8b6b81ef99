use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use eryx::{CancelHandle, FactoryBuilder, PackageLimits};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple, PyType};

use crate::arguments::{each, flag, keywords_only, limit, path, paths, source, texts, wrong_type};
use crate::error::{ConfigError, EryxError, exception};
use crate::limits::ResourceLimits;
use crate::progress::Progress;
use crate::running::{Owner, Running};
use crate::runtime::wait;
use crate::sandbox::Sandbox;
use crate::session::Session;

/// Makes sandboxes that have packages, with their imports already done.
///
/// The first time, building one takes seconds: the packages are imported in an interpreter, its memory is saved,
/// and what that compiles to is kept in the user's cache, by what it was made from. After that building or loading the
/// same factory takes a moment, in other processes too. A sandbox made from it starts as fast as any other.
///
/// A factory can be pickled, and sent to the workers of a pool.
///
/// Args:
///     packages: paths of wheels, of source directories of packages, or of directories of several such as an installed
///         ``site-packages``: str or :class:`os.PathLike`. They have to be pure Python. An ``...`` in the list
///         stands for what the wheels depend on, from wheels in the same directories.
///     imports: the modules to import once and for all, by name.
///     setup_code: a program to run after the imports, a str or bytes. What it defines, every program sees.
///     resource_limits: what the imports and the setup code may use, a :class:`ResourceLimits`. The limits are on by
///         default.
///     cache_dir: where to keep what is compiled, instead of ``$ERYX_CACHE_DIR``, else ``$XDG_CACHE_HOME/eryx``, else
///         ``~/.cache/eryx``. It is made with mode 0700; one that others could write to or exchange is not used. What is kept
///         holds all that the imports and the setup code left in memory, secrets included.
///     cache: False keeps nothing, and compiles each time.
///     max_package_bytes: how many bytes the packages may hold together, unpacked: 256 MiB by default.
///     max_package_files: how many files they may have together: 20,000 by default.
///
/// Raises:
///     ConfigError: for a package that cannot be used: it has native code, is no wheel, is not there, or is too large.
///     ExecutionError: an import or the setup code raised; ``traceback`` shows where.
///     TimeoutError, ResourceLimitError: they wanted too much. All of it is told before anything is compiled.
///
/// >>> import eryx
/// >>> factory = eryx.SandboxFactory(imports=["json"], setup_code="greeting = 'hello'")
/// >>> factory.create_sandbox().execute("print(json.dumps(greeting))" ).stdout
/// Traceback (most recent call last):
///     ...
/// eryx.ExecutionError: NameError: name 'json' is not defined
/// >>> factory.create_sandbox().execute("import json; print(json.dumps(greeting))").stdout
/// '"hello"\n'
#[pyclass(module = "eryx", frozen, weakref)]
pub(crate) struct SandboxFactory(eryx::SandboxFactory);

/// What [`SandboxFactory::from_bytes`] takes: the bytes, and the bounds on bytes and files.
type Saved<'py> = (Bound<'py, PyBytes>, u64, usize);

const NAMES: [&str; 8] = [
    "packages",
    "imports",
    "setup_code",
    "resource_limits",
    "cache_dir",
    "cache",
    "max_package_bytes",
    "max_package_files",
];

#[pymethods]
impl SandboxFactory {
    #[new]
    #[pyo3(
        signature = (*positional, **settings),
        text_signature = "(*, packages=(), imports=(), setup_code=None, resource_limits=None, cache_dir=None, \
                          cache=True, max_package_bytes=None, max_package_files=None)"
    )]
    fn new(
        py: Python<'_>,
        positional: &Bound<'_, PyTuple>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords_only("SandboxFactory", &NAMES, positional)?;
        let mut builder = eryx::SandboxFactory::builder();
        let mut place = Place::default();
        let mut room = PackageLimits::default();
        each("SandboxFactory", &NAMES, settings, |name, value| {
            builder = match name {
                "packages" => packages(builder.clone(), name, value)?,
                "imports" => texts(name, value)?
                    .into_iter()
                    .fold(builder.clone(), FactoryBuilder::with_import),
                "cache" => {
                    place.cache = flag(name, value)?;
                    return Ok(());
                }
                "max_package_bytes" | "max_package_files" => {
                    room = widened(room, name, Some(value))?;
                    return Ok(());
                }
                _ if value.is_none() => return Ok(()),
                "setup_code" => builder.clone().with_setup_code(source(name, value)?),
                "resource_limits" => builder.clone().with_resource_limits(limits(name, value)?),
                _ => {
                    place.dir = Some(path(name, value)?);
                    return Ok(());
                }
            };
            Ok(())
        })?;
        build(py, place.of(builder.with_package_limits(room))?)
    }

    /// Make a sandbox that has the packages. Takes the settings of :class:`Sandbox`.
    ///
    /// >>> import eryx
    /// >>> factory = eryx.SandboxFactory(setup_code="x = 41")
    /// >>> factory.create_sandbox(network=eryx.NetConfig()).execute("print(x + 1)").stdout
    /// '42\n'
    #[pyo3(
        signature = (**settings),
        text_signature = "($self, *, network=None, resource_limits=None, on_stdout=None, on_stderr=None, on_network_event=None)"
    )]
    fn create_sandbox(
        &self,
        py: Python<'_>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Sandbox> {
        Sandbox::make(py, "create_sandbox", self.0.sandbox(), settings)
    }

    /// Open an interpreter that has the packages and keeps what one execution defines for the next. Takes the settings
    /// of :class:`Sandbox`.
    ///
    /// >>> import eryx
    /// >>> with eryx.SandboxFactory(setup_code="x = 41").create_session() as session:
    /// ...     _ = session.execute("x += 1")
    /// ...     print(session.execute("print(x)").stdout)
    /// 42
    /// <BLANKLINE>
    #[pyo3(
        signature = (**settings),
        text_signature = "($self, *, network=None, resource_limits=None, on_stdout=None, on_stderr=None, on_network_event=None)"
    )]
    fn create_session(
        &self,
        py: Python<'_>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Session> {
        Sandbox::make(py, "create_session", self.0.sandbox(), settings)?.session(py)
    }

    /// Write the factory to a file, for :meth:`load`: the packages, the imports and the setup code.
    ///
    /// The file holds no machine code and runs nothing outside a sandbox, so one from elsewhere can be loaded.
    ///
    /// Args:
    ///     path: a str or a path. A file that is there is replaced.
    ///
    /// Raises:
    ///     ConfigError: it cannot be written.
    ///
    /// >>> import eryx, pathlib, tempfile
    /// >>> path = pathlib.Path(tempfile.mkdtemp()) / "greeting.eryx"
    /// >>> eryx.SandboxFactory(setup_code="greeting = 'hello'").save(path)
    /// >>> eryx.SandboxFactory.load(path).create_sandbox().execute("print(greeting)").stdout
    /// 'hello\n'
    fn save(&self, py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let path = crate::arguments::path("path", path)?;
        py.detach(|| self.0.save(path)).map_err(exception)
    }

    /// Build the factory that :meth:`save` wrote to a file.
    ///
    /// Args:
    ///     path: a str or a path.
    ///     resource_limits, cache_dir, cache, max_package_bytes, max_package_files: as for :class:`SandboxFactory`.
    ///
    /// Raises:
    ///     ConfigError: it is no such file, or unpacks to more than it may.
    ///
    /// >>> import eryx
    /// >>> eryx.SandboxFactory.load("/etc/passwd")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.ConfigError: /etc/passwd is not a saved factory ...
    #[classmethod]
    #[pyo3(signature = (
        path, *, resource_limits=None, cache_dir=None, cache=true, max_package_bytes=None, max_package_files=None
    ))]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword")]
    fn load(
        class: &Bound<'_, PyType>,
        path: &Bound<'_, PyAny>,
        resource_limits: Option<&Bound<'_, PyAny>>,
        cache_dir: Option<&Bound<'_, PyAny>>,
        cache: bool,
        max_package_bytes: Option<&Bound<'_, PyAny>>,
        max_package_files: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let path = crate::arguments::path("path", path)?;
        let room = room(max_package_bytes, max_package_files)?;
        let mut builder = FactoryBuilder::from_file_within(path, room).map_err(exception)?;
        if let Some(given) = resource_limits {
            builder = builder.with_resource_limits(limits("resource_limits", given)?);
        }
        let dir = match cache_dir {
            Some(dir) => Some(crate::arguments::path("cache_dir", dir)?),
            None => None,
        };
        build(class.py(), Place { dir, cache }.of(builder)?)
    }

    /// What :meth:`save` writes, as bytes.
    ///
    /// >>> import eryx
    /// >>> factory = eryx.SandboxFactory(setup_code="x = 1")
    /// >>> eryx.SandboxFactory.from_bytes(factory.to_bytes()) == factory
    /// True
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.0.to_bytes()).map_err(exception)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Build the factory that :meth:`to_bytes` returned.
    ///
    /// Args:
    ///     data: the bytes.
    ///     max_package_bytes, max_package_files: as for :class:`SandboxFactory`.
    ///
    /// Raises:
    ///     ConfigError: these are no such bytes, or they unpack to more than they may.
    ///
    /// >>> import eryx
    /// >>> eryx.SandboxFactory.from_bytes(b"")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.ConfigError: the given data is not a saved factory ...
    #[staticmethod]
    #[pyo3(signature = (data, max_package_bytes=None, max_package_files=None))]
    fn from_bytes(
        data: &Bound<'_, PyAny>,
        max_package_bytes: Option<&Bound<'_, PyAny>>,
        max_package_files: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let room = room(max_package_bytes, max_package_files)?;
        match data.cast::<PyBytes>() {
            Ok(bytes) => {
                let builder =
                    FactoryBuilder::from_bytes_within(bytes.as_bytes(), room).map_err(exception)?;
                build(data.py(), builder)
            }
            Err(_) => Err(wrong_type("data", "bytes", data)),
        }
    }

    /// The modules that are imported, a list of str.
    #[getter]
    fn imports(&self) -> Vec<String> {
        self.0.imports().to_vec()
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let imports = self.imports().into_pyobject(py)?.repr()?;
        let files = self.0.files().count();
        Ok(format!(
            "<eryx.SandboxFactory of {files} files, imports={imports}>"
        ))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Saved<'py>)> {
        let bytes = slf.get().to_bytes(slf.py())?;
        // What was let in here is let in there.
        let room = slf.get().0.package_limits();
        let arguments = (bytes, room.max_bytes(), room.max_files());
        Ok((slf.getattr("from_bytes")?, arguments))
    }
}

/// Where to keep what is compiled.
struct Place {
    dir: Option<PathBuf>,
    cache: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            dir: None,
            cache: true,
        }
    }
}

impl Place {
    fn of(self, builder: FactoryBuilder) -> PyResult<FactoryBuilder> {
        match (self.dir, self.cache) {
            (None, true) => Ok(builder),
            (Some(dir), true) => Ok(builder.with_cache_dir(dir)),
            (None, false) => Ok(builder.without_cache()),
            (Some(_), false) => Err(ConfigError::new_err(
                "cache_dir: nothing is kept there with cache=False; leave out one of the two",
            )),
        }
    }
}

/// How much packages may hold.
fn room(
    max_bytes: Option<&Bound<'_, PyAny>>,
    max_files: Option<&Bound<'_, PyAny>>,
) -> PyResult<PackageLimits> {
    let room = widened(PackageLimits::default(), "max_package_bytes", max_bytes)?;
    widened(room, "max_package_files", max_files)
}

fn widened(
    room: PackageLimits,
    name: &str,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<PackageLimits> {
    let Some(value) = value else { return Ok(room) };
    let files = name == "max_package_files";
    let unit = if files { "files" } else { "bytes" };
    Ok(match limit(name, value, unit)? {
        None => room,
        Some(most) if files => room.with_max_files(usize::try_from(most).unwrap_or(usize::MAX)),
        Some(most) => room.with_max_bytes(most),
    })
}

fn limits(name: &str, value: &Bound<'_, PyAny>) -> PyResult<eryx::ResourceLimits> {
    match value.cast::<ResourceLimits>() {
        Ok(limits) => Ok(limits.get().0.clone()),
        Err(_) => Err(wrong_type(name, "an eryx.ResourceLimits", value)),
    }
}

/// With each package of the list. `...` is what they depend on.
fn packages(
    mut builder: FactoryBuilder,
    name: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<FactoryBuilder> {
    for entry in paths(name, value)? {
        builder = match entry {
            Some(package) => builder.with_package(package),
            None => builder.with_dependencies(),
        };
    }
    Ok(builder)
}

/// Builds it and waits. Ctrl-C leaves at once.
fn build(py: Python<'_>, builder: FactoryBuilder) -> PyResult<SandboxFactory> {
    let progress = Progress::begin();
    let builder = builder.with_progress(progress.teller());
    let running = Running::begin(py, Owner::new(py))?;
    let cancel: CancelHandle = running.cancel_handle().clone();
    let built = wait(py, &cancel, async {
        tokio::select! {
            built = builder.build() => Some(built),
            () = cancel.cancelled() => None,
        }
    });
    running.end(py);
    drop(progress);
    match built? {
        Some(built) => built.map(SandboxFactory).map_err(exception),
        None => Err(EryxError::new_err(
            "the interpreter is shutting down: the factory is not built",
        )),
    }
}
