//! A factory as one file: what it is made from, and no machine code. Whoever gets one from somebody else runs
//! nothing of it outside a sandbox.
//!
//! The file is a zip archive: `eryx-factory` says which format it has, `imports` names a module a line, `setup` is
//! the setup code if there is any, and the packages lie below `packages/`.

use std::io::{Cursor, Read, Seek, Write};
use std::path::Path;

use zip::ZipWriter;
use zip::result::ZipResult;
use zip::write::SimpleFileOptions;

use super::zip::{self, ArchiveError};
use super::package_files::{PackageError, Sources};
use super::spec::Plan;
use super::package_limits::{PackageLimits, Room};

const MARK: &str = "eryx-factory";
const FORMAT: &[u8] = b"1\n";
const IMPORTS: &str = "imports";
const SETUP: &str = "setup";
const PACKAGES: &str = "packages/";

/// What there is room for besides the packages, in bytes and files: the mark, the imports and the setup code.
const BESIDES: Room = Room {
    bytes: 16 << 20,
    files: 3,
};

/// The content of the file for `plan`. The same plan gives the same bytes.
pub(super) fn write(plan: &Plan) -> ZipResult<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, content: &[u8]| -> ZipResult<()> {
        archive.start_file(name, SimpleFileOptions::default())?;
        Ok(archive.write_all(content)?)
    };
    add(MARK, FORMAT)?;
    add(IMPORTS, plan.imports.join("\n").as_bytes())?;
    if let Some(setup) = &plan.setup {
        add(SETUP, setup)?;
    }
    for (name, content) in plan.sources.files() {
        add(&format!("{PACKAGES}{name}"), content)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// What a factory was made from; `origin` is where the file is from.
pub(super) fn read(
    file: impl Read + Seek,
    origin: &Path,
    limits: PackageLimits,
) -> Result<Plan, PackageError> {
    let wrong = |reason: String| PackageError::NotAFactory {
        origin: origin.display().to_string(),
        reason,
    };
    let mut plan = Plan {
        sources: Sources::within(limits),
        ..Plan::default()
    };
    let all = limits.room();
    let room = Room {
        bytes: all.bytes.saturating_add(BESIDES.bytes),
        files: all.files.saturating_add(BESIDES.files),
    };
    let files = archive::files(file, room).map_err(|error| match error {
        ArchiveError::Full(full) => plan.sources.full(origin, full),
        ArchiveError::Broken(reason) => wrong(reason),
    })?;
    let mut format = None;
    for (name, content) in files {
        match name.as_str() {
            MARK => format = Some(content),
            IMPORTS => {
                let text = String::from_utf8(content)
                    .map_err(|_| wrong("the names of its imports are not UTF-8".to_owned()))?;
                plan.imports = text.lines().map(str::to_owned).collect();
            }
            SETUP => plan.setup = Some(content),
            _ => match name.strip_prefix(PACKAGES) {
                Some(file) => plan.sources.add(origin, file.to_owned(), content)?,
                None => return Err(wrong(format!("it has a file {name:?}"))),
            },
        }
    }
    match format.as_deref() {
        Some(FORMAT) => Ok(plan),
        Some(_) => Err(wrong("it is from another version of Eryx".to_owned())),
        None => Err(wrong(format!("it has no file {MARK:?}"))),
    }
}
