//! OpenSSL, for `cryptography`. Its sources are part of the crate `openssl-src`.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::native::{TIME, compiler, program};
use crate::venv::{Stamp, remove_dir};

/// The options of its script `Configure`. A sandbox has no threads, processes, terminals and
/// signals in C, and no shared libraries. Its sockets are those of Python.
const OPTIONS: [&str; 29] = [
    "gcc",
    "--prefix=/usr",
    "--openssldir=/etc/ssl",
    "--libdir=lib",
    "--with-rand-seed=getrandom",
    "no-afalgeng",
    "no-apps",
    "no-asm",
    "no-async",
    "no-autoload-config",
    "no-docs",
    "no-dso",
    "no-engine",
    "no-module",
    "no-quic",
    "no-secure-memory",
    "no-shared",
    "no-sock",
    "no-tests",
    "no-threads",
    "no-ui-console",
    "-DNO_SYSLOG",
    "-DNO_CHMOD",
    "-DOPENSSL_NO_SECURE_MEMORY",
    // See eryx.c.
    "-Dgetpid=eryx_process_number",
    "-O2",
    "-fPIC",
    "-w",
    "-DNDEBUG",
];

/// Declares the functions of `eryx.c` that the headers leave out where there are no sockets.
const DECLARATIONS: &str = "
int SSL_set_fd(SSL *ssl, int file);
int DTLSv1_listen(SSL *ssl, BIO_ADDR *client);
BIO_ADDR *BIO_ADDR_new(void);
void BIO_ADDR_free(BIO_ADDR *address);
";

/// Compiles the libraries to the folder `dir`, unless they are there. The folder `sources` names
/// the version. Returns the folder with the libraries, the headers and the licence.
pub(crate) fn compile(sources: &Path, zig: &Path, dir: &Path) -> Result<PathBuf> {
    let installed = dir.join("installed");
    let stamp = Stamp::new(&sources.join("Cargo.lock"), installed.join("Cargo.lock"))?;
    if stamp.is_current() {
        return Ok(installed);
    }
    remove_dir(dir)?;
    let build = dir.join("build");
    let programs = dir.join("programs");
    fs::create_dir_all(&programs)?;
    let source = fetch(sources)?;
    command::output(Command::new("cp").arg("-R").arg(&source).arg(&build))?;
    // The libraries have the command line in them, without a path of this machine.
    for (name, options) in [
        ("wasi-cc", compiler(zig, "cc")),
        ("wasi-ar", program(zig, &["ar"])),
        ("wasi-ranlib", program(zig, &["ranlib"])),
    ] {
        let path = programs.join(name);
        fs::write(&path, format!("#!/bin/sh\nexec {options} \"$@\"\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let path = env::var("PATH").unwrap_or_default();
    let run = |program: &str| {
        let mut command = Command::new(program);
        command
            .current_dir(&build)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("CC", "wasi-cc")
            .env("AR", "wasi-ar")
            .env("RANLIB", "wasi-ranlib")
            .env("SOURCE_DATE_EPOCH", TIME)
            .env("ZIG_GLOBAL_CACHE_DIR", dir.join("zig-cache"))
            .env("ZIG_LOCAL_CACHE_DIR", dir.join("zig-cache"));
        command
    };
    command::output(run("perl").arg("Configure").args(OPTIONS))
        .context("OpenSSL needs perl and make to be built")?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    command::output(run("make").arg(format!("-j{jobs}")).arg("build_libs"))?;
    command::output(
        run("wasi-cc")
            .args(["-Iinclude", "-c"])
            .arg(sources.join("eryx.c"))
            .args(["-o", "eryx.o"]),
    )?;
    command::output(run("wasi-ar").args(["rs", "libcrypto.a", "eryx.o"]))?;
    let (libraries, headers) = (installed.join("lib"), installed.join("include"));
    fs::create_dir_all(&libraries)?;
    fs::create_dir_all(&headers)?;
    for library in ["libcrypto.a", "libssl.a"] {
        fs::copy(build.join(library), libraries.join(library))?;
    }
    command::output(
        Command::new("cp")
            .arg("-R")
            .arg(build.join("include/openssl"))
            .arg(&headers),
    )?;
    let header = headers.join("openssl/ssl.h");
    let text = fs::read_to_string(&header)?;
    fs::write(&header, text + DECLARATIONS)?;
    fs::copy(build.join("LICENSE.txt"), installed.join("LICENSE.txt"))?;
    stamp.write()?;
    Ok(installed)
}

/// Returns the folder of the sources, which the lock file pins.
fn fetch(sources: &Path) -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata
        .args(["metadata", "--format-version=1", "--locked"])
        .arg("--manifest-path")
        .arg(sources.join("Cargo.toml"));
    let metadata: serde_json::Value = serde_json::from_str(&command::output(&mut metadata)?)?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "openssl-src")
        .and_then(|package| Path::new(package["manifest_path"].as_str()?).parent())
        .map(|folder| folder.join("openssl"))
        .context("cargo does not name the sources of OpenSSL")
}
