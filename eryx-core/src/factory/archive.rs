//! Archives whose content nobody vouches for.

use std::borrow::Cow;
use std::io::{Read, Seek};

/// The most one archive may hold unpacked, in bytes: it can claim to hold anything.
const MAX_UNPACKED: u64 = 1 << 30;

/// The files of an archive in the format of zip, with names that stay below the folder they are unpacked to. What is
/// wrong with the archive otherwise.
pub(super) fn files(file: impl Read + Seek) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut archive = zip::ZipArchive::new(file).map_err(|error| error.to_string())?;
    let mut files = Vec::new();
    let mut left = MAX_UNPACKED;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| error.to_string())?;
        if entry.is_dir() {
            continue;
        }
        let Some(name) = entry.enclosed_name() else {
            return Err(format!("it has a file named {:?}", entry.name()));
        };
        let name = name.to_string_lossy().replace('\\', "/");
        let content = read(entry, left)?;
        left -= content.len() as u64;
        files.push((name, content));
    }
    Ok(files)
}

/// The first file whose name is `wanted`.
pub(super) fn find(
    file: impl Read + Seek,
    wanted: impl Fn(&str) -> bool,
) -> Result<Option<Vec<u8>>, String> {
    let mut archive = zip::ZipArchive::new(file).map_err(|error| error.to_string())?;
    let name = archive
        .file_names()
        .filter_map(Result::ok)
        .find(|name| wanted(name))
        .map(Cow::into_owned);
    let Some(name) = name else { return Ok(None) };
    let entry = archive.by_name(&name).map_err(|error| error.to_string())?;
    read(entry, MAX_UNPACKED).map(Some)
}

fn read(entry: impl Read, most: u64) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let size = entry
        .take(most + 1)
        .read_to_end(&mut content)
        .map_err(|error| error.to_string())?;
    if size as u64 > most {
        return Err(format!("it holds more than {MAX_UNPACKED} bytes"));
    }
    Ok(content)
}
