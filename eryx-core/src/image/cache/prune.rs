//! Eviction of old entries from the cache.

use std::ffi::{OsStr, OsString};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

use crate::image::cache::directory::Directory;
use crate::image::cache::pending_entry::PENDING_SUFFIX;

/// The suffix of an entry's name.
pub(super) const ENTRY_SUFFIX: &str = ".cwasm";

/// The default for the most bytes of all entries together: about thirty factories.
const DEFAULT_MAX_BYTES: u64 = 2 << 30;

/// The age from which a pending file counts as abandoned.
const MAX_PENDING_AGE: Duration = Duration::from_secs(3600);

/// Returns the most bytes of all entries together: the value of `ERYX_CACHE_MAX_BYTES`, or the
/// default if the variable is not set or not a number.
pub(super) fn max_bytes(variable: Option<OsString>) -> u64 {
    let Some(text) = variable else {
        return DEFAULT_MAX_BYTES;
    };
    match text.to_str().and_then(|text| text.trim().parse().ok()) {
        Some(bytes) => bytes,
        None => {
            tracing::warn!(
                target: "eryx::image",
                given = %text.to_string_lossy(),
                "ERYX_CACHE_MAX_BYTES is not a number of bytes; the limit is {DEFAULT_MAX_BYTES}"
            );
            DEFAULT_MAX_BYTES
        }
    }
}

/// Removes the least recently used entries, until the rest has at most `max_bytes`, and abandoned
/// pending files. The entry `newest` stays.
pub(super) fn prune(dir: &Directory, newest: &OsStr, max_bytes: u64) {
    let files = match dir.files() {
        Ok(files) => files,
        Err(error) => {
            tracing::debug!(target: "eryx::image", %error, "the cache is not pruned");
            return;
        }
    };
    let now = SystemTime::now();
    let (entries, others): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|(name, _)| name.to_string_lossy().ends_with(ENTRY_SUFFIX));
    for (name, stat) in others {
        if is_pending(&name)
            && now
                .duration_since(modified(&stat))
                .is_ok_and(|age| age > MAX_PENDING_AGE)
        {
            remove(dir, &name);
        }
    }
    let mut entries: Vec<_> = entries
        .into_iter()
        .map(|(name, stat)| (modified(&stat), stat.st_size.unsigned_abs(), name))
        .collect();
    entries.sort();
    let mut total: u64 = entries.iter().map(|(_, size, _)| size).sum();
    for (_, size, name) in entries {
        if total <= max_bytes {
            break;
        }
        if name != newest {
            remove(dir, &name);
            total -= size;
        }
    }
}

/// Returns whether `name` is that of a pending file of this version, or of an earlier version,
/// which gave pending files random names.
fn is_pending(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_random = |rest: &str| rest.len() == 6 && rest.chars().all(|c| c.is_ascii_alphanumeric());
    name.ends_with(PENDING_SUFFIX) || name.strip_prefix(".tmp").is_some_and(is_random)
}

fn modified(stat: &Stat) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0))
}

fn remove(dir: &Directory, name: &OsStr) {
    // Processes that mapped the file keep its content.
    if let Err(error) = dir.remove(name) {
        tracing::debug!(
            target: "eryx::image",
            name = %name.to_string_lossy(),
            %error,
            "a file is left in the cache"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_least_recently_used_entries_are_removed_and_files_of_others_stay() {
        let temp_dir = tempfile::tempdir().expect("made");
        let dir = Directory::open(temp_dir.path()).expect("opened");
        let hour = Duration::from_secs(3600);
        // Name, size, and hours since the last use.
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
            let path = temp_dir.path().join(name);
            fs::write(&path, vec![0; size]).expect("written");
            let file = fs::File::open(&path).expect("opened");
            file.set_modified(SystemTime::now() - hour * hours)
                .expect("set");
        }
        let remaining = || {
            let entries = fs::read_dir(temp_dir.path()).expect("readable");
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
            remaining(),
            [&others[..], &["b.cwasm", "c.cwasm"], &rest].concat()
        );
        prune(&dir, OsStr::new("new.cwasm"), 299);
        assert_eq!(remaining(), [&others[..], &["b.cwasm"], &rest].concat());
        prune(&dir, OsStr::new("new.cwasm"), 0);
        assert_eq!(remaining(), [&others[..], &rest].concat());
    }

    #[test]
    fn the_size_limit_is_the_number_in_the_variable_or_the_default() {
        let max = |text: &str| max_bytes(Some(text.into()));
        assert_eq!(max("1000"), 1000);
        assert_eq!(max(" 0 "), 0);
        assert_eq!(max("2 GiB"), DEFAULT_MAX_BYTES);
        assert_eq!(max(""), DEFAULT_MAX_BYTES);
        assert_eq!(max_bytes(None), DEFAULT_MAX_BYTES);
    }
}
