//! `licences`: checks every dependency against `deny.toml`, without a network.
//!
//! `deny.toml` is cargo-deny's; this task reads the part of it that needs no database of
//! advisories.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use spdx::{Expression, ParseMode};

use crate::cargo_metadata::{self, Package};
use crate::workspace;

/// The sections of `deny.toml` that this task checks.
#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: BTreeSet<String>,
}

/// Checks all packages of the lock file, and fails with every violation.
pub(crate) fn run() -> Result<()> {
    let path = workspace::root().join("deny.toml");
    let deny = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let deny: Deny = toml::from_str(&deny).context("deny.toml")?;
    let packages = cargo_metadata::packages()?;
    let violations: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let violation = deny.violation(package)?;
            Some(format!("{} {}: {violation}", package.name, package.version))
        })
        .collect();
    if !violations.is_empty() {
        bail!("deny.toml forbids:\n  {}", violations.join("\n  "));
    }
    println!("{} packages conform to deny.toml", packages.len());
    Ok(())
}

impl Deny {
    /// Returns the first rule that `package` breaks.
    fn violation(&self, package: &Package) -> Option<String> {
        if let Some(ban) = self.bans.deny.iter().find(|ban| ban.name == package.name) {
            return Some(format!("the package is banned: {}", ban.reason));
        }
        if let Some(source) = &package.source
            && !self
                .sources
                .allow_registry
                .contains(source.trim_start_matches("registry+"))
        {
            return Some(format!(
                "the source `{source}` is not in `sources.allow-registry`"
            ));
        }
        let Some(license) = &package.license else {
            return Some("the package declares no licence".to_owned());
        };
        let expression = match Expression::parse_mode(license, ParseMode::LAX) {
            Ok(expression) => expression,
            Err(error) => return Some(format!("`{license}` is not an SPDX expression: {error}")),
        };
        let allowed = expression
            .evaluate(|requirement| self.licenses.allow.contains(&requirement.to_string()));
        (!allowed).then(|| format!("`licenses.allow` does not satisfy `{license}`"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn deny() -> Deny {
        toml::from_str(
            r#"
            licenses.allow = ["MIT", "Apache-2.0 WITH LLVM-exception"]
            bans.deny = [{ name = "left-pad", reason = "write the loop" }]
            sources.allow-registry = ["https://registry.test/index"]
            "#,
        )
        .expect("valid")
    }

    fn package(name: &str, license: Option<&str>, source: Option<&str>) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
            manifest_path: PathBuf::new(),
            source: source.map(str::to_owned),
        }
    }

    #[test]
    fn packages_with_an_allowed_licence_and_source_conform() {
        let registry = Some("registry+https://registry.test/index");
        for license in [
            "MIT",
            "GPL-3.0-only OR MIT",
            "MIT/Apache-2.0",
            "MIT AND Apache-2.0 WITH LLVM-exception",
        ] {
            assert_eq!(
                deny().violation(&package("serde", Some(license), registry)),
                None
            );
        }
        assert_eq!(deny().violation(&package("eryx", Some("MIT"), None)), None);
    }

    #[test]
    fn every_violation_names_its_rule() {
        let table = [
            (package("left-pad", Some("MIT"), None), "write the loop"),
            (package("a", None, None), "no licence"),
            (package("a", Some("GPL-3.0-only"), None), "licenses.allow"),
            (
                package("a", Some("MIT AND GPL-3.0-only"), None),
                "licenses.allow",
            ),
            (
                package("a", Some("not a licence"), None),
                "not an SPDX expression",
            ),
            (
                package("a", Some("MIT"), Some("git+https://git.test/a")),
                "sources.allow-registry",
            ),
            (
                package("a", Some("MIT"), Some("registry+https://other.test")),
                "sources.allow-registry",
            ),
        ];
        for (package, rule) in table {
            let violation = deny().violation(&package).expect(rule);
            assert!(violation.contains(rule), "{violation}");
        }
    }
}
