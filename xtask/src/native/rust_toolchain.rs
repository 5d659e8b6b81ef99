//! The Rust compiler for sandboxes: that of this machine if it has WASI's standard library, or else
//! Debian's.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command;
use crate::native::debian;

/// The target that packages are compiled for.
const TARGET: &str = "wasm32-wasip1";

/// Returns the program of the compiler. `sources` is the folder `xtask/native`; `dir` is where
/// Debian's is unpacked.
///
/// # Errors
///
/// Fails where this machine's compiler has no WASI, and Debian's cannot be had.
pub(crate) fn rustc(sources: &Path, dir: &Path) -> Result<OsString> {
    let installed = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    if has_target(&installed) {
        return Ok(installed);
    }
    let advice = || {
        format!(
            "{} has no standard library for {TARGET}. Install it (`rustup target add {TARGET}`; \
             Debian: `apt-get install libstd-rust-dev-wasm32`, of Rust 1.88 or newer)",
            installed.display()
        )
    };
    ensure!(
        cfg!(target_arch = "x86_64"),
        "{}: Debian's compiler is only unpacked on x86-64",
        advice()
    );
    eprintln!("{}: taking Debian's compiler", advice());
    let list = sources.join("debian-rust.txt");
    debian::unpack(&list, dir).with_context(advice)?;
    let program: PathBuf = dir.join("rustc");
    fs::copy(sources.join("rustc.sh"), &program)?;
    Ok(program.into())
}

/// Returns whether a compiler has the standard library for the target.
fn has_target(rustc: &OsStr) -> bool {
    let mut folder = Command::new(rustc);
    folder.args(["--print", "target-libdir", "--target", TARGET]);
    command::output(&mut folder).is_ok_and(|folder| {
        fs::read_dir(folder.trim()).is_ok_and(|entries| {
            entries
                .filter_map(Result::ok)
                .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
        })
    })
}
