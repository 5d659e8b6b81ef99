//! The data of the crates `eryx-image` and `eryx-image-data`: the guest image, compressed, in two
//! halves.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use eryx_guest_shims::{BuildInputs, GuestImage};
use lzma_rust2::{XzOptions, XzWriter};

use crate::workspace;

/// The preset of xz with the best compression.
const PRESET: u32 = 9;

/// The files of the two crates.
struct DataFiles {
    halves: [PathBuf; 2],
    digest: PathBuf,
}

impl DataFiles {
    fn of_workspace() -> Self {
        let root = workspace::root();
        Self {
            halves: [
                root.join("eryx-image/data/image.xz.1"),
                root.join("eryx-image-data/data/image.xz.2"),
            ],
            digest: root.join("eryx-image/data/image.sha256"),
        }
    }

    /// Returns whether the files have the image with this digest.
    fn have(&self, sha256: &str) -> bool {
        self.halves.iter().all(|path| path.is_file())
            && fs::read_to_string(&self.digest).is_ok_and(|digest| digest.trim() == sha256)
    }
}

/// Writes the files, unless they have the image already. The guest image must be up to date.
pub(crate) fn write() -> Result<()> {
    let image = GuestImage::of(&BuildInputs::of_workspace());
    let manifest = image.manifest().context("there is no guest image")?;
    let files = DataFiles::of_workspace();
    if files.have(&manifest.wasm) {
        return Ok(());
    }
    let wasm = fs::read(image.wasm()).context("cannot read the guest image")?;
    let stream = compress(&wasm)?;
    println!(
        "guest image: {} bytes, {} compressed",
        wasm.len(),
        stream.len()
    );
    // The digest is written last: interrupted, the files do not look complete.
    let _ = fs::remove_file(&files.digest);
    let (first, second) = stream.split_at(stream.len() / 2);
    let digest = format!("{}\n", manifest.wasm);
    for (path, content) in [
        (&files.halves[0], first),
        (&files.halves[1], second),
        (&files.digest, digest.as_bytes()),
    ] {
        fs::create_dir_all(path.parent().context("the file is in a folder")?)?;
        fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn compress(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut options = XzOptions::with_preset(PRESET);
    options.lzma_options.dict_size = u32::try_from(wasm.len())?.next_power_of_two();
    let mut writer = XzWriter::new(Vec::new(), options)?;
    writer.write_all(wasm)?;
    Ok(writer.finish()?)
}
