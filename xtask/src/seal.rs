//! The library that exports `seal`, in the form componentize-py links: a core module with its world attached.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WORLD: &str = "package eryx:seal; world seal { export seal: func(); }";

/// Assemble `text` (WAT) and write the library to `path`.
pub(crate) fn assemble(text: &Path, path: &Path) -> Result<()> {
    let mut module =
        wat::parse_file(text).with_context(|| format!("cannot assemble {}", text.display()))?;
    let mut resolve = Resolve::default();
    let package = resolve.push_str("seal.wit", WORLD)?;
    let world = resolve.select_world(&[package], Some("seal"))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    fs::write(path, module).with_context(|| format!("cannot write {}", path.display()))
}
