//! The build inputs of a guest image, and their fingerprint.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::extension_modules::{EXTENSION_MODULES, ExtensionModule, NATIVE_MODULE};
use crate::sha256::hex;

/// The build inputs of a guest image: every file that its content depends on.
#[derive(Debug, Clone)]
pub struct BuildInputs {
    root: PathBuf,
}

impl BuildInputs {
    /// Returns the inputs in the workspace that this crate was compiled in.
    pub fn of_workspace() -> Self {
        Self::at(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .parent()
                .unwrap_or(Path::new("/")),
        )
    }

    /// Returns the inputs in the workspace whose root folder is `root`.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    /// Returns the root folder of the workspace.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns whether the root folder is that of a workspace: the crate may have been compiled
    /// from the registry, without the other crates beside it.
    pub fn is_workspace(&self) -> bool {
        self.wit().is_dir() && self.library_versions().is_file()
    }

    /// Returns the folder of the WIT contract.
    pub fn wit(&self) -> PathBuf {
        self.root.join("wit")
    }

    /// Returns the folder of the Python sources. componentize-py builds `_eryx_app.py` in it.
    pub fn python(&self) -> PathBuf {
        self.root.join("eryx-guest-shims/python")
    }

    /// Returns the pip requirements file that pins the build tools with hashes.
    pub fn requirements(&self) -> PathBuf {
        self.root.join("eryx-guest-shims/build-requirements.txt")
    }

    /// Returns the text file of an extension module.
    pub fn extension_module(&self, module: &ExtensionModule) -> PathBuf {
        self.root.join("eryx-guest-shims").join(module.file)
    }

    /// Returns the folder of the C sources.
    pub fn native(&self) -> PathBuf {
        self.root.join("eryx-guest-shims").join(NATIVE_MODULE.dir)
    }

    /// Returns the manifest that pins the C libraries that the image contains.
    pub fn library_versions(&self) -> PathBuf {
        self.root.join("eryx-guest-build/Cargo.toml")
    }

    /// Returns the source of the options of the C compiler.
    pub fn compiler_options(&self) -> PathBuf {
        self.root.join("eryx-guest-shims/src/compiler_options.rs")
    }

    /// Returns the folder of the program that builds the image, whose passes decide its code.
    pub fn builder(&self) -> PathBuf {
        self.root.join("eryx-guest-build/src")
    }

    /// Returns the folder of the linker, which has the pass that adds yield points.
    pub fn linker(&self) -> PathBuf {
        self.root.join("eryx-guest-linker/src")
    }

    /// Returns the folder that holds the workspace's image: `target/guest`.
    pub fn image_dir(&self) -> PathBuf {
        self.root.join("target/guest")
    }

    /// Returns the SHA-256, in hexadecimal, over the names and contents of all input files.
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
            // The lengths separate files: no byte can move from one to the next unnoticed.
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
            hash.update((content.len() as u64).to_le_bytes());
            hash.update(&content);
        }
        Ok(hex(&hash.finalize()))
    }

    /// Returns the paths of all input files, sorted.
    ///
    /// # Errors
    ///
    /// Fails when one of the folders cannot be read.
    pub fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = vec![
            self.requirements(),
            self.library_versions(),
            self.compiler_options(),
        ];
        for module in &EXTENSION_MODULES {
            let text = self.extension_module(module);
            let world = text.with_extension("wit");
            files.extend(Some(world).filter(|world| world.is_file()));
            files.push(text);
        }
        for extension in ["c", "h"] {
            collect_files(&self.native(), extension, &mut files)?;
        }
        collect_files(&self.wit(), "wit", &mut files)?;
        collect_files(&self.python(), "py", &mut files)?;
        collect_files(&self.builder(), "rs", &mut files)?;
        // What links modules to the image does not change the image.
        collect_files(&self.linker().join("yield_points"), "rs", &mut files)?;
        for name in ["symbols.rs", "yield_points.rs"] {
            files.push(self.linker().join(name));
        }
        files.sort();
        Ok(files)
    }
}

/// Adds the files with `extension` in `dir` and its subfolders to `files`.
fn collect_files(dir: &Path, extension: &str, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_files(&path, extension, files)?;
        } else if path.extension().is_some_and(|suffix| suffix == extension) {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::BuildInputs;

    fn workspace(dir: &Path) -> BuildInputs {
        for (name, text) in [
            ("wit/sandbox.wit", "package a:b;"),
            ("eryx-guest-shims/python/_eryx_app.py", "x = 1\n"),
            ("eryx-guest-shims/build-requirements.txt", "tool==1\n"),
            ("eryx-guest-shims/reset_preopens.wat", "(module)"),
            ("eryx-guest-shims/output.wat", "(module)"),
            ("eryx-guest-shims/fast_bindings.wat", "(module)"),
            ("eryx-guest-shims/file_modes.wat", "(module)"),
            ("eryx-guest-shims/file_reads.wat", "(module)"),
            ("eryx-guest-shims/heap.wat", "(module)"),
            ("eryx-guest-shims/local_time.wat", "(module)"),
            ("eryx-guest-shims/native_modules.wat", "(module)"),
            ("eryx-guest-shims/threads.wat", "(module)"),
            ("eryx-guest-shims/working_directory.wat", "(module)"),
            ("eryx-guest-shims/native/module.c", "int x;\n"),
            ("eryx-guest-shims/native/python.h", "int f(void);\n"),
            (
                "eryx-guest-shims/src/compiler_options.rs",
                "const O: u8 = 2;\n",
            ),
            ("eryx-guest-build/Cargo.toml", "[package]\n"),
            ("eryx-guest-build/src/passes.rs", "mod merge;\n"),
            ("eryx-guest-build/src/passes/merge.rs", "fn merge() {}\n"),
            ("eryx-guest-linker/src/symbols.rs", "struct Symbols;\n"),
            ("eryx-guest-linker/src/yield_points.rs", "mod writer;\n"),
            (
                "eryx-guest-linker/src/yield_points/writer.rs",
                "fn write() {}\n",
            ),
        ] {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("every name has a folder")).expect("created");
            fs::write(path, text).expect("written");
        }
        BuildInputs::at(dir)
    }

    #[test]
    fn a_changed_line_of_any_input_changes_the_fingerprint() {
        let dir = std::env::temp_dir().join(format!("eryx-inputs-{}", std::process::id()));
        let inputs = workspace(&dir);
        let mut fingerprints = vec![inputs.fingerprint().expect("readable")];
        for path in inputs.files().expect("readable") {
            let mut text = fs::read_to_string(&path).expect("readable");
            text.push_str("\n# one line more\n");
            fs::write(&path, text).expect("written");
            let fingerprint = inputs.fingerprint().expect("readable");
            assert!(
                !fingerprints.contains(&fingerprint),
                "{} does not count",
                path.display()
            );
            fingerprints.push(fingerprint);
        }
        assert_eq!(fingerprints.len(), 23);
        fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn a_folder_without_the_builder_of_the_image_is_no_workspace() {
        let dir = std::env::temp_dir().join(format!("eryx-inputs-root-{}", std::process::id()));
        let inputs = workspace(&dir);
        assert!(inputs.is_workspace());
        assert!(BuildInputs::of_workspace().is_workspace());
        fs::remove_file(inputs.library_versions()).expect("removed");
        assert!(!inputs.is_workspace());
        fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn cached_bytecode_does_not_change_the_fingerprint() {
        let dir = std::env::temp_dir().join(format!("eryx-inputs-pyc-{}", std::process::id()));
        let inputs = workspace(&dir);
        let before = inputs.fingerprint().expect("readable");
        let cache = inputs.python().join("__pycache__");
        fs::create_dir_all(&cache).expect("created");
        fs::write(cache.join("app.cpython-314.pyc"), b"cache").expect("written");
        assert_eq!(inputs.fingerprint().expect("readable"), before);
        fs::remove_dir_all(dir).expect("removed");
    }
}
