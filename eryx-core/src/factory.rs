//! Sandboxes with packages: a second snapshot, in which their imports are done.

mod packages;
mod snapshot;

use std::fmt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::image::{Cache, EMBEDDED_DIGEST, Image};
use crate::sandbox::{SandboxBuilder, Source};

pub use packages::PackageError;
use packages::{Installed, Sources};

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
    image: Image,
    packages: Installed,
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

    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    pub(crate) fn packages(&self) -> &std::path::Path {
        self.packages.dir()
    }
}

impl fmt::Debug for SandboxFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxFactory")
            .field("packages", &self.packages.dir())
            .finish_non_exhaustive()
    }
}

/// Settings of a [`SandboxFactory`] to be.
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct FactoryBuilder {
    packages: Vec<PathBuf>,
    imports: Vec<String>,
    setup: Option<Vec<u8>>,
    cache: Option<PathBuf>,
}

impl FactoryBuilder {
    /// Give programs a package: a wheel, the source directory of a package, or a directory of several such as
    /// an installed `site-packages`. It has to be pure Python.
    pub fn with_package(mut self, path: impl Into<PathBuf>) -> Self {
        self.packages.push(path.into());
        self
    }

    /// Import a module in the snapshot, so that a program's own import of it costs nothing.
    pub fn with_import(mut self, module: impl Into<String>) -> Self {
        self.imports.push(module.into());
        self
    }

    /// Run a program in the snapshot. What it defines, every program sees.
    pub fn with_setup_code(mut self, source: impl AsRef<[u8]>) -> Self {
        self.setup = Some(source.as_ref().to_vec());
        self
    }

    /// Keep the compiled snapshot in `dir` instead of the user's cache, which is `$ERYX_CACHE_DIR`, else
    /// `$XDG_CACHE_HOME/eryx`, else `~/.cache/eryx`. It is made with mode 0700; one that others can write to is
    /// not used.
    pub fn with_cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache = Some(dir.into());
        self
    }

    /// Install the packages, do the imports and compile the snapshot.
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when a package cannot be used: it is neither a wheel nor a directory, or has native
    /// code. [`Error::Raised`] when an import or the setup code raises. Both are told before anything is compiled.
    pub async fn build(self) -> Result<SandboxFactory, Error> {
        let sources = Sources::read(&self.packages)?;
        let key = self.key(&sources);
        let packages = Installed::from(&sources)?;
        let cache = Cache::open(self.cache.as_deref());
        let image = match Image::cached_snapshot(&cache, &key)? {
            Some(image) => image,
            None => {
                let preload = snapshot::Preload {
                    packages: &packages,
                    imports: self.imports,
                    setup: self.setup,
                };
                snapshot::rehearse(&Image::embedded()?, &preload).await?;
                let wasm = snapshot::take(&preload).await?;
                Image::compile_snapshot(&cache, &key, &wasm)?
            }
        };
        Ok(SandboxFactory { image, packages })
    }

    /// Names what a snapshot is made from.
    fn key(&self, sources: &Sources) -> String {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            // Lengths keep one part's end from passing for the next one's beginning.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(EMBEDDED_DIGEST.as_bytes());
        add(&(self.imports.len() as u64).to_le_bytes());
        for module in &self.imports {
            add(module.as_bytes());
        }
        match &self.setup {
            Some(source) => add(&[&[1], &source[..]].concat()),
            None => add(&[0]),
        }
        for (name, content) in sources.files() {
            add(name.as_bytes());
            add(content);
        }
        format!("factory-{:x}", hash.finalize())
    }
}
