//! `eryx cache`: shows and clears what factories store.

use std::io::{self, Write as _};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use eryx::image::{CacheEntry, CacheEntryKind, UserCache};

use crate::value_parsers::format_size;
use crate::{EXIT_FAILED, exit_with};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The cache is the directory `$ERYX_CACHE_DIR`, else `$XDG_CACHE_HOME/eryx`, else `~/.cache/eryx`.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the entries: their size, the time since their last use, and what they are
    Show(Filter),
    /// Remove all entries, or those that the options select. Programs that use an entry keep it
    Clear(Filter),
}

/// The entries that a command is for.
#[derive(Args)]
pub(crate) struct Filter {
    /// Only entries of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Only entries that were not used for this number of days
    #[arg(long, value_name = "DAYS")]
    unused_for: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Compiled snapshots of factories, with the memory that their imports left
    Factory,
    /// Machine code of the interpreter
    Image,
    /// Bytecode of packages
    Bytecode,
    /// Downloaded wheels
    Download,
    /// Digests of the files in directories of packages
    Digests,
    /// Files of processes that were killed
    Incomplete,
}

impl Kind {
    fn from_entry(entry: &CacheEntry) -> Option<Self> {
        match entry.kind() {
            CacheEntryKind::Factory => Some(Self::Factory),
            CacheEntryKind::Image => Some(Self::Image),
            CacheEntryKind::Bytecode => Some(Self::Bytecode),
            CacheEntryKind::Download => Some(Self::Download),
            CacheEntryKind::Digests => Some(Self::Digests),
            CacheEntryKind::Incomplete => Some(Self::Incomplete),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Factory => "factory",
            Self::Image => "image",
            Self::Bytecode => "bytecode",
            Self::Download => "download",
            Self::Digests => "digests",
            Self::Incomplete => "incomplete",
        }
    }
}

impl Filter {
    /// Returns the entries of `cache` that the options select.
    fn entries(&self, cache: &UserCache, now: SystemTime) -> Result<Vec<CacheEntry>> {
        let mut entries = cache.entries().context("the cache cannot be read")?;
        entries.retain(|entry| {
            self.kind
                .is_none_or(|kind| Kind::from_entry(entry) == Some(kind))
                && self
                    .unused_for
                    .is_none_or(|days| age(entry, now) >= DAY * days)
        });
        Ok(entries)
    }
}

/// Runs `command`, and returns the exit status.
pub(crate) fn run(command: &Command) -> u8 {
    let text = UserCache::open(None)
        .context("the cache cannot be opened")
        .and_then(|cache| match command {
            Command::Show(filter) => show(&cache, filter),
            Command::Clear(filter) => clear(&cache, filter),
        });
    match text {
        // The reader of a pipe may have enough.
        Ok(text) => match io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                exit_with(EXIT_FAILED, &format!("cannot write: {error}"))
            }
            _ => 0,
        },
        Err(error) => exit_with(EXIT_FAILED, &format!("{error:#}")),
    }
}

fn show(cache: &UserCache, filter: &Filter) -> Result<String> {
    let now = SystemTime::now();
    let entries = filter.entries(cache, now)?;
    let mut text = String::new();
    for entry in &entries {
        let kind = Kind::from_entry(entry).map_or("other", Kind::name);
        text.push_str(&format!(
            "{:>10}  {:>8}  {kind:<10}  {}\n",
            format_size(entry.size()),
            days(age(entry, now)),
            entry.name().to_string_lossy()
        ));
    }
    Ok(text + &summary(cache, &entries, ""))
}

fn clear(cache: &UserCache, filter: &Filter) -> Result<String> {
    let entries = filter.entries(cache, SystemTime::now())?;
    for entry in &entries {
        let name = entry.name().to_string_lossy();
        cache
            .remove(entry)
            .with_context(|| format!("{name} cannot be removed"))?;
    }
    Ok(summary(cache, &entries, "removed "))
}

fn summary(cache: &UserCache, entries: &[CacheEntry], verb: &str) -> String {
    let total = entries.iter().map(CacheEntry::size).sum();
    let noun = if entries.len() == 1 {
        "entry"
    } else {
        "entries"
    };
    format!(
        "{verb}{} {noun}, {}, in {}\n",
        entries.len(),
        format_size(total),
        cache.path().display()
    )
}

fn age(entry: &CacheEntry, now: SystemTime) -> Duration {
    now.duration_since(entry.last_use()).unwrap_or_default()
}

/// Returns a duration in words.
fn days(age: Duration) -> String {
    match age.as_secs() / DAY.as_secs() {
        0 => format!("{} h", age.as_secs() / 3600),
        days => format!("{days} d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_words() {
        assert_eq!(days(Duration::ZERO), "0 h");
        assert_eq!(days(DAY - Duration::from_secs(1)), "23 h");
        assert_eq!(days(DAY * 40), "40 d");
    }
}
