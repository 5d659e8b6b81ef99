//! Keeping the cache small.

use std::ffi::{OsStr, OsString};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

use super::building::UNFINISHED;
use super::directory::Directory;

/// What the names of entries end with.
pub(super) const ENTRY: &str = ".cwasm";

/// The most bytes that the entries of a cache take together, unless `ERYX_CACHE_MAX_BYTES` says otherwise: some thirty factories.
const MAX_BYTES: u64 = 2 << 30;

/// How old a file is that no process is writing any more.
const STALE: Duration = Duration::from_secs(3600);

/// Returns how many bytes entries may take, by what the environment says.
pub(super) fn max_bytes(set: Option<OsString>) -> u64 {
    let Some(set) = set else { return MAX_BYTES };
    match set.to_str().and_then(|text| text.trim().parse().ok()) {
        Some(bytes) => bytes,
        None => {
            tracing::warn!(
                target: "eryx::image",
                given = %set.to_string_lossy(),
                "ERYX_CACHE_MAX_BYTES is no number of bytes; the cache keeps to {MAX_BYTES}"
            );
            MAX_BYTES
        }
    }
}

/// Removes the entries that were not used for longest, until the rest takes at most `most` bytes, and what processes left half
/// written. The entry `kept` stays.
pub(super) fn prune(dir: &Directory, kept: &OsStr, most: u64) {
    let files = match dir.files() {
        Ok(files) => files,
        Err(error) => {
            tracing::debug!(target: "eryx::image", %error, "the cache is not tidied up");
            return;
        }
    };
    let now = SystemTime::now();
    let (entries, others): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|(name, _)| name.to_string_lossy().ends_with(ENTRY));
    for (name, found) in others {
        if is_unfinished(&name)
            && now
                .duration_since(changed(&found))
                .is_ok_and(|age| age > STALE)
        {
            remove(dir, &name);
        }
    }
    let mut entries: Vec<_> = entries
        .into_iter()
        .map(|(name, found)| (changed(&found), found.st_size.unsigned_abs(), name))
        .collect();
    entries.sort();
    let mut all: u64 = entries.iter().map(|(_, size, _)| size).sum();
    for (_, size, name) in entries {
        if all <= most {
            break;
        }
        if name != kept {
            remove(dir, &name);
            all -= size;
        }
    }
}

/// Whether a file of this name was being written: by this version, or by one that made files with random names for that.
fn is_unfinished(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_random = |rest: &str| rest.len() == 6 && rest.chars().all(|c| c.is_ascii_alphanumeric());
    name.ends_with(UNFINISHED) || name.strip_prefix(".tmp").is_some_and(is_random)
}

fn changed(found: &Stat) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(found.st_mtime).unwrap_or(0))
}

fn remove(dir: &Directory, name: &OsStr) {
    // Processes that have it mapped keep it.
    if let Err(error) = dir.remove(name) {
        tracing::debug!(target: "eryx::image", name = %name.to_string_lossy(), %error, "a file is left in the cache");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_what_is_not_the_caches_stays() {
        let folder = tempfile::tempdir().expect("made");
        let dir = Directory::open(folder.path()).expect("opened");
        let hour = Duration::from_secs(3600);
        // Names, sizes, and how many hours ago they were used.
        for (name, size, hours) in [
            ("a.cwasm", 100, 3),
            ("b.cwasm", 100, 1),
            ("c.cwasm", 100, 2),
            ("new.cwasm", 100, 9),
            ("d.cwasm.building", 1, 2),
            ("e.cwasm.building", 1, 0),
            (".tmpAb12Cd", 1, 2),
            (".tmpAb12Ce", 1, 0),
            (".tmporary", 1, 2),
            ("notes.txt", 1000, 20),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, vec![0; size]).expect("written");
            let file = fs::File::open(&path).expect("opened");
            file.set_modified(SystemTime::now() - hour * hours)
                .expect("set");
        }
        let left = || {
            let entries = fs::read_dir(folder.path()).expect("readable");
            let mut names: Vec<_> = entries
                .map(|entry| {
                    entry
                        .expect("readable")
                        .file_name()
                        .into_string()
                        .expect("UTF-8")
                })
                .collect();
            names.sort();
            names
        };
        let others = [".tmpAb12Ce", ".tmporary"];
        let rest = ["e.cwasm.building", "new.cwasm", "notes.txt"];
        prune(&dir, OsStr::new("new.cwasm"), 300);
        assert_eq!(
            left(),
            [&others[..], &["b.cwasm", "c.cwasm"], &rest].concat()
        );
        prune(&dir, OsStr::new("new.cwasm"), 299);
        assert_eq!(left(), [&others[..], &["b.cwasm"], &rest].concat());
        prune(&dir, OsStr::new("new.cwasm"), 0);
        assert_eq!(left(), [&others[..], &rest].concat());
    }

    #[test]
    fn the_bound_is_a_number_of_bytes_or_the_default() {
        let max = |text: &str| max_bytes(Some(text.into()));
        assert_eq!(max("1000"), 1000);
        assert_eq!(max(" 0 "), 0);
        assert_eq!(max("2 GiB"), MAX_BYTES);
        assert_eq!(max(""), MAX_BYTES);
        assert_eq!(max_bytes(None), MAX_BYTES);
    }
}
