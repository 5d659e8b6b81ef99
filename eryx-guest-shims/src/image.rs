use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::recipe::{Recipe, sha256};

/// A built guest image on disk: the component, its machine code, and a manifest of what they are made from.
#[derive(Debug, Clone)]
pub struct GuestImage {
    dir: PathBuf,
}

/// What an image was made from, as recorded beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The [fingerprint](Recipe::fingerprint) of the recipe.
    pub recipe: String,
    /// The engine settings the machine code was compiled for.
    pub engine: String,
    /// The SHA-256 of the component.
    pub wasm: String,
    /// The SHA-256 of the machine code.
    pub cwasm: String,
}

/// What an image is made up of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The component.
    pub wasm: &'a [u8],
    /// Its machine code.
    pub cwasm: &'a [u8],
    /// The machine code of its single functions.
    pub functions: &'a [u8],
}

impl GuestImage {
    /// The image of `recipe`'s workspace, which may not be built yet.
    pub fn of(recipe: &Recipe) -> Self {
        Self {
            dir: recipe.image_dir(),
        }
    }

    /// The folder the image is in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The component.
    pub fn wasm(&self) -> PathBuf {
        self.dir.join("eryx-guest.wasm")
    }

    /// The component's machine code.
    pub fn cwasm(&self) -> PathBuf {
        self.dir.join("eryx-guest.cwasm")
    }

    /// The machine code of its single functions.
    pub fn functions(&self) -> PathBuf {
        self.dir.join("eryx-guest.functions")
    }

    /// The manifest.
    pub fn manifest_path(&self) -> PathBuf {
        self.dir.join("eryx-guest.manifest")
    }

    /// The manifest; `None` if there is no complete image.
    pub fn manifest(&self) -> Option<Manifest> {
        let parts = [self.wasm(), self.cwasm(), self.functions()];
        if !parts.iter().all(|path| path.is_file()) {
            return None;
        }
        Manifest::parse(&fs::read_to_string(self.manifest_path()).ok()?)
    }

    /// Put an image in place. The manifest goes last: a build that is cut off leaves no image that looks whole.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be written to.
    pub fn store(&self, recipe: &str, engine: &str, parts: &Parts<'_>) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let manifest = Manifest {
            recipe: recipe.to_owned(),
            engine: engine.to_owned(),
            wasm: sha256(parts.wasm),
            cwasm: sha256(parts.cwasm),
        };
        let _ = fs::remove_file(self.manifest_path());
        replace(&self.wasm(), parts.wasm)?;
        replace(&self.cwasm(), parts.cwasm)?;
        replace(&self.functions(), parts.functions)?;
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
            recipe: field("recipe")?,
            engine: field("engine")?,
            wasm: field("wasm")?,
            cwasm: field("cwasm")?,
        })
    }
}

impl std::fmt::Display for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "recipe = {}", self.recipe)?;
        writeln!(f, "engine = {}", self.engine)?;
        writeln!(f, "wasm = {}", self.wasm)?;
        writeln!(f, "cwasm = {}", self.cwasm)
    }
}

/// Write beside and rename: a reader sees the old file or the new one, and one that has the old one
/// mapped keeps it.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    fs::write(&beside, content)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_its_manifest_is_no_image() {
        let dir = std::env::temp_dir().join(format!("eryx-image-{}", std::process::id()));
        let image = GuestImage::of(&Recipe::at(&dir));
        assert_eq!(image.manifest(), None);
        let parts = Parts {
            wasm: b"wasm",
            cwasm: b"cwasm",
            functions: b"functions",
        };
        image.store("r", "e", &parts).expect("stored");
        let manifest = image.manifest().expect("whole");
        assert_eq!(
            (manifest.recipe.as_str(), manifest.engine.as_str()),
            ("r", "e")
        );
        assert_eq!(manifest.wasm, sha256(b"wasm"));
        fs::remove_file(image.manifest_path()).expect("removed");
        assert_eq!(image.manifest(), None);
        fs::remove_dir_all(dir).expect("removed");
    }
}
