//! Sandbox factories: sandboxes with packages, started from a second snapshot in which the imports
//! are done.

mod builder;
mod bundle;
mod bytecode;
mod dependencies;
mod directory_digests;
mod fields;
mod native_code;
mod native_modules;
mod native_wheels;
mod package_file;
mod package_files;
mod package_limits;
mod package_reader;
mod registry;
mod requirements;
mod snapshot;
mod spec;
mod stored_content;
mod wheel_name;
mod wheel_substitution;
mod zip;

use std::fmt;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

pub use builder::{BuildStage, FactoryBuilder};
pub use bytecode::Bytecode;
pub use native_wheels::set_native_wheels;
pub use package_limits::PackageLimits;

use crate::error::Error;
use crate::factory::registry::LoadedFactory;
use crate::package_error::PackageError;
use crate::sandbox::SandboxBuilder;
use crate::template::Template;

/// Makes sandboxes that have packages, with their imports already done.
///
/// Building one takes seconds: the packages are imported in an interpreter, its memory is saved,
/// and the result is compiled and stored in the user's cache. A sandbox of the factory starts as
/// fast as any other.
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
    loaded: Arc<LoadedFactory>,
}

impl SandboxFactory {
    /// Returns a builder of a factory.
    pub fn builder() -> FactoryBuilder {
        FactoryBuilder::default()
    }

    /// Returns a builder of sandboxes with the factory's packages.
    pub fn sandbox(&self) -> SandboxBuilder {
        let factory = Arc::clone(&self.loaded);
        SandboxBuilder::from_template(Template::of_factory(
            factory.image.clone(),
            factory.package_layer.layout(),
            &self.loaded.digest,
            factory,
        ))
    }

    /// Writes the factory to a file, for [`load`](Self::load). The file has the packages, the names
    /// of the imports and the setup code, and no machine code: a file from an untrusted source is
    /// safe to load, and its code runs only in sandboxes.
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when the file cannot be written. A previous file is then unchanged.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let failed = |source| PackageError::Save {
            path: path.to_path_buf(),
            source,
        };
        let directory = match path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        let bytes = self.to_bytes()?;
        let file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
        fs::write(file.path(), bytes).map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Builds the factory that [`save`](Self::save) wrote to a file. If the user's cache has its
    /// compiled snapshot, that takes a moment, and otherwise as long as the first build.
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when the file is not a saved factory, and those of
    /// [`FactoryBuilder::build`].
    pub async fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        FactoryBuilder::from_file(path)?.build().await
    }

    /// Returns the content of the file that [`save`](Self::save) writes. Equal factories give equal
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Package`] when a package is too large for a zip archive.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        bundle::write(&self.loaded.spec)
            .map_err(|error| Error::Package(PackageError::Pack(error.into())))
    }

    /// Returns the limits that the packages were read with.
    pub fn package_limits(&self) -> &PackageLimits {
        self.loaded.spec.files.limits()
    }

    /// Returns the names of the modules that are imported in the snapshot.
    pub fn imports(&self) -> &[String] {
        &self.loaded.spec.imports
    }

    /// Returns the names of the files that programs find below `/packages`.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.loaded.spec.files.entries().map(|(name, _)| name)
    }
}

/// Two factories are equal when they have the same packages, imports and setup code.
impl PartialEq for SandboxFactory {
    fn eq(&self, other: &Self) -> bool {
        self.loaded.digest == other.loaded.digest
    }
}

impl Eq for SandboxFactory {}

impl Hash for SandboxFactory {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.loaded.digest.hash(state);
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
