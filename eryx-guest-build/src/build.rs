//! Builds the guest image and its machine code, and installs both in `target/guest`.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use eryx_guest_shims::{BuildInputs, GuestImage, ImageFiles};

use crate::componentize::{Tools, componentize};
use crate::passes;

/// Builds the guest image, unless the existing one has the same inputs and the same engine.
///
/// `force` builds in any case.
///
/// # Errors
///
/// Fails when an input cannot be read or compiled, or the image cannot be written.
pub fn build_image(tools: Tools<'_>, force: bool) -> Result<()> {
    let inputs = BuildInputs::of_workspace();
    let image = GuestImage::of(&inputs);
    let fingerprint = inputs
        .fingerprint()
        .context("cannot read the guest's sources")?;
    let engine = eryx_core::image::engine_fingerprint()?;
    let same_inputs = image
        .manifest()
        .filter(|manifest| !force && manifest.inputs == fingerprint);
    let wasm = match same_inputs {
        Some(manifest) if manifest.engine == engine => {
            eprintln!("guest image is up to date: {}", image.wasm().display());
            return Ok(());
        }
        // Only the compiler or its settings changed.
        Some(_) => fs::read(image.wasm()).context("cannot read the guest image")?,
        None => {
            let start = Instant::now();
            let component = componentize(&inputs, image.dir(), tools)?;
            eprintln!(
                "pre-initialised the interpreter in {:.1} s",
                start.elapsed().as_secs_f64()
            );
            passes::run(&component)?
        }
    };
    let start = Instant::now();
    let code = eryx_core::image::precompile(&wasm)?;
    eprintln!("compiled it in {:.1} s", start.elapsed().as_secs_f64());
    let files = ImageFiles {
        wasm: &wasm,
        cwasm: &code.component,
        functions: &code.functions,
    };
    image
        .install(&fingerprint, &engine, &files)
        .with_context(|| format!("cannot write to {}", image.dir().display()))?;
    eprintln!(
        "guest image: {} ({:.1} MB), {} ({:.1} MB), {} ({:.1} MB)",
        image.wasm().display(),
        wasm.len() as f64 / 1e6,
        image.cwasm().display(),
        code.component.len() as f64 / 1e6,
        image.functions().display(),
        code.functions.len() as f64 / 1e6
    );
    Ok(())
}
