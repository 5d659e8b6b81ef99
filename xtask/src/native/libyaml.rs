//! LibYAML, for the module in C of PyYAML. Its sources are part of the package `ruamel.yaml.clib`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command;
use crate::native::COMPILER;
use crate::venv::{Venv, remove_dir};

/// The C files of the library.
const FILES: [&str; 8] = [
    "api", "dumper", "emitter", "loader", "parser", "reader", "scanner", "writer",
];

/// Compiles the library to `libyaml.a` in a folder below `dir`, which also has its header. Returns
/// the folder.
pub(crate) fn compile(
    tools: &Venv,
    requirements: &Path,
    zig: &Path,
    dir: &Path,
) -> Result<PathBuf> {
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
    let mut library = Command::new(zig);
    library.args(["ar", "rcs"]).arg(folder.join("libyaml.a"));
    for file in FILES {
        let object = folder.join(file).with_extension("o");
        command::output(
            Command::new(zig)
                .args(COMPILER)
                .args(["-DHAVE_CONFIG_H", "-w", "-c"])
                .arg(folder.join(file).with_extension("c"))
                .arg("-o")
                .arg(&object),
        )?;
        library.arg(object);
    }
    command::output(&mut library)?;
    Ok(folder)
}
