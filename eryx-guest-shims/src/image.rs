//! A built guest image on disk, and its manifest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::inputs::BuildInputs;
use crate::sha256::sha256_hex;

/// A guest image on disk: the component, its machine code, and a manifest with their fingerprints.
#[derive(Debug, Clone)]
pub struct GuestImage {
    dir: PathBuf,
}

/// The fingerprints of an image: of its inputs, of the engine, and of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The [fingerprint](BuildInputs::fingerprint) of the build inputs.
    pub inputs: String,
    /// The fingerprint of the compiler and settings that made the machine code.
    pub engine: String,
    /// The SHA-256 of the component.
    pub wasm: String,
    /// The SHA-256 of the machine code.
    pub cwasm: String,
}

/// The contents of an image's files.
#[derive(Debug, Clone, Copy)]
pub struct ImageFiles<'a> {
    /// The component.
    pub wasm: &'a [u8],
    /// Its machine code.
    pub cwasm: &'a [u8],
    /// The machine code of its functions, one by one.
    pub functions: &'a [u8],
}

impl GuestImage {
    /// Returns the image that is built from `inputs`. It may not exist yet.
    pub fn of(inputs: &BuildInputs) -> Self {
        Self {
            dir: inputs.image_dir(),
        }
    }

    /// Returns the image in the folder `dir`. It may not exist.
    pub fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
        }
    }

    /// Returns the folder of the image.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path of the component.
    pub fn wasm(&self) -> PathBuf {
        self.dir.join("eryx-guest.wasm")
    }

    /// Returns the path of the component's machine code.
    pub fn cwasm(&self) -> PathBuf {
        self.dir.join("eryx-guest.cwasm")
    }

    /// Returns the path of the machine code of its functions, one by one.
    pub fn functions(&self) -> PathBuf {
        self.dir.join("eryx-guest.functions")
    }

    /// Returns the path of the manifest.
    pub fn manifest_path(&self) -> PathBuf {
        self.dir.join("eryx-guest.manifest")
    }

    /// Returns the manifest, or `None` if there is no complete image.
    pub fn manifest(&self) -> Option<Manifest> {
        let files = [self.wasm(), self.cwasm(), self.functions()];
        if !files.iter().all(|path| path.is_file()) {
            return None;
        }
        Manifest::parse(&fs::read_to_string(self.manifest_path()).ok()?)
    }

    /// Installs an image. The manifest is written last: an interrupted build leaves no image that
    /// looks complete.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be written to.
    pub fn install(&self, inputs: &str, engine: &str, files: &ImageFiles<'_>) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let manifest = Manifest {
            inputs: inputs.to_owned(),
            engine: engine.to_owned(),
            wasm: sha256_hex(files.wasm),
            cwasm: sha256_hex(files.cwasm),
        };
        let _ = fs::remove_file(self.manifest_path());
        replace(&self.wasm(), files.wasm)?;
        replace(&self.cwasm(), files.cwasm)?;
        replace(&self.functions(), files.functions)?;
        replace(&self.manifest_path(), manifest.to_string().as_bytes())
    }
}

impl Manifest {
    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))
                .map(str::to_owned)
        };
        Some(Self {
            inputs: field("inputs")?,
            engine: field("engine")?,
            wasm: field("wasm")?,
            cwasm: field("cwasm")?,
        })
    }
}

impl std::fmt::Display for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "inputs = {}", self.inputs)?;
        writeln!(f, "engine = {}", self.engine)?;
        writeln!(f, "wasm = {}", self.wasm)?;
        writeln!(f, "cwasm = {}", self.cwasm)
    }
}

/// Replaces a file by renaming a new one onto it: a reader sees the old content or the new one, and
/// a process that has the old file mapped keeps it.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    fs::write(&temporary, content)?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{GuestImage, ImageFiles};
    use crate::inputs::BuildInputs;
    use crate::sha256::sha256_hex;

    #[test]
    fn image_without_a_manifest_does_not_count() {
        let dir = std::env::temp_dir().join(format!("eryx-image-{}", std::process::id()));
        let image = GuestImage::of(&BuildInputs::at(&dir));
        assert_eq!(image.manifest(), None);
        let files = ImageFiles {
            wasm: b"wasm",
            cwasm: b"cwasm",
            functions: b"functions",
        };
        image.install("i", "e", &files).expect("installed");
        let manifest = image.manifest().expect("complete");
        assert_eq!(
            (manifest.inputs.as_str(), manifest.engine.as_str()),
            ("i", "e")
        );
        assert_eq!(manifest.wasm, sha256_hex(b"wasm"));
        fs::remove_file(image.manifest_path()).expect("removed");
        assert_eq!(image.manifest(), None);
        fs::remove_dir_all(dir).expect("removed");
    }
}
