//! The licence texts of the guest image's components, compared with the files that they are copies
//! of.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use eryx_guest_shims::BuildInputs;

use crate::cargo_metadata;
use crate::workspace;

/// The texts of `eryx-image/licences` that are copies of files of crates: the text, the crate, and
/// the path in it.
const OF_CRATES: [(&str, &str, &str); 3] = [
    ("bzip2.txt", "bzip2-sys", "bzip2-1.0.8/LICENSE"),
    ("liblzma.txt", "liblzma-sys", "xz/COPYING.0BSD"),
    ("zstd.txt", "zstd-sys", "zstd/LICENSE"),
];

/// The texts that are copies of files of wheels which the image is built with: the text, the start
/// of the folder in `site-packages`, and the path in it.
const OF_WHEELS: [(&str, &str, &str); 6] = [
    (
        "componentize-py.txt",
        "componentize_py-",
        "licenses/LICENSE",
    ),
    ("tzdata.txt", "tzdata-", "licenses/LICENSE"),
    (
        "wasi-libc.txt",
        "ziglang",
        "lib/libc/wasi/LICENSE-APACHE-LLVM",
    ),
    (
        "musl.txt",
        "ziglang",
        "lib/libc/wasi/libc-top-half/musl/COPYRIGHT",
    ),
    (
        "musl-fts.txt",
        "ziglang",
        "lib/libc/wasi/fts/musl-fts/COPYING",
    ),
    (
        "cloudlibc.txt",
        "ziglang",
        "lib/libc/wasi/libc-bottom-half/cloudlibc/LICENSE",
    ),
];

/// Compares all texts. The guest image must have been built: its tools have some of the files.
pub(crate) fn check() -> Result<()> {
    check_crates()?;
    let tools = BuildInputs::of_workspace().image_dir().join("tools");
    let packages = site_packages(&tools)?;
    for (text, folder, path) in OF_WHEELS {
        compare(text, &folder_of(&packages, folder)?.join(path))?;
    }
    Ok(())
}

/// Compares the texts of crates.
fn check_crates() -> Result<()> {
    let packages = cargo_metadata::packages()?;
    for (text, name, path) in OF_CRATES {
        let package = packages
            .iter()
            .find(|package| package.name == name)
            .with_context(|| format!("the image is not built with the crate {name}"))?;
        let root = package.manifest_path.parent().context("a folder")?;
        compare(text, &root.join(path))?;
    }
    Ok(())
}

/// Returns the folder of the packages of a virtual environment.
fn site_packages(venv: &Path) -> Result<PathBuf> {
    let lib = venv.join("lib");
    Ok(folder_of(&lib, "python3")?.join("site-packages"))
}

/// Returns the folder in `parent` whose name is `start`, or begins with it and has a version
/// behind.
fn folder_of(parent: &Path, start: &str) -> Result<PathBuf> {
    let entries =
        fs::read_dir(parent).with_context(|| format!("cannot read {}", parent.display()))?;
    let mut names: Vec<_> = entries
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    names.sort();
    names
        .iter()
        .find(|name| name.to_string_lossy().starts_with(start))
        .map(|name| parent.join(name))
        .with_context(|| format!("{} has no {start}", parent.display()))
}

fn compare(text: &str, source: &Path) -> Result<()> {
    let ours = workspace::root().join("eryx-image/licences").join(text);
    let read =
        |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    if read(&ours)? != read(source)? {
        bail!(
            "{} is no copy of {}: copy it again",
            ours.display(),
            source.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_crates;

    #[test]
    fn licence_texts_are_those_of_the_crates_that_the_image_is_built_with() {
        check_crates().expect("copies");
    }
}
