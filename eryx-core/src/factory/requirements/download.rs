//! Downloads, and their files in the cache.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use ::zip::result::ZipResult;
use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};
use bytes::Bytes;

use crate::error::Error;
use crate::factory::package_limits::{Quota, SharedQuota};
use crate::factory::requirements::installer::{self, Directory};
use crate::factory::requirements::process::Stop;
use crate::factory::requirements::{CheckedRequirements, Requirements, unreadable};
use crate::factory::zip;
use crate::image::cache::{Cache, CacheName};
use crate::package_error::PackageError;
use crate::thread;

/// The most wheels of a download, and their most bytes.
const MAX_WHEELS: usize = 2000;
const MAX_BYTES: u64 = 512 << 20;

/// A wheel: its file name and its content.
pub(in crate::factory) type Wheel = (PathBuf, Bytes);

/// Returns the wheels of the requirements and of their dependencies: those of an earlier download,
/// if the cache has it.
///
/// Calls `on_start` before a download, and `warn` with its warnings. If the caller stops waiting,
/// the download ends.
pub(in crate::factory) async fn download(
    requirements: Requirements,
    cache: &Cache,
    on_start: impl FnOnce(),
    warn: impl Fn(&str),
) -> Result<Vec<Wheel>, Error> {
    let checked = thread::run(move || requirements.check()).await??;
    let name = CacheName::wheels(&checked.key);
    if let Some(wheels) = find(cache, &name).await? {
        return Ok(wheels);
    }
    let pending = cache.begin(&name).await;
    // Another process may have downloaded them meanwhile.
    if let Some(wheels) = find(cache, &name).await? {
        return Ok(wheels);
    }
    on_start();
    let stop = Stop::default();
    let _stop_on_drop = stop.clone().on_drop();
    let cache = cache.clone();
    let download = move || {
        let (wheels, warnings) = run(&checked, &stop)?;
        match write(&wheels) {
            Ok(archive) => cache.store(&name, &archive, pending),
            Err(reason) => {
                tracing::debug!(target: "eryx::image", %reason, "a download is not stored");
            }
        }
        Ok::<_, PackageError>((wheels, warnings))
    };
    let (wheels, warnings) = thread::run(download).await??;
    for warning in &warnings {
        warn(warning);
    }
    Ok(wheels)
}

async fn find(cache: &Cache, name: &CacheName) -> Result<Option<Vec<Wheel>>, Error> {
    let (cache, name) = (cache.clone(), name.clone());
    let find = move || cache.read(&name).and_then(|archive| read(&archive));
    Ok(thread::run(find).await?)
}

/// Downloads the wheels to a temporary directory, and reads them. Returns the warnings, too.
fn run(
    checked: &CheckedRequirements,
    stop: &Stop,
) -> Result<(Vec<Wheel>, Vec<String>), PackageError> {
    let directory = tempfile::Builder::new()
        .prefix("eryx-requirements-")
        .tempdir()
        .map_err(|error| PackageError::Download(format!("no directory for them: {error}")))?;
    let wheels = directory.path().join("wheels");
    fs::create_dir(&wheels).map_err(|source| unreadable(&wheels, source))?;
    // pip gets the contents that were compared with the known digests.
    let native = directory.path().join("native");
    fs::create_dir(&native).map_err(|source| unreadable(&native, source))?;
    for wheel in &checked.native {
        let path = native.join(wheel.file);
        fs::write(&path, wheel.read()?).map_err(|source| unreadable(&path, source))?;
    }
    let directory = Directory {
        work: directory.path(),
        native: &native,
        wheels: &wheels,
    };
    let warnings = installer::download(checked, &directory, stop)?;
    Ok((read_directory(&wheels)?, warnings))
}

fn read_directory(directory: &Path) -> Result<Vec<Wheel>, PackageError> {
    let failed = |source| unreadable(directory, source);
    let mut left = MAX_BYTES;
    let mut wheels = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let size = fs::metadata(&path).map_err(failed)?.len();
        let rest = left.checked_sub(size);
        let Some(rest) = rest.filter(|_| wheels.len() < MAX_WHEELS) else {
            return Err(PackageError::Download(format!(
                "they have more than {MAX_BYTES} bytes in {MAX_WHEELS} wheels; require fewer"
            )));
        };
        left = rest;
        let name = path.file_name().unwrap_or_default().into();
        let content = fs::read(&path).map_err(failed)?;
        wheels.push((name, content.into()));
    }
    wheels.sort();
    Ok(wheels)
}

/// Returns an archive of wheels, which are compressed already.
fn write(wheels: &[Wheel]) -> ZipResult<Vec<u8>> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in wheels {
        archive.start_file(name.to_string_lossy(), options)?;
        archive.write_all(content)?;
    }
    Ok(archive.finish()?.into_inner())
}

fn read(archive: &[u8]) -> Option<Vec<Wheel>> {
    let quota = SharedQuota::new(Quota {
        bytes: MAX_BYTES,
        files: MAX_WHEELS,
    });
    let files = zip::files(Cursor::new(archive), &quota).ok()?;
    let wheels = files.into_iter();
    Some(
        wheels
            .map(|(name, content)| (name.into(), content.into()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_the_wheels_that_were_written() {
        let wheels: Vec<Wheel> = vec![
            ("a-1-py3-none-any.whl".into(), "first".into()),
            ("b-1-py3-none-any.whl".into(), "second".into()),
        ];
        let archive = write(&wheels).expect("written");
        assert_eq!(read(&archive), Some(wheels));
        assert_eq!(read(b"damaged"), None);
    }
}
