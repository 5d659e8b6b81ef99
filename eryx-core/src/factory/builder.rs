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
use crate::factory::bytecode::{Bytecode, PackageLayer};
use crate::factory::dependencies;
use crate::factory::native_modules;
use crate::factory::package_limits::PackageLimits;
use crate::factory::package_reader::PackageSource;
use crate::factory::registry::{self, LoadedFactory};
use crate::factory::requirements::{self, Requirements};
use crate::factory::snapshot::{self, SnapshotInputs};
use crate::factory::spec::FactorySpec;
use crate::factory::wheel_substitution;
use crate::image::cache::{Cache, CacheName};
use crate::image::guest_image::GuestImage;
use crate::limits::ResourceLimits;
use crate::package_error::PackageError;
use crate::thread;

/// A stage of building a [`SandboxFactory`] that may take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildStage {
    /// The packages of requirements are downloaded, once for this user.
    Downloading,
    /// The modules of the packages are compiled to bytecode, once for this user.
    CompilingModules,
    /// The imports and the setup code run in an interpreter.
    Importing,
    /// The snapshot of the interpreter is compiled, which takes seconds, once for this user.
    Compiling,
}

/// What is called with each warning of a build.
type OnWarning = dyn Fn(&str) + Send + Sync;

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
    /// The embedded one if there is none.
    image: Option<GuestImage>,
    packages: Vec<PathBuf>,
    dependencies: bool,
    requirements: Requirements,
    bytecode: Bytecode,
    cache: CacheLocation,
    limits: ResourceLimits,
    progress: Option<Arc<dyn Fn(BuildStage) + Send + Sync>>,
    on_warning: Option<Arc<OnWarning>>,
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
        Self::from_file_with_limits(path, PackageLimits::default())
    }

    /// Returns a builder as [`from_file`](Self::from_file) does, within `limits`.
    ///
    /// # Errors
    ///
    /// Those of [`from_file`](Self::from_file), and [`Error::Config`] when a limit is 0.
    pub fn from_file_with_limits(
        path: impl AsRef<Path>,
        limits: PackageLimits,
    ) -> Result<Self, Error> {
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
        Self::from_bytes_with_limits(bytes, PackageLimits::default())
    }

    /// Returns a builder as [`from_bytes`](Self::from_bytes) does, within `limits`.
    ///
    /// # Errors
    ///
    /// Those of [`from_bytes`](Self::from_bytes), and [`Error::Config`] when a limit is 0.
    pub fn from_bytes_with_limits(bytes: &[u8], limits: PackageLimits) -> Result<Self, Error> {
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

    /// Starts from `image` instead of the embedded one. A saved factory does not contain its image:
    /// one that is loaded starts from the image of its builder, too.
    pub fn with_image(mut self, image: &GuestImage) -> Self {
        self.image = Some(image.clone());
        self
    }

    /// Adds a package for programs to import: a wheel, the source directory of a package, or a
    /// directory of several, such as an installed `site-packages`. It is pure Python, or its
    /// extension modules are compiled for sandboxes (`*.cpython-314-wasm32-wasi.so`).
    ///
    /// For a wheel of another platform, the wheel of the same version that is built for sandboxes
    /// is taken, from a directory of [`with_find_links`](Self::with_find_links), beside it, or from
    /// the [native wheels](crate::set_native_wheels).
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

    /// Adds a package of the package index and its dependencies, by a requirement as that of pip:
    /// `requests>=2.31`. Only wheels that sandboxes can use are taken: pure Python, or built for
    /// sandboxes (`cp314-cp314-wasm32_wasi`).
    ///
    /// The pip of `python3`, or of [`with_python`](Self::with_python), finds and downloads the
    /// wheels, or else the pip that `uv` runs. For packages with native code, it finds the [native
    /// wheels](crate::set_native_wheels), too, and takes versions of the others that accept them.
    /// The wheels are kept in the cache: for the same
    /// requirements, a later build needs no network, and takes the same versions. A build waits for
    /// at most ten minutes.
    ///
    /// Directories, archives and repositories are no requirements, because pip would run their code
    /// on this machine to build them.
    pub fn with_requirement(mut self, requirement: impl Into<String>) -> Self {
        self.requirements.names.push(requirement.into());
        self
    }

    /// Adds the packages of a file of requirements, such as `requirements.txt`, as
    /// [`with_requirement`](Self::with_requirement) does. If the file has hashes, every package is
    /// compared with its hash.
    pub fn with_requirements_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.requirements.files.push(path.into());
        self
    }

    /// Takes the wheels of requirements, and builds for sandboxes of the packages, from this
    /// directory too (`--find-links` of pip).
    pub fn with_find_links(mut self, directory: impl Into<PathBuf>) -> Self {
        self.requirements.find_links.push(directory.into());
        self
    }

    /// Takes the wheels of requirements only from the directories of
    /// [`with_find_links`](Self::with_find_links), without a network (`--no-index` of pip).
    pub fn without_index(mut self) -> Self {
        self.requirements.no_index = true;
        self
    }

    /// Sets the interpreter of this machine whose pip downloads requirements. The default is
    /// `python3`.
    pub fn with_python(mut self, interpreter: impl Into<PathBuf>) -> Self {
        self.requirements.python = Some(interpreter.into());
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

    /// Sets when the modules of the packages are compiled to bytecode.
    pub fn with_bytecode(mut self, bytecode: Bytecode) -> Self {
        self.bytecode = bytecode;
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
    pub fn on_progress(mut self, progress: impl Fn(BuildStage) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Calls `on_warning` with each warning: of a requirement, an older release was downloaded than
    /// the newest, because no wheel that sandboxes can use of a package that it needs exists.
    /// Downloads that the cache has give none.
    pub fn on_warning(mut self, on_warning: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_warning = Some(Arc::new(on_warning));
        self
    }

    /// Reads the packages, runs the imports and the setup code, and compiles the snapshot.
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when a package cannot be used: it is neither a wheel nor a directory, or
    /// has native code that does not run in a sandbox. [`Error::Config`] when a setting is invalid,
    /// or has no effect without packages or requirements. [`Error::Exception`] when an import or
    /// the setup code raises, [`Error::Limit`] when they exceed a limit. All of these are returned
    /// before the snapshot is compiled.
    pub async fn build(self) -> Result<SandboxFactory, Error> {
        let Self {
            mut spec,
            image,
            packages,
            dependencies,
            requirements,
            bytecode,
            cache,
            limits,
            progress,
            on_warning,
        } = self;
        limits.validate()?;
        spec.files.limits().validate()?;
        reject_without_effect(!packages.is_empty(), dependencies, &requirements)?;
        let report = |stage| {
            if let Some(progress) = &progress {
                progress(stage);
            }
        };
        for module in &spec.imports {
            check_module_name(module)?;
        }
        let base = match image {
            Some(image) => image,
            None => GuestImage::embedded()?,
        };
        let cache = match cache {
            CacheLocation::Disabled => Cache::disabled(),
            CacheLocation::User => Cache::open(None),
            CacheLocation::Dir(dir) => Cache::open(Some(&dir)),
        };
        let directories = requirements.find_links.clone();
        let (packages, mut sources) = substitute_wheels(packages, directories.clone()).await?;
        if !requirements.is_empty() {
            let on_start = || report(BuildStage::Downloading);
            let warn = |warning: &str| {
                tracing::warn!(target: "eryx::packages", "{warning}");
                if let Some(on_warning) = &on_warning {
                    on_warning(warning);
                }
            };
            let wheels = requirements::download(requirements, &cache, on_start, warn).await?;
            let wheels = wheels.into_iter();
            sources.extend(wheels.map(|(name, content)| PackageSource::Wheel(name, content)));
        }
        let image = base.clone();
        let digests = cache.clone();
        // On another thread: packages may have thousands of files.
        let (spec, digest) = thread::run(move || {
            spec.files.read(&sources, &digests)?;
            if dependencies {
                dependencies::resolve(&mut spec.files, &packages, &directories, &digests)?;
            }
            let digest = spec.digest(&image);
            Ok::<_, PackageError>((spec, digest))
        })
        .await??;
        let loaded = match registry::find(&digest) {
            Some(loaded) => {
                // The factory may have been built without bytecode.
                compile_modules(&loaded.package_layer, bytecode, &cache, &report).await?;
                loaded
            }
            None => load(spec, base, digest, &cache, bytecode, &limits, &report).await?,
        };
        loaded.load_in_background();
        loaded.package_layer.compile_in_background(bytecode, &cache);
        Ok(SandboxFactory { loaded })
    }
}

/// Rejects settings that have no effect without packages or requirements.
fn reject_without_effect(
    has_packages: bool,
    dependencies: bool,
    requirements: &Requirements,
) -> Result<(), ConfigError> {
    let has_requirements = !requirements.is_empty();
    for (is_unused, setting, other) in [
        (
            !requirements.find_links.is_empty() && !has_packages && !has_requirements,
            "find_links",
            "requirements and packages",
        ),
        (
            requirements.no_index && !has_requirements,
            "no_index",
            "requirements",
        ),
        (dependencies && !has_packages, "dependencies", "packages"),
    ] {
        if is_unused {
            return Err(ConfigError::NoEffect { setting, other });
        }
    }
    Ok(())
}

/// Returns the packages to read, with builds for sandboxes in place of wheels of other platforms,
/// and the paths in whose directories their dependencies are.
async fn substitute_wheels(
    packages: Vec<PathBuf>,
    directories: Vec<PathBuf>,
) -> Result<(Vec<PathBuf>, Vec<PackageSource>), Error> {
    let replace = move || {
        let mut paths = Vec::new();
        let mut sources = Vec::new();
        for package in packages {
            let source = wheel_substitution::source(&package, &directories)?;
            paths.push(match &source {
                PackageSource::Path(path) => path.clone(),
                // A native wheel of this installation has no other wheels beside it.
                PackageSource::Wheel(..) => package,
            });
            sources.push(source);
        }
        Ok::<_, PackageError>((paths, sources))
    };
    // On another thread: directories may be slow to read.
    Ok(thread::run(replace).await??)
}

/// Compiles the modules that have no bytecode, if a build waits for that.
async fn compile_modules(
    package_layer: &PackageLayer,
    bytecode: Bytecode,
    cache: &Cache,
    report: &impl Fn(BuildStage),
) -> Result<(), Error> {
    if package_layer.has_to_wait(bytecode) {
        report(BuildStage::CompilingModules);
        package_layer.compile(bytecode, cache).await?;
    }
    Ok(())
}

/// Loads the factory from the cache, or takes the snapshot and compiles it.
async fn load(
    spec: FactorySpec,
    base: GuestImage,
    digest: String,
    cache: &Cache,
    bytecode: Bytecode,
    limits: &ResourceLimits,
    report: &impl Fn(BuildStage),
) -> Result<Arc<LoadedFactory>, Error> {
    let key = spec.snapshot_key(&base);
    let package_layer = {
        let (base, cache) = (base.clone(), cache.clone());
        thread::run(move || {
            PackageLayer::new(&spec.files, base, &cache).map(|package_layer| (spec, package_layer))
        })
    };
    let cached = {
        let (base, cache, key) = (base.clone(), cache.clone(), key.clone());
        thread::run(move || base.load_cached_snapshot(&cache, &key))
    };
    let (package_layer, cached) = tokio::try_join!(package_layer, cached)?;
    let ((spec, package_layer), mut cached) = (package_layer?, cached?);
    let package_layer = Arc::new(package_layer);
    let mut pending = None;
    if cached.is_none() {
        pending = cache.begin(&CacheName::machine_code(&key)?).await;
        // Another task or process may have built the factory meanwhile.
        if let Some(loaded) = registry::find(&digest) {
            return Ok(loaded);
        }
        cached = base.load_cached_snapshot(cache, &key)?;
    }
    let image = match cached {
        Some(image) => {
            compile_modules(&package_layer, bytecode, cache, report).await?;
            image
        }
        None => {
            let linked = native_modules::link(&spec.files, &base, cache).await?;
            let inputs = |files| SnapshotInputs {
                image: &base,
                files,
                imports: &spec.imports,
                setup: spec.setup.as_deref(),
                limits,
                linked: linked.as_deref(),
            };
            // The imports of the snapshot use the bytecode. Those of the trial do not wait for it.
            let layout = package_layer.layout();
            let trial = inputs(&layout);
            tokio::select! {
                biased;
                compiled = compile_modules(&package_layer, bytecode, cache, report) => compiled?,
                Some(error) = snapshot::import_error(&trial) => return Err(error),
            }
            report(BuildStage::Importing);
            let wasm = snapshot::snapshot(&inputs(&package_layer.layout())).await?;
            report(BuildStage::Compiling);
            // On another thread: this task may have to handle signals.
            let (cache, key) = (cache.clone(), key);
            thread::run(move || {
                let functions = match &linked {
                    Some(linked) => Some(linked.functions()),
                    None => base.functions(&cache)?,
                };
                base.compile_snapshot(&cache, &key, &wasm, pending, functions)
            })
            .await??
        }
    };
    let loaded = Arc::new(LoadedFactory {
        digest,
        image,
        package_layer,
        spec,
    });
    registry::insert(&loaded);
    Ok(loaded)
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
