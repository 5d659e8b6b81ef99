//! Resolution of the packages' dependencies, from wheels in the same directories.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::factory::package_files::PackageFiles;
use crate::factory::package_limits::Quota;
use crate::factory::wheel_name::{Project, WheelName, is_metadata};
use crate::factory::wheel_substitution;
use crate::factory::zip;
use crate::image::cache::Cache;
use crate::package_error::PackageError;

/// Adds the requirements of the packages in `files`, and their requirements, from wheels in the
/// directories of `listed`. Builds for sandboxes of wheels for other platforms may be in
/// `find_links`, too.
///
/// The requirements of extras are left out. A requirement with a condition on the environment is
/// added if there is a wheel of it.
pub(super) fn resolve(
    files: &mut PackageFiles,
    listed: &[PathBuf],
    find_links: &[PathBuf],
    cache: &Cache,
) -> Result<(), PackageError> {
    let wheels = wheels_beside(listed, files.limits().quota())?;
    loop {
        let projects: Vec<Project> = files
            .entries()
            .filter(|(name, _)| is_metadata(name))
            .map(|(_, file)| {
                let text = file.content().map_err(|source| PackageError::Unreadable {
                    path: file.package.to_path_buf(),
                    source,
                })?;
                Ok(Project::parse(&String::from_utf8_lossy(text)))
            })
            .collect::<Result<_, PackageError>>()?;
        let installed: BTreeSet<&str> = projects
            .iter()
            .map(|project| project.name.as_str())
            .collect();
        let mut added = BTreeSet::new();
        for project in &projects {
            for requirement in &project.requires {
                if installed.contains(requirement.name.as_str()) {
                    continue;
                }
                match wheels.get(&requirement.name).map(Vec::as_slice) {
                    Some([wheel]) => {
                        added.insert(wheel.clone());
                    }
                    Some([first, second, ..]) => {
                        return Err(PackageError::Ambiguous {
                            project: requirement.name.clone(),
                            first: first.clone(),
                            second: second.clone(),
                        });
                    }
                    _ if requirement.conditional => {}
                    _ => {
                        return Err(PackageError::MissingDependency {
                            project: project.name.clone(),
                            dependency: requirement.name.clone(),
                        });
                    }
                }
            }
        }
        if added.is_empty() {
            return Ok(());
        }
        let added = added
            .iter()
            .map(|wheel| wheel_substitution::source(wheel, find_links))
            .collect::<Result<Vec<_>, _>>()?;
        files.read(&added, cache)?;
    }
}

/// Returns the wheels in the directories of the listed wheels, by project.
fn wheels_beside(
    listed: &[PathBuf],
    quota: Quota,
) -> Result<BTreeMap<String, Vec<PathBuf>>, PackageError> {
    let directories: BTreeSet<&Path> = listed
        .iter()
        .filter(|path| is_wheel(path))
        .filter_map(|path| path.parent())
        .map(|directory| match directory.as_os_str().is_empty() {
            true => Path::new("."),
            false => directory,
        })
        .collect();
    let mut wheels: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for directory in directories {
        let unreadable = |source| PackageError::Unreadable {
            path: directory.to_path_buf(),
            source,
        };
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            // A file that is not a valid wheel is ignored unless it was listed.
            if is_wheel(&path)
                && let Ok(file) = fs::File::open(&path)
                && let Ok(Some(text)) = zip::find(file, quota, is_metadata)
            {
                let project = Project::parse(&String::from_utf8_lossy(&text));
                wheels.entry(project.name).or_default().push(path);
            }
        }
    }
    for wheels in wheels.values_mut().filter(|wheels| wheels.len() > 1) {
        // Those of other platforms may lie beside what sandboxes can use.
        let usable = wheels.iter().filter(|path| !is_for_other_platforms(path));
        let usable: Vec<_> = usable.cloned().collect();
        if !usable.is_empty() {
            *wheels = usable;
        }
    }
    Ok(wheels)
}

fn is_for_other_platforms(path: &Path) -> bool {
    let file = path.file_name().and_then(|file| file.to_str());
    file.and_then(WheelName::parse)
        .is_some_and(|name| name.is_for_other_platforms())
}

fn is_wheel(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "whl")
}
