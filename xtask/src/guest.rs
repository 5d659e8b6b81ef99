//! `build-guest`: from WIT and Python sources to a component and its machine code.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use eryx_guest_shims::{GuestImage, LIBRARIES, Parts, Recipe};

use crate::library;
use crate::process;
use crate::python::Venv;
use crate::rewrite;

/// Build the guest image unless the one there is made from the same inputs for the same engine.
pub(crate) fn build(force: bool) -> Result<()> {
    let recipe = Recipe::of_workspace();
    let image = GuestImage::of(&recipe);
    let fingerprint = recipe
        .fingerprint()
        .context("cannot read the guest's sources")?;
    let engine = eryx_core::image::engine_fingerprint()?;
    let found = image.manifest().filter(|_| !force);
    if let Some(manifest) = &found
        && manifest.recipe == fingerprint
        && manifest.engine == engine
    {
        eprintln!("guest image is up to date: {}", image.wasm().display());
        return Ok(());
    }
    let wasm = match found {
        // Only the compiler or its settings changed.
        Some(manifest) if manifest.recipe == fingerprint => {
            fs::read(image.wasm()).context("cannot read the guest image")?
        }
        _ => componentize(&recipe, &image)?,
    };
    let start = Instant::now();
    let code = eryx_core::image::precompile(&wasm)?;
    eprintln!("compiled it in {:.1} s", start.elapsed().as_secs_f64());
    image
        .store(
            &fingerprint,
            &engine,
            &Parts {
                wasm: &wasm,
                cwasm: &code.whole,
                functions: &code.functions,
            },
        )
        .with_context(|| format!("cannot write to {}", image.dir().display()))?;
    eprintln!(
        "guest image: {} ({:.1} MB), {} ({:.1} MB), {} ({:.1} MB)",
        image.wasm().display(),
        wasm.len() as f64 / 1e6,
        image.cwasm().display(),
        code.whole.len() as f64 / 1e6,
        image.functions().display(),
        code.functions.len() as f64 / 1e6
    );
    Ok(())
}

fn componentize(recipe: &Recipe, image: &GuestImage) -> Result<Vec<u8>> {
    fs::create_dir_all(image.dir())
        .with_context(|| format!("cannot make {}", image.dir().display()))?;
    let tools = Venv::ensure(&image.dir().join("tools"), &recipe.requirements())?;
    let staging = tempfile::tempdir_in(image.dir()).context("cannot make a folder to build in")?;
    let libraries = staging.path().join("libraries");
    fs::create_dir(&libraries)?;
    for library in &LIBRARIES {
        library::assemble(recipe, library, &libraries)?;
    }
    let wasm = staging.path().join("guest.wasm");
    let start = Instant::now();
    process::output(
        Command::new(tools.program("componentize-py"))
            .arg("--wit-path")
            .arg(recipe.wit())
            .args(["--world", "sandbox", "componentize", "app", "--python-path"])
            .arg(recipe.python())
            .arg("--python-path")
            .arg(&libraries)
            .arg("--output")
            .arg(&wasm)
            // A build must not depend on what the builder's shell carries.
            .env_remove("PYTHONPATH")
            .env_remove("PYTHONHOME")
            .env("RUST_BACKTRACE", "0"),
    )?;
    eprintln!(
        "pre-initialised the interpreter in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    let component = fs::read(&wasm).context("componentize-py left no component")?;
    rewrite::rewrite(&component)
}
