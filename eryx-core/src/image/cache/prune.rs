//! Eviction of old entries from the cache.

use std::env;
use std::ffi::{OsStr, OsString};
use std::time::{Duration, SystemTime};

use rustix::fs::Stat;

use crate::image::cache::directory::Directory;
use crate::image::cache::entry::{is_entry, last_use};
use crate::image::cache::pending_entry::PENDING_SUFFIX;

/// The default for the most bytes of all entries together: about thirty factories.
const DEFAULT_MAX_BYTES: u64 = 2 << 30;

/// The age from which a pending file counts as abandoned.
const MAX_PENDING_AGE: Duration = Duration::from_secs(3600);

/// The default for the longest time without a use, in days.
const DEFAULT_MAX_DAYS: u64 = 90;

/// When entries are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// The most bytes of all entries together.
    pub(super) max_bytes: u64,
    /// The longest time without a use.
    pub(super) max_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(None, None)
    }
}

impl Limits {
    /// Returns the limits in `ERYX_CACHE_MAX_BYTES` and `ERYX_CACHE_MAX_DAYS`, or the defaults.
    pub(super) fn from_environment() -> Self {
        let bytes = env::var_os("ERYX_CACHE_MAX_BYTES");
        Self::new(bytes, env::var_os("ERYX_CACHE_MAX_DAYS"))
    }

    fn new(bytes: Option<OsString>, days: Option<OsString>) -> Self {
        let days = number("ERYX_CACHE_MAX_DAYS", days, DEFAULT_MAX_DAYS);
        Self {
            max_bytes: number("ERYX_CACHE_MAX_BYTES", bytes, DEFAULT_MAX_BYTES),
            max_age: Duration::from_secs(days.saturating_mul(24 * 3600)),
        }
    }
}

/// Returns the value of a variable, or `default` if it is not set or not a number.
fn number(name: &str, value: Option<OsString>, default: u64) -> u64 {
    let Some(text) = value else { return default };
    match text.to_str().and_then(|text| text.trim().parse().ok()) {
        Some(number) => number,
        None => {
            tracing::warn!(
                target: "eryx::image",
                given = %text.to_string_lossy(),
                "{name} is not a number; the limit is {default}"
            );
            default
        }
    }
}

/// Removes the entries that were not used for the longest time of `limits`; the least recently used
/// ones, until the rest has at most its bytes; and abandoned pending files. The entry `newest`
/// stays.
pub(super) fn prune(dir: &Directory, newest: &OsStr, limits: Limits) {
    let files = match dir.files() {
        Ok(files) => files,
        Err(error) => {
            tracing::debug!(target: "eryx::image", %error, "the cache is not pruned");
            return;
        }
    };
    let now = SystemTime::now();
    let (entries, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(name, _)| is_entry(name));
    let age = |stat: &Stat| now.duration_since(last_use(stat)).unwrap_or_default();
    for (name, stat) in others {
        if is_abandoned(&name, age(&stat)) {
            remove(dir, &name);
        }
    }
    let mut entries: Vec<_> = entries
        .into_iter()
        .map(|(name, stat)| (age(&stat), stat.st_size.unsigned_abs(), name))
        .collect();
    entries.sort_by(|first, second| second.cmp(first));
    let mut total: u64 = entries.iter().map(|(_, size, _)| size).sum();
    for (age, size, name) in entries {
        if total <= limits.max_bytes && age <= limits.max_age {
            break;
        }
        if name != newest {
            remove(dir, &name);
            total -= size;
        }
    }
}

/// Returns whether a file of this name and age is one that a process left when it was killed.
pub(super) fn is_abandoned(name: &OsStr, age: Duration) -> bool {
    is_pending(name) && age > MAX_PENDING_AGE
}

/// Returns whether `name` is that of a pending file of this version, or of an earlier version,
/// which gave pending files random names.
fn is_pending(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_random = |rest: &str| rest.len() == 6 && rest.chars().all(|c| c.is_ascii_alphanumeric());
    name.ends_with(PENDING_SUFFIX) || name.strip_prefix(".tmp").is_some_and(is_random)
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
            ("b.wheels", 100, 1),
            ("c.pycs", 100, 2),
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
        let prune = |max_bytes, hours| {
            let limits = Limits {
                max_bytes,
                max_age: hour * hours + hour / 2,
            };
            prune(&dir, OsStr::new("new.cwasm"), limits);
        };
        prune(300, 100);
        assert_eq!(
            remaining(),
            [&others[..], &["b.wheels", "c.pycs"], &rest].concat()
        );
        prune(299, 100);
        assert_eq!(remaining(), [&others[..], &["b.wheels"], &rest].concat());
        prune(1000, 1);
        assert_eq!(remaining(), [&others[..], &["b.wheels"], &rest].concat());
        prune(1000, 0);
        assert_eq!(remaining(), [&others[..], &rest].concat());
        prune(0, 100);
        assert_eq!(remaining(), [&others[..], &rest].concat());
    }

    #[test]
    fn a_limit_is_the_number_in_the_variable_or_the_default() {
        let max = |text: &str| Limits::new(Some(text.into()), Some(text.into()));
        assert_eq!(max("1000").max_bytes, 1000);
        assert_eq!(max("2").max_age, Duration::from_secs(2 * 24 * 3600));
        assert_eq!(max(" 0 ").max_bytes, 0);
        assert_eq!(max("2 GiB"), Limits::default());
        assert_eq!(max(""), Limits::default());
        let default = Limits::new(None, None);
        assert_eq!(default.max_bytes, DEFAULT_MAX_BYTES);
        assert_eq!(default.max_age, Duration::from_secs(90 * 24 * 3600));
        assert!(max(&u64::MAX.to_string()).max_age > default.max_age);
    }
}
