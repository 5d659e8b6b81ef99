//! Hand-written libraries, in the form componentize-py links: a core module with its world attached.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use eryx_guest_shims::{Library, Recipe};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Assemble `library` into the folder `dir`, where Python finds it as an extension module.
pub(crate) fn assemble(recipe: &Recipe, library: &Library, dir: &Path) -> Result<()> {
    let text = recipe.library(library);
    let mut module =
        wat::parse_file(&text).with_context(|| format!("cannot assemble {}", text.display()))?;
    let mut resolve = Resolve::default();
    resolve.push_path(recipe.wit())?;
    let package = resolve.push_str("library.wit", library.world)?;
    let world = resolve.select_world(&[package], None)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .with_context(|| format!("{} does not fit its world", text.display()))?;
    let path = dir.join(format!("{}.abi3.so", library.module));
    fs::write(&path, module).with_context(|| format!("cannot write {}", path.display()))
}
