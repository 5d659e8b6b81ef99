//! `native`: compiles packages with extension modules in C or Rust for sandboxes.
//!
//! The packages are sources of the package index that files in `xtask/native` pin by hash. The
//! compiler of C and the linker are those of Zig, which also compiles the guest image. The wheels
//! lie in `target/native`.

mod builtins;
mod cxx_runtime;
mod debian;
mod known_wheels;
mod libyaml;
mod openssl;
mod pydantic_suite;
mod rust_toolchain;
mod static_library;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use eryx_guest_shims::{BuildInputs, COMPILER_OPTIONS};

pub(crate) use known_wheels::KnownWheels;
use static_library::StaticLibrary;

use crate::client_matrix;
use crate::command;
use crate::venv::{self, Venv};
use crate::wheel;
use crate::workspace;

/// The options of the compiler besides [`COMPILER_OPTIONS`], as CPython itself is compiled.
const EMULATION_OPTIONS: [&str; 3] = [
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

/// The end of the name of a wheel for sandboxes.
const TAGS: &str = "-cp314-cp314-wasm32_wasi.whl";

/// The packages that use the type `long double`, whose functions are part of Zig.
const WITH_LONG_DOUBLE: [&str; 1] = ["cffi"];

/// The files of `xtask/native` that pin packages in C and in Rust.
const LISTS: [&str; 2] = ["c-packages.txt", "rust-packages.txt"];

/// How packages are compiled.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options<'a> {
    /// The folder of CPython's headers, instead of Debian's.
    pub(crate) headers: Option<&'a Path>,
    /// Whether the packages are used in sandboxes, too.
    pub(crate) check: bool,
    /// Whether factories know the wheels from now on.
    pub(crate) write: bool,
}

/// Compiles the packages `names`, or all.
pub(crate) fn run(options: Options<'_>, names: &[String]) -> Result<()> {
    build(options, names)?;
    if options.check {
        let wheel = wheel::run(wheel::Options::default())?;
        client_matrix::run_native(&wheel)?;
        pydantic_suite::run(&wheel)?;
    }
    Ok(())
}

fn build(options: Options<'_>, names: &[String]) -> Result<()> {
    let headers = options.headers;
    let sources = workspace::root().join("xtask/native");
    let inputs = BuildInputs::of_workspace();
    let zig = Venv::ensure(&inputs.image_dir().join("tools"), &inputs.requirements())?;
    let zig = zig.program("python-zig");
    let target = workspace::target_dir().join("native");
    let tools = Venv::ensure(&target.join("tools"), &sources.join("tools.txt"))?;
    let mut all = String::new();
    for list in LISTS {
        all.push_str(&fs::read_to_string(sources.join(list))?);
    }
    let requirements = target.join("packages.txt");
    fs::write(&requirements, select(&all, names)?)?;
    let in_rust = fs::read_to_string(sources.join(LISTS[1]))?;
    let has_rust = names.is_empty() || names.iter().any(|name| is_pinned(&in_rust, name));
    let rustc = match has_rust {
        true => rust_toolchain::rustc(&sources, &target.join("rust"))?,
        false => "rustc".into(),
    };
    let has =
        |package: &str| names.is_empty() || names.iter().any(|name| normalized(name) == package);
    let openssl = has("cryptography")
        .then(|| {
            let folder = openssl::compile(&sources.join("openssl"), &zig, &target.join("openssl"))?;
            // Its build script makes the bindings of OpenSSL with cffi.
            let python = Venv::ensure(
                &target.join("cffi-tools"),
                &sources.join("openssl/tools.txt"),
            )?;
            anyhow::Ok((folder, python.python()))
        })
        .transpose()?;
    let headers = match headers {
        Some(headers) => headers.to_path_buf(),
        None => {
            let unpacked = target.join("headers");
            debian::unpack(&sources.join("debian-headers.txt"), &unpacked)
                .context("name the folder of CPython 3.14's headers with --headers")?;
            unpacked.join("usr/include/python3.14")
        }
    };
    let include = copy_headers(&headers, &sources, &target)?;
    let yaml = libyaml::compile(
        &tools,
        &sources.join("libyaml.txt"),
        &zig,
        &target.join("libyaml"),
    )?;
    let [builtins, long_double] =
        builtins::compile(&sources.join("builtins.c"), &zig, &target.join("builtins"))?;
    let libffi = sources.join("libffi");
    let ffi = target.join("libffi");
    StaticLibrary {
        language: "cc",
        options: &[],
        sources: vec![&libffi.join("ffi.c")],
        include: vec![&include, &libffi],
    }
    .compile(&zig, &ffi.join("libffi.a"))?;
    let cxx = cxx_runtime::compile(
        &sources.join("cxx_runtime.cpp"),
        &zig,
        &target.join("cxx-runtime"),
    )?;
    let include = [&include, &yaml.include, &libffi]
        .map(|folder| format!("-I{}", folder.display()))
        .join(" ");
    let licences = copy_licences(&zig, &target)?;
    let wheels = wheels();
    let mut build = tools.wheel_of_sources(&requirements, &wheels);
    build
        .env("CC", format!("{} {include}", compiler(&zig, "cc")))
        .env(
            "CXX",
            format!(
                "{} {} {include}",
                compiler(&zig, "c++"),
                cxx_runtime::COMPILER.join(" ")
            ),
        )
        // Not those with which the interpreter of the build was compiled.
        .env("CFLAGS", "")
        .env(
            "LDSHARED",
            format!(
                "{} -L{} -L{} {} {} {}",
                program(&zig, &LINKER),
                yaml.library.display(),
                ffi.display(),
                builtins.display(),
                long_double.display(),
                cxx.display()
            ),
        )
        .env("LDFLAGS", "")
        .env("SETUPTOOLS_EXT_SUFFIX", EXTENSION)
        // Setup scripts choose files by the processor.
        .env("_PYTHON_HOST_PLATFORM", "wasm32-wasi")
        // PyYAML has its module in C only where it finds LibYAML.
        .env("PYYAML_FORCE_CYTHON", "1")
        .env("PYYAML_FORCE_LIBYAML", "1")
        // cffi asks it for the libffi of the machine.
        .env("PKG_CONFIG", "false")
        .env("SOURCE_DATE_EPOCH", TIME)
        .env("PYTHONPATH", sources.join("backends"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("ERYX_NATIVE_DIR", &target)
        .env("CARGO", env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .env("RUSTC", rustc)
        .env("ZIG_GLOBAL_CACHE_DIR", target.join("zig-cache"))
        .env("ZIG_LOCAL_CACHE_DIR", target.join("zig-cache"));
    if let Some((folder, python)) = openssl {
        build
            .env("OPENSSL_DIR", folder)
            .env("OPENSSL_STATIC", "1")
            .env("PYO3_PYTHON", python);
    }
    command::output(&mut build)?;
    for wheel in venv::wheels(&wheels)? {
        if !wheel.to_string_lossy().ends_with(TAGS) {
            rename(&tools, &wheel, &target.join("unpacked"), &licences)?;
        }
    }
    let is_pinned = |file: &str| is_pinned_wheel(&all, file);
    for wheel in venv::wheels(&wheels)? {
        let name = wheel.file_name().unwrap_or_default().to_string_lossy();
        if is_pinned(&name) {
            println!("{}", wheel.display());
        } else {
            fs::remove_file(&wheel)?;
            println!("removed {name}, of which another version is pinned");
        }
    }
    let known = KnownWheels::read()?;
    if options.write {
        known.update(&wheels, is_pinned)
    } else {
        known.report(&wheels)
    }
}

/// Gives a wheel and its modules the names for sandboxes: the build took some of them from the
/// interpreter that ran it. `licences` is the folder of [`copy_licences`].
fn rename(tools: &Venv, wheel: &Path, folder: &Path, licences: &Path) -> Result<()> {
    let run = |arguments: &[&OsStr]| {
        let mut command = Command::new(tools.python());
        command.args(["-m", "wheel"]).args(arguments);
        command.env("SOURCE_DATE_EPOCH", TIME);
        command::output(&mut command).map(drop)
    };
    venv::remove_dir(folder)?;
    run(&[
        "unpack".as_ref(),
        wheel.as_ref(),
        "--dest".as_ref(),
        folder.as_ref(),
    ])?;
    let mut modules = 0;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                folders.push(path);
            } else if let Some((module, _)) = name.split_once(".cpython-") {
                fs::rename(&path, path.with_file_name(format!("{module}{EXTENSION}")))?;
                modules += 1;
            }
        }
    }
    let wheels = wheel.parent().context("a wheel lies in a folder")?;
    fs::remove_file(wheel)?;
    // Some packages leave out a module that cannot be compiled.
    ensure!(modules > 0, "{} has no module in C", wheel.display());
    for entry in fs::read_dir(folder)? {
        let unpacked = entry?.path();
        let name = unpacked.file_name().unwrap_or_default().to_string_lossy();
        if WITH_LONG_DOUBLE.contains(&name.split('-').next().unwrap_or_default()) {
            let copy = unpacked.join(format!("{name}.dist-info/licenses/zig"));
            fs::create_dir_all(&copy)?;
            fs::copy(licences.join("zig/LICENSE"), copy.join("LICENSE"))?;
        }
        run(&[
            "pack".as_ref(),
            unpacked.as_ref(),
            "--dest".as_ref(),
            wheels.as_ref(),
        ])?;
    }
    let tags = [
        "--python-tag",
        "cp314",
        "--abi-tag",
        "cp314",
        "--platform-tag",
        "wasm32_wasi",
    ];
    let options: Vec<&OsStr> = ["tags", "--remove"]
        .iter()
        .chain(&tags)
        .map(OsStr::new)
        .collect();
    run(&[&options[..], &[wheel.as_ref()]].concat())
}

/// Copies the licences of the libraries of Zig that modules contain, for the build backends.
/// Returns their folder.
fn copy_licences(zig: &Path, target: &Path) -> Result<PathBuf> {
    let folder = target.join("licences");
    for (library, licence) in [
        ("zig", builtins::licence(zig)?),
        ("libcxx", cxx_runtime::licence(zig)?),
    ] {
        let copy = folder.join(library);
        fs::create_dir_all(&copy)?;
        fs::copy(&licence, copy.join(licence.file_name().unwrap_or_default()))?;
    }
    Ok(folder)
}

/// Returns the folder of the wheels, which may not exist.
pub(crate) fn wheels() -> PathBuf {
    workspace::target_dir().join("native/wheels")
}

/// Returns the command line of the compiler of modules: `cc` or `c++`.
fn compiler(zig: &Path, language: &str) -> String {
    let options = [&[language][..], &COMPILER_OPTIONS, &EMULATION_OPTIONS].concat();
    program(zig, &options)
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
            takes = names.is_empty() || names.iter().any(|wanted| normalized(wanted) == name);
            if takes {
                found.push(name);
            }
        }
        if takes {
            selected.push_str(line);
            selected.push('\n');
        }
    }
    if let Some(missing) = names
        .iter()
        .find(|name| !found.contains(&&*normalized(name)))
    {
        bail!(
            "xtask/native pins no {missing}; it pins {}",
            known.join(", ")
        );
    }
    Ok(selected)
}

/// Returns whether a file of requirements has a package.
fn is_pinned(requirements: &str, name: &str) -> bool {
    requirements.lines().any(|line| {
        line.split_once("==")
            .is_some_and(|(pinned, _)| pinned == normalized(name))
    })
}

/// Returns whether a wheel is of the version that a file of requirements has.
fn is_pinned_wheel(requirements: &str, file: &str) -> bool {
    let mut parts = file.split('-');
    let (Some(name), Some(version)) = (parts.next(), parts.next()) else {
        return false;
    };
    let pin = format!("{}=={version}", normalized(name));
    requirements
        .lines()
        .any(|line| line.split_whitespace().next() == Some(&pin))
}

/// Returns a name as the package index writes it (PEP 503).
fn normalized(name: &str) -> String {
    name.replace(['_', '.'], "-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{is_pinned_wheel, select};

    const ALL: &str = "# Text.\n\na==1 \\\n    --hash=sha256:1\nb==2 \\\n    --hash=sha256:2\n";

    #[test]
    fn a_selection_has_the_named_packages_with_their_hashes() {
        let names = ["b".to_owned()];
        let selected = select(ALL, &names).expect("known");
        assert_eq!(selected, "b==2 \\\n    --hash=sha256:2\n");
        assert!(select(ALL, &[]).expect("known").starts_with("a==1"));
        let error = select(ALL, &["c".to_owned()]).expect_err("unknown");
        assert!(error.to_string().ends_with("it pins a, b"), "{error}");
        assert_eq!(select(ALL, &["B".to_owned()]).expect("known"), selected);
    }

    #[test]
    fn a_wheel_of_another_version_is_not_pinned() {
        let all = "a-b==1.0 \\\n    --hash=sha256:1\n";
        for (file, expected) in [
            ("A_b-1.0-cp314-cp314-wasm32_wasi.whl", true),
            ("a_b-1.0.1-cp314-cp314-wasm32_wasi.whl", false),
            ("a-1.0-cp314-cp314-wasm32_wasi.whl", false),
        ] {
            assert_eq!(is_pinned_wheel(all, file), expected, "{file}");
        }
    }
}
