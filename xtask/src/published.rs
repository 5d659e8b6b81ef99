//! The crates that are published, and the rules for their manifests.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command;
use crate::workspace;

/// A crate of the workspace that is published.
#[derive(Debug, Deserialize)]
pub(crate) struct PublishedCrate {
    pub(crate) name: String,
    pub(crate) version: String,
    manifest_path: PathBuf,
    description: Option<String>,
    license: Option<String>,
    readme: Option<String>,
    repository: Option<String>,
    keywords: Vec<String>,
    categories: Vec<String>,
    dependencies: Vec<Dependency>,
    /// `None` for a crate that may be published in every registry.
    publish: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    req: String,
    kind: Option<String>,
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<PublishedCrate>,
}

/// Returns the published crates, each after those that it depends on.
pub(crate) fn crates() -> Result<Vec<PublishedCrate>> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--locked"];
    let metadata = command::output(&mut command::cargo(&arguments))?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata")?;
    let mut rest: BTreeMap<String, PublishedCrate> = metadata
        .packages
        .into_iter()
        .filter(|package| package.publish.is_none())
        .map(|package| (package.name.clone(), package))
        .collect();
    let mut ordered = Vec::new();
    while !rest.is_empty() {
        let ready: Vec<String> = rest
            .values()
            .filter(|package| {
                package
                    .published_dependencies()
                    .all(|dependency| !rest.contains_key(&dependency.name))
            })
            .map(|package| package.name.clone())
            .collect();
        if ready.is_empty() {
            bail!("the published crates depend on each other in a circle");
        }
        ordered.extend(ready.iter().filter_map(|name| rest.remove(name)));
    }
    Ok(ordered)
}

/// Returns every rule that a crate breaks, one a line, with the name of the crate.
pub(crate) fn violations(crates: &[PublishedCrate]) -> Vec<String> {
    let version = env!("CARGO_PKG_VERSION");
    let mut violations = Vec::new();
    for package in crates {
        let mut add = |text: String| violations.push(format!("{}: {text}", package.name));
        if package.version != version {
            add(format!(
                "has the version {}, not {version}",
                package.version
            ));
        }
        for (field, is_present) in [
            ("description", package.description.is_some()),
            ("license", package.license.is_some()),
            ("readme", package.readme.is_some()),
            ("keywords", !package.keywords.is_empty()),
            ("categories", !package.categories.is_empty()),
        ] {
            if !is_present {
                add(format!("has no `{field}`"));
            }
        }
        if package.keywords.len() > 5 {
            add("has more than five keywords, which the registry refuses".to_owned());
        }
        let dir = package.manifest_path.parent();
        for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
            if !dir.is_some_and(|dir| dir.join(name).is_file()) {
                add(format!("has no {name}"));
            }
        }
        for dependency in package.published_dependencies() {
            let Some(target) = crates.iter().find(|other| other.name == dependency.name) else {
                add(format!(
                    "depends on {}, which is not published",
                    dependency.name
                ));
                continue;
            };
            let exact = format!("={}", target.version);
            if dependency.req != exact {
                add(format!(
                    "requires {} `{}`, not `{exact}`",
                    dependency.name, dependency.req
                ));
            }
        }
    }
    violations
}

/// Returns the crates whose manifest does not name the repository, which has no public address yet.
pub(crate) fn without_repository(crates: &[PublishedCrate]) -> Vec<&str> {
    let without = crates.iter().filter(|package| package.repository.is_none());
    without.map(|package| package.name.as_str()).collect()
}

impl PublishedCrate {
    /// Returns the name of the file that `cargo package` makes.
    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}.crate", self.name, self.version)
    }

    /// Returns the name of the folder in that file.
    pub(crate) fn folder_name(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// Returns the dependencies on crates of the workspace that the published crate has. Cargo
    /// removes development dependencies without a version.
    fn published_dependencies(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().filter(|dependency| {
            let is_local = dependency
                .path
                .as_ref()
                .is_some_and(|path| path.starts_with(workspace::root()));
            is_local && (dependency.kind.as_deref() != Some("dev") || dependency.req != "*")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::{crates, violations};
    use crate::command::{self, cargo};
    use crate::workspace;

    /// Returns the number of packages that a build of a crate compiles.
    fn package_count(name: &str, options: &[&str]) -> usize {
        let tree = command::output(
            cargo(&[
                "tree",
                "--locked",
                "--edges",
                "normal,build",
                "--prefix",
                "none",
            ])
            .args(["--format", "{p}", "--package", name])
            .args(options),
        );
        let tree = tree.expect("cargo lists the dependencies");
        let name_and_version = |line: &'static str| line.split(' ').take(2).collect::<Vec<_>>();
        let lines: BTreeSet<_> = tree.leak().lines().map(name_and_version).collect();
        lines.len()
    }

    #[test]
    fn crates_for_other_uses_have_few_dependencies() {
        let page = workspace::root().join("docs/installation.md");
        let page = fs::read_to_string(page).expect("readable");
        let (_, table) = page.split_once("| Packages, at most |").expect("the table");
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        let mut checked = 0;
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [_, name, features, most, _] = cells[..] else {
                panic!("a row has three cells: {row}");
            };
            let options: &[&str] = match features {
                "none" => &["--no-default-features"],
                _ => &[],
            };
            let count = package_count(name.trim_matches('`'), options);
            let most = most.parse().expect("a number");
            assert!(count <= most, "{name} ({features}): {count} packages");
            checked += 1;
        }
        assert_eq!(checked, 7);
    }

    #[test]
    fn every_published_crate_has_the_metadata_that_the_registry_needs() {
        let crates = crates().expect("listed");
        assert_eq!(violations(&crates), [""; 0]);
        let names: Vec<&str> = crates.iter().map(|package| package.name.as_str()).collect();
        let position = |name| names.iter().position(|other| *other == name);
        assert!(position("eryx-image-data") < position("eryx-image"));
        assert!(position("eryx-image") < position("eryx-core"));
        assert!(position("eryx-core") < position("eryx-sandbox"));
        assert!(position("eryx-sandbox").is_some());
        assert_eq!(position("eryx-testkit"), None);
    }
}
