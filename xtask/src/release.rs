//! `release`: builds and checks what a release publishes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use eryx_guest_shims::{BuildInputs, GuestImage, sha256_hex};

use crate::licences;
use crate::native::{self, KnownWheels};
use crate::package;
use crate::public_api;
use crate::published;
use crate::sbom;
use crate::wheel;
use crate::workspace;

/// Builds the crates, the image, the wheel and the bill of materials, and writes them with their
/// digests to target/release-assets.
pub(crate) fn dry_run(without_wheel: bool) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    println!("== version {version}");
    check_changelog(version)?;
    println!("== licences");
    licences::run()?;
    println!("== native wheels");
    native::run(native::Options::default(), &[])?;
    let known = KnownWheels::read()?;
    let (native_wheels, missing) = known.built()?;
    ensure!(
        missing.is_empty(),
        "builds differ from those that factories know: {}",
        missing.join(", ")
    );
    println!("== crates");
    package::run(false)?;
    println!("== public API");
    public_api::run(false)?;
    let dir = workspace::target_dir().join("release-assets");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    fs::create_dir_all(&dir)?;
    let crates = published::crates()?;
    let without = published::without_repository(&crates);
    if !without.is_empty() {
        println!(
            "the manifests of {} crates name no `repository`: RELEASING.md, before the first release",
            without.len()
        );
    }
    let mut sources: Vec<PathBuf> = crates.iter().map(package::file).collect();
    if without_wheel {
        println!("== no wheel, as --without-wheel says");
    } else {
        println!("== wheel");
        sources.push(wheel::run(wheel::Options {
            release: true,
            manylinux: true,
        })?);
    }
    sources.extend(native_wheels);
    for source in &sources {
        let name = source.file_name().context("a file has a name")?;
        copy(source, &dir.join(name))?;
    }
    copy(
        &GuestImage::of(&BuildInputs::of_workspace()).wasm(),
        &dir.join(format!("eryx-guest-{version}.wasm")),
    )?;
    fs::write(
        dir.join(format!("eryx-sandbox-{version}.cdx.json")),
        sbom::of_wheel()?,
    )?;
    let digests = digests(&dir)?;
    fs::write(dir.join("SHA256SUMS"), &digests)?;
    print!("{digests}");
    println!("== nothing was published: RELEASING.md explains how");
    Ok(())
}

/// Checks that the changelog has a section for `version`, or for the next release.
fn check_changelog(version: &str) -> Result<()> {
    let path = workspace::root().join("CHANGELOG.md");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let section = format!("## {version}");
    let is_listed = |heading: &str| text.lines().any(|line| line.starts_with(heading));
    if is_listed(&section) {
        return Ok(());
    }
    if is_listed("## Unreleased") {
        println!("the section `Unreleased` of CHANGELOG.md becomes `{section} - <date>`");
        return Ok(());
    }
    bail!("CHANGELOG.md has neither a section `{section}` nor `## Unreleased`");
}

/// Returns one line for each file of `dir`, as sha256sum(1) prints them.
fn digests(dir: &Path) -> Result<String> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let mut lines = String::new();
    for path in files {
        let name = path.file_name().context("a file has a name")?;
        let digest = sha256_hex(&fs::read(&path)?);
        lines += &format!("{digest}  {}\n", name.to_string_lossy());
    }
    Ok(lines)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
