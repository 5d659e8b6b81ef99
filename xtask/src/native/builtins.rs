//! The compiler's run-time functions that the guest lacks: multiplication of 128-bit integers, in
//! `xtask/native/builtins.c`, and their division and `long double`, which are part of Zig.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::native::static_library::StaticLibrary;
use crate::venv::remove_dir;

/// The files of Zig's functions.
const FILES: [&str; 10] = [
    "addf3",
    "comparef",
    "divtf3",
    "extendf",
    "float_from_int",
    "int_from_float",
    "mulf3",
    "shift",
    "truncf",
    "udivmod",
];

/// Compiles the functions to static libraries in the folder `dir`. `own` is the file of Eryx.
/// Returns the paths of the libraries. The linker takes what a module needs of them.
pub(crate) fn compile(own: &Path, zig: &Path, dir: &Path) -> Result<[PathBuf; 2]> {
    let library = dir.join("own/libbuiltins.a");
    StaticLibrary {
        language: "cc",
        options: &[],
        sources: vec![own],
        include: Vec::new(),
    }
    .compile(zig, &library)?;
    let dir = dir.join("zig");
    remove_dir(&dir)?;
    fs::create_dir_all(&dir)?;
    let functions = dir.join("compiler_rt");
    let of_zig = library_folder(zig)?;
    command::output(
        Command::new("cp")
            .arg("-R")
            .arg(of_zig.join("compiler_rt"))
            .arg(&functions),
    )?;
    let root = fs::read_to_string(of_zig.join("compiler_rt.zig"))?;
    fs::write(dir.join("compiler_rt.zig"), without_others(&root))?;
    command::output(
        Command::new(zig)
            .current_dir(&dir)
            .args(["build-obj", "compiler_rt.zig", "--name", "long_double"])
            .args(["-target", "wasm32-wasi"])
            .arg("-mcpu=generic+bulk_memory+sign_ext+nontrapping_fptoint")
            .args(["-O", "ReleaseFast", "-fPIC", "-fstrip"])
            .args(["-ffunction-sections", "-fno-compiler-rt"])
            .env("ZIG_GLOBAL_CACHE_DIR", dir.join("zig-cache"))
            .env("ZIG_LOCAL_CACHE_DIR", dir.join("zig-cache")),
    )?;
    let of_zig = dir.join("liblong_double.a");
    command::output(
        Command::new(zig)
            .args(["ar", "rcs"])
            .arg(&of_zig)
            .arg(dir.join("long_double.o")),
    )?;
    Ok([library, of_zig])
}

/// Returns the licence of Zig.
pub(crate) fn licence(zig: &Path) -> Result<PathBuf> {
    let package = library_folder(zig)?;
    let package = package.parent().context("Zig lies in a folder")?;
    Ok(package.join("LICENSE"))
}

/// Returns the folder of Zig's sources.
pub(super) fn library_folder(zig: &Path) -> Result<PathBuf> {
    let python = zig.with_file_name("python3");
    let program = "import pathlib, ziglang; print(pathlib.Path(ziglang.__file__).parent / 'lib')";
    let folder = command::output(Command::new(python).args(["-c", program]))?;
    Ok(folder.trim().into())
}

/// Returns the file that names all files of functions, without those that are not in [`FILES`], and
/// without functions that the C library of the guest has.
fn without_others(root: &str) -> String {
    let is_kept = |line: &&str| {
        let imported = line
            .split_once("@import(\"compiler_rt/")
            .and_then(|(_, rest)| rest.split_once(".zig\");"));
        let is_other = imported.is_some_and(|(name, _)| !FILES.contains(&name));
        let defined = line.trim_start().strip_prefix("symbol(&");
        !is_other && defined.is_none_or(|name| name.starts_with("__"))
    };
    let lines: Vec<_> = root.lines().filter(is_kept).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::without_others;

    #[test]
    fn files_of_other_functions_are_left_out() {
        let root = "const x = 1;\n    _ = @import(\"compiler_rt/addf3.zig\");\n    \
                    if (y) _ = @import(\"compiler_rt/memcpy.zig\");\n    \
                    symbol(&memcmp, \"memcmp\");\n}\n";
        let kept = "const x = 1;\n    _ = @import(\"compiler_rt/addf3.zig\");\n}\n";
        assert_eq!(without_others(root), kept);
    }
}
