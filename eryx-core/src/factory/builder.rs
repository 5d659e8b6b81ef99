//! The builder of sandbox factories.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config_error::ConfigError;
use crate::error::Error;
use crate::factory::SandboxFactory;
use crate::factory::bundle;
use crate::factory::dependencies;
use crate::factory::package_limits::PackageLimits;
use crate::factory::registry::{self, LoadedFactory};
use crate::factory::snapshot::{self, SnapshotInputs};
use crate::factory::spec::FactorySpec;
use crate::files::with_packages;
use crate::image::cache::Cache;
use crate::image::embedded;
use crate::limits::ResourceLimits;
use crate::package_error::PackageError;
use crate::thread;

/// A stage of building a [`SandboxFactory`] that may take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildStage {
    /// The imports and the setup code run in an interpreter.
    Importing,
    /// The snapshot of the interpreter is compiled, which takes seconds, once for this user.
    Compiling,
}

/// Where the compiled snapshot is stored.
#[derive(Clone, Default)]
enum CacheLocation {
    #[default]
    User,
    Dir(PathBuf),
    Disabled,
}

/// Builds a [`SandboxFactory`].
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct FactoryBuilder {
    /// The inputs so far: those of a saved factory, without the packages below.
    spec: FactorySpec,
    packages: Vec<PathBuf>,
    dependencies: bool,
    cache: CacheLocation,
    limits: ResourceLimits,
    progress: Option<Arc<dyn Fn(BuildStage) + Send + Sync>>,
}

impl FactoryBuilder {
    /// Returns a builder with the inputs of the factory that [`SandboxFactory::save`] wrote to a
    /// file, within the default [`PackageLimits`].
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when the file cannot be read, is not a saved factory, or exceeds the
    /// limits.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_file_within(path, PackageLimits::default())
    }

    /// Returns a builder as [`from_file`](Self::from_file) does, within `limits`.
    ///
    /// # Errors
    ///
    /// Those of [`from_file`](Self::from_file), and [`Error::Config`] when a limit is 0.
    pub fn from_file_within(path: impl AsRef<Path>, limits: PackageLimits) -> Result<Self, Error> {
        limits.validate()?;
        let path = path.as_ref();
        let file = fs::File::open(path).map_err(|source| PackageError::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
        Ok(Self::from_spec(bundle::read(file, path, limits)?))
    }

    /// Returns a builder with the inputs of the factory that [`SandboxFactory::to_bytes`] returned,
    /// within the default [`PackageLimits`].
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when the bytes are not a saved factory, or exceed the limits.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_bytes_within(bytes, PackageLimits::default())
    }

    /// Returns a builder as [`from_bytes`](Self::from_bytes) does, within `limits`.
    ///
    /// # Errors
    ///
    /// Those of [`from_bytes`](Self::from_bytes), and [`Error::Config`] when a limit is 0.
    pub fn from_bytes_within(bytes: &[u8], limits: PackageLimits) -> Result<Self, Error> {
        limits.validate()?;
        let spec = bundle::read(io::Cursor::new(bytes), Path::new("the given data"), limits)?;
        Ok(Self::from_spec(spec))
    }

    fn from_spec(spec: FactorySpec) -> Self {
        Self {
            spec,
            ..Self::default()
        }
    }

    /// Adds a package for programs to import: a wheel, the source directory of a package, or a
    /// directory of several, such as an installed `site-packages`. It has to be pure Python.
    pub fn with_package(mut self, path: impl Into<PathBuf>) -> Self {
        self.packages.push(path.into());
        self
    }

    /// Adds the dependencies of the packages, and theirs, from the wheels in the same directories.
    /// The dependencies of extras are left out.
    pub fn with_dependencies(mut self) -> Self {
        self.dependencies = true;
        self
    }

    /// Imports a module in the snapshot, so that a program's own import of it costs nothing.
    pub fn with_import(mut self, module: impl Into<String>) -> Self {
        self.spec.imports.push(module.into());
        self
    }

    /// Runs a program in the snapshot. Every program sees its definitions.
    pub fn with_setup_code(mut self, source: impl AsRef<[u8]>) -> Self {
        self.spec.setup = Some(source.as_ref().to_vec());
        self
    }

    /// Stores the compiled snapshot in `dir` instead of the user's cache, which is
    /// `$ERYX_CACHE_DIR`, else `$XDG_CACHE_HOME/eryx`, else `~/.cache/eryx`. The directory is
    /// created with mode 0700; one that other users could write to or replace is not used.
    pub fn with_cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache = CacheLocation::Dir(dir.into());
        self
    }

    /// Stores the compiled snapshot nowhere: each build compiles it again. The snapshot contains
    /// the memory that the imports and the setup code left, secrets included.
    pub fn without_cache(mut self) -> Self {
        self.cache = CacheLocation::Disabled;
        self
    }

    /// Sets the limits of all packages together: their bytes and the number of their files. The
    /// packages of a saved factory ([`from_file`](Self::from_file)) are already accepted, and
    /// count.
    pub fn with_package_limits(mut self, limits: PackageLimits) -> Self {
        self.spec.files.set_limits(limits);
        self
    }

    /// Sets the limits of the imports and the setup code: time, memory and output. The defaults are
    /// those of an execution.
    pub fn with_resource_limits(mut self, limits: ResourceLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Calls `progress` at the start of each stage that may take long. A factory that is found in
    /// the cache has none.
    pub fn with_progress(mut self, progress: impl Fn(BuildStage) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Reads the packages, runs the imports and the setup code, and compiles the snapshot.
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when a package cannot be used: it is neither a wheel nor a directory, or
    /// has native code. [`Error::Exception`] when an import or the setup code raises,
    /// [`Error::Limit`] when they exceed a limit. All of these are returned before anything is
    /// compiled.
    pub async fn build(self) -> Result<SandboxFactory, Error> {
        let Self {
            mut spec,
            packages,
            dependencies,
            cache,
            limits,
            progress,
        } = self;
        limits.validate()?;
        spec.files.limits().validate()?;
        let report = |stage| {
            if let Some(progress) = &progress {
                progress(stage);
            }
        };
        for package in &packages {
            spec.files.read(package)?;
        }
        if dependencies {
            dependencies::resolve(&mut spec.files, &packages)?;
        }
        for module in &spec.imports {
            check_module_name(module)?;
        }
        let digest = spec.digest();
        if let Some(loaded) = registry::find(&digest) {
            return Ok(SandboxFactory { loaded });
        }
        let files = with_packages(spec.files.layer()?);
        let cache = match cache {
            CacheLocation::Disabled => Cache::disabled(),
            CacheLocation::User => Cache::open(None),
            CacheLocation::Dir(dir) => Cache::open(Some(&dir)),
        };
        let mut cached = embedded::load_cached(&cache, &digest)?;
        let mut pending = None;
        if cached.is_none() {
            pending = cache.begin(&digest).await?;
            // Another task or process may have built the factory meanwhile.
            if let Some(loaded) = registry::find(&digest) {
                return Ok(SandboxFactory { loaded });
            }
            cached = embedded::load_cached(&cache, &digest)?;
        }
        let image = match cached {
            Some(image) => image,
            None => {
                report(BuildStage::Importing);
                let wasm = snapshot::snapshot(&SnapshotInputs {
                    files: &files,
                    imports: &spec.imports,
                    setup: spec.setup.as_deref(),
                    limits: &limits,
                })
                .await?;
                report(BuildStage::Compiling);
                // On another thread: this task may have to handle signals.
                let key = digest.clone();
                thread::run(move || embedded::compile_snapshot(&cache, &key, &wasm, pending))
                    .await??
            }
        };
        let loaded = Arc::new(LoadedFactory {
            digest,
            image,
            files,
            spec,
        });
        registry::insert(&loaded);
        Ok(SandboxFactory { loaded })
    }
}

impl fmt::Debug for FactoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactoryBuilder")
            .field("packages", &self.packages)
            .field("imports", &self.spec.imports)
            .finish_non_exhaustive()
    }
}

/// Checks a name before it is written, one name a line, to the file of a factory.
fn check_module_name(module: &str) -> Result<(), ConfigError> {
    let is_identifier = |part: &str| {
        part.chars()
            .enumerate()
            .all(|(at, c)| c == '_' || c.is_alphabetic() || (at > 0 && c.is_alphanumeric()))
            && !part.is_empty()
    };
    if module.split('.').all(is_identifier) {
        return Ok(());
    }
    Err(ConfigError::Import {
        module: module.to_owned(),
    })
}
