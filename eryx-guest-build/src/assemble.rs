//! Assembles hand-written modules to the form that componentize-py links: a core module with its
//! WIT world attached.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use eryx_guest_shims::{BuildInputs, ExtensionModule};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Assembles `module` into the folder `dir`, where Python finds it as an extension module.
///
/// # Errors
///
/// Fails when the text is not a valid module, or does not fit its world.
pub fn assemble(inputs: &BuildInputs, module: &ExtensionModule, dir: &Path) -> Result<()> {
    let text = inputs.extension_module(module);
    let mut wasm =
        wat::parse_file(&text).with_context(|| format!("cannot assemble {}", text.display()))?;
    attach_world(inputs, &mut wasm, module.world)
        .with_context(|| format!("{} does not fit its world", text.display()))?;
    let path = dir.join(format!("{}.abi3.so", module.name));
    fs::write(&path, wasm).with_context(|| format!("cannot write {}", path.display()))
}

/// Attaches the WIT world of its imports and exports to a core module.
///
/// # Errors
///
/// Fails when `world` is no valid WIT, or the module does not fit it.
pub fn attach_world(inputs: &BuildInputs, wasm: &mut Vec<u8>, world: &str) -> Result<()> {
    let mut resolve = Resolve::default();
    resolve.push_path(inputs.wit())?;
    let package = resolve.push_str("extension_module.wit", world)?;
    let world = resolve.select_world(&[package], None)?;
    embed_component_metadata(wasm, &resolve, world, StringEncoding::UTF8)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use eryx_guest_shims::{BuildInputs, EXTENSION_MODULES};

    use super::assemble;

    #[test]
    fn every_extension_module_fits_its_world() {
        let dir = tempfile::tempdir().expect("created");
        for module in &EXTENSION_MODULES {
            assemble(&BuildInputs::of_workspace(), module, dir.path()).expect("assembled");
        }
        let files = fs::read_dir(dir.path()).expect("readable");
        assert_eq!(files.count(), EXTENSION_MODULES.len());
    }
}
