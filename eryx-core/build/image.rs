//! The guest image to embed: that of `ERYX_GUEST_IMAGE`, of the workspace, or of `eryx-image`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use eryx_guest_shims::{BuildInputs, GuestImage, sha256_hex};

/// An image on disk.
struct FoundImage {
    wasm: PathBuf,
    /// The SHA-256 of the component, in hexadecimal.
    sha256: String,
    /// The files of a build in a workspace: the machine code, and that of single functions.
    machine_code: Option<(PathBuf, PathBuf)>,
}

/// Finds the image, and sets the variables and options with which the crate embeds it.
pub(crate) fn embed() -> Result<(), String> {
    let out_dir = PathBuf::from(variable("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);
    let found = match variable("ERYX_GUEST_IMAGE") {
        Some(path) => given(Path::new(&path))?,
        None if variable("DOCS_RS").is_some() => placeholder(&out_dir)?,
        None => {
            let inputs = BuildInputs::of_workspace();
            if inputs.is_workspace() {
                of_workspace(&inputs)?
            } else {
                packed(&out_dir)?
            }
        }
    };
    set("ERYX_GUEST_WASM", &found.wasm.display());
    set("ERYX_GUEST_WASM_SHA256", &found.sha256);
    let wants_machine_code = variable("CARGO_FEATURE_EMBEDDED_MACHINE_CODE").is_some();
    let functions = match found.machine_code {
        Some((cwasm, functions)) => {
            if wants_machine_code {
                set("ERYX_GUEST_CWASM", &cwasm.display());
                println!("cargo::rustc-cfg=has_machine_code");
            }
            functions
        }
        None => write(&out_dir, "none.functions", b"")?,
    };
    set("ERYX_GUEST_FUNCTIONS", &functions.display());
    Ok(())
}

/// Returns the image that the variable `ERYX_GUEST_IMAGE` names.
fn given(path: &Path) -> Result<FoundImage, String> {
    if !path.is_absolute() {
        return Err(format!(
            "ERYX_GUEST_IMAGE is `{}`: set it to the absolute path of an eryx-guest.wasm",
            path.display()
        ));
    }
    println!("cargo::rerun-if-changed={}", path.display());
    let sha256 = sha256_hex(&read(path)?);
    if let Some(expected) = variable("ERYX_GUEST_IMAGE_SHA256") {
        check_digest(path, &sha256, &expected.to_string_lossy())?;
    }
    let image = GuestImage::at(path.parent().unwrap_or(path));
    let mut found = FoundImage {
        wasm: path.to_path_buf(),
        sha256,
        machine_code: None,
    };
    if image.wasm() == path
        && let Some(manifest) = image.manifest()
    {
        println!(
            "cargo::rerun-if-changed={}",
            image.manifest_path().display()
        );
        check_digest(path, &found.sha256, &manifest.wasm)?;
        let cwasm = image.cwasm();
        check_digest(&cwasm, &sha256_hex(&read(&cwasm)?), &manifest.cwasm)?;
        found.machine_code = Some((cwasm, image.functions()));
    }
    Ok(found)
}

/// Returns the image that the workspace has built, and refuses one that is missing or stale.
fn of_workspace(inputs: &BuildInputs) -> Result<FoundImage, String> {
    let unreadable = |error| format!("cannot read the guest's sources: {error}");
    let rebuild = "run `cargo xtask build-guest`, or set ERYX_GUEST_IMAGE to the absolute path of \
                   the eryx-guest.wasm of a release";
    let image = GuestImage::of(inputs);
    for file in inputs.files().map_err(unreadable)? {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    println!(
        "cargo::rerun-if-changed={}",
        image.manifest_path().display()
    );
    let manifest = image
        .manifest()
        .ok_or_else(|| format!("the guest image is not built yet: {rebuild}"))?;
    if inputs.fingerprint().map_err(unreadable)? != manifest.inputs {
        return Err(format!(
            "the guest image is older than the sources it is made from: {rebuild}"
        ));
    }
    Ok(FoundImage {
        wasm: image.wasm(),
        sha256: manifest.wasm,
        machine_code: Some((image.cwasm(), image.functions())),
    })
}

/// Unpacks the image of the crate `eryx-image`.
fn packed(out_dir: &Path) -> Result<FoundImage, String> {
    let image = eryx_image::unpack().map_err(|error| error.to_string())?;
    Ok(FoundImage {
        wasm: write(out_dir, "eryx-guest.wasm", &image.wasm)?,
        sha256: image.sha256,
        machine_code: None,
    })
}

/// Returns an empty image: documentation is built without the real one.
fn placeholder(out_dir: &Path) -> Result<FoundImage, String> {
    Ok(FoundImage {
        wasm: write(out_dir, "eryx-guest.wasm", b"")?,
        sha256: sha256_hex(b""),
        machine_code: None,
    })
}

fn check_digest(path: &Path, found: &str, expected: &str) -> Result<(), String> {
    if found.eq_ignore_ascii_case(expected.trim()) {
        return Ok(());
    }
    Err(format!(
        "{} has the SHA-256 {found}, and {expected} is expected",
        path.display()
    ))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn write(dir: &Path, name: &str, content: &[u8]) -> Result<PathBuf, String> {
    let path = dir.join(name);
    fs::write(&path, content)
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

/// Returns a variable of the environment that is set and not empty. The script runs again when it
/// changes.
fn variable(name: &str) -> Option<OsString> {
    if name.starts_with("ERYX_") || name == "DOCS_RS" {
        println!("cargo::rerun-if-env-changed={name}");
    }
    env::var_os(name).filter(|value| !value.is_empty())
}

fn set(name: &str, value: &dyn std::fmt::Display) {
    println!("cargo::rustc-env={name}={value}");
}
