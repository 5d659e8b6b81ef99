//! Static libraries in C and C++ that modules link.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use eryx_guest_shims::COMPILER_OPTIONS;

use crate::command;
use crate::native::EMULATION_OPTIONS;
use crate::venv::remove_dir;

/// What a static library is compiled of.
pub(crate) struct StaticLibrary<'a> {
    /// The compiler of Zig: `cc` or `c++`.
    pub(crate) language: &'a str,
    /// The options of the compiler, besides those for modules.
    pub(crate) options: &'a [&'a str],
    /// The files. No two have the same name without its ending.
    pub(crate) sources: Vec<&'a Path>,
    /// The folders with headers.
    pub(crate) include: Vec<&'a Path>,
}

impl StaticLibrary<'_> {
    /// Compiles the library to the file `library`, in a folder that has nothing else. The linker
    /// takes what a module needs of it.
    pub(crate) fn compile(&self, zig: &Path, library: &Path) -> Result<()> {
        let dir = library.parent().context("a library lies in a folder")?;
        remove_dir(dir)?;
        fs::create_dir_all(dir)?;
        let mut archive = Command::new(zig);
        archive.args(["ar", "rcs"]).arg(library);
        for source in &self.sources {
            let name = source.file_stem().context("a source has a name")?;
            let object = dir.join(name).with_extension("o");
            let mut compiler = Command::new(zig);
            compiler
                .arg(self.language)
                .args(COMPILER_OPTIONS)
                .args(EMULATION_OPTIONS)
                .args(self.options);
            for folder in &self.include {
                compiler.arg("-I").arg(folder);
            }
            command::output(compiler.arg("-c").arg(source).arg("-o").arg(&object))?;
            archive.arg(object);
        }
        command::output(&mut archive)?;
        Ok(())
    }
}
