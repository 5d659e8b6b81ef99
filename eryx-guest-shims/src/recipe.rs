use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::library::{LIBRARIES, Library};

/// Everything a guest image is made from.
#[derive(Debug, Clone)]
pub struct Recipe {
    root: PathBuf,
}

impl Recipe {
    /// The recipe of the workspace this crate was compiled in.
    pub fn of_workspace() -> Self {
        Self::at(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .parent()
                .unwrap_or(Path::new("/")),
        )
    }

    /// The recipe of the workspace whose root folder is `root`.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    /// The root folder of the workspace.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the WIT contract.
    pub fn wit(&self) -> PathBuf {
        self.root.join("wit")
    }

    /// The folder of the Python sources; `app.py` in it is the program componentize-py builds.
    pub fn python(&self) -> PathBuf {
        self.root.join("eryx-guest-shims/python")
    }

    /// The pinned build tools, as a pip requirements file with hashes.
    pub fn requirements(&self) -> PathBuf {
        self.root.join("eryx-guest-shims/build-requirements.txt")
    }

    /// The text form of a library.
    pub fn library(&self, library: &Library) -> PathBuf {
        self.root.join("eryx-guest-shims").join(library.file)
    }

    /// The source of the program that rewrites what the build tools make; its modules are in a folder beside it.
    pub fn rewriter(&self) -> PathBuf {
        self.root.join("xtask/src/rewrite.rs")
    }

    /// Where the image of this workspace is kept: `target/guest`.
    pub fn image_dir(&self) -> PathBuf {
        self.root.join("target/guest")
    }

    /// A SHA-256 in hexadecimal over the contents and names of every file an image depends on.
    ///
    /// # Errors
    ///
    /// Fails when one of them cannot be read.
    pub fn fingerprint(&self) -> io::Result<String> {
        let mut hash = Sha256::new();
        for path in self.files()? {
            let content = fs::read(&path)?;
            let name = path
                .strip_prefix(&self.root)
                .unwrap_or(&path)
                .to_string_lossy();
            // Lengths keep one file's end from passing for the next one's beginning.
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
            hash.update((content.len() as u64).to_le_bytes());
            hash.update(&content);
        }
        Ok(hex(&hash.finalize()))
    }

    /// The files an image depends on, sorted.
    ///
    /// # Errors
    ///
    /// Fails when one of the folders cannot be read.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = vec![self.requirements(), self.rewriter()];
        files.extend(LIBRARIES.iter().map(|library| self.library(library)));
        collect(&self.wit(), "wit", &mut files)?;
        collect(&self.python(), "py", &mut files)?;
        collect(&self.rewriter().with_extension(""), "rs", &mut files)?;
        files.sort();
        Ok(files)
    }
}

/// The SHA-256 of `bytes` in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn collect(dir: &Path, extension: &str, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, extension, files)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(dir: &Path) -> Recipe {
        for (name, text) in [
            ("wit/sandbox.wit", "package a:b;"),
            ("eryx-guest-shims/python/app.py", "x = 1\n"),
            ("eryx-guest-shims/build-requirements.txt", "tool==1\n"),
            ("eryx-guest-shims/seal.wat", "(module)"),
            ("eryx-guest-shims/output.wat", "(module)"),
            ("eryx-guest-shims/wire.wat", "(module)"),
            ("eryx-guest-shims/heap.wat", "(module)"),
            ("xtask/src/rewrite.rs", "mod one;\n"),
            ("xtask/src/rewrite/one.rs", "fn f() {}\n"),
        ] {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("every name has a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        Recipe::at(dir)
    }

    #[test]
    fn one_changed_line_of_any_input_changes_the_fingerprint() {
        let dir = std::env::temp_dir().join(format!("eryx-recipe-{}", std::process::id()));
        let recipe = workspace(&dir);
        let mut seen = vec![recipe.fingerprint().expect("readable")];
        for path in recipe.files().expect("readable") {
            let mut text = fs::read_to_string(&path).expect("readable");
            text.push_str("\n# one line more\n");
            fs::write(&path, text).expect("written");
            let print = recipe.fingerprint().expect("readable");
            assert!(!seen.contains(&print), "{} does not count", path.display());
            seen.push(print);
        }
        assert_eq!(seen.len(), 10);
        fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn compiled_python_left_behind_does_not_count() {
        let dir = std::env::temp_dir().join(format!("eryx-recipe-pyc-{}", std::process::id()));
        let recipe = workspace(&dir);
        let before = recipe.fingerprint().expect("readable");
        let cache = recipe.python().join("__pycache__");
        fs::create_dir_all(&cache).expect("made");
        fs::write(cache.join("app.cpython-314.pyc"), b"cache").expect("written");
        assert_eq!(recipe.fingerprint().expect("readable"), before);
        fs::remove_dir_all(dir).expect("removed");
    }
}
