//! The software bill of materials of the wheel, in the format CycloneDX: the crates that are linked
//! into it, and the components of the guest image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::cargo_metadata;
use crate::command;
use crate::venv;
use crate::wheel;
use crate::workspace;

/// Returns the bill of the wheel as JSON. It is the same for each build, and names no path.
pub(crate) fn of_wheel() -> Result<String> {
    let mut components = crates()?;
    components.extend(guest_components()?);
    components.extend(native_packages()?);
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "name": "eryx-sandbox",
                "version": env!("CARGO_PKG_VERSION"),
                "purl": concat!("pkg:pypi/eryx-sandbox@", env!("CARGO_PKG_VERSION")),
            },
        },
        "components": components,
    });
    Ok(serde_json::to_string_pretty(&bill)? + "\n")
}

/// Returns the crates that are linked into the wheel.
fn crates() -> Result<Vec<Value>> {
    let packages = cargo_metadata::packages()?;
    let licences: BTreeMap<(&str, &str), &str> = packages
        .iter()
        .filter_map(|package| {
            let licence = package.license.as_deref()?;
            Some(((&*package.name, &*package.version), licence))
        })
        .collect();
    let arguments = [
        "tree",
        "--locked",
        "--package",
        "eryx-python",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let tree = command::output(&mut command::cargo(&arguments))?;
    let linked: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?.strip_prefix('v')?))
        })
        .collect();
    let component = |(name, version): (&str, &str)| {
        let mut component = json!({
            "type": "library",
            "name": name,
            "version": version,
            "purl": format!("pkg:cargo/{name}@{version}"),
        });
        if let Some(licence) = licences.get(&(name, version)) {
            component["licenses"] = json!([{ "expression": licence }]);
        }
        component
    };
    Ok(linked.into_iter().map(component).collect())
}

/// Returns the components of the guest image, from the table beside their licences.
fn guest_components() -> Result<Vec<Value>> {
    let path = workspace::root().join("eryx-image/licences/README.md");
    let table =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut components = Vec::new();
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, version, licence, _, _] = cells[..] else {
            bail!("{}: a row has four cells: {row}", path.display());
        };
        components.push(json!({
            "type": "library",
            "group": "guest image",
            "name": name,
            "version": version,
            "licenses": [{ "license": { "name": licence } }],
        }));
    }
    Ok(components)
}

/// Returns the packages of the native wheels that the wheel carries.
fn native_packages() -> Result<Vec<Value>> {
    let folder = wheel::native_wheels();
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut files: Vec<String> = venv::wheels(&folder)?
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    files.sort();
    let packages = files.iter().filter_map(|file| {
        let mut parts = file.split('-');
        Some((parts.next()?.replace('_', "-"), parts.next()?))
    });
    Ok(packages
        .map(|(name, version)| {
            json!({
                "type": "library",
                "group": "native wheels",
                "name": name,
                "version": version,
                "purl": format!("pkg:pypi/{name}@{version}"),
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::of_wheel;
    use crate::workspace;

    #[test]
    fn the_bill_has_the_crates_and_the_guest_without_paths() {
        let bill = of_wheel().expect("made");
        for name in [
            "\"wasmtime\"",
            "\"eryx-core\"",
            "\"CPython",
            "\"Zstandard\"",
        ] {
            assert!(bill.contains(name), "{name}");
        }
        let root = workspace::root().display().to_string();
        assert!(!bill.contains(&root));
        assert!(!bill.contains("\"pytest\"") && !bill.contains("\"criterion\""));
    }
}
