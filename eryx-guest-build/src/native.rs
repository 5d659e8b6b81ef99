//! Compiles the extension module in C, together with the libraries that it uses, to the form that
//! componentize-py links.
//!
//! The sources of the libraries are those of the crates `bzip2-sys`, `liblzma-sys` and `zstd-sys`,
//! so that cargo fetches them and checks their digests. Nothing of these crates is compiled for the
//! host.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use eryx_guest_shims::{BuildInputs, COMPILER_OPTIONS, NATIVE_MODULE};
use serde::Deserialize;

use crate::assemble::attach_world;

/// The options of the linker.
const LINKER: [&str; 8] = [
    "wasm-ld",
    "-shared",
    "--experimental-pic",
    // What it does not define is CPython's or libc's.
    "--unresolved-symbols=import-dynamic",
    "--gc-sections",
    "--strip-debug",
    "-O2",
    "--export=cabi_realloc",
];

/// A library in C: the files of some folders.
struct Library {
    /// The crate that contains it.
    package: &'static str,
    /// The folder of the library in the crate.
    root: &'static str,
    /// The folders of its C files, below `root`.
    folders: &'static [&'static str],
    /// The folders of its headers, below `root`.
    headers: &'static [&'static str],
    /// The folder of the header that the extension module includes, below `root`.
    interface: &'static str,
    options: &'static [&'static str],
    /// C files that are not part of the library, by parts of their names.
    excluded: &'static [&'static str],
}

const LIBRARIES: [Library; 3] = [
    Library {
        package: "bzip2-sys",
        root: "bzip2-1.0.8",
        folders: &["."],
        headers: &[],
        interface: ".",
        options: &["-DBZ_NO_STDIO"],
        // Programs and tests.
        excluded: &["bzip2", "dlltest", "mk251", "spewG", "unzcrash"],
    },
    Library {
        package: "liblzma-sys",
        root: "xz/src",
        folders: &[
            "liblzma/check",
            "liblzma/common",
            "liblzma/delta",
            "liblzma/lz",
            "liblzma/lzma",
            "liblzma/rangecoder",
            "liblzma/simple",
        ],
        headers: &[
            // `config.h`.
            "../..",
            "common",
            "liblzma/api",
            "liblzma/check",
            "liblzma/common",
            "liblzma/delta",
            "liblzma/lz",
            "liblzma/lzma",
            "liblzma/rangecoder",
            "liblzma/simple",
        ],
        interface: "liblzma/api",
        options: &["-std=c99", "-DHAVE_CONFIG_H"],
        // Threads, questions about the machine, variants, and generators of tables.
        excluded: &["_mt", "hardware_", "_small", "crc_clmul", "tablegen"],
    },
    Library {
        package: "zstd-sys",
        root: "zstd/lib",
        folders: &["common", "compress", "decompress", "dictBuilder"],
        headers: &[],
        interface: ".",
        options: &[
            "-DZSTD_LEGACY_SUPPORT=0",
            "-DZSTD_DISABLE_ASM=1",
            "-DDYNAMIC_BMI2=0",
        ],
        excluded: &[],
    },
];

/// A C file to compile.
struct Unit {
    source: PathBuf,
    object: PathBuf,
    options: Vec<OsString>,
}

/// Compiles the module into the folder `dir`, where Python finds it as an extension module. `zig`
/// is the program with the C compiler. Other files are written to `work_dir`.
///
/// # Errors
///
/// Fails when a library cannot be found, or the compiler or the linker fails.
pub fn compile(inputs: &BuildInputs, zig: &Path, work_dir: &Path, dir: &Path) -> Result<()> {
    let objects = work_dir.join("objects");
    fs::create_dir_all(&objects)?;
    let compiler = Compiler {
        zig,
        // The compiler keeps what it has compiled once.
        cache: inputs.image_dir().join("zig-cache"),
    };
    let units = units(inputs, &objects)?;
    compiler.compile(&units)?;
    let linked = work_dir.join("native.wasm");
    let mut linker = compiler.command();
    linker
        .args(LINKER)
        .arg(format!("--export=PyInit_{}", NATIVE_MODULE.name))
        .args(units.iter().map(|unit| &unit.object))
        .arg("-o")
        .arg(&linked);
    run(&mut linker)?;
    let mut wasm = fs::read(&linked)?;
    attach_world(inputs, &mut wasm, NATIVE_MODULE.world)?;
    let path = dir.join(format!("{}.abi3.so", NATIVE_MODULE.name));
    fs::write(&path, wasm).with_context(|| format!("cannot write {}", path.display()))
}

/// Returns all C files, in an order that does not depend on the file system.
fn units(inputs: &BuildInputs, objects: &Path) -> Result<Vec<Unit>> {
    let packages = packages(inputs)?;
    let mut units = Vec::new();
    let mut interfaces = Vec::new();
    for library in &LIBRARIES {
        let package = packages
            .get(library.package)
            .with_context(|| format!("cargo knows no package {}", library.package))?;
        let root = package.join(library.root);
        interfaces.push(include(&root.join(library.interface)));
        let mut options: Vec<OsString> = library.options.iter().map(Into::into).collect();
        options.extend(library.headers.iter().map(|dir| include(&root.join(dir))));
        // Warnings about the libraries are for their authors.
        options.push("-w".into());
        for folder in library.folders {
            for source in c_files(&root.join(folder), library.excluded)? {
                units.push(unit(library.package, source, objects, &options));
            }
        }
    }
    interfaces.extend(["-Wall".into(), "-Werror".into()]);
    for source in c_files(&inputs.native(), &[])? {
        units.push(unit(NATIVE_MODULE.name, source, objects, &interfaces));
    }
    Ok(units)
}

fn unit(library: &str, source: PathBuf, objects: &Path, options: &[OsString]) -> Unit {
    let name = source.file_stem().unwrap_or_default().to_string_lossy();
    Unit {
        object: objects.join(format!("{library}-{name}.o")),
        source,
        options: options.to_vec(),
    }
}

fn include(dir: &Path) -> OsString {
    let mut option = OsString::from("-I");
    option.push(dir);
    option
}

/// Returns the C files in `dir`, sorted, but those with a name that contains a text of `excluded`.
fn c_files(dir: &Path, excluded: &[&str]) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if path.extension() == Some(OsStr::new("c"))
            && !excluded.iter().any(|part| name.contains(part))
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The output of `cargo metadata`.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

/// Returns the folders of the packages in the lock file, by their names.
fn packages(inputs: &BuildInputs) -> Result<BTreeMap<String, PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(inputs.root())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let folders = metadata.packages.into_iter().filter_map(|package| {
        let folder = package.manifest_path.parent()?.to_path_buf();
        Some((package.name, folder))
    });
    Ok(folders.collect())
}

struct Compiler<'a> {
    zig: &'a Path,
    cache: PathBuf,
}

impl Compiler<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(self.zig);
        command
            .env("ZIG_GLOBAL_CACHE_DIR", &self.cache)
            .env("ZIG_LOCAL_CACHE_DIR", &self.cache);
        command
    }

    /// Compiles the units, as many at a time as there are processors.
    fn compile(&self, units: &[Unit]) -> Result<()> {
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut command = self.command();
                command
                    .arg("cc")
                    .args(COMPILER_OPTIONS)
                    .args(&unit.options)
                    .arg("-c")
                    .arg(&unit.source)
                    .arg("-o")
                    .arg(&unit.object);
                run(&mut command)?;
            }
            Ok(())
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().expect("a worker does not panic"))
        })
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use eryx_guest_shims::BuildInputs;

    use super::units;

    #[test]
    fn the_module_has_all_of_its_libraries_and_none_of_their_programs() {
        let units = units(&BuildInputs::of_workspace(), Path::new("objects")).expect("found");
        let has = |name: &str| {
            let object = Path::new("objects").join(name);
            units.iter().filter(|unit| unit.object == object).count()
        };
        for name in [
            "bzip2-sys-decompress.o",
            "liblzma-sys-stream_decoder.o",
            "liblzma-sys-lzma_encoder.o",
            "zstd-sys-zstd_decompress.o",
            "zstd-sys-zdict.o",
            "_eryx_native-module.o",
        ] {
            assert_eq!(has(name), 1, "{name}");
        }
        for name in ["bzip2-sys-bzip2.o", "liblzma-sys-stream_encoder_mt.o"] {
            assert_eq!(has(name), 0, "{name}");
        }
    }
}
