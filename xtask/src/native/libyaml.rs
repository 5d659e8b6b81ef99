//! LibYAML, for the module in C of PyYAML. Its sources are part of the package `ruamel.yaml.clib`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command;
use crate::native::static_library::StaticLibrary;
use crate::venv::{Venv, remove_dir};

/// The C files of the library.
const FILES: [&str; 8] = [
    "api", "dumper", "emitter", "loader", "parser", "reader", "scanner", "writer",
];

/// The compiled library.
pub(crate) struct LibYaml {
    /// The folder of its header.
    pub(crate) include: PathBuf,
    /// The folder of `libyaml.a`.
    pub(crate) library: PathBuf,
}

/// Compiles the library in the folder `dir`.
pub(crate) fn compile(
    tools: &Venv,
    requirements: &Path,
    zig: &Path,
    dir: &Path,
) -> Result<LibYaml> {
    let archives = dir.join("archives");
    tools.download_sources(requirements, &archives)?;
    let folder = dir.join("sources");
    remove_dir(&folder)?;
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(&archives)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "gz") {
            command::output(
                Command::new("tar")
                    .args(["--strip-components=1", "-xzf"])
                    .arg(&path)
                    .arg("-C")
                    .arg(&folder),
            )?;
        }
    }
    let files = FILES.map(|file| folder.join(file).with_extension("c"));
    let library = dir.join("library");
    StaticLibrary {
        language: "cc",
        options: &["-DHAVE_CONFIG_H", "-w"],
        sources: files.iter().map(PathBuf::as_path).collect(),
        include: Vec::new(),
    }
    .compile(zig, &library.join("libyaml.a"))?;
    // Other files of the folder have the names of those of packages.
    let include = dir.join("include");
    fs::create_dir_all(&include)?;
    fs::copy(folder.join("yaml.h"), include.join("yaml.h"))?;
    Ok(LibYaml { include, library })
}
