//! The file format of a saved factory: its inputs, and no machine code. A factory file from an
//! untrusted source is safe to load: its code runs only inside sandboxes.
//!
//! The file is a zip archive: `eryx-factory` has the version of the format, `imports` names a
//! module a line, `setup` is the setup code if there is any, and the packages lie below
//! `packages/`.

use std::io::{Cursor, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use ::zip::ZipWriter;
use ::zip::result::ZipResult;
use ::zip::write::SimpleFileOptions;

use crate::factory::package_files::PackageFiles;
use crate::factory::package_limits::{PackageLimits, Quota, SharedQuota};
use crate::factory::spec::FactorySpec;
use crate::factory::zip::{self, ZipError};
use crate::package_error::PackageError;

/// The file that marks the archive as a saved factory.
const MAGIC: &str = "eryx-factory";
/// The content of that file: the version of the format.
const VERSION: &[u8] = b"1\n";
const IMPORTS: &str = "imports";
const SETUP: &str = "setup";
const PACKAGES: &str = "packages/";

/// The quota for the files besides the packages: version, imports and setup code.
const METADATA_QUOTA: Quota = Quota {
    bytes: 16 << 20,
    files: 3,
};

/// Returns the content of the file for `spec`. Equal inputs give equal bytes.
pub(super) fn write(spec: &FactorySpec) -> ZipResult<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, content: &[u8]| -> ZipResult<()> {
        archive.start_file(name, SimpleFileOptions::default())?;
        Ok(archive.write_all(content)?)
    };
    add(MAGIC, VERSION)?;
    add(IMPORTS, spec.imports.join("\n").as_bytes())?;
    if let Some(setup) = &spec.setup {
        add(SETUP, setup)?;
    }
    for (name, file) in spec.files.entries() {
        add(&format!("{PACKAGES}{name}"), file.content()?)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// Returns the inputs of a saved factory. `origin` names the file in errors.
pub(super) fn read(
    file: impl Read + Seek,
    origin: &Path,
    limits: PackageLimits,
) -> Result<FactorySpec, PackageError> {
    let invalid = |reason: String| PackageError::NotAFactory {
        origin: origin.display().to_string(),
        reason,
    };
    let mut spec = FactorySpec {
        files: PackageFiles::new(limits),
        ..FactorySpec::default()
    };
    let packages = limits.quota();
    let quota = Quota {
        bytes: packages.bytes.saturating_add(METADATA_QUOTA.bytes),
        files: packages.files.saturating_add(METADATA_QUOTA.files),
    };
    let files = zip::files(file, &SharedQuota::new(quota)).map_err(|error| match error {
        ZipError::QuotaExceeded(exceeded) => spec.files.too_large(origin, exceeded),
        ZipError::Invalid(reason) => invalid(reason),
    })?;
    let package = Arc::from(origin);
    let mut version = None;
    for (name, content) in files {
        match name.as_str() {
            MAGIC => version = Some(content),
            IMPORTS => {
                let text = String::from_utf8(content)
                    .map_err(|_| invalid("the names of its imports are not UTF-8".to_owned()))?;
                spec.imports = text.lines().map(str::to_owned).collect();
            }
            SETUP => spec.setup = Some(content),
            _ => match name.strip_prefix(PACKAGES) {
                Some(file) => spec.files.add(&package, file.to_owned(), content)?,
                None => return Err(invalid(format!("it has a file {name:?}"))),
            },
        }
    }
    match version.as_deref() {
        Some(VERSION) => Ok(spec),
        Some(_) => Err(invalid("it is from another version of Eryx".to_owned())),
        None => Err(invalid(format!("it has no file {MAGIC:?}"))),
    }
}
