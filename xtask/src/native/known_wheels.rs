//! The list of the wheels that factories know by their digests, and the wheels that are built as
//! the list says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use eryx_guest_shims::sha256_hex;

use crate::native;
use crate::venv;
use crate::workspace;

/// The SHA-256 of each wheel, by the name of its file.
pub(crate) struct KnownWheels(BTreeMap<String, String>);

impl KnownWheels {
    /// Reads the list.
    pub(crate) fn read() -> Result<Self> {
        let path = path();
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let lines = text.lines().filter_map(|line| line.split_once("  "));
        Ok(Self(
            lines
                .map(|(digest, file)| (file.to_owned(), digest.to_owned()))
                .collect(),
        ))
    }

    /// Replaces the list by the wheels in a folder, and writes it. Wheels of the list that the
    /// folder lacks stay if `is_pinned`.
    pub(crate) fn update(mut self, folder: &Path, is_pinned: impl Fn(&str) -> bool) -> Result<()> {
        self.0.retain(|file, _| is_pinned(file));
        for wheel in venv::wheels(folder)? {
            self.0.insert(name(&wheel), sha256_hex(&fs::read(&wheel)?));
        }
        let lines = self.0.iter();
        let text: String = lines
            .map(|(file, digest)| format!("{digest}  {file}\n"))
            .collect();
        let path = path();
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Returns the wheels that are built as the list says, and the names of the others of the list.
    pub(crate) fn built(&self) -> Result<(Vec<PathBuf>, Vec<&str>)> {
        let folder = native::wheels();
        let mut built = Vec::new();
        let mut others = Vec::new();
        for (file, digest) in &self.0 {
            let path = folder.join(file);
            if path.is_file() && sha256_hex(&fs::read(&path)?) == *digest {
                built.push(path);
            } else {
                others.push(file.as_str());
            }
        }
        Ok((built, others))
    }

    /// Prints the wheels of a folder that are not as the list says.
    pub(crate) fn report(&self, folder: &Path) -> Result<()> {
        for wheel in venv::wheels(folder)? {
            let name = name(&wheel);
            let digest = sha256_hex(&fs::read(&wheel)?);
            if self.0.get(&name) != Some(&digest) {
                println!(
                    "{name} is not the build that factories know (another compiler?): they take it \
                     from find_links alone. --write makes it known"
                );
            }
        }
        Ok(())
    }
}

/// Returns the path of the list.
fn path() -> PathBuf {
    workspace::root().join("eryx-core/src/factory/native_wheels.txt")
}

fn name(wheel: &Path) -> String {
    let name = wheel.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
