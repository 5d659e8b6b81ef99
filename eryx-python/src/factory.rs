//! The Python class `SandboxFactory`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::mpsc::channel;

use eryx::{Bytecode, CancelHandle, FactoryBuilder, PackageLimits};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple, PyType};

use crate::arguments::{
    flag, for_each_keyword, keywords_only, machine_path, optional_int, path, paths, program_source,
    str_list, string, text, wrong_type,
};
use crate::error::{ConfigError, EryxError, exception, warn_user};
use crate::execution_registry::{ActiveExecution, OwnerId};
use crate::limits::ResourceLimits;
use crate::progress::Progress;
use crate::runtime::wait;
use crate::sandbox::Sandbox;
use crate::session::Session;

/// Makes sandboxes with packages that are imported already.
///
/// The first build takes seconds: the factory imports the packages in an interpreter, takes a
/// snapshot of its memory, compiles it, and stores the result in the user's cache, keyed by a
/// digest of its inputs. After that, building or loading the same factory takes a fraction of a
/// second, in other processes too. Its sandboxes start as fast as others.
///
/// A factory can be pickled and sent to the workers of a pool.
///
/// Args:
///     packages: paths of wheels, of source directories of packages, or of directories that contain
///         several packages, such as an installed ``site-packages``: str or :class:`os.PathLike`.
///         They are pure Python, or their extension modules are compiled for sandboxes
///         (``*.cpython-314-wasm32-wasi.so``). An ``...`` in the list means the same as
///         ``dependencies=True``.
///     requirements: packages of the package index with their dependencies: a list of requirements
///         as pip takes them (``"requests>=2.31"``), or the path of a ``requirements.txt``, whose
///         hashes are checked; a path in the list is such a file too. The pip of this interpreter
///         downloads the wheels, or else the pip that ``uv`` runs: pure Python ones, and those that
///         are built for sandboxes (``cp314-cp314-wasm32_wasi``). The cache keeps them: for the
///         same requirements, later builds take the same versions, without a network.
///     find_links: directories of wheels for ``requirements``, in addition to the index. For a
///         wheel of another platform in ``packages``, the wheel of the same version in one of them
///         that is built for sandboxes is taken, or the one beside it.
///     no_index: True takes the wheels for ``requirements`` from ``find_links`` alone.
///     dependencies: True adds the dependencies of the wheels, from wheels in the same directories.
///     imports: names of modules to import in the snapshot.
///     setup_code: a program to run after the imports, a str or bytes. Every program sees the names
///         that it defines.
///     resource_limits: the limits of the imports and the setup code, a :class:`ResourceLimits`.
///         Without one the default limits apply.
///     cache_dir: the directory for compiled code. Default: ``$ERYX_CACHE_DIR``, else
///         ``$XDG_CACHE_HOME/eryx``, else ``~/.cache/eryx``. It is created with mode 0700; a
///         directory that other users could write to or replace is not used. The files contain all
///         memory of the interpreter after the imports and the setup code, secrets included.
///     cache: False stores nothing and compiles on each build.
///     bytecode: when the modules of the packages are compiled to bytecode: "build", before the
///         constructor returns; "background", afterwards, on a thread of low priority, for the
///         sandboxes that are made later; "never"; or "auto", which means "build" up to 16 MiB of
///         source, and else "background". The cache keeps the bytecode.
///     max_package_bytes: the maximum size of all packages together, unpacked. Default: 512 MiB.
///     max_package_files: the maximum number of files of all packages together. Default: 50,000.
///
/// Raises:
///     ConfigError: a package cannot be used: it has native code of another platform, is not a
///         wheel, does not exist, or is too large; or a requirement cannot be met or downloaded.
///     ExecutionError: an import or the setup code raised an exception; ``traceback`` shows where.
///     TimeoutError, ResourceLimitError: the imports or the setup code exceeded a limit. All of
///         these are raised before the snapshot is compiled.
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
pub(crate) struct SandboxFactory {
    factory: eryx::SandboxFactory,
    /// The settings of a build from a pickle.
    build: BuildSettings,
}

/// The arguments of [`SandboxFactory::from_bytes`]: the bytes, the limits on bytes and files, the
/// other limits, no directory, whether the cache is used, and `bytecode`.
type FromBytesArgs<'py> = (
    Bound<'py, PyBytes>,
    u64,
    usize,
    Option<ResourceLimits>,
    Option<PathBuf>,
    bool,
    &'static str,
);

const NAMES: [&str; 13] = [
    "packages",
    "requirements",
    "find_links",
    "no_index",
    "dependencies",
    "imports",
    "setup_code",
    "resource_limits",
    "cache_dir",
    "cache",
    "bytecode",
    "max_package_bytes",
    "max_package_files",
];

#[pymethods]
impl SandboxFactory {
    #[new]
    #[pyo3(
        signature = (*positional, **settings),
        text_signature = "(*, packages=(), requirements=(), find_links=(), no_index=False, dependencies=False, imports=(), setup_code=None, resource_limits=None, cache_dir=None, \
                          cache=True, bytecode='auto', max_package_bytes=None, max_package_files=None)"
    )]
    fn new(
        py: Python<'_>,
        positional: &Bound<'_, PyTuple>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords_only("SandboxFactory", &NAMES, positional)?;
        let mut builder = eryx::SandboxFactory::builder();
        let mut build_settings = BuildSettings::default();
        let mut package_limits = PackageLimits::default();
        for_each_keyword("SandboxFactory", &NAMES, settings, |name, value| {
            builder = match name {
                "packages" => with_packages(builder.clone(), name, value)?,
                "requirements" => with_requirements(py, builder.clone(), name, value)?,
                "find_links" => paths(name, value)?
                    .into_iter()
                    .flatten()
                    .fold(builder.clone(), FactoryBuilder::with_find_links),
                "no_index" if flag(name, value)? => builder.clone().without_index(),
                "no_index" => return Ok(()),
                "dependencies" if flag(name, value)? => builder.clone().with_dependencies(),
                "dependencies" => return Ok(()),
                "imports" => str_list(name, value)?
                    .into_iter()
                    .fold(builder.clone(), FactoryBuilder::with_import),
                "cache" => {
                    build_settings.caches = flag(name, value)?;
                    return Ok(());
                }
                "bytecode" => {
                    build_settings.bytecode = self::bytecode(name, value)?;
                    return Ok(());
                }
                "max_package_bytes" | "max_package_files" => {
                    package_limits = with_package_limit(package_limits, name, Some(value))?;
                    return Ok(());
                }
                _ if value.is_none() => return Ok(()),
                "setup_code" => builder
                    .clone()
                    .with_setup_code(program_source(name, value)?),
                "resource_limits" => {
                    build_settings.resource_limits = Some(execution_limits(name, value)?);
                    return Ok(());
                }
                _ => {
                    build_settings.cache_dir = Some(path(name, value)?);
                    return Ok(());
                }
            };
            Ok(())
        })?;
        build(
            py,
            builder.with_package_limits(package_limits),
            build_settings,
        )
    }

    /// Make a sandbox with the packages. Takes the arguments of :class:`Sandbox`.
    ///
    /// >>> import eryx
    /// >>> factory = eryx.SandboxFactory(setup_code="x = 41")
    /// >>> factory.create_sandbox(network=eryx.NetConfig()).execute("print(x + 1)").stdout
    /// '42\n'
    #[pyo3(
        signature = (**settings),
        text_signature = "($self, *, network=None, resource_limits=None, env=None, files=None, functions=None, functions_module='tools', instance_reuse=True, on_stdout=None, on_stderr=None, on_network_event=None, on_function_call=None)"
    )]
    fn create_sandbox(
        &self,
        py: Python<'_>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Sandbox> {
        Sandbox::build(py, "create_sandbox", self.factory.sandbox(), settings)
    }

    /// Open a session with the packages: an interpreter that keeps its state from one execution to
    /// the next. Takes the arguments of :class:`Sandbox`.
    ///
    /// >>> import eryx
    /// >>> with eryx.SandboxFactory(setup_code="x = 41").create_session() as session:
    /// ...     _ = session.execute("x += 1")
    /// ...     print(session.execute("print(x)").stdout)
    /// 42
    /// <BLANKLINE>
    #[pyo3(
        signature = (**settings),
        text_signature = "($self, *, network=None, resource_limits=None, env=None, files=None, functions=None, functions_module='tools', instance_reuse=True, on_stdout=None, on_stderr=None, on_network_event=None, on_function_call=None)"
    )]
    fn create_session(
        &self,
        py: Python<'_>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Session> {
        Sandbox::build(py, "create_session", self.factory.sandbox(), settings)?.session(py)
    }

    /// Write the factory to a file, for :meth:`load`: the packages, the imports and the setup code.
    ///
    /// The file contains no machine code, and its content runs only in sandboxes. It is therefore
    /// safe to load a file of unknown origin.
    ///
    /// Args:
    ///     path: a str or a path. An existing file is replaced.
    ///
    /// Raises:
    ///     ConfigError: the file cannot be written.
    ///
    /// >>> import eryx, pathlib, tempfile
    /// >>> path = pathlib.Path(tempfile.mkdtemp()) / "greeting.eryx"
    /// >>> eryx.SandboxFactory(setup_code="greeting = 'hello'").save(path)
    /// >>> eryx.SandboxFactory.load(path).create_sandbox().execute("print(greeting)").stdout
    /// 'hello\n'
    fn save(&self, py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let path = crate::arguments::path("path", path)?;
        py.detach(|| self.factory.save(path)).map_err(exception)
    }

    /// Build a factory from a file that :meth:`save` wrote.
    ///
    /// Args:
    ///     path: a str or a path.
    ///     resource_limits, cache_dir, cache, bytecode, max_package_bytes, max_package_files: as
    ///     for
    ///         :class:`SandboxFactory`.
    ///
    /// Raises:
    ///     ConfigError: the file is not a saved factory, or unpacks to more than the limits allow.
    ///
    /// >>> import eryx
    /// >>> eryx.SandboxFactory.load("/etc/passwd")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.ConfigError: /etc/passwd is not a saved factory ...
    #[classmethod]
    #[pyo3(signature = (
        path, *, resource_limits=None, cache_dir=None, cache=true, bytecode=None, max_package_bytes=None,
        max_package_files=None
    ), text_signature = "($cls, path, *, resource_limits=None, cache_dir=None, cache=True, bytecode='auto', \
                         max_package_bytes=None, max_package_files=None)")]
    #[allow(clippy::too_many_arguments, reason = "each is a keyword")]
    fn load(
        class: &Bound<'_, PyType>,
        path: &Bound<'_, PyAny>,
        resource_limits: Option<&Bound<'_, PyAny>>,
        cache_dir: Option<&Bound<'_, PyAny>>,
        cache: bool,
        bytecode: Option<&Bound<'_, PyAny>>,
        max_package_bytes: Option<&Bound<'_, PyAny>>,
        max_package_files: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let path = crate::arguments::path("path", path)?;
        let limits = package_limits(max_package_bytes, max_package_files)?;
        let settings = BuildSettings::of_arguments(resource_limits, cache_dir, cache, bytecode)?;
        let py = class.py();
        let builder = py.detach(|| FactoryBuilder::from_file_with_limits(path, limits));
        build(py, builder.map_err(exception)?, settings)
    }

    /// Return the content of the file that :meth:`save` writes.
    ///
    /// >>> import eryx
    /// >>> factory = eryx.SandboxFactory(setup_code="x = 1")
    /// >>> eryx.SandboxFactory.from_bytes(factory.to_bytes()) == factory
    /// True
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.factory.to_bytes()).map_err(exception)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Build a factory from the bytes that :meth:`to_bytes` returned.
    ///
    /// Args:
    ///     data: the bytes.
    ///     max_package_bytes, max_package_files, resource_limits, cache_dir, cache, bytecode: as
    ///         for :class:`SandboxFactory`.
    ///
    /// Raises:
    ///     ConfigError: the bytes are not a saved factory, or unpack to more than the limits allow.
    ///
    /// >>> import eryx
    /// >>> eryx.SandboxFactory.from_bytes(b"")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.ConfigError: the given data is not a saved factory ...
    #[staticmethod]
    #[pyo3(signature = (
        data, max_package_bytes=None, max_package_files=None, resource_limits=None, cache_dir=None,
        cache=true, bytecode=None
    ), text_signature = "(data, max_package_bytes=None, max_package_files=None, resource_limits=None, cache_dir=None, \
                         cache=True, bytecode='auto')")]
    #[allow(clippy::too_many_arguments, reason = "each is an argument of Python")]
    fn from_bytes(
        data: &Bound<'_, PyAny>,
        max_package_bytes: Option<&Bound<'_, PyAny>>,
        max_package_files: Option<&Bound<'_, PyAny>>,
        resource_limits: Option<&Bound<'_, PyAny>>,
        cache_dir: Option<&Bound<'_, PyAny>>,
        cache: bool,
        bytecode: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let limits = package_limits(max_package_bytes, max_package_files)?;
        let settings = BuildSettings::of_arguments(resource_limits, cache_dir, cache, bytecode)?;
        match data.cast::<PyBytes>() {
            Ok(bytes) => {
                let (py, bytes) = (data.py(), bytes.as_bytes());
                let builder = py.detach(|| FactoryBuilder::from_bytes_with_limits(bytes, limits));
                build(py, builder.map_err(exception)?, settings)
            }
            Err(_) => Err(wrong_type("data", "bytes", data)),
        }
    }

    /// The names of the imported modules, a list of str.
    #[getter]
    fn imports(&self) -> Vec<String> {
        self.factory.imports().to_vec()
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.factory == other.factory
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.factory.hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let imports = self.imports().into_pyobject(py)?.repr()?;
        let files = self.factory.files().count();
        Ok(format!(
            "<eryx.SandboxFactory of {files} files, imports={imports}>"
        ))
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, FromBytesArgs<'py>)> {
        let bytes = slf.get().to_bytes(slf.py())?;
        let this = slf.get();
        let limits = this.factory.package_limits();
        let arguments = (
            bytes,
            limits.max_bytes(),
            limits.max_files(),
            this.build.resource_limits.clone().map(ResourceLimits),
            // Another machine may not have this directory.
            None,
            this.build.caches,
            bytecode_name(this.build.bytecode),
        );
        Ok((slf.getattr("from_bytes")?, arguments))
    }
}

/// The settings of a build that are not part of the factory.
#[derive(Clone)]
struct BuildSettings {
    resource_limits: Option<eryx::ResourceLimits>,
    bytecode: Bytecode,
    cache_dir: Option<PathBuf>,
    /// Whether compiled code is stored.
    caches: bool,
}

impl Default for BuildSettings {
    fn default() -> Self {
        Self {
            resource_limits: None,
            bytecode: Bytecode::default(),
            cache_dir: None,
            caches: true,
        }
    }
}

impl BuildSettings {
    fn of_arguments(
        resource_limits: Option<&Bound<'_, PyAny>>,
        cache_dir: Option<&Bound<'_, PyAny>>,
        cache: bool,
        bytecode: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut settings = Self {
            caches: cache,
            ..Self::default()
        };
        if let Some(value) = resource_limits {
            settings.resource_limits = Some(execution_limits("resource_limits", value)?);
        }
        if let Some(value) = cache_dir {
            settings.cache_dir = Some(path("cache_dir", value)?);
        }
        if let Some(value) = bytecode {
            settings.bytecode = self::bytecode("bytecode", value)?;
        }
        Ok(settings)
    }

    fn apply(&self, mut builder: FactoryBuilder) -> PyResult<FactoryBuilder> {
        builder = builder.with_bytecode(self.bytecode);
        if let Some(limits) = &self.resource_limits {
            builder = builder.with_resource_limits(limits.clone());
        }
        match (&self.cache_dir, self.caches) {
            (None, true) => Ok(builder),
            (Some(dir), true) => Ok(builder.with_cache_dir(dir)),
            (None, false) => Ok(builder.without_cache()),
            (Some(_), false) => Err(ConfigError::new_err(
                "cache_dir: nothing is stored there with cache=False; leave out one of the two",
            )),
        }
    }
}

/// The values of `bytecode`.
const BYTECODE: [(&str, Bytecode); 4] = [
    ("auto", Bytecode::Automatic),
    ("build", Bytecode::AtBuild),
    ("background", Bytecode::InBackground),
    ("never", Bytecode::Never),
];

fn bytecode_name(bytecode: Bytecode) -> &'static str {
    let named = BYTECODE.iter().find(|(_, value)| *value == bytecode);
    named.map_or("auto", |(name, _)| name)
}

fn bytecode(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Bytecode> {
    let given = text(name, value)?;
    let named = BYTECODE.iter().find(|(text, _)| *text == given);
    named.map(|(_, bytecode)| *bytecode).ok_or_else(|| {
        ConfigError::new_err(format!(
            "{name}={given:?}: it is \"auto\", \"build\", \"background\" or \"never\""
        ))
    })
}

fn package_limits(
    max_bytes: Option<&Bound<'_, PyAny>>,
    max_files: Option<&Bound<'_, PyAny>>,
) -> PyResult<PackageLimits> {
    let limits = with_package_limit(PackageLimits::default(), "max_package_bytes", max_bytes)?;
    with_package_limit(limits, "max_package_files", max_files)
}

fn with_package_limit(
    limits: PackageLimits,
    name: &str,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<PackageLimits> {
    let Some(value) = value else {
        return Ok(limits);
    };
    let is_files = name == "max_package_files";
    let unit = if is_files { "files" } else { "bytes" };
    Ok(match optional_int(name, value, unit)? {
        None => limits,
        Some(max) if is_files => limits.with_max_files(usize::try_from(max).unwrap_or(usize::MAX)),
        Some(max) => limits.with_max_bytes(max),
    })
}

fn execution_limits(name: &str, value: &Bound<'_, PyAny>) -> PyResult<eryx::ResourceLimits> {
    match value.cast::<ResourceLimits>() {
        Ok(limits) => Ok(limits.get().0.clone()),
        Err(_) => Err(wrong_type(name, "an eryx.ResourceLimits", value)),
    }
}

/// Adds each package of the list `value`; `...` adds their dependencies.
fn with_packages(
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

/// Adds requirements: a list of str and of paths of files, or the path of a file. The pip of this
/// interpreter is going to download them.
fn with_requirements(
    py: Python<'_>,
    mut builder: FactoryBuilder,
    name: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<FactoryBuilder> {
    let executable = py.import("sys")?.getattr("executable")?;
    if let Ok(executable) = executable.extract::<PathBuf>()
        && !executable.as_os_str().is_empty()
    {
        builder = builder.with_python(executable);
    }
    if value.is_instance_of::<PyString>() || value.extract::<PathBuf>().is_ok() {
        return Ok(builder.with_requirements_file(path(name, value)?));
    }
    let wanted = "a list of requirements (str) and of paths, or the path of a file of requirements";
    let Ok(items) = value.try_iter() else {
        return Err(wrong_type(name, wanted, value));
    };
    for item in items {
        let item = item?;
        builder = if let Ok(requirement) = item.cast::<PyString>() {
            builder.with_requirement(string(name, requirement)?)
        } else {
            builder.with_requirements_file(machine_path(name, wanted, &item)?)
        };
    }
    Ok(builder)
}

/// Builds the factory and waits until it is built. Ctrl-C ends the wait at once.
fn build(
    py: Python<'_>,
    builder: FactoryBuilder,
    settings: BuildSettings,
) -> PyResult<SandboxFactory> {
    let progress = Progress::start();
    let (warn, warnings) = channel();
    let builder = settings
        .apply(builder)?
        .on_progress(progress.callback())
        .on_warning(move |warning| {
            // The receiver is there as long as the build is waited for.
            let _ = warn.send(warning.to_owned());
        });
    let active = ActiveExecution::begin(py, OwnerId::new(py))?;
    let cancel: CancelHandle = active.cancel_handle().clone();
    let built = wait(py, &cancel, async {
        tokio::select! {
            built = builder.build() => Some(built),
            () = cancel.cancelled() => None,
        }
    });
    active.end(py);
    drop(progress);
    for warning in warnings.try_iter() {
        warn_user(py, &warning)?;
    }
    match built? {
        Some(Ok(factory)) => Ok(SandboxFactory {
            factory,
            build: settings,
        }),
        Some(Err(error)) => Err(exception(error)),
        None => Err(EryxError::new_err(
            "Python is shutting down: the factory is not built",
        )),
    }
}
