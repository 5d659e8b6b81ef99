//! The releases that pip tried, which it writes to standard output.

use std::collections::{BTreeMap, BTreeSet};

use crate::factory::requirements::requirement::name;
use crate::factory::wheel_name::normalized;

/// The releases that pip tried. It begins with the newest one of each project.
#[derive(Debug, Default)]
pub(super) struct Resolution {
    /// The version of each project that was tried first.
    first: BTreeMap<String, String>,
    /// The versions of each project that were tried.
    tried: BTreeMap<String, BTreeSet<String>>,
    /// The projects that are required by name or in a file, and not only by others.
    required: BTreeSet<String>,
}

/// A required project of which pip did not take the release that it tried first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OlderRelease {
    pub(super) project: String,
    pub(super) taken: String,
    pub(super) newest: String,
}

impl Resolution {
    /// Reads what pip wrote.
    pub(super) fn of_output(output: &str) -> Self {
        let mut resolution = Self::default();
        for line in output.lines() {
            // What nothing requires but the names and the files.
            let parent = line.split_once(" (from ").map(|(_, parent)| parent);
            let is_required = parent.is_none_or(|parent| parent.starts_with("-r "));
            if let (Some(requirement), true) = (line.strip_prefix("Collecting "), is_required) {
                resolution.required.insert(normalized(name(requirement)));
            }
            // A file that was saved is of a release that was tried before.
            if line.starts_with("Saved ") {
                continue;
            }
            let file = line.split_whitespace().find_map(|word| {
                let word = word.strip_suffix(".metadata").unwrap_or(word);
                word.ends_with(".whl").then_some(word)
            });
            let Some((project, version)) = file.and_then(release) else {
                continue;
            };
            // A wheel of a directory is not collected.
            if line.starts_with("Processing ") && is_required {
                resolution.required.insert(project.clone());
            }
            let tried = resolution.tried.entry(project.clone()).or_default();
            tried.insert(version.clone());
            resolution.first.entry(project).or_insert(version);
        }
        resolution
    }

    /// Returns the required projects of which `files`, the names of the wheels that pip took, are
    /// older than what it tried first.
    pub(super) fn older_releases<'a>(
        &self,
        files: impl IntoIterator<Item = &'a str>,
    ) -> Vec<OlderRelease> {
        let taken: BTreeMap<_, _> = files.into_iter().filter_map(release).collect();
        let required = self.required.iter();
        required
            .filter_map(|project| {
                let newest = self.first.get(project)?;
                let taken = taken.get(project)?;
                (taken != newest).then(|| OlderRelease {
                    project: project.clone(),
                    taken: taken.clone(),
                    newest: newest.clone(),
                })
            })
            .collect()
    }

    /// Returns constraints for pip that allow the release alone that was tried first, of each
    /// project.
    pub(super) fn constraints(&self) -> String {
        let first = self.first.iter();
        first
            .map(|(project, version)| format!("{project}=={version}\n"))
            .collect()
    }

    /// Returns the project of which most releases were tried, and their number.
    pub(super) fn most_tried(&self) -> Option<(&str, usize)> {
        let tried = self.tried.iter();
        tried
            .map(|(project, versions)| (&**project, versions.len()))
            .max_by_key(|&(_, count)| count)
    }
}

/// Returns the project and the version of a wheel, by its path or address.
fn release(file: &str) -> Option<(String, String)> {
    let file = file.rsplit(['/', '\\']).next()?;
    let mut parts = file.split('-');
    let (project, version) = (parts.next()?, parts.next()?);
    let has_only = |text: &str, others: &[u8]| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
        text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(is_allowed)
    };
    let is_release = has_only(project, b"._") && has_only(version, b".!+_");
    is_release.then(|| (normalized(project), version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
Looking in links: /links
Collecting Agent.Kit[all]>=1
  Downloading agent_kit-2.1.0-py3-none-any.whl.metadata (5 kB)
Collecting fast>=2 (from Agent.Kit)
  Using cached fast-2.0-py3-none-any.whl (10 kB)
Processing /links/core-1.0-cp314-cp314-wasm32_wasi.whl (from Agent.Kit)
INFO: pip is looking at multiple versions of Agent.Kit to determine which version fits.
Collecting Agent.Kit[all]>=1
  Downloading agent_kit-1.0-py3-none-any.whl.metadata (5 kB)
Collecting six (from -r all.txt (line 1))
  Downloading six-1.17.0-py2.py3-none-any.whl (11 kB)
Processing /my links/own-2.0-py3-none-any.whl
Processing /my links/own-1.0-py3-none-any.whl
Saved ./wheels/agent_kit-1.0-py3-none-any.whl
";

    #[test]
    fn a_required_project_that_is_older_than_what_was_tried_first_is_found() {
        let resolution = Resolution::of_output(OUTPUT);
        let older = resolution.older_releases([
            "agent_kit-1.0-py3-none-any.whl",
            // Is not required by name.
            "fast-1.0-py3-none-any.whl",
            "six-1.17.0-py2.py3-none-any.whl",
            "own-1.0-py3-none-any.whl",
        ]);
        let older = older
            .iter()
            .map(|older| (&*older.project, &*older.taken, &*older.newest));
        let expected = [("agent-kit", "1.0", "2.1.0"), ("own", "1.0", "2.0")];
        assert_eq!(older.collect::<Vec<_>>(), expected);
        assert_eq!(
            resolution.constraints(),
            "agent-kit==2.1.0\ncore==1.0\nfast==2.0\nown==2.0\nsix==1.17.0\n"
        );
        assert_eq!(resolution.most_tried(), Some(("own", 2)));
    }

    #[test]
    fn output_of_any_form_is_read() {
        for output in [
            "",
            "Collecting ",
            "x.whl",
            "-.whl",
            "a-%2B-b.whl",
            "Collecting (from ",
        ] {
            let resolution = Resolution::of_output(output);
            assert_eq!(resolution.constraints(), "", "{output}");
            assert_eq!(resolution.older_releases([]), []);
        }
    }
}
