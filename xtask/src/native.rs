//! `native`: compiles packages with extension modules in C for sandboxes.
//!
//! The packages are sources of the package index that `xtask/native/packages.txt` pins by hash. The
//! compiler and the linker are those of Zig, which also compiles the guest image. The wheels lie in
//! `target/native`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use eryx_guest_shims::BuildInputs;

use crate::command;
use crate::venv::{self, Venv};
use crate::workspace;

/// The options of the compiler.
const COMPILER: [&str; 14] = [
    "cc",
    "-target",
    "wasm32-wasi",
    "-O2",
    "-g0",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-sanitize=undefined",
    "-mbulk-memory",
    "-msign-ext",
    "-mnontrapping-fptoint",
    // As CPython itself is compiled.
    "-D_WASI_EMULATED_SIGNAL",
    "-D_WASI_EMULATED_GETPID",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
];

/// The options of the linker. What a module does not define is CPython's or the C library's.
const LINKER: [&str; 7] = [
    "wasm-ld",
    "--experimental-pic",
    "-shared",
    "--gc-sections",
    "--strip-debug",
    "-O2",
    "--unresolved-symbols=import-dynamic",
];

/// The ending of extension modules in a sandbox.
const EXTENSION: &str = ".cpython-314-wasm32-wasi.so";

/// The time of every file in a wheel, so that equal sources give equal wheels: 1 January 1980.
const TIME: &str = "315532800";

/// Compiles the packages `names`, or all. `headers` is the folder of CPython's headers.
pub(crate) fn run(headers: &Path, names: &[String]) -> Result<()> {
    let sources = workspace::root().join("xtask/native");
    let inputs = BuildInputs::of_workspace();
    let zig = Venv::ensure(&inputs.image_dir().join("tools"), &inputs.requirements())?;
    let zig = zig.program("python-zig");
    let target = workspace::target_dir().join("native");
    let tools = Venv::ensure(&target.join("tools"), &sources.join("tools.txt"))?;
    let include = copy_headers(headers, &sources, &target)?;
    let requirements = target.join("packages.txt");
    let all = fs::read_to_string(sources.join("packages.txt"))?;
    fs::write(&requirements, select(&all, names)?)?;
    let compiler = program(&zig, &COMPILER);
    let wheels = target.join("wheels");
    let mut build = tools.wheel_of_sources(&requirements, &wheels);
    build
        .env("CC", format!("{compiler} -I{}", include.display()))
        .env("CXX", "false")
        .env("LDSHARED", program(&zig, &LINKER))
        .env("LDFLAGS", "")
        .env("SETUPTOOLS_EXT_SUFFIX", EXTENSION)
        .env("SOURCE_DATE_EPOCH", TIME)
        .env("ZIG_GLOBAL_CACHE_DIR", target.join("zig-cache"))
        .env("ZIG_LOCAL_CACHE_DIR", target.join("zig-cache"));
    command::output(&mut build)?;
    // The tags are those of the interpreter that runs the build.
    for wheel in venv::wheels(&wheels)? {
        if wheel.to_string_lossy().ends_with("wasm32_wasi.whl") {
            continue;
        }
        command::output(
            Command::new(tools.python())
                .args(["-m", "wheel", "tags", "--remove", "--python-tag", "cp314"])
                .args(["--abi-tag", "cp314", "--platform-tag", "wasm32_wasi"])
                .arg(wheel),
        )?;
    }
    for wheel in venv::wheels(&wheels)? {
        println!("{}", wheel.display());
    }
    Ok(())
}

/// Returns a command line for the environment of the build.
fn program(zig: &Path, options: &[&str]) -> String {
    format!("{} {}", zig.display(), options.join(" "))
}

/// Copies CPython's headers to the folder `target`, with the configuration of the guest's CPython
/// in place of the machine's: the headers include the one beside them.
fn copy_headers(headers: &Path, sources: &Path, target: &Path) -> Result<PathBuf> {
    let version = fs::read_to_string(headers.join("patchlevel.h")).with_context(|| {
        format!(
            "{} has no headers of CPython; install those of CPython 3.14 (Debian: \
             libpython3.14-dev), and name their folder with --headers",
            headers.display()
        )
    })?;
    let has = |name: &str, number: &str| {
        version.lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            words.next() == Some(name) && words.next() == Some(number)
        })
    };
    ensure!(
        has("PY_MAJOR_VERSION", "3") && has("PY_MINOR_VERSION", "14"),
        "{} has the headers of another version than CPython 3.14",
        headers.display()
    );
    let copy = target.join("include");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    command::output(Command::new("cp").arg("-RL").arg(headers).arg(&copy))?;
    fs::copy(sources.join("pyconfig.h"), copy.join("pyconfig.h"))?;
    Ok(copy)
}

/// Returns the requirements of `names` among `all`, or all of them.
fn select(all: &str, names: &[String]) -> Result<String> {
    let mut selected = String::new();
    let mut found = Vec::new();
    let mut known = Vec::new();
    let mut takes = false;
    for line in all.lines() {
        if let Some((name, _)) = line.split_once("==") {
            known.push(name);
            takes = names.is_empty() || names.iter().any(|wanted| wanted == name);
            if takes {
                found.push(name);
            }
        }
        if takes {
            selected.push_str(line);
            selected.push('\n');
        }
    }
    if let Some(missing) = names.iter().find(|name| !found.contains(&name.as_str())) {
        bail!(
            "xtask/native/packages.txt has no {missing}; it has {}",
            known.join(", ")
        );
    }
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use super::select;

    const ALL: &str = "# Text.\n\na==1 \\\n    --hash=sha256:1\nb==2 \\\n    --hash=sha256:2\n";

    #[test]
    fn a_selection_has_the_named_packages_with_their_hashes() {
        let names = ["b".to_owned()];
        let selected = select(ALL, &names).expect("known");
        assert_eq!(selected, "b==2 \\\n    --hash=sha256:2\n");
        assert!(select(ALL, &[]).expect("known").starts_with("a==1"));
        let error = select(ALL, &["c".to_owned()]).expect_err("unknown");
        assert!(error.to_string().ends_with("it has a, b"), "{error}");
    }
}
