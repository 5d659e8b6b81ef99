//! Sandboxes with packages: a second snapshot, in which their imports are done.

mod registry;
mod zip;
mod dependencies;
mod package_files;
mod spec;
mod package_limits;
mod bundle;
mod snapshot;
mod stage;

use std::fmt;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{ConfigError, Error};
use crate::files::Tree;
use crate::image::{Cache, Image};
use crate::limits::ResourceLimits;
use crate::sandbox::{SandboxBuilder, Source};
use crate::thread;

pub use package_files::PackageError;
pub use package_limits::PackageLimits;
pub use stage::BuildStage;

use spec::Plan;

/// Makes sandboxes that have packages, with their imports already done.
///
/// Building one takes seconds: the packages are imported in an interpreter, its memory is saved, and the result
/// is compiled and kept in the user's cache. A sandbox made from it starts as fast as any other.
///
/// ```no_run
/// # async fn example() -> Result<(), eryx_core::Error> {
/// let factory = eryx_core::SandboxFactory::builder()
///     .with_package("wheels/greeting-1.0-py3-none-any.whl")
///     .with_import("greeting")
///     .build()
///     .await?;
/// let sandbox = factory.sandbox().build()?;
/// sandbox.execute("import greeting; print(greeting.hello())").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SandboxFactory {
    built: Arc<Built>,
}

/// What there is once of a factory in a process, however often it is built or loaded.
struct Built {
    key: String,
    image: Image,
    packages: Arc<Tree>,
    plan: Plan,
}

impl SandboxFactory {
    /// Begin a factory.
    pub fn builder() -> FactoryBuilder {
        FactoryBuilder::default()
    }

    /// Begin a sandbox with the factory's packages.
    pub fn sandbox(&self) -> SandboxBuilder {
        SandboxBuilder::new(Source::Factory(self.clone()))
    }

    /// Write the factory to a file, for [`load`](Self::load). It holds the packages, the names of the imports and
    /// the setup code, and no machine code: what comes from elsewhere can be loaded, and runs only in sandboxes.
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when the file cannot be written. What was there before is then still there.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let failed = |source| PackageError::Save {
            path: path.to_path_buf(),
            source,
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let bytes = self.to_bytes()?;
        let written = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        fs::write(written.path(), bytes).map_err(failed)?;
        written.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Build the factory that [`save`](Self::save) wrote to a file. When this user's cache has what it compiles to,
    /// that takes a moment, else as long as the first time.
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when it is no such file, and those of [`FactoryBuilder::build`].
    pub async fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        FactoryBuilder::from_file(path)?.build().await
    }

    /// What [`save`](Self::save) writes. The same factory gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when a package is too large for one.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        bundle::write(&self.built.plan)
            .map_err(|error| Error::Package(PackageError::Pack(error.into())))
    }

    /// Returns the bounds that the packages were kept to.
    pub fn package_limits(&self) -> &PackageLimits {
        self.built.plan.sources.limits()
    }

    /// The modules that are imported in the snapshot.
    pub fn imports(&self) -> &[String] {
        &self.built.plan.imports
    }

    /// The files programs find below `/packages`, by name.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.built.plan.sources.files().map(|(name, _)| name)
    }

    pub(crate) fn image(&self) -> &Image {
        &self.built.image
    }

    pub(crate) fn packages(&self) -> &Arc<Tree> {
        &self.built.packages
    }
}

/// Two factories are equal when they are made from the same.
impl PartialEq for SandboxFactory {
    fn eq(&self, other: &Self) -> bool {
        self.built.key == other.built.key
    }
}

impl Eq for SandboxFactory {}

impl Hash for SandboxFactory {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.built.key.hash(state);
    }
}

impl fmt::Debug for SandboxFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxFactory")
            .field("files", &self.files().count())
            .field("imports", &self.imports())
            .finish_non_exhaustive()
    }
}

/// Where the compiled snapshot is kept.
#[derive(Clone, Default)]
enum Keep {
    #[default]
    InUsersCache,
    In(PathBuf),
    Nothing,
}

/// Settings of a [`SandboxFactory`] to be.
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct FactoryBuilder {
    /// What was saved of another factory; the packages below are not in it.
    plan: Plan,
    packages: Vec<PathBuf>,
    dependencies: bool,
    cache: Keep,
    limits: ResourceLimits,
    progress: Option<Arc<dyn Fn(BuildStage) + Send + Sync>>,
}

impl FactoryBuilder {
    /// Begin with what [`SandboxFactory::save`] wrote to a file, within the default [`PackageLimits`].
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when it cannot be read, is no such file or unpacks to more than it may.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_file_within(path, PackageLimits::default())
    }

    /// As [`from_file`](Self::from_file), within these limits.
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
        Ok(Self::begin(bundle::read(file, path, limits)?))
    }

    /// Begin with what [`SandboxFactory::to_bytes`] returned, within the default [`PackageLimits`].
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when these are no such bytes, or unpack to more than they may.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_bytes_within(bytes, PackageLimits::default())
    }

    /// As [`from_bytes`](Self::from_bytes), within these limits.
    ///
    /// # Errors
    ///
    /// Those of [`from_bytes`](Self::from_bytes), and [`Error::Config`] when a limit is 0.
    pub fn from_bytes_within(bytes: &[u8], limits: PackageLimits) -> Result<Self, Error> {
        limits.validate()?;
        let plan = bundle::read(io::Cursor::new(bytes), Path::new("what was given"), limits)?;
        Ok(Self::begin(plan))
    }

    fn begin(plan: Plan) -> Self {
        Self {
            plan,
            ..Self::default()
        }
    }

    /// Give programs a package: a wheel, the source directory of a package, or a directory of several such as
    /// an installed `site-packages`. It has to be pure Python.
    pub fn with_package(mut self, path: impl Into<PathBuf>) -> Self {
        self.packages.push(path.into());
        self
    }

    /// Also give programs what the packages depend on, and what that depends on, from the wheels that lie in the
    /// same folders. What their extras depend on is left out.
    pub fn with_dependencies(mut self) -> Self {
        self.dependencies = true;
        self
    }

    /// Import a module in the snapshot, so that a program's own import of it costs nothing.
    pub fn with_import(mut self, module: impl Into<String>) -> Self {
        self.plan.imports.push(module.into());
        self
    }

    /// Run a program in the snapshot. What it defines, every program sees.
    pub fn with_setup_code(mut self, source: impl AsRef<[u8]>) -> Self {
        self.plan.setup = Some(source.as_ref().to_vec());
        self
    }

    /// Keep the compiled snapshot in `dir` instead of the user's cache, which is `$ERYX_CACHE_DIR`, else
    /// `$XDG_CACHE_HOME/eryx`, else `~/.cache/eryx`. It is made with mode 0700; one that
    /// others could write to or exchange is not used.
    pub fn with_cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache = Keep::In(dir.into());
        self
    }

    /// Keep the compiled snapshot nowhere: it is compiled again each time. It holds what the imports and the setup code left in
    /// memory, secrets included.
    pub fn without_cache(mut self) -> Self {
        self.cache = Keep::Nothing;
        self
    }

    /// Bounds the packages, all of them together: their bytes and the number of their files. What a factory was begun with
    /// ([`from_file`](Self::from_file)) has been let in already and counts.
    pub fn with_package_limits(mut self, limits: PackageLimits) -> Self {
        self.plan.sources.limit(limits);
        self
    }

    /// Bound what the imports and the setup code may use: time, memory and output. The defaults are those of an
    /// execution.
    pub fn with_resource_limits(mut self, limits: ResourceLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Call `tell` when a part of the work begins that may take long. A factory that is found in the cache has none.
    pub fn with_progress(mut self, tell: impl Fn(BuildStage) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(tell));
        self
    }

    /// Install the packages, do the imports and compile the snapshot.
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when a package cannot be used: it is neither a wheel nor a directory, or has native
    /// code. [`Error::Exception`] when an import or the setup code raises, [`Error::Limit`] when they want too much.
    /// All of it is told before anything is compiled.
    pub async fn build(self) -> Result<SandboxFactory, Error> {
        let Self {
            mut plan,
            packages,
            dependencies,
            cache,
            limits,
            progress,
        } = self;
        limits.validate()?;
        plan.sources.limits().validate()?;
        let tell = |stage| {
            if let Some(progress) = &progress {
                progress(stage);
            }
        };
        for package in &packages {
            plan.sources.read(package)?;
        }
        if dependencies {
            dependencies::complete(&mut plan.sources, &packages)?;
        }
        for module in &plan.imports {
            check_name(module)?;
        }
        let key = plan.key();
        if let Some(built) = registry::find(&key) {
            return Ok(SandboxFactory { built });
        }
        let packages = plan.sources.tree()?;
        let cache = match cache {
            Keep::Nothing => Cache::none(),
            Keep::InUsersCache => Cache::open(None),
            Keep::In(dir) => Cache::open(Some(&dir)),
        };
        let mut found = Image::cached_snapshot(&cache, &key)?;
        let mut building = None;
        if found.is_none() {
            building = cache.begin(&key).await?;
            // Another one may have built it meanwhile: in this process, or in one that keeps it there, too.
            if let Some(built) = registry::find(&key) {
                return Ok(SandboxFactory { built });
            }
            found = Image::cached_snapshot(&cache, &key)?;
        }
        let image = match found {
            Some(image) => image,
            None => {
                tell(BuildStage::Importing);
                let wasm = snapshot::take(&snapshot::Preload {
                    packages: &packages,
                    imports: &plan.imports,
                    setup: plan.setup.as_deref(),
                    limits: &limits,
                })
                .await?;
                tell(BuildStage::Compiling);
                // Off this task, which may have signals to look after.
                let key = key.clone();
                thread::run(move || Image::compile_snapshot(&cache, &key, &wasm, building))
                    .await??
            }
        };
        let built = Arc::new(Built {
            key,
            image,
            packages,
            plan,
        });
        registry::keep(&built);
        Ok(SandboxFactory { built })
    }
}

impl fmt::Debug for FactoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactoryBuilder")
            .field("packages", &self.packages)
            .field("imports", &self.plan.imports)
            .finish_non_exhaustive()
    }
}

/// Names come one a line in a file, and what cannot be imported is no name of a module.
fn check_name(module: &str) -> Result<(), Error> {
    let is_name = |part: &str| {
        part.chars()
            .enumerate()
            .all(|(at, c)| c == '_' || c.is_alphabetic() || (at > 0 && c.is_alphanumeric()))
            && !part.is_empty()
    };
    if module.split('.').all(is_name) {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "imports: {module:?} is no name of a module; write it as in an import statement, as \"requests.adapters\""
    ))
    .into())
}
