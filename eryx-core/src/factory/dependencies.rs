//! What packages depend on, from the wheels that lie beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::zip as archive;
use super::package_files::{PackageError, Sources};
use super::package_limits::Room;

/// Add what the packages in `sources` require, and what that requires, from wheels in the folders of `listed`.
///
/// What an extra requires is left out. A requirement with a condition on the environment is met if it can be.
pub(super) fn complete(sources: &mut Sources, listed: &[PathBuf]) -> Result<(), PackageError> {
    let beside = beside(listed, sources.limits().room())?;
    loop {
        let projects: Vec<Project> = sources
            .files()
            .filter(|(name, _)| is_metadata(name))
            .map(|(_, text)| Project::read(&String::from_utf8_lossy(text)))
            .collect();
        let installed: BTreeSet<&str> = projects.iter().map(|it| it.name.as_str()).collect();
        let mut added = BTreeSet::new();
        for project in &projects {
            for wanted in &project.requires {
                if installed.contains(wanted.name.as_str()) {
                    continue;
                }
                match beside.get(&wanted.name).map(Vec::as_slice) {
                    Some([wheel]) => {
                        added.insert(wheel.clone());
                    }
                    Some([first, second, ..]) => {
                        return Err(PackageError::Ambiguous {
                            project: wanted.name.clone(),
                            first: first.clone(),
                            second: second.clone(),
                        });
                    }
                    _ if wanted.conditional => {}
                    _ => {
                        return Err(PackageError::MissingDependency {
                            project: project.name.clone(),
                            dependency: wanted.name.clone(),
                        });
                    }
                }
            }
        }
        if added.is_empty() {
            return Ok(());
        }
        for wheel in added {
            sources.read(&wheel)?;
        }
    }
}

/// Whether a file of this name says what a project is.
pub(super) fn is_metadata(name: &str) -> bool {
    name.split_once('/')
        .is_some_and(|(folder, file)| folder.ends_with(".dist-info") && file == "METADATA")
}

/// The wheels in the folders of the listed wheels, by the project they are of.
fn beside(listed: &[PathBuf], room: Room) -> Result<BTreeMap<String, Vec<PathBuf>>, PackageError> {
    let folders: BTreeSet<&Path> = listed
        .iter()
        .filter(|path| is_wheel(path))
        .filter_map(|path| path.parent())
        .map(|folder| match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        })
        .collect();
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for folder in folders {
        let unreadable = |source| PackageError::Unreadable {
            path: folder.to_path_buf(),
            source,
        };
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            // What is no wheel after all is in nobody's way until it is listed.
            if is_wheel(&path)
                && let Ok(file) = fs::File::open(&path)
                && let Ok(Some(text)) = archive::find(file, room, is_metadata)
            {
                let project = Project::read(&String::from_utf8_lossy(&text));
                found.entry(project.name).or_default().push(path);
            }
        }
    }
    Ok(found)
}

fn is_wheel(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "whl")
}

/// What a project says of itself (Core metadata specifications).
struct Project {
    name: String,
    requires: Vec<Requirement>,
}

struct Requirement {
    name: String,
    /// Whether it has a condition.
    conditional: bool,
}

impl Project {
    fn read(text: &str) -> Self {
        let headers = text.lines().take_while(|line| !line.is_empty());
        let mut project = Self {
            name: String::new(),
            requires: Vec::new(),
        };
        for (field, value) in headers.filter_map(|line| line.split_once(": ")) {
            if field.eq_ignore_ascii_case("Name") {
                project.name = normalized(value.trim());
            } else if field.eq_ignore_ascii_case("Requires-Dist") {
                project.requires.extend(Requirement::read(value));
            }
        }
        project
    }
}

impl Requirement {
    /// A requirement as "Dependency specifiers" has it, unless an extra asks for it.
    fn read(text: &str) -> Option<Self> {
        let (requirement, condition) = text.split_once(';').unwrap_or((text, ""));
        let condition = condition.trim();
        if condition.contains("extra") {
            return None;
        }
        let requirement = requirement.trim();
        let end = requirement
            .find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c))
            .unwrap_or(requirement.len());
        Some(Self {
            name: normalized(&requirement[..end]),
            conditional: !condition.is_empty(),
        })
    }
}

/// The name of a project as it is compared (Names and normalization).
fn normalized(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_says_its_name_and_what_it_requires() {
        let project = Project::read(
            "Metadata-Version: 2.4\nName: Charset_Normalizer\nRequires-Dist: urllib3<3,>=1.26\n\
             Requires-Dist: zope.interface (>=5) ; python_version < '3.8'\n\
             Requires-Dist: PySocks!=1.5.7; extra == 'socks'\nRequires-Dist: a[b]\n\nRequires-Dist: body\n",
        );
        assert_eq!(project.name, "charset-normalizer");
        let required: Vec<_> = project
            .requires
            .iter()
            .map(|it| (it.name.as_str(), it.conditional))
            .collect();
        assert_eq!(
            required,
            [("urllib3", false), ("zope-interface", true), ("a", false)]
        );
    }

    #[test]
    fn only_the_metadata_at_the_top_counts() {
        assert!(is_metadata("requests-2.34.2.dist-info/METADATA"));
        assert!(!is_metadata("vendor/requests-2.34.2.dist-info/METADATA"));
        assert!(!is_metadata("requests/METADATA"));
    }
}
