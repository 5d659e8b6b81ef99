//! Static libraries in C that modules link: of files in `xtask/native`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::native::COMPILER;
use crate::venv::remove_dir;

/// Compiles the file `source` to the static library `library`, in a folder that has nothing else.
/// The folders `include` have its headers. The linker takes what a module needs of it.
pub(crate) fn compile(source: &Path, include: &[&Path], zig: &Path, library: &Path) -> Result<()> {
    let dir = library.parent().context("a library lies in a folder")?;
    remove_dir(dir)?;
    fs::create_dir_all(dir)?;
    let object = library.with_extension("o");
    let mut compiler = Command::new(zig);
    compiler.args(COMPILER);
    for folder in include {
        compiler.arg("-I").arg(folder);
    }
    command::output(compiler.arg("-c").arg(source).arg("-o").arg(&object))?;
    let mut archive = Command::new(zig);
    archive.args(["ar", "rcs"]).arg(library).arg(&object);
    command::output(&mut archive)?;
    Ok(())
}
