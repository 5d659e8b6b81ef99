//! With the feature `embedded-image`: finds the guest image and refuses one that is missing or
//! stale.

use std::process::exit;

use eryx_guest_shims::{BuildInputs, GuestImage};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_EMBEDDED_IMAGE").is_none() {
        return;
    }
    let inputs = BuildInputs::of_workspace();
    let image = GuestImage::of(&inputs);
    match inputs.files() {
        Ok(files) => {
            for file in files {
                println!("cargo::rerun-if-changed={}", file.display());
            }
        }
        Err(error) => fail(&format!("cannot read the guest's sources: {error}")),
    }
    println!(
        "cargo::rerun-if-changed={}",
        image.manifest_path().display()
    );
    let manifest = match image.manifest() {
        Some(manifest) => manifest,
        None => fail("the guest image is not built yet"),
    };
    match inputs.fingerprint() {
        Ok(fingerprint) if fingerprint == manifest.inputs => {}
        Ok(_) => fail("the guest image is older than the sources it is made from"),
        Err(error) => fail(&format!("cannot read the guest's sources: {error}")),
    }
    println!(
        "cargo::rustc-env=ERYX_GUEST_WASM={}",
        image.wasm().display()
    );
    println!(
        "cargo::rustc-env=ERYX_GUEST_CWASM={}",
        image.cwasm().display()
    );
    println!(
        "cargo::rustc-env=ERYX_GUEST_FUNCTIONS={}",
        image.functions().display()
    );
    println!("cargo::rustc-env=ERYX_GUEST_WASM_SHA256={}", manifest.wasm);
}

fn fail(reason: &str) -> ! {
    println!("cargo::error={reason}: run `cargo xtask build-guest`");
    exit(1)
}
